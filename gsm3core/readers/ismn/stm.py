"""One ISMN data file (.stm) to daily means: both text layouts, any line ending, every refused row counted."""

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

GOOD = ("G",)
_NEVER = np.iinfo(np.int64).min
_COLUMNS = ["date", "clock", "value", "flag"]
_HEADER = re.compile(
    r"^(?P<cse>\S+)\s+(?P<network>\S+)\s+(?P<station>\S.*?)\s+(?P<lat>-?\d+\.\d+)\s+(?P<lon>-?\d+\.\d+)\s+(?P<elevation>-?\d+\.\d+)"
    r"\s+(?P<top>-?\d+\.\d+)\s+(?P<bottom>-?\d+\.\d+)\s+(?P<rest>\S.*?)\s*$"
)
_CEOP_DATES = re.compile(r"^(?:\d{4}/\d\d/\d\d\s+\d\d:\d\d\s+){2}(?=\D|\S+\s+\S+\s)")


@dataclass(frozen=True, slots=True)
class Header:
    """What an .stm file says of its station and sensor (degrees, metres)."""

    network: str
    station: str
    lat: float
    lon: float
    elevation: float
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class DailySeries:
    """Daily means of one sensor: days since 1970-01-01, values, and the good hours in each."""

    day: NDArray[np.int64]
    value: NDArray[np.float64]
    hours: NDArray[np.int64]


def read_stm(
    raw: bytes, *, flags: tuple[str, ...] = GOOD, min_hours: int = 6, period: Period | None = None
) -> tuple[Header, DailySeries, StepCounts]:
    """Read one file of either layout and average it to UTC days.

    Parameters
    ----------
    raw
        The file's bytes.
    flags
        ISMN quality flags to keep; ``G`` is good (Dorigo et al., 2013, doi:10.2136/vzj2012.0097). A row with several
        flags ("C01,D05") is kept only if that very text is listed.
    min_hours
        Fewest different hours with a kept value in a day; a day with fewer has no mean, and its rows are refused.
    period
        UTC days to keep; all by default.

    Returns
    -------
    Header, DailySeries, Ledger
        The ledger counts rows; a day's mean is over its kept rows.

    Raises
    ------
    DatasetError
        If the file is empty or starts like neither layout.

    Notes
    -----
    *Header + values*: one line on station and sensor, then ``yyyy/mm/dd HH:MM value ISMN-flag provider-flag``.
    *CEOP in separate files*: no header; nominal and actual date and time, then network, station, place and depth on
    every line, then value and flags (Dorigo et al., 2011, doi:10.5194/hess-15-1675-2011; 2021,
    doi:10.5194/hess-25-5749-2021). Times are UTC and nominally hourly; a value stamped 00:00 belongs to the day
    that then begins. Dates, times and flags repeat, so each different text is parsed once (pandas categories).
    """
    text = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").strip()
    first, _, rest = text.partition(b"\n")
    line = decode(first)
    ceop = _CEOP_DATES.match(line)
    found = _HEADER.match(line[ceop.end() :] if ceop else line)
    if found is None:
        what = f"starts with {line[:60]!r}" if text else "is empty"
        raise DatasetError(f"{what}: neither ISMN's header+values layout nor CEOP in separate files")
    header = Header(
        found["network"], found["station"],
        *(float(found[k]) for k in ("lat", "lon", "elevation", "top", "bottom")),
    )  # fmt: skip
    width = len(line.split()) if ceop else 5
    body = text if ceop else rest
    rows = _rows(body, width=width, value_at=width - 3)
    ledger = StepCounts(read=_count_lines(body))
    day, minute = _times(rows)
    value = rows["value"].to_numpy(np.float64)
    readable = (day != _NEVER) & (minute >= 0) & np.isfinite(value)
    ledger.refuse("unreadable line", ledger.read - int(readable.sum()))
    if period is not None:
        begin, end = (np.datetime64(d, "D").astype(np.int64) for d in (period.start, period.end))
        outside = readable & ((day < begin) | (day > end))
        ledger.refuse("outside the period", int(outside.sum()))
        readable &= ~outside
    kept = rows["flag"].isin(flags).to_numpy()
    for flag, count in rows["flag"][readable & ~kept].value_counts(dropna=False).items():
        ledger.refuse(f"with flag {str(flag)[:1]}" if isinstance(flag, str) else "without flag", int(count))
    possible = (value >= 0) & (value <= 1)
    ledger.refuse("outside 0-1 m3 m-3", int((readable & kept & ~possible).sum()))
    good = readable & kept & possible
    return header, _daily(day[good], minute[good], value[good], min_hours, ledger), ledger


def _rows(text: bytes, *, width: int, value_at: int) -> pd.DataFrame:
    """Return date, clock, value and flag; a line with too many words is left out, other faults are missing values."""
    # Words are counted from the first line: a station's name may hold a blank, the same on every line.
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
    except ValueError:  # some value is no number: those rows alone are lost
        rows = read("str")
        rows["value"] = pd.to_numeric(rows["value"], errors="coerce")
        return rows


def _times(rows: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the day since 1970 and the minute of the day; ``_NEVER`` and negative where the text is no time."""
    dates, clocks = rows["date"].cat, rows["clock"].cat
    stamps = pd.to_datetime(pd.Series(dates.categories, dtype=str), format="%Y/%m/%d", errors="coerce")
    days = np.where(stamps.isna(), _NEVER, stamps.to_numpy().astype("datetime64[D]").astype(np.int64))
    past = pd.to_datetime(pd.Series(clocks.categories, dtype=str), format="%H:%M", errors="coerce")
    minutes = (past.dt.hour * 60 + past.dt.minute).fillna(_NEVER).to_numpy(np.int64)
    # The code of a missing text is -1: it takes the last entry.
    return np.append(days, _NEVER)[dates.codes], np.append(minutes, _NEVER)[clocks.codes]


def _daily(
    day: NDArray[np.int64],
    minute: NDArray[np.int64],
    value: NDArray[np.float64],
    min_hours: int,
    ledger: StepCounts,
) -> DailySeries:
    # The same minute twice is a duplicate row: the first one counts. Files are almost always in order already.
    key = day * 1440 + minute
    if not (np.diff(key) > 0).all():
        _, first = np.unique(key, return_index=True)
        ledger.refuse("duplicate time", len(day) - len(first))
        day, minute, value = day[first], minute[first], value[first]
    if not len(day):
        return DailySeries(day, value, day)
    starts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    rows = np.diff(starts, append=len(day))
    new_hour = np.diff(day * 24 + minute // 60, prepend=-1) != 0
    hours = np.add.reduceat(new_hour.astype(np.int64), starts)
    enough = hours >= min_hours
    ledger.refuse(f"in days with fewer than {min_hours} good hours", int(rows[~enough].sum()))
    mean = np.add.reduceat(value, starts) / rows
    return DailySeries(day[starts][enough], mean[enough], hours[enough])


def _count_lines(text: bytes) -> int:
    """Return how many lines are not blank."""
    if any(end in text for end in (b"\n\n", b" \n", b"\t\n")):
        return sum(1 for line in text.split(b"\n") if line and not line.isspace())
    return text.count(b"\n") + bool(text)


def decode(raw: bytes) -> str:
    """Return text that is UTF-8 or, as older archives are, Latin-1."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
