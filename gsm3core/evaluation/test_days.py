"""Runs and every product beside each other on the days that test the runs; the only place that says which these are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.stratified import LOCAL_SEASONS
from gsm3core.schema import products


def compared_products(dataset: xr.Dataset, reference: str) -> dict[str, xr.DataArray]:
    """Return the products that can be held against a reference: all but the reference itself.

    Parameters
    ----------
    dataset
        A SiteDataset.
    reference
        ``sm_insitu`` or ``sm_smap``.
    """
    same = v.SMAP if reference == v.SM_SMAP else None
    return {name: record for name, record in products(dataset).items() if name != same}


def tested_series(
    dataset: xr.Dataset, reference: str, runs: Mapping[str, xr.Dataset] | None = None
) -> xr.DataArray:
    """Return runs and every product on the days that test all of the runs; of no run, the products on all days.

    Parameters
    ----------
    dataset
        The SiteDataset that the runs read; its products are taken.
    reference
        What they are held against, which is no product beside itself.
    runs
        Predictions by the run's name among the products: ``sm_predicted`` and ``in_test`` ``(site, time)``. A product of
        that name gives way. Sites and days of the dataset that a run does not have do not test it.

    Returns
    -------
    xarray.DataArray
        ``(product, site, time)`` m3 m-3 at the sites and days of the dataset, the runs first; NaN on days that do not
        test all of them.

    Raises
    ------
    DatasetError
        If there is neither a run nor a product, or the runs share no test day.
    """
    runs = runs or {}
    series = {}
    tested = np.ones((dataset.sizes[v.SITE], dataset.sizes[v.TIME]), bool)
    for name, made in runs.items():
        ours = made.reset_coords(drop=True).assign_coords({v.SITE: made[v.SITE].values.astype(str)})
        ours = ours.reindex({v.SITE: dataset[v.SITE].values.astype(str), v.TIME: dataset[v.TIME].values})
        series[name] = ours[v.SM_PREDICTED].transpose(v.SITE, v.TIME)
        in_test = ours[v.IN_TEST].transpose(v.SITE, v.TIME).values.astype(float)
        tested &= np.nan_to_num(in_test).astype(bool)
    if len(runs) > 1 and not tested.any():
        raise DatasetError(
            f"{' and '.join(runs)} have no test day in common at these sites: there is no day that neither "
            "learnt from. Compare runs with the same holdout."
        )
    for name, record in compared_products(dataset, reference).items():
        if name not in series:
            series[name] = record.reset_coords(drop=True).load().transpose(v.SITE, v.TIME)
    if not series:
        raise DatasetError(
            f"The dataset has nothing to compare with {reference}. Give a run, or add a product."
        )
    stacked = xr.concat(
        [a.assign_coords({v.SITE: dataset[v.SITE].values.astype(str)}) for a in series.values()],
        dim=pd.Index(list(series), name=v.PRODUCT),
        join="exact",
        combine_attrs="drop",
    )
    return stacked.where(xr.DataArray(tested, dims=(v.SITE, v.TIME))).assign_attrs(units=v.SM_UNITS)


def in_season(dataset: xr.Dataset, season: str) -> xr.DataArray:
    """Tell which days of a dataset are in a season ``(site, time)``, as the season is at each site."""
    days = season_days(dataset[v.TIME].values, dataset[v.LAT].values, season)
    coords = {v.SITE: dataset[v.SITE].values.astype(str), v.TIME: dataset[v.TIME].values}
    return xr.DataArray(days, dims=(v.SITE, v.TIME), coords=coords)


def season_days(time: NDArray[np.datetime64], lat: ArrayLike, season: str) -> NDArray[np.bool_]:
    """Tell which days are in a season ``(site, time)``, as the season is at each site.

    Parameters
    ----------
    time, lat
        Days, and the latitude of each site.
    season
        ``winter`` (in the north December to February), ``spring``, ``summer`` or ``autumn``.
    """
    quarter = pd.DatetimeIndex(time).month.to_numpy() % 12 // 3
    wanted = LOCAL_SEASONS.index(season)
    south = np.atleast_1d(np.asarray(lat, float)) < 0
    return np.where(south[:, None], quarter[None] == (wanted + 2) % 4, quarter[None] == wanted)
