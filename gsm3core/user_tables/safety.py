"""Looking into a user's file before it is read: how much it unpacks to, and whether it points outside itself."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from gsm3core.errors import DatasetError

LARGEST_ROWS = 100_000_000
MOST_COLUMNS = 200
_WIDEST = 16  # bytes of one value in memory, on average over a table's columns


def most_values(largest: int | None) -> int:
    """Return how many values a column may have: of an upload, what could be typed into as many bytes as it may have."""
    return LARGEST_ROWS if largest is None else min(LARGEST_ROWS, largest // 4)


def check_header(header: str, complete: bool, separator: str, file: str) -> None:
    """Raise if the first line of a CSV is no header of a table: a line of a million names would fill the memory.

    Raises
    ------
    DatasetError
        If it has no end within what was looked at, or too many columns.
    """
    columns = header.count(separator) + 1
    if not complete or columns > MOST_COLUMNS:
        raise DatasetError(
            f"{file}: the first line has {'more than ' if not complete else ''}{columns:,} columns or "
            f"{len(header):,} characters; a table has at most {MOST_COLUMNS} columns."
        )


def check_parquet(path: Path, most: int) -> None:
    """Raise if a parquet file unpacks to more than ``most`` values a column, by its own directory.

    Raises
    ------
    DatasetError
        Also if it has too many columns.
    """
    pq: Any = import_module("pyarrow.parquet")
    with pq.ParquetFile(path) as opened:
        told = opened.metadata
        if told.num_columns > MOST_COLUMNS:
            raise DatasetError(
                f"{path.name} has {told.num_columns:,} columns; a table has at most {MOST_COLUMNS}."
            )
        groups = [told.row_group(k) for k in range(told.num_row_groups)]
        values = [sum(g.column(j).num_values for g in groups) for j in range(told.num_columns)]
        size = sum(g.total_byte_size for g in groups)
    _check_size(path, max([told.num_rows, *values]), size, most)


def check_hdf5(path: Path, most: int) -> None:
    """Raise if a netCDF-4 file unpacks to too much, or has parts in other files, which are the reader's and not the sender's.

    Raises
    ------
    DatasetError
        Also if it has more than 200 variables.
    """
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "r") as opened:
        names = list(opened)
        if len(names) > MOST_COLUMNS:
            raise DatasetError(
                f"{path.name} has {len(names):,} variables; a table has at most {MOST_COLUMNS}."
            )
        longest, size = 0, 0
        for name in names:
            if not isinstance(opened.get(name, getlink=True), (h5py.HardLink, h5py.SoftLink)):
                raise _elsewhere(path, name)
            found: Any = opened.get(name)
            if not isinstance(found, h5py.Dataset):
                continue
            if found.external or found.is_virtual:
                raise _elsewhere(path, name)
            longest, size = max(longest, found.size or 0), size + (found.size or 0) * found.dtype.itemsize
    _check_size(path, longest, size, most)


def _check_size(path: Path, values: int, size: int, most: int) -> None:
    if values > most or size > _WIDEST * most:
        raise DatasetError(
            f"{path.name} unpacks to more than {most:,} values ({values:,} in one column, {size / 1e6:,.0f} MB in all)."
        )


def _elsewhere(path: Path, name: str) -> DatasetError:
    return DatasetError(
        f"{path.name}: {name!r} lies in another file; a table must hold all its values itself."
    )
