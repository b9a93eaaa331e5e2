"""Daily means of the ISMN data files (.stm) of one sensor, in either text layout; every refused row is counted."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.geography.places import PLACE_KM, km_between
from gsm3core.readers.ismn.stm_header import Header, clean, decode, match_header
from gsm3core.readers.step_counts import StepCounts

GOOD_FLAGS = ("G",)
REPEATED = "also in another file"
REPLACED = "with another value in a later file"
_MIN_ROWS = 30
_INVALID = np.iinfo(np.int64).min
_COLUMNS = ["date", "clock", "value", "flag"]


@dataclass(frozen=True, slots=True)
class DailySeries:
    """Daily means of one sensor: days since 1970-01-01, values, good hours per day, and hours between values."""

    day: NDArray[np.int64]
    value: NDArray[np.float64]
    hours: NDArray[np.int64]
    step: float = 1.0


@dataclass(slots=True)
class SensorRows:
    """Readable rows of one sensor before any screening: UTC day since 1970, minute of the day, value and flag."""

    header: Header
    rows: pd.DataFrame
    counts: StepCounts
    notes: list[str] = field(default_factory=list)

    @property
    def minutes(self) -> NDArray[np.int64]:
        """Minutes since 1970-01-01."""
        return (self.rows["day"] * 1440 + self.rows["minute"]).to_numpy(np.int64)


def read_stm(
    raw: bytes, *, flags: tuple[str, ...] = GOOD_FLAGS, min_hours: int = 6, period: Period | None = None
) -> tuple[Header, DailySeries, StepCounts]:
    """Return the header, the UTC daily means and the row counts of a file; see :func:`parse_stm` and :func:`daily_means`."""
    found = parse_stm(raw)
    return found.header, daily_means(found, flags=flags, min_hours=min_hours, period=period), found.counts


def parse_stm(raw: bytes) -> SensorRows:
    """Return the rows of a file.

    Raises
    ------
    DatasetError
        If the file is empty or has neither layout.

    Notes
    -----
    *Header + values*: one line on station and sensor, then ``yyyy/mm/dd HH:MM value ISMN-flag provider-flag``.
    *CEOP in separate files*: no header; each line has nominal and actual date and time, network, station, coordinates,
    depths, value and flags (Dorigo et al., 2011, doi:10.5194/hess-15-1675-2011; 2021,
    doi:10.5194/hess-25-5749-2021). Times are UTC and nominally hourly; a value at 00:00 belongs to the day that
    begins. Dates, times and flags repeat, so each distinct text is parsed once (pandas categories). Rows of a CEOP file
    more than 1 km from its last place are refused: a record is of one place.
    """
    text = clean(raw)
    first, _, rest = text.partition(b"\n")
    header, ceop = match_header(first)
    if header is None:
        what = f"starts with {decode(first)[:60]!r}" if text else "is empty"
        raise DatasetError(f"{what}; expected ISMN's header+values layout or CEOP in separate files")
    width = len(decode(first).split()) if ceop else 5
    body = text if ceop else rest
    place_at = width - 3 - (5 if header.elevation_text else 4)
    rows = _parse_rows(body, width=width, value_at=width - 3, place_at=place_at if ceop else None)
    found = SensorRows(header, rows, StepCounts(read=_count_lines(body)))
    day, minute = _parse_times(rows)
    readable = (day != _INVALID) & (minute >= 0) & np.isfinite(rows["value"].to_numpy(np.float64))
    found.counts.refuse("unreadable line", found.counts.read - int(readable.sum()))
    found.rows = rows.drop(columns=["date", "clock"]).assign(day=day, minute=minute)[readable]
    if ceop and len(found.rows):
        _keep_last_place(found)
    return found


def merge_files(files: Sequence[SensorRows]) -> SensorRows:
    """Return the rows of one sensor from several files, each time once.

    Parameters
    ----------
    files
        In ascending order of precedence: of a time in several files, the row of the last of them is used, with its flag.
        Rows that repeat one are counted apart from those that differ.
    """
    if len(files) == 1:
        return files[0]
    kept: list[pd.DataFrame] = []
    seen, counts = np.empty(0, np.int64), StepCounts.total(f.counts for f in files)
    for one in reversed(files):
        keys = one.minutes
        again = np.isin(keys, seen)
        if again.any():
            before: pd.DataFrame = pd.concat(kept).set_index("key")
            before = before[~before.index.duplicated()].loc[keys[again]]
            rows = one.rows[again]
            equal = np.isclose(rows["value"], before["value"], atol=5e-5) & (
                rows["flag"].astype(str).to_numpy() == before["flag"].astype(str).to_numpy()
            )
            counts.refuse(REPEATED, int(equal.sum()))
            counts.refuse(REPLACED, int((~equal).sum()))
        kept.append(one.rows[~again].assign(key=keys[~again]))
        seen = np.union1d(seen, keys)
    rows = pd.concat(kept).sort_values("key", kind="stable").drop(columns="key")
    notes = [n for f in files for n in f.notes]
    # The place of the last file, with the most decimals that a file has for it.
    at = files[-1].header
    here = [
        f.header
        for f in reversed(files)
        if km_between(at.lat, at.lon, f.header.lat, f.header.lon) <= PLACE_KM
    ]
    return SensorRows(
        max(here, key=lambda h: h.decimals), rows.reset_index(drop=True), counts, list(dict.fromkeys(notes))
    )


def daily_means(
    found: SensorRows,
    *,
    flags: tuple[str, ...] = GOOD_FLAGS,
    min_hours: int = 6,
    period: Period | None = None,
) -> DailySeries:
    """Return the UTC daily means of a sensor's rows, and count the refused ones in ``found.counts``.

    Parameters
    ----------
    flags
        ISMN quality flags to keep; ``G`` is good (Dorigo et al., 2013, doi:10.2136/vzj2012.0097). A row with several
        flags ("C01,D05") is kept only if exactly this text is listed.
    min_hours
        Fewest hours of a day that the kept values stand for; a day with fewer has no mean, and its rows are refused. A
        value stands for the hours to the next one, most often 1: of a network with one value a day (PBO H2O), one value is
        enough. The time between more than half of at least 30 rows decides, at most 24 hours; without such a time, it is 1.
    period
        UTC days to keep; all by default.
    """
    rows, counts = found.rows, found.counts
    step = _hours_between(found.minutes)
    day, minute, value = (
        rows[c].to_numpy(t) for c, t in (("day", np.int64), ("minute", np.int64), ("value", float))
    )
    inside = np.ones(len(rows), bool)
    if period is not None:
        begin, end = (np.datetime64(d, "D").astype(np.int64) for d in (period.start, period.end))
        inside = (day >= begin) & (day <= end)
        counts.refuse("outside the period", int((~inside).sum()))
    kept = rows["flag"].isin(flags).to_numpy()
    for flag, count in rows["flag"][inside & ~kept].value_counts(dropna=False).items():
        counts.refuse(f"with flag {str(flag)[:1]}" if isinstance(flag, str) else "without flag", int(count))
    possible = (value >= 0) & (value <= 1)
    counts.refuse("outside 0-1 m3 m-3", int((inside & kept & ~possible).sum()))
    good = inside & kept & possible
    return _daily_means(day[good], minute[good], value[good], min_hours, step, counts)


def _keep_last_place(found: SensorRows) -> None:
    """Keep the rows of a CEOP file at its last place, and note the others."""
    places = found.rows[["lat", "lon"]].drop_duplicates()
    lat, lon = (pd.to_numeric(places[n].astype(str), errors="coerce").to_numpy() for n in ("lat", "lon"))
    if len(places) < 2 or not np.isfinite(lat[-1] + lon[-1]):
        return
    # The order of first appearance; the last row decides where the station is now.
    now = found.rows.iloc[-1]
    to_lat, to_lon = float(now["lat"]), float(now["lon"])
    km = np.array([km_between(a, b, to_lat, to_lon) for a, b in zip(lat, lon, strict=True)])
    far = places[~(km <= PLACE_KM)]
    if far.empty:
        return
    gone = pd.MultiIndex.from_frame(found.rows[["lat", "lon"]].astype(str)).isin(
        pd.MultiIndex.from_frame(far.astype(str))
    )
    found.counts.refuse("at an earlier place of the station", int(gone.sum()))
    found.notes.append(
        f"moved {np.nanmax(km):.1f} km to {to_lat:g}, {to_lon:g} within a file; only rows of the last place are used"
    )
    found.header = replace(found.header, lat=to_lat, lon=to_lon)
    found.rows = found.rows[~gone]


def _hours_between(minutes: NDArray[np.int64]) -> float:
    """Return the time between rows, 1 to 24 hours: that of more than half of them, else, or with few rows, 1."""
    apart = np.diff(minutes)
    if not (apart > 0).all():
        apart = np.diff(np.unique(minutes))
    if len(apart) < _MIN_ROWS:
        return 1.0
    count = np.bincount(np.minimum(apart, 1440))
    return float(np.clip(count.argmax() / 60, 1, 24)) if 2 * count.max() > len(apart) else 1.0


def _parse_rows(text: bytes, *, width: int, value_at: int, place_at: int | None) -> pd.DataFrame:
    """Return date, clock, value and flag, with ``place_at`` also lat and lon.

    Lines with too many fields are skipped, other errors are missing values.
    """
    # Fields are counted on the first line: a station's name may have a blank, the same on every line.
    names = [f"_{k}" for k in range(width)]
    names[0], names[1], names[value_at], names[value_at + 1] = _COLUMNS
    columns = list(_COLUMNS)
    if place_at is not None:
        names[place_at : place_at + 2] = ["lat", "lon"]
        columns += ["lat", "lon"]
    kinds = dict.fromkeys((c for c in columns if c != "value"), "category")

    def read(kind: str) -> pd.DataFrame:
        return pd.read_csv(
            io.BytesIO(text), sep=r"\s+", header=None, names=names, usecols=columns, dtype=kinds | {"value": kind},
            engine="c", on_bad_lines="skip", encoding="latin-1", quoting=3, low_memory=False,
        )  # fmt: skip

    try:
        return read("float64")
    except ValueError:  # some value is not a number: only those rows are lost
        rows = read("str")
        rows["value"] = pd.to_numeric(rows["value"], errors="coerce")
        return rows


def _parse_times(rows: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return days since 1970 and minutes of the day; ``_INVALID`` or negative where the text is not a time."""
    dates, clocks = rows["date"].cat, rows["clock"].cat
    stamps = pd.to_datetime(pd.Series(dates.categories, dtype=str), format="%Y/%m/%d", errors="coerce")
    days = np.where(stamps.isna(), _INVALID, stamps.to_numpy().astype("datetime64[D]").astype(np.int64))
    past = pd.to_datetime(pd.Series(clocks.categories, dtype=str), format="%H:%M", errors="coerce")
    minutes = (past.dt.hour * 60 + past.dt.minute).fillna(_INVALID).to_numpy(np.int64)
    # The category code of a missing text is -1, which indexes the last entry.
    return np.append(days, _INVALID)[dates.codes], np.append(minutes, _INVALID)[clocks.codes]


