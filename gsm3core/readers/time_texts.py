"""Times written as text: ISO 8601, and the day and month orders of spreadsheets where they are unambiguous."""

from __future__ import annotations

import pandas as pd

from gsm3core.errors import DatasetError

_ZONE = r"(?:[zZ]|\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s*[+-]\d{2}(?::?\d{2})?)$"
_UTC = r"\s*(?:UTC|GMT)$"
_NO_DAY = r"\d{4}(?:-\d{1,2})?"
_PARTS = (
    r"^(?P<first>\d{1,2})(?P<sep>[-/.\s])\s?(?P<second>\d{1,2}|[A-Za-z]{3,9})\.?(?P=sep)\s?(?P<year>\d{4})"
    r"(?:[T,\s]+(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?$"
)
_EXCEL_DAYS = (20_000, 60_000)  # 1954 to 2064
_EPOCH = "1899-12-30"
_ISO = "Write times as 2015-05-01 or 2015-05-01T06:00"


def parse_times(texts: pd.Series, what: str, *, order: str = "") -> tuple[pd.Series, list[str]]:
    """Return UTC times of texts, NaT where a text is no time, and notes on how they were read.

    Parameters
    ----------
    texts
        Without missing values.
    what
        Name of the file or variable, for messages.
    order
        ``day`` or ``month``, which comes first in 01/02/2015; empty if unknown.

    Raises
    ------
    DatasetError
        If the order of day and month cannot be known or changes, or the texts are numbers (days of a spreadsheet, seconds
        since 1970), or name no day.

    Notes
    -----
    With points (31.12.2015) the day comes first. With slashes or hyphens a number above 12 in any row decides for all rows.
    """
    # A table repeats its times at every site: each text is parsed once.
    codes, labels = pd.factorize(texts)
    distinct = pd.Series(labels).astype("str").str.strip()
    notes = []
    zoned = distinct.str.contains(_ZONE, regex=True) | distinct.str.contains(_UTC, regex=True)
    if zoned.any():
        rest = "; those without a zone are read as UTC" if not zoned.all() else ""
        notes.append(f"{int(zoned.to_numpy()[codes].sum()):,} times with a zone converted to UTC{rest}")
    plain = distinct.str.replace(_UTC, "", regex=True)
    _refuse_numbers(plain, what)
    stamps = pd.to_datetime(plain, format="ISO8601", utc=True, errors="coerce").astype("datetime64[ns, UTC]")
    unread = stamps.isna().to_numpy()
    if unread.any():
        found, note = _day_and_month(plain[unread], mixed=not unread.all(), what=what, order=order)
        stamps[unread] = found
        notes += note
    return stamps.take(codes).set_axis(texts.index), notes


def _refuse_numbers(texts: pd.Series, what: str) -> None:
    no_day = texts.str.fullmatch(_NO_DAY)
    if no_day.any():
        raise DatasetError(
            f"{what}: time {texts[no_day].iloc[0]!r} has no day; expected one value per UTC day. {_ISO}."
        )
    numbers = pd.to_numeric(
        texts.where(texts.str.fullmatch(r"\d{5}(?:\.\d+)?|\d{9,13}(?:\.\d+)?")), errors="coerce"
    )
    serial = numbers.between(*_EXCEL_DAYS)
    if serial.any():
        first = numbers[serial].iloc[0]
        day = (pd.Timestamp(_EPOCH) + pd.Timedelta(days=first)).round("s")
        raise DatasetError(
            f"{what}: time {texts[serial].iloc[0]!r} looks like a day number of a spreadsheet ({day}, if it counts from "
            f"{_EPOCH}). Format the column as yyyy-mm-dd and save the file again."
        )
    if (numbers >= 1e8).any():
        first = numbers[numbers >= 1e8].iloc[0]
        day = pd.to_datetime(first, unit="s" if first < 1e11 else "ms")
        raise DatasetError(
            f"{what}: time {texts[numbers >= 1e8].iloc[0]!r} looks like seconds or milliseconds since 1970 ({day}). {_ISO}."
        )


def _day_and_month(texts: pd.Series, *, mixed: bool, what: str, order: str) -> tuple[pd.Series, list[str]]:
    """Return times of texts such as 31/12/2015 or 31-Dec-2015 06:00, and which of the numbers is the day."""
    parts = texts.str.extract(_PARTS)
    known = parts["year"].notna().to_numpy()
    if not known.any():
        return pd.Series(pd.NaT, index=texts.index, dtype="datetime64[ns, UTC]"), []
    if mixed:
        raise DatasetError(
            f"{what}: dates in two formats, such as {texts[known].iloc[0]!r} beside dates with the year first; a spreadsheet may "
            f"have exchanged day and month in some of them. {_ISO} in every row."
        )
    first = pd.to_numeric(parts["first"])
    second = pd.to_numeric(parts["second"], errors="coerce")
    named = second.isna() & known
    day_first, month_first = bool((first > 12).any()), bool((second > 12).any())
    points = bool((parts["sep"][known] == ".").all())
    day_first, month_first = day_first or order == "day", month_first or order == "month"
    example = texts[known & ~named].iloc[0] if (known & ~named).any() else ""
    if example and day_first and month_first:
        raise DatasetError(
            f"{what}: the order of day and month changes between rows (such as {example!r}). {_ISO}."
        )
    if example and not (day_first or month_first or points):
        raise DatasetError(
            f"{what}: ambiguous time {example!r}: the day or the month may come first. {_ISO}, "
            "or name the column 'time (dd/mm/yyyy)' or 'time (mm/dd/yyyy)'."
        )
    american = month_first and not named.any()
    day, month = (parts["second"], parts["first"]) if american else (parts["first"], parts["second"])
    month = month.where(~named, month.str[:3].str.title())
    date = parts["year"] + "-" + month + "-" + day
    clock = parts["clock"].fillna("0:00").str.replace(r"^(\d{1,2}:\d{2})$", r"\1:00", regex=True)
    half = parts["half"].fillna("").str.replace(".", "", regex=False).str.upper()
    out = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[ns, UTC]")
    for is_named, form in ((False, "%Y-%m-%d"), (True, "%Y-%b-%d")):
        for halves, hours in ((False, "%H:%M:%S"), (True, "%I:%M:%S %p")):
            rows = known & (named.to_numpy() == is_named) & ((half != "").to_numpy() == halves)
            if rows.any():
                text = (
                    date[rows]
                    + " "
                    + clock[rows].str.split(".").str[0]
                    + (" " + half[rows] if halves else "")
                )
                out[rows] = pd.to_datetime(text, format=f"{form} {hours}", utc=True, errors="coerce").astype(
                    out.dtype
                )
    named_order = "month, day, year" if american else "day, month, year"
    return out, [f"dates read as {named_order}: {texts[known].iloc[0]!r} is {str(out[known].iloc[0])[:10]}"]
