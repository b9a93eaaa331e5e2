"""EASE-Grid 2.0: which satellite cell a site lies in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gsm3core.errors import GSM3Error, did_you_mean

_X_ORIGIN, _Y_ORIGIN = -17367530.4451615, 7314540.8306386


@dataclass(frozen=True, slots=True)
class EaseGrid:
    """A global (cylindrical) EASE-Grid 2.0, EPSG:6933.

    Parameters
    ----------
    name
        NSIDC's name, such as ``M09``.
    cell
        Size of a cell, m.
    columns, rows
        Number of cells.

    Notes
    -----
    Brodzik et al. (2012), doi:10.3390/ijgi1010032, and the correction doi:10.3390/ijgi3031154.
    """

    name: str
    cell: float
    columns: int
    rows: int


GRIDS = {
    "M09": EaseGrid("M09", 9008.055210146, 3856, 1624),
    "M36": EaseGrid("M36", 36032.220840584, 964, 406),
}


def cell_of(lat: ArrayLike, lon: ArrayLike, grid: str) -> NDArray[np.int64]:
    """Return one number per point, the same for points in the same cell; -1 poleward of the grid.

    Parameters
    ----------
    lat, lon
        Degrees, WGS 84.
    grid
        ``M09`` (9 km) or ``M36`` (36 km).
    """
    from pyproj import Transformer

    if grid not in GRIDS:
        raise GSM3Error(f"EASE-Grid 2.0 {grid!r} is not known. {did_you_mean(grid, GRIDS)}")
    g = GRIDS[grid]
    x, y = Transformer.from_crs(4326, 6933, always_xy=True).transform(
        np.asarray(lon, float), np.asarray(lat, float)
    )
    column = np.floor((np.asarray(x) - _X_ORIGIN) / g.cell).astype(np.int64).clip(0, g.columns - 1)
    row = np.floor((_Y_ORIGIN - np.asarray(y)) / g.cell).astype(np.int64)
    return np.where((row >= 0) & (row < g.rows), row * g.columns + column, -1)