def _daily_means(
    day: NDArray[np.int64],
    minute: NDArray[np.int64],
    value: NDArray[np.float64],
    min_hours: int,
    step: float,
    counts: StepCounts,
) -> DailySeries:
    # Of rows with the same minute the first is used. Files are almost always in order.
    key = day * 1440 + minute
    if not (np.diff(key) > 0).all():
        _, first = np.unique(key, return_index=True)
        counts.refuse("duplicate time", len(day) - len(first))
        day, minute, value = day[first], minute[first], value[first]
    if not len(day):
        return DailySeries(day, value, day, step)
    starts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    rows = np.diff(starts, append=len(day))
    new_hour = np.diff(day * 24 + minute // 60, prepend=-1) != 0
    hours = np.add.reduceat(new_hour.astype(np.int64), starts)
    needed = int(np.ceil(min_hours / step - 1e-9))
    enough = hours >= needed
    few = f"{needed} good hours" if step == 1 else f"{needed} good values, of {24 / step:g} a day"
    counts.refuse(f"in days with fewer than {few}", int(rows[~enough].sum()))
    mean = np.add.reduceat(value, starts) / rows
    return DailySeries(day[starts][enough], mean[enough], hours[enough], step)


def _count_lines(text: bytes) -> int:
    """Return the number of non-blank lines."""
    if any(end in text for end in (b"\n\n", b" \n", b"\t\n")):
        return sum(1 for line in text.split(b"\n") if line and not line.isspace())
    return text.count(b"\n") + bool(text)
