"""A table sent to the dashboard: measured, checked by its content, never executed, its name never a path."""

from __future__ import annotations

import re
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import pandas as pd

from gsm3core.errors import DatasetError
from gsm3core.user_tables.files import SUFFIXES
from gsm3core.user_tables.tables import Table, read_table

LARGEST = 50 << 20
_SHOWN = 5
_STEM = 60
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Upload:
    """What a checked table holds, to be shown before it is added.

    Parameters
    ----------
    name
        A file name that is safe on any system; what the visitor called the file, as far as possible.
    sha256, bytes
        Of the content.
    rows_read, rows_used, refused
        Rows; why some are not used.
    units
        As stated.
    sites, sites_count
        The first five names, and how many there are.
    first_day, last_day, days
        Of the UTC daily values, and their number over all sites.
    lowest, median, highest
        m3 m-3.
    notes
        What was converted.
    """

    name: str
    sha256: str
    bytes: int
    rows_read: int
    rows_used: int
    refused: dict[str, int]
    units: str
    sites: tuple[str, ...]
    sites_count: int
    first_day: str
    last_day: str
    days: int
    lowest: float
    median: float
    highest: float
    notes: tuple[str, ...]


def check_upload(
    content: bytes, filename: str, *, places: bool = False, units: str = "", largest: int = LARGEST
) -> Upload:
    """Check a table that a visitor sent, and say what it holds.

    Parameters
    ----------
    content
        The bytes. They are read as CSV, netCDF-4 or parquet and as nothing else; nothing in them is executed.
    filename
        What the visitor's machine called it. It chooses the format by its suffix and is shown; it never becomes part of
        a path as it came.
    places
        Whether it is an in-situ table, with lat and lon.
    units
        For a table without the column.
    largest
        Bytes, 50 MB by default.

    Raises
    ------
    DatasetError
        If it is empty, too large, of another kind than its name says, or not in order; see
        :func:`gsm3core.user_tables.tables.read_table`.
    """
    with uploaded(content, filename, largest=largest) as path:
        return _summary(read_table(path, places=places, units=units, largest=largest), len(content))


@contextmanager
def uploaded(content: bytes, filename: str, *, largest: int = LARGEST) -> Iterator[Path]:
    """Give an upload as a file for as long as it is worked with, in a folder of its own that is removed afterwards.

    Raises
    ------
    DatasetError
        If it is too large, or its name has no suffix of a table.
    """
    if len(content) > largest:
        raise DatasetError(
            f"{safe_name(filename)} has {len(content) / 1e6:,.1f} MB; at most {largest / 1e6:,.1f} MB are taken."
        )
    with tempfile.TemporaryDirectory(prefix="gsm3-upload-") as folder:
        path = Path(folder) / safe_name(filename)
        path.write_bytes(content)
        yield path


def safe_name(filename: str) -> str:
    """Return a file name without folders or odd characters: letters, digits, ``. _ -`` and blanks, at most 60 and a suffix.

    Raises
    ------
    DatasetError
        If the suffix is not one of a table.
    """
    last = PureWindowsPath(unicodedata.normalize("NFKC", filename).replace("\0", "")).name.strip()
    stem, dot, suffix = last.rpartition(".")
    suffix = f".{suffix.lower()}" if dot else ""
    if suffix not in SUFFIXES:
        raise DatasetError(f"{last[:_STEM]!r}: a table is one of {', '.join(SUFFIXES)}.")
    plain = re.sub(r"[^\w .-]", "_", stem).strip(" .")[:_STEM].strip(" .") or "table"
    if _DEVICES.fullmatch(plain.split(".")[0]):
        plain = f"table {plain}"
    return plain + suffix


def _summary(table: Table, size: int) -> Upload:
    daily = table.daily
    names = sorted(map(str, daily["site"].unique()))
    first, last = (str(pd.Timestamp(d).date()) for d in (daily["day"].min(), daily["day"].max()))
    return Upload(
        name=table.file, sha256=table.sha256, bytes=size, rows_read=table.ledger.read, rows_used=table.ledger.used,
        refused=dict(sorted(table.ledger.refused.items())), units=table.units, sites=tuple(names[:_SHOWN]),
        sites_count=len(names), first_day=first, last_day=last, days=len(daily), lowest=float(daily["value"].min()),
        median=float(daily["value"].median()), highest=float(daily["value"].max()), notes=tuple(table.notes),
    )  # fmt: skip
