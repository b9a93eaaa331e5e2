"""The demonstration world's front door: arguments checked, one simulation, its dataset and its truth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import schema
from gsm3core import vocabulary as v
from gsm3core.demo.dataset import site_dataset, truth_dataset
from gsm3core.demo.scenario import Scenario
from gsm3core.demo.simulation import simulate
from gsm3core.errors import DatasetError

_MOST_SITES = 5000  # every pair of sites has a correlation: memory grows with the square


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoWorld:
    """One simulated world: ``dataset`` is what a user would have, ``truth`` what only its maker knows.

    Parameters
    ----------
    dataset
        A SiteDataset, as :func:`demo_dataset` returns it.
    truth
        As :func:`demo_truth` returns it.
    plan
        What was planted.
    """

    dataset: xr.Dataset
    truth: xr.Dataset
    plan: Scenario


def demo_world(
    *,
    n_sites: int = 400,
    start: str | date | np.datetime64 = "2015-04-01",
    end: str | date | np.datetime64 = "2020-12-31",
    seed: int = 0,
    planted: bool | Scenario = True,
) -> DemoWorld:
    """Simulate the demonstration world once and return its dataset together with its truth.

    Parameters
    ----------
    n_sites
        Stations, 7 to 5000, shared out to the seven regions in the paper's proportions (5 or more in each
        region from 60 sites on).
    start, end
        First and last day (UTC), both included; a year before ``start`` is simulated and thrown away.
    seed
        Not negative. The same arguments give the same values, bit for bit, on one machine; another
        ``n_sites`` or period gives another world.
    planted
        True for the whole :class:`Scenario`, False for none of it, or a plan of one's own.

    Raises
    ------
    DatasetError
        If an argument makes no sense; the message names the value, what is expected and what to do.

    Notes
    -----
    400 sites and 2102 days take a few seconds. What is simulated, and after whom, stands in
    :mod:`gsm3core.demo.weather`, :mod:`gsm3core.demo.radiation` and :mod:`gsm3core.demo.soil`.
    """
    if not 7 <= n_sites <= _MOST_SITES:
        raise DatasetError(
            f"n_sites is {n_sites}; expected 7 to {_MOST_SITES}. Ask for one site per region or more, "
            "or split a larger world over several seeds."
        )
    if seed < 0:
        raise DatasetError(f"seed is {seed}; expected 0 or more. Use another whole number.")
    plan = planted if isinstance(planted, Scenario) else Scenario() if planted else Scenario.nothing()
    simulation = simulate(seed, n_sites, _days(start, end), plan)
    dataset = site_dataset(simulation, seed, plan)
    schema.check_dataset(dataset, name="the demonstration world")
    return DemoWorld(dataset=dataset, truth=truth_dataset(simulation, seed, plan), plan=plan)


def demo_dataset(
    *,
    n_sites: int = 400,
    start: str | date | np.datetime64 = "2015-04-01",
    end: str | date | np.datetime64 = "2020-12-31",
    seed: int = 0,
    planted: bool | Scenario = True,
) -> xr.Dataset:
    """Return the demonstration world's SiteDataset; parameters and errors as in :func:`demo_world`.

    Returns
    -------
    xarray.Dataset
        ``(site, time)``: nine forcings, ``sm_insitu``, ``sm_smap``; ``(product, site, time)``:
        ``sm_product`` with SMOS, AMSR2, GLDAS-Noah and SoMo.ml; ``(site)``: fifteen attributes. Units as in
        the vocabulary. The dataset's attributes say that it is simulated and hold the plan and the errors
        as JSON.
    """
    return demo_world(n_sites=n_sites, start=start, end=end, seed=seed, planted=planted).dataset


def demo_truth(
    *,
    n_sites: int = 400,
    start: str | date | np.datetime64 = "2015-04-01",
    end: str | date | np.datetime64 = "2020-12-31",
    seed: int = 0,
    planted: bool | Scenario = True,
) -> xr.Dataset:
    """Return the truth behind :func:`demo_dataset` of the same arguments, on the same sites and days.

    Returns
    -------
    xarray.Dataset
        ``(site, time)``: ``sm_point`` (where the sensor stands), ``sm_modelled`` (the same without the
        planted disturbance), ``sm_cell`` (what satellites see) in m3 m-3, ``precipitation_point`` in mm
        d-1, ``frozen`` and ``unseen``; ``(site)``: ``disturbance_std``, ``stuck``, the soil at the sensor
        and its hidden factors.

    Notes
    -----
    It simulates the world again; :func:`demo_world` returns both from one simulation.
    """
    return demo_world(n_sites=n_sites, start=start, end=end, seed=seed, planted=planted).truth


def _days(start: str | date | np.datetime64, end: str | date | np.datetime64) -> NDArray[np.datetime64]:
    ends = []
    for name, value in (("start", start), ("end", end)):
        try:
            day = np.datetime64(str(value), "D")
        except ValueError as error:
            raise DatasetError(f"{name} is {value!r}; expected a date such as '2015-04-01'.") from error
        if np.isnat(day):
            raise DatasetError(f"{name} is {value!r}; expected a date such as '2015-04-01'.")
        ends.append(day)
    if ends[1] < ends[0]:
        raise DatasetError(
            f"end {ends[1]} is before start {ends[0]}; expected {v.TIME} to go forward. Swap them."
        )
    return np.arange(ends[0], ends[1] + 1)
