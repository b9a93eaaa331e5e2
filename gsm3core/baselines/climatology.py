"""Day-of-year climatology, of the site itself or of its nearest training sites."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gsm3core import vocabulary as v
from gsm3core.baselines.training_record import Floats, to_prediction, training_record
from gsm3core.config import ExperimentConfig
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import input_names

WINDOW = 31
NEIGHBOURS = 10
# Fewest training days for a site's own climatology; with fewer, that of its neighbours is better.
FEWEST_DAYS = 30
_YEAR = 366
_EARTH_KM = 6371.0


def predict_climatology(
    ds: xr.Dataset,
    fold: Fold,
    config: ExperimentConfig,
    emit: Callable[..., None],
    cancelled: Callable[[], bool],
) -> xr.DataArray:
    """Predict the training climatology of each day of the year.

    Parameters
    ----------
    ds, fold, config, emit, cancelled
        As for :func:`gsm3core.baselines.predict_fold`.

    Notes
    -----
    A site with :data:`FEWEST_DAYS` training days of its own (temporal holdouts) has the mean of its training days
    within 15 days of the day of the year: :data:`WINDOW` days, the width of the climatology in QA4SM and in anomaly
    scores. A held-out site has the mean of the :data:`NEIGHBOURS` nearest training sites, weighted by inverse squared
    distance; the number was chosen among training sites (docs/baselines.md).
    """
    forcings, _, _ = input_names(ds, config.data)
    training = training_record(ds, fold, config)
    days = pd.DatetimeIndex(ds[v.TIME].values).day_of_year.to_numpy()
    own = training.by_site()
    has_own = np.isfinite(own).sum(axis=1) >= FEWEST_DAYS
    neighbour = np.isfinite(training.streams[training.reference]).sum(axis=1) >= FEWEST_DAYS
    if not neighbour.any():
        neighbour = np.isfinite(own).any(axis=1)
    mean_year = mean_year_by_site(own, days)
    at = np.column_stack([ds[v.LAT].values, ds[v.LON].values]).astype(float)
    from_others = neighbour_mean(mean_year[neighbour], at[neighbour], at[fold.test_sites])
    year = np.where(has_own[fold.test_sites, None], mean_year[fold.test_sites], from_others)
    emit("progress", fold=fold.name, done=1.0)
    return to_prediction(year[:, days - 1], ds, fold, forcings)


def mean_year_by_site(values_ST: Floats, day_of_year: NDArray[np.integer], window: int = WINDOW) -> Floats:
    """Return the day-of-year climatology of every site, ``(site, 366)``, m3 m-3.

    Parameters
    ----------
    values_ST
        ``(site, time)``; NaN is missing.
    day_of_year
        ``(time)``, 1 to 366.
    window
        Days, odd: each day of the year is the mean over all values up to ``(window - 1) / 2`` days from it, cyclically.
        Days without values are interpolated linearly. A site without values is NaN.
    """
    known = np.isfinite(values_ST)
    total, number = np.zeros((2, len(values_ST), _YEAR))
    for day in np.unique(day_of_year):
        at = day_of_year == day
        total[:, day - 1] = np.where(known[:, at], values_ST[:, at], 0.0).sum(axis=1)
        number[:, day - 1] = known[:, at].sum(axis=1)
    total, number = _cyclic_window_sum(total, window), _cyclic_window_sum(number, window)
    with np.errstate(invalid="ignore", divide="ignore"):
        year = np.where(number > 0.5, total / number, np.nan)
    for row in year:
        day = np.flatnonzero(np.isfinite(row))
        if 0 < len(day) < _YEAR:
            row[:] = np.interp(np.arange(_YEAR), day, row[day], period=_YEAR)
    return year


def neighbour_mean(year_ND: Floats, at_N2: Floats, query_S2: Floats, neighbours: int = NEIGHBOURS) -> Floats:
    """Return the mean climatology of the nearest sites, weighted by inverse squared distance.

    Parameters
    ----------
    year_ND
        ``(known site, day)``.
    at_N2, query_S2
        Latitude and longitude of the known and of the query sites, degrees.
    neighbours
        Number of neighbours, at most.

    Notes
    -----
    Distances below 1 km count as 1 km, so that no co-located site gets all the weight.
    """
    chord, nearest = cKDTree(_unit_vectors(at_N2)).query(
        _unit_vectors(query_S2), k=list(range(1, min(neighbours, len(at_N2)) + 1))
    )
    km = 2 * _EARTH_KM * np.arcsin(np.clip(chord / 2, 0, 1))
    weight = 1 / np.maximum(km, 1.0) ** 2
    weight /= weight.sum(axis=1, keepdims=True)
    return np.einsum("sn,snd->sd", weight, year_ND[nearest])


def _cyclic_window_sum(values_SD: Floats, window: int) -> Floats:
    half = window // 2
    wrapped = (
        np.concatenate([values_SD[:, -half:], values_SD, values_SD[:, :half]], axis=1) if half else values_SD
    )
    total = np.cumsum(np.pad(wrapped, ((0, 0), (1, 0))), axis=1)
    return total[:, window:] - total[:, :-window]


def _unit_vectors(at_S2: Floats) -> Floats:
    """Return unit vectors ``(S, 3)`` from degrees, whose distances are valid across the date line and the poles."""
    lat, lon = np.radians(at_S2).T
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
