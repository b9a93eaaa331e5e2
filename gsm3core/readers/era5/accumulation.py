"""Accumulations of ERA5 (one hour) and ERA5-Land (since 00 UTC): recognised by their values, and taken apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gsm3core.catalog import SourceVariable
from gsm3core.errors import DatasetError

Accumulation = Literal["hour", "day", "total"]

_NOISE = 2e-3  # of the largest value of a day: packing to 16 bits, and differences of packed values
_NOTHING = (
    1e-5  # of the largest amount of an hour: 0.008 mm of rain; noise of packing where it is dry or dark
)
_FALLING = 0.05  # share of all changes within days; none of an accumulation since 00 UTC falls
_MIN_LABELS = 3
_MIN_GROWING = 8  # labels of a day; the radiation of four hours can grow from 06 to 24 UTC, as at Hawaii


def largest_amount(variable: SourceVariable) -> float:
    """Return the largest amount of an hour that is possible, in the file's units (the first ones of the catalogue)."""
    return (
        variable.valid_range[1] / next(iter(variable.units.values()))
        if variable.valid_range
        else float("inf")
    )


def _noise(values: NDArray[np.floating], largest: float) -> float:
    """Return the changes that packing alone can cause."""
    return max(_NOISE * float(np.nanmax(np.abs(values))), _NOTHING * largest if np.isfinite(largest) else 0.0)


def accumulation_of(
    values: NDArray[np.floating],
    days: NDArray[np.integer],
    hours: NDArray[np.integer],
    largest: float,
    steady: bool,
) -> Accumulation | None:
    """Return the interval of accumulated values: the hour before the label, the day since 00 UTC, or some day.

    Parameters
    ----------
    values
        ``(time, cell)`` in the file's units, in order of time.
    days, hours
        UTC day, and hours since its 00 UTC (1 to 24: 24 is 00 UTC of the next day), per time.
    largest
        Largest amount that an hour can have, same units.
    steady
        Whether the quantity is above zero at most hours (radiation, unlike rain).

    Returns
    -------
    str or None
        ``total``: one value a day, larger than that of an hour; a daily sum, or the last total of a day. ``None`` where the
        values do not show it, as without rain or with one value a day.

    Notes
    -----
    ERA5 accumulates over one hour, ERA5-Land from 00 UTC to the label (Munoz-Sabater et al. 2021,
    doi:10.5194/essd-13-4349-2021; https://confluence.ecmwf.int/x/9RE1B, "Accumulations"). The values of a day fall and
    rise in the first case and never fall in the second one.
    """
    finite = values[np.isfinite(values)]
    if finite.size and steady and np.quantile(finite, 0.99) > largest:
        return "total" if len(np.unique(days)) == len(days) else "day"
    rising = falling = 0.0
    growing = False
    for day in np.unique(days):
        chosen = np.flatnonzero(days == day)
        chosen = chosen[np.argsort(hours[chosen], kind="stable")]
        block = np.asarray(values[chosen], float)
        block = block[:, np.isfinite(block).all(0)]
        if len(chosen) < _MIN_LABELS or not block.size:
            continue
        change = np.diff(block, axis=0)
        noise = _noise(block, largest)
        rising += float(change[change > noise].sum())
        falling += float(-change[change < -noise].sum())
        if len(chosen) < _MIN_GROWING:
            continue
        # Already wet in the first half of the labels, and still so at the last one.
        half = block[: len(chosen) // 2 + 1].max(0)
        growing |= bool(((half > noise) & (block[-1] >= half - noise) & (block[-1] > noise)).any())
    if rising + falling <= 0:
        return None
    if falling > _FALLING * (rising + falling):
        return "hour"
    if falling > 0:
        return None
    return "day" if growing else None


@dataclass(frozen=True, slots=True)
class Amounts:
    """Amounts per hour of intervals of the same length.

    Parameters
    ----------
    rows
        Labels at the ends of the intervals, as positions in the given values.
    hours
        Length of each interval.
    values
        ``(time, lat, lon)``, amount per hour.
    """

    rows: NDArray[np.intp]
    hours: int
    values: NDArray[np.floating]


def split_day(
    totals: NDArray[np.floating],
    hours: NDArray[np.integer],
    before: tuple[int, NDArray[np.floating]] | None,
    largest: float,
    path: Path,
    what: str,
) -> Iterator[Amounts]:
    """Yield the amounts of the intervals of one day from its totals since 00 UTC.

    Parameters
    ----------
    totals
        ``(time, lat, lon)``, in order of time.
    hours
        Hours since 00 UTC, 1 to 24.
    before
        The last hour of the day before these ones, and its totals, from another file.
    largest
        Largest amount that an hour can have, same units.
    path, what
        File, and variable with day, for messages.

    Raises
    ------
    DatasetError
        If the totals fall by more than packing explains.
    """
    # Packing lets totals fall a little: each is at most the next, so that the day's total is kept.
    with np.errstate(invalid="ignore"):
        later = np.fmin.accumulate(totals[::-1], axis=0)[::-1]
        later = np.where(np.isnan(totals), np.nan, later)
        fall = totals - later
    if np.isfinite(totals).any() and float(np.nanmax(fall)) > 10 * _noise(totals, largest):
        k = int(np.nanargmax(np.nanmax(np.nan_to_num(fall), axis=(1, 2))))
        raise DatasetError(
            f"{path}: {what} falls after {hours[k]:02d} UTC by {float(np.nanmax(fall)):g}, but accumulates from 00 UTC at other "
            "times of the file. It joins files of different kinds: put hourly and accumulated values into different files."
        )
    first_hour, first = (0, np.zeros_like(totals[0])) if before is None else before
    ends = np.concatenate([[first_hour], hours]).astype(int)
    length = np.diff(ends)
    change = np.diff(np.concatenate([np.fmin(first, later[0])[None], later]), axis=0)
    amounts = change / length.astype(float)[:, None, None]
    for run in np.split(np.arange(len(hours)), np.flatnonzero(np.diff(length)) + 1):
        yield Amounts(rows=run, hours=int(length[run[0]]), values=amounts[run])
