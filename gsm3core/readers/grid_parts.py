"""Blocks of a gridded source as they are read, joined along time and over the areas that the files cover."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError

_DISTANCE = "distance_km"
_SAME = 2  # decimals of distances in km: the same cell in grids of single and double precision
_SMALL = 32 << 20  # bytes


class GridParts:
    """Blocks of variables by grid; no time step is taken twice from one grid.

    Parameters
    ----------
    axes
        Latitudes and longitudes of each grid, in degrees; may grow while blocks are added.
    """

    def __init__(self, axes: Sequence[list[np.ndarray]] = ()) -> None:
        self._axes = axes
        self._parts: dict[str, dict[int, list[xr.Dataset]]] = {}
        self._origin: dict[tuple[str, int, object], str] = {}

    @property
    def names(self) -> list[str]:
        """Variables with blocks."""
        return list(self._parts)

    def add(self, name: str, grid: int, path: Path, ds: xr.Dataset) -> None:
        """Add a block of a variable.

        Raises
        ------
        DatasetError
            If the variable has one of its time steps already, from this file or another.
        """
        for time in ds[v.TIME].values if v.TIME in ds.dims else [None]:
            what = f"{name} at {str(time)[:16]}" if time is not None else name
            other = self._origin.get((name, grid, time))
            if other == str(path):
                raise DatasetError(f"{path}: duplicate {what}; times must not repeat.")
            if other is not None:
                raise DatasetError(f"{what} is in two files: {other} and {path}. Remove one of them.")
            self._origin[name, grid, time] = str(path)
        self._parts.setdefault(name, {}).setdefault(grid, []).append(ds)

    def joined(self) -> list[xr.Dataset]:
        """Return each variable, joined along time and over the grids."""
        out = [
            _combine(
                name, [_concatenate(blocks) for blocks in grids.values()], [self._axes[k] for k in grids]
            )
            for name, grids in self._parts.items()
        ]
        if len({k for grids in self._parts.values() for k in grids}) > 1:
            # Variables may lie on different grids: the distance is that of the nearest.
            distance = _smallest([ds[_DISTANCE].values for ds in out])
            out = [ds.assign_coords({_DISTANCE: ds[_DISTANCE].copy(data=distance)}) for ds in out]
        return out


def _concatenate(blocks: list[xr.Dataset]) -> xr.Dataset:
    if v.TIME not in blocks[0].dims:
        return blocks[0]
    return xr.concat(
        blocks, v.TIME, join="exact", coords="minimal", compat="override", data_vars="minimal"
    ).sortby(v.TIME)


def _combine(name: str, grids: list[xr.Dataset], axes: list[list[np.ndarray]]) -> xr.Dataset:
    """Take each place from the grid with the nearest cell centre, or from the next that has a value there.

    Areas that overlap have the same cells: the one whose border is farther away has all cells around the place.
    """
    if len(grids) == 1:
        return grids[0]
    if v.TIME in grids[0].dims:
        grids = list(xr.align(*grids, join="outer", exclude=[d for d in grids[0].dims if d != v.TIME]))
    dims = grids[0][name].dims
    values = np.stack([g[name].transpose(*dims).values for g in grids])
    distance = np.stack([g[_DISTANCE].values for g in grids])
    inset = np.stack([_inset(g, a) for g, a in zip(grids, axes, strict=True)])
    near = np.where(np.isnan(distance), np.inf, np.round(distance, _SAME))
    order = np.lexsort((-np.broadcast_to(inset, near.shape), near), axis=0)
    chosen = np.full(values.shape[1:], np.nan, values.dtype)
    for rank in order:
        # Distances have the dimensions of space only, the last ones of the values.
        index = np.broadcast_to(rank, values.shape[1:])
        one = np.take_along_axis(values, index[None], axis=0)[0]
        chosen = np.where(np.isnan(chosen), one, chosen)
    out = grids[0].copy()
    out[name] = grids[0][name].copy(data=chosen)
    return out.assign_coords({_DISTANCE: grids[0][_DISTANCE].copy(data=_smallest(list(distance)))})


def _inset(ds: xr.Dataset, axes: list[np.ndarray]) -> np.ndarray:
    """Return a number that is larger for a grid with more cells around each place; 0 for grids without degrees.

    It is the distance from the outermost cell centres along both axes, up to a degree each, less a penalty beyond them.
    """
    if len(axes) != 2 or not {v.LAT, v.LON} <= set(ds.coords):
        return np.zeros(ds[_DISTANCE].shape)
    rows, columns = axes
    lat, lon = (
        ds[n].broadcast_like(ds[_DISTANCE]).transpose(*ds[_DISTANCE].dims).values for n in (v.LAT, v.LON)
    )
    east, width = (lon - columns[0]) % 360, (columns[-1] - columns[0]) % 360
    across = np.where(east > width, -np.minimum(east - width, 360 - east), np.minimum(east, width - east))
    along = np.minimum(lat - rows.min(), rows.max() - lat)
    beyond = (across < 0) | (along < 0)
    inset: np.ndarray = np.minimum(across, 1) + np.minimum(along, 1) - np.where(beyond, 10, 0)
    return inset


def _smallest(distances: list[np.ndarray]) -> np.ndarray:
    least = np.min([np.where(np.isnan(d), np.inf, d) for d in distances], axis=0)
    return np.where(np.isinf(least), np.nan, least).astype(distances[0].dtype)


def repeat_steps(ds: xr.Dataset, covers: int, step: pd.Timedelta | None) -> Iterator[xr.Dataset]:
    """Yield the values at each of the steps that they cover, the last of which is their own; large maps without copies.

    Parameters
    ----------
    ds
        Variables ``(time, ...)`` with canonical labels.
    covers
        Number of steps.
    step
        Interval between labels; ``None`` for a static source.
    """
    if step is None or covers == 1:
        yield ds
        return
    back = np.arange(covers - 1, -1, -1) * step.to_timedelta64()
    if ds.nbytes * covers <= _SMALL:
        index = np.repeat(np.arange(ds.sizes[v.TIME]), covers)
        times = (ds[v.TIME].values[:, None] - back).ravel()
        yield ds.isel({v.TIME: index}).assign_coords({v.TIME: times})
        return
    for shift in back:
        yield ds.assign_coords({v.TIME: ds[v.TIME].values - shift})
