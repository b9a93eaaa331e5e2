"""One value per UTC day: the rule for user tables, files that are scored, and the Python interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.readers.time_texts import parse_times

MINIMUM_SHARE = 0.75  # of a day's values, as for gridded sources
_DAY = pd.Timedelta(days=1)
_CALENDARS = ("standard", "gregorian", "proleptic_gregorian", "")
_DATED_CALENDARS = {"noleap", "365_day"}  # every day is a date of the usual calendar
_ZONE_KEYS = ("time_zone", "timezone", "tz", "tzinfo")
_UTC_NAMES = {
    "utc",
    "gmt",
    "z",
    "utc+0",
    "utc+00:00",
    "+00:00",
    "+0000",
    "etc/utc",
    "0",
    "coordinated universal time",
    "",
}
_PERIODS = ((28, 31, 2, "month"), (89, 92, 2, "season"), (360, 366, 2, "year"))
ADVICE = (
    "A mean of several days cannot be compared with daily values. If each value is that of its day only, add the days between "
    "as missing values"
)


@dataclass(frozen=True, slots=True)
class DayRule:
    """How the values of a time axis become one value per UTC day.

    Parameters
    ----------
    needed
        Values that a day needs.
    notes
        What was assumed, as sentences.
    """

    needed: int = 1
    notes: list[str] = field(default_factory=list)


def day_rule(times: pd.DatetimeIndex, what: str, *, how: str = "") -> DayRule:
    """Return how a time axis becomes UTC days.

    Parameters
    ----------
    times
        UTC, ascending, each once; with the times of missing values.
    what
        Name of the series, for messages.
    how
        How the days between are added, for the message about values of several days.

    Raises
    ------
    DatasetError
        If there is one value for several days (week, month, year).

    Notes
    -----
    Values at regular steps within the day are averaged if three quarters of a day's steps are valid, as for gridded sources
    (:func:`gsm3core.assembly.daily.to_daily`); of two steps a day, such as the two overpasses of a satellite, one is enough.
    Values at irregular times are averaged whatever their number.
    """
    days = times.normalize()
    distinct, counts = np.unique(days.to_numpy(), return_counts=True)
    if len(distinct) == len(times):
        _refuse_coarse(pd.DatetimeIndex(distinct), what, how)
        offsets = times - days
        if not len(times) or not offsets.to_numpy().any():
            return DayRule()
        if (offsets == offsets[0]).all():
            clock = f"{times[0]:%H:%M}"
            return DayRule(1, [f"one value a day at {clock}, taken as the value of its UTC day"])
        return DayRule(1, ["one value a day at varying times, taken as the value of its UTC day"])
    steps = np.diff(times.to_numpy())[np.diff(days.to_numpy()) == np.timedelta64(0)]
    lengths, occurrences = np.unique(steps, return_counts=True)
    step = pd.Timedelta(lengths[occurrences.argmax()])
    per_day = round(_DAY / step)
    needed = 1 if per_day == 2 else int(np.ceil(MINIMUM_SHARE * per_day - 1e-9))
    regular = per_day * step == _DAY and np.median(counts) >= needed and occurrences.max() >= len(steps) / 2
    if not regular:
        return DayRule(1, ["several values a day at irregular times averaged"])
    text = f"values every {_duration(step)} averaged to UTC days; a day needs {needed} of {per_day} values"
    return DayRule(needed, [text])


def to_utc_days(series: xr.DataArray, what: str) -> tuple[xr.DataArray, list[str]]:
    """Return a series with one value per UTC day, in order of time, and notes on what was done.

    Parameters
    ----------
    series
        With the dimension ``time``.
    what
        Name of the series, for messages.

    Raises
    ------
    DatasetError
        If the times are not UTC times of the usual calendar, one has two values, or a value is for several days.
    """
    times, notes = utc_times(series[v.TIME].values, series[v.TIME].attrs, what)
    if _is_daily(times):
        if series[v.TIME].dtype.kind != "M":
            series = series.assign_coords({v.TIME: times})
        return series, notes
    if not times.is_monotonic_increasing:
        order = np.argsort(times.to_numpy(), kind="stable")
        series, times = series.isel({v.TIME: order}), times[order]
        notes.append("times sorted")
    if times.has_duplicates:
        twice = times[times.duplicated()][0]
        series, times = _without_repeated(series, times, what)
        notes.append(f"times that repeat with equal values removed, such as {twice:%Y-%m-%d %H:%M}")
    rule = day_rule(times, what, how=" (`series.resample(time='1D').asfreq()`)")
    values, days, short = _daily_means(series.transpose(..., v.TIME).values, times, rule.needed)
    notes += rule.notes
    if short:
        notes.append(f"{short:,} days with fewer values are missing")
    dims = tuple(d for d in series.dims if d != v.TIME)
    kept = {n: c for n, c in series.coords.items() if v.TIME not in c.dims}
    out = xr.DataArray(
        values, dims=(*dims, v.TIME), coords={**kept, v.TIME: days}, name=series.name, attrs=series.attrs
    )
    return out.transpose(*series.dims), notes


def utc_times(values: Any, attrs: Mapping[str, Any], what: str) -> tuple[pd.DatetimeIndex, list[str]]:
    """Return the labels of a time axis as UTC times, and notes on how they were read.

    Parameters
    ----------
    values
        datetime64, text, dates of a calendar (cftime), days as numbers YYYYMMDD, or numbers with ``units`` in ``attrs``.
    attrs
        Attributes of the time variable: units, calendar, time zone.

    Raises
    ------
    DatasetError
        If a label is missing or no time, or the calendar or time zone is another.

    Notes
    -----
    Units and calendars: CF conventions 1.11, section 4.4.
    """
    _check_zone(attrs, what)
    array = np.asarray(values)
    notes: list[str] = []
    calendar = str(getattr(array.ravel()[0], "calendar", "") if array.dtype == object and array.size else "")
    _check_calendar(str(attrs.get("calendar", "")) or calendar, what)
    if array.dtype.kind == "M":
        times = pd.DatetimeIndex(array.astype("datetime64[ns]"))
    elif calendar:
        times = pd.DatetimeIndex([np.datetime64(t.isoformat(), "ns") for t in array.ravel()])
    elif array.dtype.kind in "SUOT":
        texts = pd.Series(array.ravel()).map(lambda t: t.decode() if isinstance(t, bytes) else str(t))
        stamps, notes = parse_times(texts, what)
        if stamps.isna().any():
            raise DatasetError(
                f"{what}: invalid time {texts[stamps.isna()].iloc[0]!r}; expected such as 2015-05-01T06:00."
            )
        times = pd.DatetimeIndex(stamps.dt.tz_localize(None)).as_unit("ns")
    else:
        times, notes = _from_numbers(array, str(attrs.get("units", "")).strip(), what)
    if times.isna().any():
        raise DatasetError(
            f"{what}: {int(np.isnat(times.to_numpy()).sum())} of {len(times)} times are missing; remove these values."
        )
    return times, notes


def _from_numbers(array: NDArray[Any], units: str, what: str) -> tuple[pd.DatetimeIndex, list[str]]:
    if " since " in units:
        bare = xr.Dataset({v.TIME: (("n",), np.atleast_1d(array), {"units": units})})
        try:
            found = pd.DatetimeIndex(xr.decode_cf(bare)[v.TIME].values)
        except (ValueError, TypeError, OverflowError) as error:
            raise DatasetError(
                f"{what}: times have units {units!r}; expected days, hours, minutes or seconds since a date, such as "
                "'days since 2015-01-01'."
            ) from error
        return found.round("s").as_unit("ns"), []  # numbers with decimals, as 0.041666666 days
    if array.dtype.kind in "iuf" and array.size and ((array >= 18_500_101) & (array <= 22_001_231)).all():
        stamps = pd.to_datetime(
            pd.Series(array.ravel().astype(np.int64).astype(str)), format="%Y%m%d", errors="coerce"
        )
        if stamps.notna().all() and (array == np.floor(array)).all():
            return pd.DatetimeIndex(stamps).as_unit("ns"), ["times read as YYYYMMDD"]
    first = array.ravel()[0] if array.size else "none"
    raise DatasetError(
        f"{what}: times are numbers ({first}) with units {units!r}; expected units such as 'days since 2015-01-01'."
    )


def _check_zone(attrs: Mapping[str, Any], what: str) -> None:
    zone = next((str(attrs[k]) for k in _ZONE_KEYS if k in attrs), "")
    if not zone and "local" in str(attrs.get("long_name", "")).lower():
        zone = str(attrs["long_name"])
    if zone.strip().lower() not in _UTC_NAMES:
        raise DatasetError(
            f"{what}: times are stated as {zone!r}; expected UTC. Subtract the offset from UTC and remove this attribute."
        )


def _check_calendar(calendar: str, what: str) -> None:
    name = calendar.lower()
    if name in _CALENDARS:
        return
    advice = "If the dates are the usual ones, set the attribute calendar of the time variable to 'standard'."
    if name in _DATED_CALENDARS:
        convert = "ds.convert_calendar('standard', align_on='date', use_cftime=False)"
        advice = f"Convert it with {convert}, which keeps every date. {advice}"
    elif name == "360_day":
        advice = "No conversion keeps its days: compare monthly or seasonal means in another tool."
    raise DatasetError(
        f"{what}: times have the calendar {calendar!r}, whose days are not those of observations; expected 'standard'. {advice}"
    )


def _refuse_coarse(days: pd.DatetimeIndex, what: str, how: str) -> None:
    """Raise if there is one value for several days: regular steps of 3 days or more."""
    gaps = np.diff(days.to_numpy()).astype("timedelta64[D]").astype(int)
    if not len(gaps) or gaps.min() < 3:
        return
    low, high, n = int(gaps.min()), int(gaps.max()), len(gaps)
    step = next(
        (name for first, last, least, name in _PERIODS if first <= low and high <= last and n >= least), ""
    )
    if not step and n >= 3 and low >= 5:
        # The last step of a year is shorter: MODIS starts again on 1 January, dekads have 8 to 11 days.
        if (gaps == np.median(gaps)).mean() >= 0.8:
            step = f"{np.median(gaps):g} days"
        elif low >= 8 and high <= 11 and len(set(days.day)) <= 3:
            step = "10 days"
    if not step and n >= 6 and (gaps % low == 0).all():
        step = f"{low} days"
    if step:
        every = f"every {step}" if step[0].isdigit() else f"a {step}"
        raise DatasetError(f"{what} has one value {every}; expected one per UTC day. {ADVICE}{how}.")


def _is_daily(times: pd.DatetimeIndex) -> bool:
    """Return whether labels are ascending UTC days without a regular gap."""
    if not len(times):
        return True
    gaps = np.diff(times.to_numpy())
    whole = not (times - times.normalize()).to_numpy().any()
    return (
        whole
        and bool((gaps > np.timedelta64(0)).all())
        and (not len(gaps) or gaps.min() <= np.timedelta64(2, "D"))
    )


def _without_repeated(
    series: xr.DataArray, times: pd.DatetimeIndex, what: str
) -> tuple[xr.DataArray, pd.DatetimeIndex]:
    """Remove repeated times whose values are equal; raise where they differ."""
    values = series.transpose(v.TIME, ...).values
    first = np.searchsorted(times.to_numpy(), times.to_numpy())
    same = np.array([np.array_equal(values[k], values[j], equal_nan=True) for k, j in enumerate(first)])
    if not same.all():
        twice = times[~same].unique()
        more = f" and {len(twice) - 1} more" if len(twice) > 1 else ""
        raise DatasetError(
            f"{what}: time {twice[0]:%Y-%m-%d %H:%M} has several values that differ{more}; expected one. Remove all but one."
        )
    kept = np.unique(first)
    return series.isel({v.TIME: kept}), times[kept]


def _daily_means(
    values: NDArray[Any], times: pd.DatetimeIndex, needed: int
) -> tuple[NDArray[np.floating], pd.DatetimeIndex, int]:
    """Return the mean of each UTC day over the last axis, the days, and the number of days with too few values."""
    days, first = np.unique(times.normalize().to_numpy(), return_index=True)
    finite = np.isfinite(values)
    count = np.add.reduceat(finite, first, axis=-1, dtype=np.int64)
    total = np.add.reduceat(np.where(finite, values, 0.0).astype(np.float64), first, axis=-1)
    mean = np.where(count >= needed, total / np.maximum(count, 1), np.nan)
    short = int(((count > 0) & (count < needed)).sum())
    return (
        mean.astype(values.dtype if values.dtype.kind == "f" else np.float64),
        pd.DatetimeIndex(days),
        short,
    )


def _duration(step: pd.Timedelta) -> str:
    minutes = step / pd.Timedelta(minutes=1)
    return (
        f"{minutes / 60:g} h"
        if minutes >= 60
        else f"{minutes:g} min"
        if minutes >= 1
        else f"{minutes * 60:g} s"
    )
