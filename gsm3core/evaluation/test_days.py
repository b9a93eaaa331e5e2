"""Series of runs and products on the common test days of the runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.stratified import LOCAL_SEASONS
from gsm3core.run import Run
from gsm3core.schema import products

_TRAINING = " (training)"


def compared_products(dataset: xr.Dataset, reference: str) -> dict[str, xr.DataArray]:
    """Return the products that can be compared with a reference: all but the reference itself.

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
    """Return runs and every product on the common test days of the runs; without runs, the products on all days.

    Parameters
    ----------
    dataset
        The SiteDataset of the runs, with the products.
    reference
        Record that they are compared with; it is not one of the products returned.
    runs
        Predictions by product name: ``sm_predicted`` and ``in_test`` ``(site, time)``. They replace a product of the same
        name. Sites and days that a run lacks are not test days.

    Returns
    -------
    xarray.DataArray
        ``(product, site, time)`` m3 m-3 at the sites and days of the dataset, the runs first; NaN except on common test
        days.

    Raises
    ------
    DatasetError
        If there is neither a run nor a product, or the runs share no test day.
    """
    runs = runs or {}
    series = {}
    common_test = np.ones((dataset.sizes[v.SITE], dataset.sizes[v.TIME]), bool)
    for name, prediction in runs.items():
        aligned = prediction.reset_coords(drop=True).assign_coords(
            {v.SITE: prediction[v.SITE].values.astype(str)}
        )
        aligned = aligned.reindex(
            {v.SITE: dataset[v.SITE].values.astype(str), v.TIME: dataset[v.TIME].values}
        )
        series[name] = aligned[v.SM_PREDICTED].transpose(v.SITE, v.TIME)
        in_test = aligned[v.IN_TEST].transpose(v.SITE, v.TIME).values.astype(float)
        common_test &= np.nan_to_num(in_test).astype(bool)
    if len(runs) > 1 and not common_test.any():
        raise DatasetError(
            f"{' and '.join(runs)} have no test day in common at these sites; every day is a training day of one of them. "
            "Compare runs with the same holdout."
        )
    for name, record in compared_products(dataset, reference).items():
        if name not in series:
            series[name] = record.reset_coords(drop=True).load().transpose(v.SITE, v.TIME)
    if not series:
        raise DatasetError(
            f"The dataset has no product to compare with {reference}. Give a run, or add a product."
        )
    stacked = xr.concat(
        [a.assign_coords({v.SITE: dataset[v.SITE].values.astype(str)}) for a in series.values()],
        dim=pd.Index(list(series), name=v.PRODUCT),
        join="exact",
        combine_attrs="drop",
    )
    return stacked.where(xr.DataArray(common_test, dims=(v.SITE, v.TIME))).assign_attrs(units=v.SM_UNITS)


def training_product(run: Run) -> str:
    """Return the product name of a run's fit to its training data, such as ``GSM3 LSTM (training)``."""
    return training_name(v.MODEL_PRODUCTS.get(run.config.model.name, v.MULTITASK_LSTM))


def training_name(product: str) -> str:
    """Return the name of the fit to the training data of a run whose prediction is named ``product``."""
    return product + _TRAINING


def is_training_product(name: str) -> bool:
    """Return whether a product is the fit of a run to its training data."""
    return name.endswith(_TRAINING)


def training_series(
    run: Run, dataset: xr.Dataset, reference: str, predictions: xr.Dataset | None = None
) -> xr.DataArray:
    """Return a run's predictions at its training sites on its training days, as a product of its own.

    Parameters
    ----------
    run, dataset, reference
        The run, its SiteDataset or a selection of its sites, and the record that it is compared with.
    predictions
        As :meth:`gsm3core.Run.training_predictions` returns them, which is the default.

    Returns
    -------
    xarray.DataArray
        ``(product, site, time)`` m3 m-3 with the one product :func:`training_product`; NaN but on training days.

    Raises
    ------
    RunError
        If the run has no training predictions.
    """
    made = run.training_predictions() if predictions is None else predictions
    fit = {training_product(run): made.rename({v.IN_TRAIN: v.IN_TEST})}
    return tested_series(without_products(dataset, reference), reference, fit)


def without_products(dataset: xr.Dataset, reference: str) -> xr.Dataset:
    """Return a dataset without the records that are compared with a reference."""
    return dataset.drop_vars([n for n in (v.SM_PRODUCT, v.SM_SMAP) if n in dataset and n != reference])


def in_season(dataset: xr.Dataset, season: str) -> xr.DataArray:
    """Return whether the days of a dataset are in a local season, ``(site, time)``."""
    days = season_days(dataset[v.TIME].values, dataset[v.LAT].values, season)
    coords = {v.SITE: dataset[v.SITE].values.astype(str), v.TIME: dataset[v.TIME].values}
    return xr.DataArray(days, dims=(v.SITE, v.TIME), coords=coords)


def only_season(series: xr.DataArray, dataset: xr.Dataset, season: str) -> xr.DataArray:
    """Return series ``(product, site, time)`` of a dataset with NaN outside a local season."""
    return series.where(in_season(dataset, season)).assign_attrs(series.attrs)


def season_days(time: NDArray[np.datetime64], lat: ArrayLike, season: str) -> NDArray[np.bool_]:
    """Return whether days are in the local season of each site, ``(site, time)``.

    Parameters
    ----------
    time, lat
        Days, and the latitude of each site.
    season
        ``winter`` (December to February in the northern hemisphere), ``spring``, ``summer`` or ``autumn``.
    """
    quarter = pd.DatetimeIndex(time).month.to_numpy() % 12 // 3
    requested = LOCAL_SEASONS.index(season)
    south = np.atleast_1d(np.asarray(lat, float)) < 0
    return np.where(south[:, None], quarter[None] == (requested + 2) % 4, quarter[None] == requested)
