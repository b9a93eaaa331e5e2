"""Daily statistics of sub-daily values: mean, sum, minimum and maximum per UTC day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError

Statistic = Literal["mean", "sum", "min", "max"]
STATISTICS: tuple[Statistic, ...] = ("mean", "sum", "min", "max")
_DAY = 86_400.0


def to_daily(
    ds: xr.Dataset,
    *,
    how: Mapping[str, Statistic] | None = None,
    minimum: float = 0.75,
    step: float | None = None,
) -> xr.Dataset:
    """Return one value per UTC day, labelled 00:00, on an axis without gaps.

    Parameters
    ----------
    ds
        Output of a reader: a time label is an instant, or the START of the interval, so that a step belongs to the day
        of its label. Variables without time are kept.
    how
        Statistic per variable; ``mean`` for variables not named, because readers return rates (mm per day): their mean
        is the daily amount and, unlike a sum, is not biased by a missing step.
    minimum
        Required share of a day's steps, in (0, 1]; a day with fewer is missing. 0.75 requires 18 of 24 hours, or 6 of
        GLDAS's 8 steps.
    step
        Seconds between steps; by default the dataset's attribute ``time_step``.

    Returns
    -------
    xarray.Dataset
        Each variable's attribute ``days_short_of_steps`` counts the values with some but too few steps.

    Raises
    ------
    DatasetError
        If the step is unknown or does not divide a day, labels repeat, or a statistic is unknown.
    """
    how = dict(how or {})
    times = _check_times(ds, how, minimum)
    seconds = float(step if step is not None else ds.attrs.get("time_step", 0))
    per_day = round(_DAY / seconds) if seconds > 0 else 0
    if not per_day or abs(per_day * seconds - _DAY) > 1e-6:
        raise DatasetError(
            f"time step of {seconds:g} s does not divide a day; expected, for example, 3600. Pass step=, or set the dataset's "
            "attribute 'time_step'."
        )
    needed = int(np.ceil(minimum * per_day - 1e-9))
    days = times.normalize()
    axis = pd.date_range(days[0], days[-1], freq="D", unit="ns", name=v.TIME)
    first = np.searchsorted(days, axis, side="left")
    last = np.searchsorted(days, axis, side="right")
    out = {}
    for name, array in ds.data_vars.items():
        if v.TIME not in array.dims:
            out[name] = array
            continue
        statistic = how.get(str(name), "mean")
        ordered = array.transpose(v.TIME, ...)
        values, short = _reduce_days(ordered.to_numpy(), first, last, statistic, needed)
        coords = {k: c for k, c in ordered.coords.items() if v.TIME not in c.dims}
        out[name] = xr.DataArray(values, dims=ordered.dims, coords={**coords, v.TIME: axis}).transpose(
            *array.dims
        )
        out[name].attrs = dict(array.attrs)
        if statistic == "sum":
            out[name].attrs["units"] = _sum_units(str(array.attrs.get("units", "")))
        method = {"min": "minimum", "max": "maximum"}.get(statistic, statistic)
        out[name].attrs["cell_methods"] = f"time: {method} (interval: {seconds:g} s)"
        out[name].attrs["days_short_of_steps"] = short
    result = xr.Dataset(out, attrs={**ds.attrs, "time_step": _DAY})
    result[v.TIME].attrs = {"standard_name": "time", "long_name": "UTC day"}
    return result


def _check_times(ds: xr.Dataset, how: Mapping[str, Statistic], minimum: float) -> pd.DatetimeIndex:
    if v.TIME not in ds.dims or not ds.sizes[v.TIME]:
        raise DatasetError("no time step to average to days.")
    if not 0 < minimum <= 1:
        raise DatasetError(f"invalid minimum {minimum:g}; expected a share of a day's steps in (0, 1].")
    for name, statistic in how.items():
        if statistic not in STATISTICS:
            raise DatasetError(
                f"unknown statistic {statistic!r} of {name!r}. Known: {', '.join(STATISTICS)}."
            )
        if name not in ds:
            raise DatasetError(f"no variable {name!r}; the dataset has {', '.join(map(str, ds.data_vars))}.")
    times = pd.DatetimeIndex(ds[v.TIME].values)
    if not times.is_monotonic_increasing or times.has_duplicates:
        raise DatasetError(
            f"time labels must ascend without duplicates; see {times[times.duplicated()][:1].tolist() or times[0]}."
        )
    return times


def _reduce_days(
    values: NDArray[np.generic],
    first: NDArray[np.intp],
    last: NDArray[np.intp],
    statistic: Statistic,
    needed: int,
) -> tuple[NDArray[np.float32], int]:
    """Reduce axis 0 day by day in double precision; one day at a time is in memory beside the input."""
    out = np.full((len(first), *values.shape[1:]), np.nan, np.float32)
    short = 0
    for k, (i, j) in enumerate(zip(first, last, strict=True)):
        if i == j:
            continue
        block = values[i:j].astype(np.float64)
        present = ~np.isnan(block)
        count = present.sum(0)
        if statistic in ("mean", "sum"):
            total = np.where(present, block, 0.0).sum(0)
            day = total / np.maximum(count, 1) if statistic == "mean" else total
        elif statistic == "min":
            day = np.where(present, block, np.inf).min(0)
        else:
            day = np.where(present, block, -np.inf).max(0)
        enough = count >= needed
        out[k] = np.where(enough, day, np.nan)
        short += int(((count > 0) & ~enough).sum())
    return out, short


def _sum_units(units: str) -> str:
    """Return the units of a daily sum: those of an amount; a sum of rates is meaningless."""
    if units.endswith((" d-1", " s-1", "W m-2")):
        raise DatasetError(f"a sum of values in {units!r} is not an amount; use the mean of a rate.")
    return units
