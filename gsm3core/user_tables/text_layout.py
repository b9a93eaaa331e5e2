"""Layout of a text table: encoding, lines before the header, separator, and decimal commas."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from gsm3core.errors import DatasetError

MISSING = [
    "", "NA", "Na", "na", "NaN", "nan", "NAN", "N/A", "n/a", "#N/A", "#NA", "#VALUE!", "#REF!", "#DIV/0!", "#NUM!", "#NAME?",
    "null", "NULL", "Null", "None", "none", "nil", "-", "--", "---", "----", ".", "?", "M", "missing", "Missing", "MISSING",
]  # fmt: skip
_MIN_PAIRS = 4
_SEPARATORS = ",;\t"
_BINARY = (
    (b"PK\x03\x04", "is an Excel workbook or another zip archive; save the sheet as 'CSV UTF-8'"),
    (b"\xd0\xcf\x11\xe0", "is an Excel 97 workbook; save the sheet as 'CSV UTF-8'"),
    (b"\x89HDF\r\n\x1a\n", "is not text but HDF5 or netCDF-4; give it the suffix .nc"),
    (b"CDF", "is not text but netCDF; give it the suffix .nc"),
    (b"PAR1", "is not text but parquet; give it the suffix .parquet"),
    (b"\x1f\x8b", "is not text but gzip; unpack it"),
)
_THOUSANDS = r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?"
_THOUSANDS_POINT = r"[+-]?\d{1,3}(?:\.\d{3})+,\d+"
_DECIMAL_COMMA = r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?"


@dataclass(frozen=True, slots=True)
class TextLayout:
    """How a text table is read.

    Parameters
    ----------
    skipped
        Lines before the header.
    header
        The header line.
    notes
        What was found.
    """

    encoding: str
    separator: str
    skipped: int
    header: str
    notes: list[str] = field(default_factory=list)


def find_layout(path: Path, start: bytes) -> TextLayout:
    """Return the layout of a text table from its first bytes.

    Parameters
    ----------
    start
        At least the header.

    Raises
    ------
    DatasetError
        If it is no text; the kind of the file is named.

    Notes
    -----
    A first line ``sep=;`` is what spreadsheets write for themselves; lines that begin with ``#`` before the header are
    comments, unless the last of them is the header itself.
    """
    for magic, text in _BINARY:
        if start.startswith(magic):
            raise DatasetError(f"{path.name} {text}; expected CSV.")
    encoding, notes = _encoding(path, start)
    lines = start.decode(encoding, "replace").lstrip("\ufeff").splitlines()
    skipped, separator = 0, ""
    if lines and lines[0].strip().strip('"').lower().startswith("sep="):
        separator = lines[0].strip().strip('"')[4:5] or "\t"
        skipped = 1
    while skipped < len(lines) and (not lines[skipped].strip(" ,;\t\r") or lines[skipped].startswith("#")):
        skipped += 1
    header = lines[skipped] if skipped < len(lines) else ""
    separator = separator or max(_SEPARATORS, key=header.count)
    above = lines[skipped - 1] if skipped else ""
    if above.startswith("#") and above.count(separator) == header.count(separator) > 0:
        skipped, header = skipped - 1, above
    if skipped:
        notes.append(f"{skipped} lines before the header not used")
    return TextLayout(encoding, separator, skipped, header, notes)


def _encoding(path: Path, start: bytes) -> tuple[str, list[str]]:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", ["text in UTF-16"]
    if b"\0" in start:
        pairs = np.frombuffer(start[: len(start) // 2 * 2], np.uint8).reshape(-1, 2)
        for column, name in ((1, "utf-16-le"), (0, "utf-16-be")):
            if (
                len(pairs) >= _MIN_PAIRS
                and (pairs[:, column] == 0).mean() > 0.9
                and (pairs[:, 1 - column] != 0).all()
            ):
                return name, ["text in UTF-16"]
        raise DatasetError(f"{path.name} is not text; expected CSV.")
    return "utf-8-sig", []


def with_decimal_points(column: pd.Series, separator: str, file: str) -> tuple[pd.Series, str]:
    """Return texts of numbers with decimal points and without thousands separators, and a note if any was changed.

    Parameters
    ----------
    separator
        Of the columns: where it is no comma, a comma in a number is the decimal sign.

    Raises
    ------
    DatasetError
        If a column has decimal points and decimal commas.
    """
    if column.dtype.kind not in "OTSU" and not pd.api.types.is_string_dtype(column):
        return column, ""
    if not any("," in text for text in pd.unique(column.dropna())):
        return column, ""
    texts = column.astype("str").str.strip()
    commas = texts.str.contains(",", regex=False) & column.notna()
    found = texts[commas]
    points = found.str.contains(".", regex=False)
    if found.str.fullmatch(_THOUSANDS).all() and (points.any() or found.str.count(",").max() > 1):
        return column.where(
            ~commas, texts.str.replace(",", "", regex=False)
        ), f"{column.name}: thousands separators removed"
    if separator == "," and not found.str.fullmatch(_THOUSANDS_POINT).all():
        return column, ""
    if found.str.fullmatch(f"(?:{_DECIMAL_COMMA})|(?:{_THOUSANDS_POINT})").all():
        others = texts[~commas & column.notna()]
        if others.str.contains(r"^[+-]?\d*\.\d+$", regex=True).any():
            raise DatasetError(
                f"{file}: {column.name} has decimal commas ({found.iloc[0]}) and decimal points "
                f"({others[others.str.contains('.', regex=False)].iloc[0]}); use one of them."
            )
        plain = texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
        return column.where(~commas, plain), f"{column.name}: decimal commas read"
    return column, ""
