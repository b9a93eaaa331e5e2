"""Times that several ERA5 files have: the same values are read once, final ones before preliminary ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceEntry
from gsm3core.readers.era5.choice import Item
from gsm3core.readers.era5.survey import Key, grid_key, open_file

_SAME = 1e-4  # of the largest value: packing to 16 bits
_MAX_NAMES = 3

Rows = NDArray[np.intp]


def without_overlaps(
    rows: Sequence[tuple[Item, Rows]], entry: SourceEntry
) -> tuple[list[tuple[Item, Rows]], list[str]]:
    """Return rows without the times that another file has with the same values, and sentences about them.

    Parameters
    ----------
    rows
        Parts of files and the rows that are read of them. Times with other values in two files are kept, so that they are
        an error when they are joined, unless one file has preliminary values there.
    entry
        The source.
    """
    seen: dict[tuple[Key, tuple[str, ...], str], list[tuple[Item, Rows]]] = {}
    kept, dropped = [], dict[str, list[Path]]()
    # Files with final values first.
    for item, given in sorted(rows, key=lambda r: bool(r[0].slab.preliminary[r[1]].any())):
        own = given
        key = (
            grid_key(item.slab),
            tuple(sorted(item.names.values())),
            item.contents.frequency + item.accumulation,
        )
        for other, others in seen.get(key, ()):
            shared = np.isin(item.slab.times[own], other.slab.times[others])
            if not shared.any():
                continue
            match = _matching(item, own[shared], other, others)
            same = _same(item, own[shared], other, match, entry)
            replaced = ~same & item.slab.preliminary[own[shared]] & ~other.slab.preliminary[match]
            leave = np.zeros(len(own), bool)
            leave[shared] = same | replaced
            if leave.any():
                word = "preliminary values of times in" if replaced.any() else "the same values as in"
                dropped.setdefault(f"{word} {other.path.name}", []).append(item.path)
            own = own[~leave]
        seen.setdefault(key, []).append((item, own))
        if len(own):
            kept.append((item, own))
    return kept, [
        f"overlapping times not read: {_some(paths)}: {reason}" for reason, paths in dropped.items()
    ]


def _matching(item: Item, own: Rows, other: Item, others: Rows) -> Rows:
    """Return the rows of another file with the same times."""
    place = {int(t): int(r) for r, t in zip(others, other.slab.times[others].astype(int), strict=True)}
    return np.array([place[int(t)] for t in item.slab.times[own].astype(int)])


def _same(item: Item, own: Rows, other: Item, match: Rows, entry: SourceEntry) -> NDArray[np.bool_]:
    """Return which of some rows have the values of the rows of another file."""
    result = np.ones(len(own), bool)
    with open_file(item.path, entry) as first, open_file(other.path, entry) as second:
        for name, ours in item.names.items():
            theirs = next(n for n, o in other.names.items() if o == ours)
            for k, (row, its) in enumerate(zip(own, match, strict=True)):
                if result[k]:
                    result[k] = _equal(
                        item.slab.read(first, np.array([row]), [name])[name],
                        other.slab.read(second, np.array([its]), [theirs])[theirs],
                    )
    return result


def _equal(one: xr.DataArray, other: xr.DataArray) -> bool:
    other = other.sel({v.LAT: one[v.LAT], v.LON: one[v.LON]}, method="nearest")
    a, b = one.to_numpy().astype(float), other.to_numpy().astype(float)
    largest = float(np.nanmax(np.abs(a))) if np.isfinite(a).any() else 0.0
    return bool(np.allclose(a, b, rtol=0, atol=_SAME * largest, equal_nan=True))


def _some(paths: Sequence[Path]) -> str:
    names = list(dict.fromkeys(p.name for p in paths))
    return ", ".join(names[:_MAX_NAMES]) + (
        f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    )
