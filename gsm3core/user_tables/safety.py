"""Checks of a user's file before reading: uncompressed size, and references to other files."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from gsm3core.errors import DatasetError

MAX_ROWS = 100_000_000
MAX_COLUMNS = 200
_MEAN_VALUE_BYTES = 16  # bytes of one value in memory, on average over a table's columns


def max_column_values(max_bytes: int | None) -> int:
    """Return the largest number of values of a column; for an upload, a quarter of its allowed bytes."""
    return MAX_ROWS if max_bytes is None else min(MAX_ROWS, max_bytes // 4)


def check_header(header: str, complete: bool, separator: str, file: str) -> None:
    """Raise if the first line of a CSV is too long for a header: a million names would exhaust the memory.

    Raises
    ------
    DatasetError
        If it has no end in the part that was read, or too many columns.
    """
    columns = header.count(separator) + 1
    if not complete or columns > MAX_COLUMNS:
        raise DatasetError(
            f"{file}: the first line has {'more than ' if not complete else ''}{columns:,} columns or "
            f"{len(header):,} characters; expected at most {MAX_COLUMNS} columns."
        )


def check_parquet(path: Path, max_values: int) -> None:
    """Raise if a parquet file has more than ``max_values`` values a column, by its metadata.

    Raises
    ------
    DatasetError
        If it has too many values or columns.
    """
    pq: Any = import_module("pyarrow.parquet")
    with pq.ParquetFile(path) as opened:
        metadata = opened.metadata
        if metadata.num_columns > MAX_COLUMNS:
            raise DatasetError(
                f"{path.name} has {metadata.num_columns:,} columns; expected at most {MAX_COLUMNS}."
            )
        groups = [metadata.row_group(k) for k in range(metadata.num_row_groups)]
        values = [sum(g.column(j).num_values for g in groups) for j in range(metadata.num_columns)]
        size = sum(g.total_byte_size for g in groups)
    _check_size(path, max([metadata.num_rows, *values]), size, max_values)


def check_hdf5(path: Path, max_values: int) -> None:
    """Raise if a netCDF-4 file is too large uncompressed, or refers to other files, which are those of the server.

    Raises
    ------
    DatasetError
        If it has too many values or variables, or external parts.
    """
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "r") as opened:
        names = list(opened)
        if len(names) > MAX_COLUMNS:
            raise DatasetError(f"{path.name} has {len(names):,} variables; expected at most {MAX_COLUMNS}.")
        longest, size = 0, 0
        for name in names:
            if not isinstance(opened.get(name, getlink=True), (h5py.HardLink, h5py.SoftLink)):
                raise _external_part(path, name)
            found: Any = opened.get(name)
            if not isinstance(found, h5py.Dataset):
                continue
            if found.external or found.is_virtual:
                raise _external_part(path, name)
            longest, size = max(longest, found.size or 0), size + (found.size or 0) * found.dtype.itemsize
    _check_size(path, longest, size, max_values)


def check_classic(path: Path, max_values: int) -> None:
    """Raise if a classic netCDF file has too many values by its header; its variables may share their bytes.

    Raises
    ------
    DatasetError
        If it has too many values or variables.
    """
    from scipy.io import netcdf_file

    with netcdf_file(path, mmap=True) as opened:
        sizes = [(x.data.size, x.data.nbytes) for x in opened.variables.values()]
    if len(sizes) > MAX_COLUMNS:
        raise DatasetError(f"{path.name} has {len(sizes):,} variables; expected at most {MAX_COLUMNS}.")
    _check_size(path, max((n for n, _ in sizes), default=0), sum(n for _, n in sizes), max_values)


def _check_size(path: Path, values: int, size: int, max_values: int) -> None:
    if values > max_values or size > _MEAN_VALUE_BYTES * max_values:
        raise DatasetError(
            f"{path.name} has {values:,} values in one column ({size / 1e6:,.0f} MB uncompressed in all); expected at most "
            f"{max_values:,} values."
        )


def _external_part(path: Path, name: str) -> DatasetError:
    return DatasetError(
        f"{path.name}: {name!r} refers to another file; expected all values in the file itself."
    )
