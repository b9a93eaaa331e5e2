"""Maps of ERA5 files in the form of the gridded readers: labelled, one version, totals taken apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceEntry, SourceVariable
from gsm3core.config import Period
from gsm3core.readers.era5.accumulation import largest_amount, split_day
from gsm3core.readers.era5.choice import Choice, Item
from gsm3core.readers.era5.layout import Slab
from gsm3core.readers.era5.overlaps import without_overlaps
from gsm3core.readers.era5.survey import MASK, FileSurvey, Key, day_and_hour, grid_key, open_file
from gsm3core.readers.gridded import RawGranule

_LAND = {"sm_product", "soil_temperature", "lai_high", "lai_low"}
_DAY = np.timedelta64(24, "h")
_HOUR = np.timedelta64(1, "h")
_BLOCK = 31

Rows = NDArray[np.intp]


@dataclass(slots=True)
class Reading:
    """The rows of a choice that lie in a period, and how they are read.

    Parameters
    ----------
    period
        UTC days; all for ``None``.
    preliminary
        Steps of the preliminary ERA5T among those read.
    """

    entry: SourceEntry
    choice: Choice
    period: Period | None
    masks: dict[Key, tuple[Path, Slab]]
    rows: list[tuple[Item, Rows]] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    preliminary: int = 0
    _seen: set[tuple[Path, int]] = field(default_factory=set)

    @property
    def variables(self) -> list[SourceVariable]:
        """Variables with values in the period."""
        names = {o for item, _ in self.rows for o in item.names.values()}
        return [x for x in self.choice.variables if x.ours in names]

    def granules(self) -> Iterator[AbstractContextManager[RawGranule]]:
        """Yield the maps file by file."""
        by_path: dict[Path, list[tuple[Item, Rows]]] = {}
        for item, rows in self.rows:
            by_path.setdefault(item.path, []).append((item, rows))
        for path, items in by_path.items():
            with open_file(path, self.entry) as ds:
                for item, rows in items:
                    self._count_preliminary(ds, item, rows)
                    for granule in self._of_item(ds, item, rows):
                        yield nullcontext(granule)

    def _of_item(self, ds: xr.Dataset, item: Item, rows: Rows) -> Iterator[RawGranule]:
        frequency = item.contents.frequency
        if frequency == "hourly" and item.accumulation == "day":
            yield from self._amounts(ds, item, rows)
        elif frequency == "hourly":
            raw = item.slab.read(ds, rows, item.names)
            yield RawGranule(path=item.path, raw=raw, masks=self._land(ds, item, rows))
        elif frequency == "daily":
            share = 24.0 if item.contents.statistic == "sum" else 1.0
            for first in range(0, len(rows), _BLOCK):
                some = rows[first : first + _BLOCK]
                raw = item.slab.read(ds, some, item.names)
                labels = item.slab.times[some].astype("M8[D]").astype("M8[ns]") + (
                    _DAY if item.ends else _DAY - _HOUR
                )
                raw = _scaled(raw, share).assign_coords({v.TIME: labels})
                yield RawGranule(path=item.path, raw=raw, masks=self._land(ds, item, some), covers=24)
        else:
            for row in rows:
                days = self._days_of_month(item.slab.times[row])
                raw = _scaled(
                    item.slab.read(ds, np.array([row]), item.names).load(), 24.0 if item.ends else 1.0
                )
                labels = days.astype("M8[ns]") + (_DAY if item.ends else _DAY - _HOUR)
                raw = raw.isel({v.TIME: np.zeros(len(days), int)}).assign_coords({v.TIME: labels})
                yield RawGranule(path=item.path, raw=raw, covers=24)

    def _amounts(self, ds: xr.Dataset, item: Item, rows: Rows) -> Iterator[RawGranule]:
        """Yield the amounts per hour of totals since 00 UTC, day by day."""
        rows = rows[np.argsort(item.slab.times[rows], kind="stable")]
        day, hour = day_and_hour(item.slab.times[rows])
        largest = {x.ours: largest_amount(x) for x in self.choice.variables}
        for one in np.unique(day):
            at = np.flatnonzero(day == one)
            for name in item.names:
                totals = item.slab.read(ds, rows[at], [name])[name].load()
                what = f"{name} on {np.datetime64(int(one), 'D')}"
                before = self._before(item, name, int(one), int(hour[at[0]]))
                values = totals.to_numpy().astype(np.float64)
                for part in split_day(values, hour[at], before, largest[item.names[name]], item.path, what):
                    raw = totals.isel({v.TIME: part.rows}).copy(data=part.values)
                    yield RawGranule(path=item.path, raw=raw.to_dataset(name=name), covers=part.hours)

    def _before(self, item: Item, name: str, day: int, hour: int) -> tuple[int, NDArray[np.float64]] | None:
        """Return the last total of a day before an hour in the other parts of the choice, with its hour."""
        best: tuple[int, Item, int] | None = None
        if hour == 1:
            return None
        for other in self.choice.items:
            same = (
                other.accumulation == "day"
                and name in other.names
                and grid_key(other.slab) == grid_key(item.slab)
            )
            if not same or other.slab is item.slab:
                continue
            days, hours = day_and_hour(other.slab.times)
            for row in np.flatnonzero((days == day) & (hours < hour)):
                if best is None or hours[row] > best[0]:
                    best = (int(hours[row]), other, int(row))
        if best is None:
            return None
        with open_file(best[1].path, self.entry) as ds:
            array = best[1].slab.read(ds, np.array([best[2]]), [name])[name]
            array = array.sel({v.LAT: item.slab.lat, v.LON: item.slab.lon}, method="nearest")
            return best[0], array.to_numpy()[0].astype(np.float64)

    def _land(self, ds: xr.Dataset, item: Item, rows: Rows) -> dict[str, dict[str, xr.DataArray]]:
        """Return where soil and leaf area are no values of land: half of a cell or more is water."""
        names = [t for t, o in item.names.items() if o in _LAND]
        if not names:
            return {}
        if MASK in item.slab.names:
            land = item.slab.read(ds, rows, [MASK])[MASK]
        elif (found := self.masks.get(grid_key(item.slab))) is not None:
            with open_file(found[0], self.entry) as other:
                land = found[1].read(other, np.array([0]), [MASK])[MASK].isel({v.TIME: 0}, drop=True)
                land = land.sel({v.LAT: item.slab.lat, v.LON: item.slab.lon}, method="nearest").load()
        else:
            return {}
        water = {"not_land": ~(land >= 0.5)}
        return dict.fromkeys(names, water)

    def _count_preliminary(self, ds: xr.Dataset, item: Item, rows: Rows) -> None:
        slab = item.slab
        early = slab.preliminary[rows]
        if slab.versions is not None and slab.versions[1] is not None:
            final = slab.versions[0]
            early = np.ones(len(rows), bool)
            if final is not None:
                one = replace(slab, versions=(final, None)).read(ds, rows, [next(iter(item.names))])
                early = np.asarray(next(iter(one.values())).isnull().all([v.LAT, v.LON]).values)
        for time in slab.times[rows][early].astype("M8[h]").astype(int):
            if (item.path, int(time)) not in self._seen:
                self._seen.add((item.path, int(time)))
                self.preliminary += 1

    def _days_of_month(self, time: np.datetime64) -> NDArray[np.datetime64]:
        month = time.astype("M8[M]")
        days = np.arange(month.astype("M8[D]"), (month + 1).astype("M8[D]"))
        if self.period is None:
            return days
        return days[(days >= np.datetime64(self.period.start)) & (days <= np.datetime64(self.period.end))]

    def notes(self) -> list[str]:
        """Return sentences about the hours that the files lack on every day."""
        hours: dict[tuple[str, bool], set[int]] = {}
        for item in self.choice.items:
            if item.contents.frequency == "hourly" and np.ptp(item.slab.times) >= _DAY:
                whole_day = item.accumulation == "day"
                of_day = (
                    day_and_hour(item.slab.times)[1] if whole_day else pd.DatetimeIndex(item.slab.times).hour
                )
                for ours in item.names.values():
                    hours.setdefault((ours, whole_day), set()).update(int(h) for h in of_day)
        found: dict[str, list[str]] = {}
        for (ours, whole_day), at in hours.items():
            if whole_day and 24 not in at:
                found.setdefault(
                    f"totals end at {max(at):02d} UTC of each day; the rest of the day is missing", []
                ).append(ours)
            elif not whole_day and len(at) < 24:
                shown = ", ".join(f"{h:02d}" for h in sorted(at))
                text = (
                    f"{len(at)} of 24 steps a day ({shown} UTC)"
                    if len(at) <= 8
                    else f"{len(at)} of 24 steps a day"
                )
                if len(at) == 1:
                    text = (
                        f"one value a day, at {shown} UTC: 1 of 24 steps. Daily statistics are known by the CDS's file names "
                        "(..._daily-mean.nc)"
                    )
                found.setdefault(text, []).append(ours)
        return self.overlaps + [f"{', '.join(names)}: {text}" for text, names in found.items()]


def granules_of(
    entry: SourceEntry, choice: Choice, surveys: Sequence[FileSurvey], period: Period | None
) -> Reading:
    """Return what of a choice lies in a period.

    Parameters
    ----------
    surveys
        All files, for the land-sea mask.
    period
        UTC days; all for ``None``.
    """
    masks = {
        grid_key(p.slab): (s.path, p.slab) for s in surveys for p in s.parts if MASK in p.slab.names
    }  # fmt: skip
    reading = Reading(entry, choice, period, masks)
    for item in choice.items:
        times = item.slab.times
        if period is None:
            rows = np.arange(len(times))
        else:
            first, after = np.datetime64(period.start), np.datetime64(period.end) + np.timedelta64(1, "D")
            if item.contents.frequency == "monthly":
                months = times.astype("M8[M]")
                inside = ((months + 1).astype("M8[D]") > first) & (months.astype("M8[D]") < after)
            else:
                shift = _HOUR if item.ends and item.contents.frequency == "hourly" else np.timedelta64(0, "h")
                inside = (times - shift >= first) & (times - shift < after)
            rows = np.flatnonzero(inside)
        if len(rows):
            reading.rows.append((item, rows))
    reading.rows, reading.overlaps = without_overlaps(reading.rows, entry)
    return reading


def _scaled(raw: xr.Dataset, divisor: float) -> xr.Dataset:
    if divisor == 1.0:
        return raw
    return raw.map(lambda a: (a / divisor).assign_attrs(a.attrs))
