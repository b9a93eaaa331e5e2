"""Safe handling of uploaded tables: size and content are checked, nothing is executed, and the name is never a path."""

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
from gsm3core.user_tables.files import SUFFIXES, unknown_suffix
from gsm3core.user_tables.tables import Table, read_table

MAX_UPLOAD_BYTES = 50 << 20
_SHOWN = 5
_MAX_STEM = 60
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Upload:
    """Summary of a checked table, shown before it is added.

    Parameters
    ----------
    name
        File name, made safe for any system.
    sha256, bytes
        Checksum and size of the content.
    rows_read, rows_used, refused
        Counts of rows, and of refused rows by reason.
    units
        As stated in the table.
    sites, sites_count
        The first five site ids, and their number.
    first_day, last_day, days
        Period of the UTC daily values, and their number over all sites.
    lowest, median, highest
        m3 m-3.
    notes
        Conversions.
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
    content: bytes,
    filename: str,
    *,
    in_situ: bool = False,
    units: str = "",
    max_bytes: int = MAX_UPLOAD_BYTES,
) -> Upload:
    """Check an uploaded table and return its summary.

    Parameters
    ----------
    content
        Bytes, read as CSV, netCDF-4 or parquet only; nothing in them is executed.
    filename
        Original name. Its suffix chooses the format; only a safe form of it is used in a path.
    in_situ
        Whether it is an in-situ table, with lat and lon.
    units
        Units of a table without the column.

    Raises
    ------
    DatasetError
        If it is empty, too large, of a kind other than its suffix, or invalid; see
        :func:`gsm3core.user_tables.tables.read_table`.
    """
    with upload_file(content, filename, max_bytes=max_bytes) as path:
        return _summary(read_table(path, in_situ=in_situ, units=units, max_bytes=max_bytes), len(content))


@contextmanager
def upload_file(content: bytes, filename: str, *, max_bytes: int = MAX_UPLOAD_BYTES) -> Iterator[Path]:
    """Write an upload to a file in a temporary folder, which is removed afterwards.

    Raises
    ------
    DatasetError
        If it is too large, or its suffix is unknown.
    """
    if len(content) > max_bytes:
        raise DatasetError(
            f"{safe_name(filename)} has {len(content) / 1e6:,.1f} MB; expected at most {max_bytes / 1e6:,.1f} MB."
        )
    with tempfile.TemporaryDirectory(prefix="gsm3-upload-") as folder:
        path = Path(folder) / safe_name(filename)
        path.write_bytes(content)
        yield path


def safe_name(filename: str) -> str:
    """Return a file name of up to 60 letters, digits, ``. _ -`` and blanks, and a suffix, without folders.

    Raises
    ------
    DatasetError
        If the suffix is unknown.
    """
    last = PureWindowsPath(unicodedata.normalize("NFKC", filename).replace("\0", "")).name.strip()
    stem, dot, suffix = last.rpartition(".")
    suffix = f".{suffix.lower()}" if dot else ""
    if suffix not in SUFFIXES:
        raise DatasetError(unknown_suffix(repr(last[:_MAX_STEM]), suffix))
    plain = re.sub(r"[^\w .-]", "_", stem).strip(" .")[:_MAX_STEM].strip(" .") or "table"
    if _WINDOWS_DEVICES.fullmatch(plain.split(".")[0]):
        plain = f"table {plain}"
    return plain + suffix


def _summary(table: Table, size: int) -> Upload:
    daily = table.daily
    names = sorted(map(str, daily["site"].unique()))
    first, last = (str(pd.Timestamp(d).date()) for d in (daily["day"].min(), daily["day"].max()))
    return Upload(
        name=table.file, sha256=table.sha256, bytes=size, rows_read=table.counts.read, rows_used=table.counts.used,
        refused=dict(sorted(table.counts.refused.items())), units=table.units, sites=tuple(names[:_SHOWN]),
        sites_count=len(names), first_day=first, last_day=last, days=len(daily), lowest=float(daily["value"].min()),
        median=float(daily["value"].median()), highest=float(daily["value"].max()), notes=tuple(table.notes),
    )  # fmt: skip
