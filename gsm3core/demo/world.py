"""Entry points of the demonstration dataset: checked arguments, one simulation, its dataset and its truth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import schema
from gsm3core.demo.dataset import site_dataset, truth_dataset
from gsm3core.demo.scenario import Scenario
from gsm3core.demo.simulation import simulate
from gsm3core.errors import DatasetError

_MAX_SITES = 5000  # the correlation matrix of sites grows with the square


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoWorld:
    """One simulation: the SiteDataset, the error-free truth behind it, and the planted effects."""

    dataset: xr.Dataset
    truth: xr.Dataset
    scenario: Scenario


def demo_world(
    *,
    n_sites: int = 400,
    start: str | date | np.datetime64 = "2015-04-01",
    end: str | date | np.datetime64 = "2020-12-31",
    seed: int = 0,
    planted: bool | Scenario = True,
) -> DemoWorld:
    """Return the demonstration dataset and its truth from one simulation.

    Parameters
    ----------
    n_sites
        Number of stations, 7 to 5000, in the seven regions in the paper's proportions (5 or more in each region
        from 60 sites on).
    start, end
        First and last day (UTC), inclusive; a year before ``start`` is simulated as spin-up.
    seed
        Not negative. The same arguments give bit-identical values on one machine; another ``n_sites`` or period gives
        different values.
    planted
        True for the default :class:`Scenario`, False for none of its effects, or a scenario.

    Raises
    ------
    DatasetError
        If an argument is invalid.

    Notes
    -----
    400 sites and 2102 days take a few seconds. Methods and sources:
    :mod:`gsm3core.demo.weather`, :mod:`gsm3core.demo.radiation` and :mod:`gsm3core.demo.soil`.
    """
    if not 7 <= n_sites <= _MAX_SITES:
        raise DatasetError(
            f"n_sites is {n_sites}; expected 7 (one per region) to {_MAX_SITES}. Simulate a larger dataset with several seeds."
        )
    if seed < 0:
        raise DatasetError(f"seed is {seed}; expected a whole number of 0 or more.")
    scenario = (
        planted if isinstance(planted, Scenario) else Scenario() if planted else Scenario.without_effects()
    )
    simulation = simulate(seed, n_sites, _days(start, end), scenario)
    dataset = site_dataset(simulation, seed, scenario)
    schema.check_dataset(dataset, name="the demonstration dataset")
    return DemoWorld(dataset=dataset, truth=truth_dataset(simulation, seed, scenario), scenario=scenario)


def demo_dataset(
    *,
    n_sites: int = 400,
    start: str | date | np.datetime64 = "2015-04-01",
    end: str | date | np.datetime64 = "2020-12-31",
    seed: int = 0,
    planted: bool | Scenario = True,
) -> xr.Dataset:
    """Return the demonstration dataset; parameters and errors as in :func:`demo_world`.

    Returns
    -------
    xarray.Dataset
        ``(site, time)``: nine forcings, ``sm_insitu``, ``sm_smap``; ``(product, site, time)``:
        ``sm_product`` with SMOS, AMSR2, GLDAS-Noah and SoMo.ml; ``(site)``: fifteen attributes. Units as in
        the vocabulary. The dataset's attributes state that it is simulated and hold the scenario and the errors
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
        ``(site, time)``: ``sm_point`` (at the sensor), ``sm_modelled`` (the same without the
        planted disturbance), ``sm_cell`` (of the satellite cell) in m3 m-3, ``precipitation_point`` in mm
        d-1, ``frozen`` and ``unseen``; ``(site)``: ``disturbance_std``, ``stuck``, the soil at the sensor
        and its hidden factors.

    Notes
    -----
    It repeats the simulation; :func:`demo_world` returns dataset and truth of one.
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
        raise DatasetError(f"end {ends[1]} is before start {ends[0]}; expected start <= end. Swap them.")
    return np.arange(ends[0], ends[1] + 1)
