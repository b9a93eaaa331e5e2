"""A user's file (CSV, netCDF, parquet) as a data frame; its size is checked before reading, and nothing is executed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.user_tables.safety import check_hdf5, check_header, check_parquet, max_column_values

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
_MISSING = ["", "NA", "NaN", "nan", "N/A", "null", "None", "-", "--"]


def read_columns(path: Path, *, max_bytes: int | None = None) -> pd.DataFrame:
    """Return the unchanged columns of a table, names in lower case; those of a CSV as text.

    Parameters
    ----------
    path
        ``.csv``, ``.tsv``, ``.txt`` (comma, semicolon or tab), ``.nc`` (netCDF-4) or ``.parquet``.
    max_bytes
        Limit, checked before reading; None for no limit.

    Returns
    -------
    pandas.DataFrame
        The index counts rows from 0. A netCDF variable (site, time) becomes rows, and its ``units`` attribute a column.

    Raises
    ------
    DatasetError
        If the file is missing, too large, of a kind other than its suffix, or unreadable.
    """
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise DatasetError(
            f"{path.name} has the suffix {path.suffix!r}; expected one of {', '.join(SUFFIXES)}."
        )
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
    frame = {"CSV": _csv, "netCDF": _netcdf, "parquet": _parquet}[kind](
        path, start, max_column_values(max_bytes)
    )
    frame.columns = [str(c).strip().lower() for c in frame.columns]
    if twice := sorted({c for c in frame.columns if list(frame.columns).count(c) > 1}):
        raise DatasetError(f"{path.name} has duplicate columns: {', '.join(twice)}.")
    if frame.empty:
        raise DatasetError(f"{path.name} has no rows.")
    return frame


def _csv(path: Path, start: bytes, max_values: int) -> pd.DataFrame:
    if b"\0" in start or start.startswith((_HDF5, _PARQUET, b"PK\x03\x04", b"\x1f\x8b")):
        raise DatasetError(f"{path.name} is not text; expected CSV.")
    header = start.decode("utf-8-sig", "replace").partition("\n")[0]
    separator = max(",;\t", key=header.count)
    check_header(header, b"\n" in start or len(start) == path.stat().st_size, separator, path.name)
    try:
        frame = pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, na_values=_MISSING, encoding="utf-8-sig",
            skipinitialspace=True, nrows=max_values + 1, engine="c", low_memory=False,
        )  # fmt: skip
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path.name} is not UTF-8 text (byte {error.start}); save it as UTF-8."
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise DatasetError(f"{path.name} cannot be read as CSV: {str(error).strip()}") from error
    if len(frame) > max_values:
        raise DatasetError(f"{path.name} has more than {max_values:,} rows, the limit.")
    return _as_long_as_header(frame, path)


def _as_long_as_header(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Refuse rows longer than the header, which pandas reads as an index; drop an empty field at their end."""
    if isinstance(frame.index, pd.RangeIndex):
        return frame
    if frame.index.nlevels == 1 and frame.iloc[:, -1].isna().all():
        return frame.reset_index().iloc[:, :-1].set_axis(frame.columns, axis=1)
    raise DatasetError(
        f"{path.name}: its rows have more fields than its header has names ({', '.join(map(str, frame.columns[:6]))}). "
        "Write decimals with a point, and text that holds the separator in quotes."
    )


def _parquet(path: Path, start: bytes, max_values: int) -> pd.DataFrame:
    if not start.startswith(_PARQUET):
        raise DatasetError(f"{path.name} is not a parquet file.")
    if find_spec("pyarrow") is None:
        raise DatasetError(
            f"{path.name}: reading parquet needs the package pyarrow (pip install pyarrow); or save it as CSV."
        )
    try:
        check_parquet(path, max_values)
        return pd.read_parquet(path, engine="pyarrow").reset_index(drop=True)
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, MemoryError) as error:
        raise DatasetError(f"{path.name} cannot be read as parquet: {error}") from error


def _netcdf(path: Path, start: bytes, max_values: int) -> pd.DataFrame:
    if start.startswith(b"CDF"):
        raise DatasetError(
            f"{path.name} is a classic netCDF file; convert it with `nccopy -k nc4`, or save it as CSV."
        )
    if not start.startswith(_HDF5):
        raise DatasetError(f"{path.name} is not a netCDF-4 file.")
    try:
        check_hdf5(path, max_values)
        with xr.open_dataset(path, engine="h5netcdf") as ds:
            return _rows(ds.load(), path)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, MemoryError) as error:
        raise DatasetError(
            f"{path.name} cannot be read as netCDF-4: {error}. The file may be truncated."
        ) from error


def _rows(ds: xr.Dataset, path: Path) -> pd.DataFrame:
    if _VALUE in ds.variables and ds[_VALUE].ndim == 1:
        dim = ds[_VALUE].dims
        flat = pd.DataFrame({str(n): _plain(a.values) for n, a in ds.variables.items() if a.dims == dim})
        if "units" not in flat and "units" in ds[_VALUE].attrs:
            flat["units"] = str(ds[_VALUE].attrs["units"])
        return flat
    series = [a for a in ds.data_vars.values() if set(a.dims) == {v.SITE, v.TIME} and a.dtype.kind == "f"]
    if len(series) != 1:
        names = ", ".join(map(str, ds.variables)) or "nothing"
        raise DatasetError(
            f"{path.name} has {names}; expected columns site, time, value of one dimension, or one variable (site, time)."
        )
    one = series[0].transpose(v.SITE, v.TIME)
    sites, days = one.sizes[v.SITE], one.sizes[v.TIME]
    frame = pd.DataFrame({
        v.SITE: np.repeat(_plain(ds[v.SITE].values), days), v.TIME: np.tile(ds[v.TIME].values, sites),
        _VALUE: one.values.ravel(),
    })  # fmt: skip
    for name in (v.LAT, v.LON, v.DEPTH, v.STATION):
        if name in ds.variables and ds[name].dims == (v.SITE,):
            frame[name] = np.repeat(_plain(ds[name].values), days)
    if "units" in one.attrs:
        frame["units"] = str(one.attrs["units"])
    return frame


def _plain(values: np.ndarray) -> np.ndarray:
    return values.astype(str).astype(object) if values.dtype.kind in "SUOT" else values
