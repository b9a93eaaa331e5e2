"""Derived daily inputs: season, antecedent precipitation and running means of the forcings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.signal import lfilter

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.scaling.inputs import log_transform
from gsm3core.schema import daily_precipitation, precipitation_names

Floats = NDArray[np.float64]

# Weight of a day relative to the next: half-lives of 1 (0.5) to 34 days (0.98).
DECAYS = (0.5, 0.8, 0.9, 0.95, 0.98)
# Days: a month and a season.
MEANS = (30, 90)


def derived_columns(
    ds: xr.Dataset,
    kinds: Sequence[str],
    forcings: Iterable[str],
    *,
    transformed: Collection[str],
    precipitation: str | None = None,
) -> dict[str, Floats]:
    """Return derived input columns, each ``(site, time)``; missing is NaN.

    Parameters
    ----------
    ds
        With the whole time axis: forcings before the training days may be used.
    kinds
        Names in :data:`DERIVED`.
    forcings
        Names of the variables to average.
    transformed
        Names of the precipitation forcings whose columns are log-transformed
        (:func:`gsm3core.scaling.inputs.log_transform`).
    precipitation
        The forcing of ``antecedent_precipitation``; by default the first of
        :func:`gsm3core.schema.precipitation_names`.

    Raises
    ------
    DatasetError
        If a kind needs precipitation and the forcings have none.

    Notes
    -----
    At the start of a window the network's state is zero. These columns supply the antecedent conditions without any
    soil moisture, so that short windows suffice (as antecedent precipitation does in statistical models: Kohler and
    Linsley 1951, U.S. Weather Bureau Research Paper 34). docs/training.md has the measured effect of each.
    """
    forcings = list(forcings)
    columns: dict[str, Floats] = {}
    for kind in kinds:
        columns |= DERIVED[kind](ds, forcings, transformed, precipitation)
    return columns


def season(ds: xr.Dataset) -> tuple[Floats, Floats]:
    """Return sine and cosine of the time of year ``(site, time)``, shifted by half a year south of the equator."""
    day_T = pd.DatetimeIndex(ds[v.TIME].values).day_of_year.to_numpy()
    angle_ST = 2 * np.pi * day_T / 365.25 + np.where(ds[v.LAT].values < 0, np.pi, 0.0)[:, None]
    return np.sin(angle_ST), np.cos(angle_ST)


def moving_mean(daily_ST: Floats, window: int) -> Floats:
    """Return the trailing mean over the available days of a window; NaN where there are none."""
    known = np.isfinite(daily_ST)
    # Centred on the site's mean, so that running sums of pressures or temperatures keep their precision.
    middle = np.where(known, daily_ST, 0).sum(1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), 1)
    total = _window_sum(np.where(known, daily_ST - middle, 0.0), window)
    number = _window_sum(known.astype(float), window)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(number > 0, middle + total / number, np.nan)


def antecedent_mean(rain_ST: Floats, decay: float) -> Floats:
    """Return the antecedent precipitation index as a weighted mean, mm d-1; NaN before the first known day.

    Parameters
    ----------
    rain_ST
        ``(site, time)`` mm d-1; NaN is missing.
    decay
        Weight of a day relative to the next, between 0 and 1.

    Notes
    -----
    ``sum_i decay^i P_{t-i} / sum_i decay^i`` over the known days: the index ``API_t = decay API_{t-1} + P_t`` of
    Kohler and Linsley (1951, Predicting the runoff from storm rainfall, U.S. Weather Bureau Research Paper 34)
    divided by the sum of weights, so that a gap or the start of the record does not appear dry.
    """
    known = np.isfinite(rain_ST)
    filters = [1.0], [1.0, -decay]
    total = lfilter(*filters, np.where(known, rain_ST, 0.0), axis=1)
    weight = lfilter(*filters, known.astype(float), axis=1)
    begun = np.logical_or.accumulate(known, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(begun & (weight > 0), total / weight, np.nan)


def _window_sum(values: Floats, window: int) -> Floats:
    total = np.cumsum(values, axis=1)
    total[:, window:] -= total[:, :-window].copy()
    return total


def _season(
    ds: xr.Dataset, forcings: list[str], transformed: Collection[str], precipitation: str | None
) -> dict[str, Floats]:
    sine, cosine = season(ds)
    return {"season, sine": sine, "season, cosine": cosine}


def _antecedent_precipitation(
    ds: xr.Dataset, forcings: list[str], transformed: Collection[str], precipitation: str | None
) -> dict[str, Floats]:
    name = precipitation or next(iter(precipitation_names(ds, forcings)), None)
    if name is None:
        raise DatasetError(
            "data.derived has 'antecedent_precipitation', but precipitation is not among the forcings "
            f"({', '.join(forcings)}): expected one with the CF standard_name {' or '.join(v.TOTAL_PRECIPITATION)}. Add it "
            "to data.forcings, set its standard_name, or remove that kind from data.derived."
        )
    rain = daily_precipitation(ds, name)
    derived = {f"antecedent {name}, {d:g} a day": antecedent_mean(rain, d) for d in DECAYS}
    if name in transformed:
        derived = {column: log_transform(values) for column, values in derived.items()}
    return derived


def _running_means(
    ds: xr.Dataset, forcings: list[str], transformed: Collection[str], precipitation: str | None
) -> dict[str, Floats]:
    columns: dict[str, Floats] = {}
    for name in forcings:
        rain = name in transformed
        daily = daily_precipitation(ds, name) if rain else _daily(ds, name)
        derived = {f"{name}, mean of {days} d": moving_mean(daily, days) for days in MEANS}
        if rain:
            derived = {column: log_transform(values) for column, values in derived.items()}
        columns |= derived
    return columns


def _daily(ds: xr.Dataset, name: str) -> Floats:
    values: Floats = ds[name].transpose(v.SITE, v.TIME).values.astype(float)
    return values


_Columns = Callable[[xr.Dataset, list[str], Collection[str], str | None], dict[str, Floats]]
DERIVED: dict[str, _Columns] = {
    "season": _season,
    "antecedent_precipitation": _antecedent_precipitation,
    "running_means": _running_means,
}
