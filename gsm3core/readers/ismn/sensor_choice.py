"""Choice of the sensors of an ISMN station: depth, quality flags, hours per day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from gsm3core.errors import DatasetError
from gsm3core.readers.ismn.archive import SensorFile
from gsm3core.readers.ismn.stm import GOOD_FLAGS, DailySeries

Combine = Literal["best", "mean", "join"]
_COMBINE = ("best", "mean", "join")
_OVERLAP = 0.1  # share of a sensor's days
_SAME_SHARE, _MIN_COMMON, _EQUAL = 0.95, 10, 1e-4
_ROUNDING = 0.001  # m; depths are written with centimetres


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorChoice:
    """Choice of the sensors of a station's record.

    Of the sensors within 0 to ``depth``, or whose middle is within ``tolerance`` of ``depth``, those nearest to ``depth``
    are used; if none of them has a day, the next nearest.

    Parameters
    ----------
    depth, tolerance
        m. The paper uses "about 5 cm": this includes SCAN's 2 inches (5.08 cm), but not a 0-19 cm cosmic-ray probe.
    flags
        Quality flags to keep (Dorigo et al., 2013, doi:10.2136/vzj2012.0097).
    min_hours
        Fewest good hours of a day, 6 of 24 by default: at 5 cm the diurnal cycle of soil moisture is small compared with
        its day-to-day changes. A value stands for the hours to the next one, so that one value is enough in a network that
        reports once a day (:func:`gsm3core.readers.ismn.stm.daily_means`).
    combine
        Several sensors at one depth: ``best`` uses the one with the most days (ties: the first by name), ``mean`` their
        mean on each day, ``join`` the best one and those that precede or follow it, see :func:`combine_sensors`. Sensors
        differ by offsets of several 0.01 m3 m-3, so a mean jumps whenever one of them has a gap, and a joined record
        where the sensor was replaced: hence the default.
    """

    depth: float = 0.05
    tolerance: float = 0.02
    flags: tuple[str, ...] = GOOD_FLAGS
    min_hours: int = 6
    combine: Combine = "best"

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (0 <= self.depth <= 10 and 0 <= self.tolerance <= 10):
            raise DatasetError(
                f"invalid depth {self.depth} or tolerance {self.tolerance}; expected 0 to 10 m."
            )
        if not 1 <= self.min_hours <= 24:
            raise DatasetError(f"invalid min_hours {self.min_hours}; expected 1 to 24.")
        if self.combine not in _COMBINE:
            raise DatasetError(f"unknown combine {self.combine!r}. Known: {', '.join(_COMBINE)}.")

    @property
    def rule(self) -> str:
        """The rule as text, for the dataset's history."""
        return (
            f"within 0-{self.depth:g} m or {self.tolerance:g} m from {self.depth:g} m; the nearest depth; "
            f"several sensors: {self.combine}"
        )

    def accepts(self, sensor: SensorFile) -> bool:
        """Return whether a sensor's depth is suitable."""
        within = sensor.top >= -_ROUNDING and sensor.bottom <= self.depth + _ROUNDING
        return within or abs(sensor.depth - self.depth) <= self.tolerance + _ROUNDING / 10

    def rank(self, sensor: SensorFile) -> tuple[float, float]:
        """Return the sort key of a depth: the nearest first, then the thinnest layer."""
        return round(abs(sensor.depth - self.depth), 4), round(sensor.bottom - sensor.top, 4)


def find_renamed(sensors: Sequence[tuple[str, DailySeries]]) -> list[list[int]]:
    """Return the numbers of the sensors by probe: records with the same values are of one probe under several names.

    Parameters
    ----------
    sensors
        Names and daily means. Two records are the same if at least 95 % of at least 10 common days are equal, and differ from
        day to day.
    """
    groups: list[list[int]] = []
    for k, (_, one) in enumerate(sensors):
        same = [g for g in groups if any(_same_record(one, sensors[j][1]) for j in g)]
        groups = [g for g in groups if g not in same] + [[*(j for g in same for j in g), k]]
    return groups


def _same_record(one: DailySeries, other: DailySeries) -> bool:
    common, a, b = np.intersect1d(one.day, other.day, return_indices=True)
    x, y = one.value[a], other.value[b]
    return (
        len(common) >= _MIN_COMMON
        and bool(x.std() > _EQUAL)
        and bool((np.abs(x - y) <= _EQUAL).mean() >= _SAME_SHARE)
    )


