"""A user's file (CSV, netCDF, parquet) as a data frame; its size is checked before reading, and nothing is executed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.files import texts
from gsm3core.readers.series_file import open_any, read_series
from gsm3core.readers.utc_days import utc_times
from gsm3core.user_tables.headers import read_header
from gsm3core.user_tables.safety import (
    check_classic,
    check_hdf5,
    check_header,
    check_parquet,
    max_column_values,
)
from gsm3core.user_tables.text_layout import MISSING, TextLayout, find_layout, with_decimal_points

SUFFIXES = {
    ".csv": "CSV",
    ".txt": "CSV",
    ".tsv": "CSV",
    ".nc": "netCDF",
    ".nc4": "netCDF",
    ".parquet": "parquet",
}
_HDF5, _PARQUET = b"\x89HDF\r\n\x1a\n", b"PAR1"
_VALUE = "value"
_NUMERIC = ("value", "lat", "lon", "depth")
_TEXT = ("site", "station", "network")
_EXCEL = (".xls", ".xlsx", ".xlsm", ".ods")
_UNNAMED = re.compile(r"(unnamed: \d+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RawColumns:
    """Columns of a table.

    Parameters
    ----------
    frame
        Columns by their expected names; the index has the line numbers.
    units
        Units in the header, by expected name.
    notes
        How the file was read.
    """

    frame: pd.DataFrame
    units: dict[str, str]
    notes: list[str]


def read_columns(path: Path, *, max_bytes: int | None = None) -> RawColumns:
    """Return the columns of a table by their expected names; those of a CSV as text.

    Parameters
    ----------
    path
        ``.csv``, ``.tsv``, ``.txt`` (comma, semicolon or tab; UTF-8 or UTF-16), ``.nc`` (netCDF) or ``.parquet``.
    max_bytes
        Limit, checked before reading; None for no limit.

    Returns
    -------
    RawColumns
        The index of the columns has the line numbers. A netCDF variable over sites and time becomes rows, and its ``units``
        attribute a column.

    Raises
    ------
    DatasetError
        If the file is missing, too large, of a kind other than its suffix, or unreadable.
    """
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise DatasetError(unknown_suffix(path.name, path.suffix))
    if not path.is_file():
        raise DatasetError(f"{path} does not exist or is not a file.")
    size = path.stat().st_size
    if max_bytes is not None and size > max_bytes:
        raise DatasetError(
            f"{path.name} has {size / 1e6:,.1f} MB; expected at most {max_bytes / 1e6:,.1f} MB."
        )
    if not size:
        raise DatasetError(f"{path.name} is empty.")
    with path.open("rb") as opened:
        start = opened.read(1 << 16)
    read = {"CSV": _csv, "netCDF": _netcdf, "parquet": _parquet}[kind]
    frame, notes = read(path, start, max_column_values(max_bytes))
    blank = [k for k, c in enumerate(frame.columns) if _UNNAMED.fullmatch(str(c).strip())]
    blank = [k for k in blank if frame.iloc[:, k].isna().all()]
    frame = frame.iloc[:, [k for k in range(frame.shape[1]) if k not in blank]]
    frame = frame[frame.notna().any(axis=1)] if kind == "CSV" else frame
    header = read_header(map(str, frame.columns), path.name)
    frame.columns = pd.Index(header.names)
    if twice := sorted({c for c in frame.columns if list(frame.columns).count(c) > 1}):
        raise DatasetError(f"{path.name} has duplicate columns: {', '.join(twice)}.")
    if frame.empty:
        raise DatasetError(f"{path.name} has no rows.")
    return RawColumns(frame, header.units, [*notes, *header.notes])


def unknown_suffix(name: str, suffix: str) -> str:
    """Return the message for a file of an unknown kind."""
    excel = " Save the sheet of an Excel workbook as 'CSV UTF-8'." if suffix.lower() in _EXCEL else ""
    return f"{name} has the suffix {suffix!r}; expected one of {', '.join(SUFFIXES)}.{excel}"


def _csv(path: Path, start: bytes, max_values: int) -> tuple[pd.DataFrame, list[str]]:
    layout = find_layout(path, start)
    check_header(
        layout.header, b"\n" in start or len(start) == path.stat().st_size, layout.separator, path.name
    )
    try:
        return _read_csv(path, layout, max_values)
    except UnicodeError as error:
        at = f" (byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
        problem = f"{path.name} is not UTF-8 text{at}; save it as UTF-8 (in a spreadsheet: 'CSV UTF-8')."
        if layout.encoding != "utf-8-sig":
            raise DatasetError(problem) from error
    # Western European text where no name of a site depends on it, such as the unit m³/m³ or a remark.
    frame, notes = _read_csv(path, replace(layout, encoding="latin-1"), max_values)
    ours = read_header(frame.columns, path.name).names
    names = frame.iloc[:, [k for k, n in enumerate(ours) if n in _TEXT]]
    if not all(names[c].dropna().map(str.isascii).all() for c in names):
        raise DatasetError(problem)
    return frame, [*notes, "text that is not UTF-8 read as Latin-1"]


def _read_csv(path: Path, layout: TextLayout, max_values: int) -> tuple[pd.DataFrame, list[str]]:
    options: dict[str, Any] = {
        "sep": layout.separator, "dtype": str, "keep_default_na": False, "encoding": layout.encoding, "skipinitialspace": True,
        "engine": "c", "skip_blank_lines": False, "skiprows": layout.skipped,
    }  # fmt: skip
    try:
        columns = pd.read_csv(path, nrows=0, **options).columns
        ours = read_header(columns, path.name).names
        # A site may be called "M" or "NA"; elsewhere these are missing values.
        missing = {c: [""] if n in _TEXT else MISSING for c, n in zip(columns, ours, strict=True)}
        frame = pd.read_csv(path, nrows=max_values + 1, na_values=missing, low_memory=False, **options)
    except UnicodeError:
        raise
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise DatasetError(f"{path.name} cannot be read as CSV: {str(error).strip()}") from error
    if len(frame) > max_values:
        raise DatasetError(f"{path.name} has more than {max_values:,} rows, the limit.")
    frame = _as_long_as_header(frame, path)
    frame.columns = pd.Index([str(c).lstrip("#").strip() for c in frame.columns])
    frame.index = pd.RangeIndex(layout.skipped + 2, layout.skipped + 2 + len(frame))
    notes = list(layout.notes)
    for k, name in enumerate(read_header(frame.columns, path.name).names):
        if name in _NUMERIC:
            column, note = with_decimal_points(frame.iloc[:, k].rename(name), layout.separator, path.name)
            frame.isetitem(k, column.to_numpy(object))
            notes += [note] if note else []
    return frame, notes


def _as_long_as_header(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Refuse rows longer than the header, which pandas reads as an index; drop empty fields at their end."""
    if isinstance(frame.index, pd.RangeIndex):
        return frame
    extra = frame.index.nlevels
    if frame.iloc[:, -extra:].isna().all(axis=None):
        return frame.reset_index().iloc[:, :-extra].set_axis(frame.columns, axis=1)
    raise DatasetError(
        f"{path.name}: its rows have more fields than its header has names ({', '.join(map(str, frame.columns[:6]))}). "
        "Write decimals with a point, and text that holds the separator in quotes."
    )


