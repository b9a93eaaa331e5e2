"""Daily means of one ISMN data file (.stm) of either text layout; every refused row is counted."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.step_counts import StepCounts

GOOD_FLAGS = ("G",)
_INVALID = np.iinfo(np.int64).min
_COLUMNS = ["date", "clock", "value", "flag"]
_HEADER = re.compile(
    r"^(?P<cse>\S+)\s+(?P<network>\S+)\s+(?P<station>\S.*?)\s+(?P<lat>-?\d+\.\d+)\s+(?P<lon>-?\d+\.\d+)\s+(?P<elevation>-?\d+\.\d+)"
    r"\s+(?P<top>-?\d+\.\d+)\s+(?P<bottom>-?\d+\.\d+)\s+(?P<rest>\S.*?)\s*$"
)
_CEOP_DATES = re.compile(r"^(?:\d{4}/\d\d/\d\d\s+\d\d:\d\d\s+){2}(?=\D|\S+\s+\S+\s)")


@dataclass(frozen=True, slots=True)
class Header:
    """Station and sensor of an .stm file (degrees, metres)."""

    network: str
    station: str
    lat: float
    lon: float
    elevation: float
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class DailySeries:
    """Daily means of one sensor: days since 1970-01-01, values, and good hours per day."""

    day: NDArray[np.int64]
    value: NDArray[np.float64]
    hours: NDArray[np.int64]


def read_stm(
    raw: bytes, *, flags: tuple[str, ...] = GOOD_FLAGS, min_hours: int = 6, period: Period | None = None
) -> tuple[Header, DailySeries, StepCounts]:
    """Return the header, the UTC daily means and the row counts of a file.

    Parameters
    ----------
    raw
        Bytes of the file.
    flags
        ISMN quality flags to keep; ``G`` is good (Dorigo et al., 2013, doi:10.2136/vzj2012.0097). A row with several
        flags ("C01,D05") is kept only if exactly this text is listed.
    min_hours
        Fewest distinct hours with a kept value; a day with fewer has no mean, and its rows are refused.
    period
        UTC days to keep; all by default.

    Returns
    -------
    Header, DailySeries, StepCounts
        A daily mean is over the kept rows of the day.

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
    begins. Dates, times and flags repeat, so each distinct text is parsed once (pandas categories).
    """
    text = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").strip()
    first, _, rest = text.partition(b"\n")
    line = decode(first)
    ceop = _CEOP_DATES.match(line)
    found = _HEADER.match(line[ceop.end() :] if ceop else line)
    if found is None:
        what = f"starts with {line[:60]!r}" if text else "is empty"
        raise DatasetError(f"{what}; expected ISMN's header+values layout or CEOP in separate files")
    header = Header(
        found["network"], found["station"],
        *(float(found[k]) for k in ("lat", "lon", "elevation", "top", "bottom")),
    )  # fmt: skip
    width = len(line.split()) if ceop else 5
    body = text if ceop else rest
    rows = _parse_rows(body, width=width, value_at=width - 3)
    counts = StepCounts(read=_count_lines(body))
    day, minute = _parse_times(rows)
    value = rows["value"].to_numpy(np.float64)
    readable = (day != _INVALID) & (minute >= 0) & np.isfinite(value)
    counts.refuse("unreadable line", counts.read - int(readable.sum()))
    if period is not None:
        begin, end = (np.datetime64(d, "D").astype(np.int64) for d in (period.start, period.end))
        outside = readable & ((day < begin) | (day > end))
        counts.refuse("outside the period", int(outside.sum()))
        readable &= ~outside
    kept = rows["flag"].isin(flags).to_numpy()
    for flag, count in rows["flag"][readable & ~kept].value_counts(dropna=False).items():
        counts.refuse(f"with flag {str(flag)[:1]}" if isinstance(flag, str) else "without flag", int(count))
    possible = (value >= 0) & (value <= 1)
    counts.refuse("outside 0-1 m3 m-3", int((readable & kept & ~possible).sum()))
    good = readable & kept & possible
    return header, _daily_means(day[good], minute[good], value[good], min_hours, counts), counts


def _parse_rows(text: bytes, *, width: int, value_at: int) -> pd.DataFrame:
    """Return date, clock, value and flag; lines with too many fields are skipped, other errors are missing values."""
    # Fields are counted on the first line: a station's name may have a blank, the same on every line.
    names = [f"_{k}" for k in range(width)]
    names[0], names[1], names[value_at], names[value_at + 1] = _COLUMNS
    kinds = dict.fromkeys(("date", "clock", "flag"), "category")

    def read(kind: str) -> pd.DataFrame:
        return pd.read_csv(
            io.BytesIO(text), sep=r"\s+", header=None, names=names, usecols=_COLUMNS, dtype=kinds | {"value": kind},
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
    counts: StepCounts,
) -> DailySeries:
    # Of rows with the same minute the first is used. Files are almost always in order.
    key = day * 1440 + minute
    if not (np.diff(key) > 0).all():
        _, first = np.unique(key, return_index=True)
        counts.refuse("duplicate time", len(day) - len(first))
        day, minute, value = day[first], minute[first], value[first]
    if not len(day):
        return DailySeries(day, value, day)
    starts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    rows = np.diff(starts, append=len(day))
    new_hour = np.diff(day * 24 + minute // 60, prepend=-1) != 0
    hours = np.add.reduceat(new_hour.astype(np.int64), starts)
    enough = hours >= min_hours
    counts.refuse(f"in days with fewer than {min_hours} good hours", int(rows[~enough].sum()))
    mean = np.add.reduceat(value, starts) / rows
    return DailySeries(day[starts][enough], mean[enough], hours[enough])


def _count_lines(text: bytes) -> int:
    """Return the number of non-blank lines."""
    if any(end in text for end in (b"\n\n", b" \n", b"\t\n")):
        return sum(1 for line in text.split(b"\n") if line and not line.isspace())
    return text.count(b"\n") + bool(text)


def decode(raw: bytes) -> str:
    """Return UTF-8 text, or Latin-1 as in older archives."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