def merge_days(series: Sequence[DailySeries]) -> DailySeries:
    """Return the days of several records, each once; of a day in several, the value of the first."""
    record = series[0]
    for other in series[1:]:
        new = ~np.isin(other.day, record.day)
        day = np.concatenate([record.day, other.day[new]])
        sort = np.argsort(day, kind="stable")
        value = np.concatenate([record.value, other.value[new]])[sort]
        hours = np.concatenate([record.hours, other.hours[new]])[sort]
        record = DailySeries(day[sort], value, hours, min(record.step, other.step))
    return record


@dataclass(slots=True)
class CombinedSensors:
    """Record of one or several sensors.

    Parameters
    ----------
    used
        Numbers of the sensors in the record.
    days_joined
        Days with ``join``; 0 if no sensor precedes or follows the best one.
    """

    used: list[int]
    series: DailySeries
    notes: list[str] = field(default_factory=list)
    days_joined: int = 0


def combine_sensors(sensors: Sequence[tuple[str, DailySeries]], combine: Combine) -> CombinedSensors:
    """Return the record of the sensors at one depth and place.

    Parameters
    ----------
    sensors
        Names and daily means.
    combine
        ``best``: the sensor with the most days. ``mean``: on each day the mean of those that have a value. ``join``: the
        best one, and those that precede or follow it, on the days that it lacks. A sensor precedes or follows if at most a
        tenth of its days are days of the record so far; parallel sensors are not joined. No level is adjusted.
    """
    order = sorted(range(len(sensors)), key=lambda k: (-len(sensors[k][1].day), sensors[k][0]))
    best, days = order[0], sensors[order[0]][1].day
    if len(order) == 1:
        return CombinedSensors([best], sensors[best][1])
    joined = [best]
    for k in order[1:]:
        own = sensors[k][1].day
        if np.isin(own, days).sum() <= _OVERLAP * len(own):
            joined.append(k)
            days = np.union1d(days, own)
    total = len(days) if len(joined) > 1 else 0
    if combine == "mean":
        return _mean(sensors, total)
    if combine == "join" and total:
        return _join(sensors, joined, total)
    others = ", ".join(f"{sensors[k][0]} ({len(sensors[k][1].day)} days)" for k in order[1:])
    note = f"used the sensor with the most days ({len(sensors[best][1].day)}), not {others}"
    if total:
        note += f"; joined in time they have {total} days (--combine join)"
    return CombinedSensors([best], sensors[best][1], [note], total)


def _mean(sensors: Sequence[tuple[str, DailySeries]], total: int) -> CombinedSensors:
    series = [d for _, d in sensors]
    day, index, count = np.unique(
        np.concatenate([d.day for d in series]), return_inverse=True, return_counts=True
    )
    value, hours = np.zeros(len(day)), np.zeros(len(day), np.int64)
    np.add.at(value, index, np.concatenate([d.value for d in series]))
    np.add.at(hours, index, np.concatenate([d.hours for d in series]))
    value /= count
    mean = DailySeries(day, value, hours, min(d.step for d in series))
    return CombinedSensors(list(range(len(sensors))), mean, [f"mean of {len(sensors)} sensors"], total)


def _join(sensors: Sequence[tuple[str, DailySeries]], joined: list[int], total: int) -> CombinedSensors:
    record = merge_days([sensors[k][1] for k in joined])
    in_time = sorted(joined, key=lambda k: sensors[k][1].day[0])
    parts = [
        f"{sensors[k][0]} ({_date(sensors[k][1].day[0])} to {_date(sensors[k][1].day[-1])})" for k in in_time
    ]
    levels = [_level(sensors[a][1], sensors[b][1]) for a, b in pairwise(in_time)]
    note = f"joined in time: {', '.join(parts)}; {', '.join(levels)}; levels not adjusted"
    return CombinedSensors(joined, record, [note], total)


def _level(one: DailySeries, other: DailySeries) -> str:
    """Return the difference of two sensors in words: on common days, or of their means."""
    common, a, b = np.intersect1d(one.day, other.day, return_indices=True)
    if len(common):
        change = float((other.value[b] - one.value[a]).mean())
        return f"change of level {change:+.3f} m3 m-3 on {len(common)} common days"
    change = float(other.value.mean() - one.value.mean())
    return f"no common day, means differ by {change:+.3f} m3 m-3"


def _date(day: np.int64) -> str:
    return str(np.datetime64(int(day), "D"))