def _parquet(path: Path, start: bytes, max_values: int) -> tuple[pd.DataFrame, list[str]]:
    if not start.startswith(_PARQUET):
        raise DatasetError(f"{path.name} is not a parquet file.")
    if find_spec("pyarrow") is None:
        raise DatasetError(
            f"{path.name}: reading parquet needs the package pyarrow (pip install pyarrow); or save it as CSV."
        )
    try:
        check_parquet(path, max_values)
        frame = pd.read_parquet(path, engine="pyarrow").reset_index(drop=True)
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, MemoryError) as error:
        raise DatasetError(f"{path.name} cannot be read as parquet: {error}") from error
    frame.index = pd.RangeIndex(2, 2 + len(frame))
    return frame, []


def _netcdf(path: Path, start: bytes, max_values: int) -> tuple[pd.DataFrame, list[str]]:
    if not start.startswith((_HDF5, b"CDF")):
        raise DatasetError(f"{path.name} is not a netCDF file.")
    try:
        if start.startswith(_HDF5):
            check_hdf5(path, max_values)
        else:
            check_classic(path, max_values)
        with open_any(path) as ds:
            frame, notes = _rows(ds, path)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, MemoryError) as error:
        raise DatasetError(
            f"{path.name} cannot be read as netCDF: {error}. The file may be truncated."
        ) from error
    frame.index = pd.RangeIndex(2, 2 + len(frame))
    return frame, notes


def _rows(ds: xr.Dataset, path: Path) -> tuple[pd.DataFrame, list[str]]:
    header = read_header(map(str, ds.variables), path.name)
    names = dict(zip(header.names, ds.variables, strict=True))
    value = names.get(_VALUE)
    if (
        value is not None
        and ds[value].ndim == 1
        and v.TIME in names
        and ds[names[v.TIME]].dims == ds[value].dims
    ):
        columns: dict[str, Any] = {
            ours: _plain(ds[n].values) for ours, n in names.items() if ds[n].dims == ds[value].dims
        }
        columns[v.TIME], notes = utc_times(ds[names[v.TIME]].values, ds[names[v.TIME]].attrs, path.name)
        flat = pd.DataFrame(columns)
        if "units" not in flat and "units" in ds[value].attrs:
            flat["units"] = str(ds[value].attrs["units"])
        return flat, notes
    one, notes = read_series(ds, path.name, convert=False)
    if v.PRODUCT in one.dims:
        raise DatasetError(f"{path.name} has several products; expected one variable over sites and time.")
    sites, days = one.sizes[v.SITE], one.sizes[v.TIME]
    frame = pd.DataFrame({
        v.SITE: np.repeat(_plain(one[v.SITE].values), days), v.TIME: np.tile(one[v.TIME].values, sites),
        _VALUE: one.values.ravel(),
    })  # fmt: skip
    if "units" in one.attrs:
        frame["units"] = str(one.attrs["units"])
    for name in (v.LAT, v.LON, v.DEPTH, v.STATION):
        if name in one.coords:
            frame[name] = np.repeat(_plain(one[name].values), days)
    return frame, notes


def _plain(values: np.ndarray) -> np.ndarray:
    return texts(values).astype(object) if values.dtype.kind in "SUOT" else values
