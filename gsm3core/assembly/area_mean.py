"""Area means of a fine grid over the cells of a coarser latitude-longitude grid that contain the sites."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.geography.grids import degree_cells

DISTANCE = "distance_km"
MINIMUM_SHARE = 0.5  # of the cells of the source within the target cell that need a value
_FINER = 0.5  # area of a source cell relative to the target cell, below which it is averaged

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _AxisCells:
    """Source rows (or columns) within each site's target cell: padded indices, and which of them count."""

    index_SN: NDArray[np.intp]
    counts_SN: NDArray[np.bool_]


def with_area_means(
    nearest: xr.Dataset,
    grid: xr.Dataset,
    centres: tuple[Floats, Floats],
    dims: tuple[str, str],
    lat: Floats,
    lon: Floats,
    resolution: float,
) -> xr.Dataset:
    """Return the values at sites with those of finer grids replaced by the mean over the site's cell.

    Parameters
    ----------
    nearest
        ``(..., site)`` values of the grid at the sites; kept where the grid is not finer than the target.
    grid, centres, dims
        The grid, latitudes of its rows and longitudes of its columns (degrees), and the names of its two dimensions.
    lat, lon
        Of the sites, degrees; longitudes from -180 to 180.
    resolution
        Side of a target cell, degrees. Its edges are multiples of it, counted from 90 S and 180 W.

    Returns
    -------
    xarray.Dataset
        A site's value is the mean over the source cells whose centres lie in its target cell, weighted by their area (the
        cosine of latitude; EASE-Grid cells have equal areas), if at least half of them have a value. Classes (CF
        ``flag_values``): the class with the largest area. Directions in degrees keep the nearest cell's. Attribute
        ``collocation`` says so, ``grid`` names the target grid. A source cell of more than half the target cell's area is
        not averaged.
    """
    rows, columns = (
        _cells_within(c, s, resolution, k) for c, s, k in ((centres[0], lat, 0), (centres[1], lon, 1))
    )
    finer = _cell_area(centres, lat, lon) < _FINER * resolution**2
    finer &= rows.counts_SN.any(1) & columns.counts_SN.any(1)
    if not finer.any():
        return nearest
    weight = np.cos(np.radians(centres[0])) if v.LAT in dims else np.ones(len(centres[0]))
    out = nearest.copy()
    for name, array in grid.data_vars.items():
        if name in v.CIRCULAR:
            continue
        lead = [d for d in array.dims if d not in dims]
        values = array.transpose(*lead, *dims).to_numpy()
        classes = array.attrs.get("flag_values")
        found = _mean(values, rows, columns, weight) if classes is None else _majority(
            values, rows, columns, weight, np.asarray(classes, float)
        )  # fmt: skip
        one = nearest[name].transpose(*lead, v.SITE)
        inside = np.isfinite(nearest[DISTANCE].values)
        kept = np.where(finer & inside, found, one.values)
        how = "area mean" if classes is None else "class of the largest area"
        attrs = one.attrs | {
            "collocation": f"{how} over {resolution:g} degrees, at least {MINIMUM_SHARE:.0%} of the cells valid"
            + ("" if finer.all() else "; nearest where the source is coarser"),
            "grid": f"{resolution:g}deg",
        }
        out[name] = one.copy(data=kept.astype(np.float32)).assign_attrs(attrs)
    return out


def _cells_within(centres: Floats, sites: Floats, resolution: float, axis: int) -> _AxisCells:
    """Return the source rows or columns whose centres lie in the target row or column of each site."""
    cell, of_site = degree_cells(centres, resolution, axis), degree_cells(sites, resolution, axis)
    order = np.argsort(cell, kind="stable")
    first = np.searchsorted(cell[order], of_site, side="left")
    number = np.searchsorted(cell[order], of_site, side="right") - first
    offsets = np.arange(max(int(number.max(initial=0)), 1))
    counts_SN = offsets < number[:, None]
    return _AxisCells(order[np.where(counts_SN, first[:, None] + offsets, 0)], counts_SN)


def _cell_area(centres: tuple[Floats, Floats], lat: Floats, lon: Floats) -> Floats:
    """Return the area of the source cell at each site, in square degrees of latitude and longitude."""
    steps = []
    for axis, at in zip(centres, (lat, lon), strict=True):
        up = np.sort(axis)
        # A single row or column is not averaged.
        gap = np.diff(up) if len(up) > 1 else np.array([np.inf])
        steps.append(gap[np.clip(np.searchsorted(up, at) - 1, 0, len(gap) - 1)])
    return np.asarray(steps[0] * steps[1])


def _mean(values: NDArray[np.generic], rows: _AxisCells, columns: _AxisCells, weight: Floats) -> Floats:
    total: Floats | float = 0.0
    valid_weight: Floats | float = 0.0
    all_weight: Floats | float = 0.0
    for row, column, area in _pairs(rows, columns, weight):
        found = values[..., row, column].astype(np.float64)
        valid = np.where(np.isnan(found), 0.0, area)
        total = total + np.where(valid > 0, found, 0.0) * valid
        valid_weight, all_weight = valid_weight + valid, all_weight + area
    return _where_enough(total / np.maximum(valid_weight, 1e-12), valid_weight, all_weight)


def _majority(
    values: NDArray[np.generic], rows: _AxisCells, columns: _AxisCells, weight: Floats, classes: Floats
) -> Floats:
    """Return the class with the largest area; of two equal ones the first of ``flag_values``."""
    of_class: list[Floats | float] = [0.0] * len(classes)
    valid_weight: Floats | float = 0.0
    all_weight: Floats | float = 0.0
    for row, column, area in _pairs(rows, columns, weight):
        found = values[..., row, column].astype(np.float64)
        valid_weight, all_weight = valid_weight + np.where(np.isnan(found), 0.0, area), all_weight + area
        of_class = [w + np.where(found == c, area, 0.0) for w, c in zip(of_class, classes, strict=True)]
    return _where_enough(classes[np.argmax(np.stack(of_class), axis=0)], valid_weight, all_weight)


def _pairs(
    rows: _AxisCells, columns: _AxisCells, weight: Floats
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], Floats]]:
    """Yield one source cell of every site at a time, with its area: memory does not grow with their number."""
    for i, j in product(range(rows.index_SN.shape[1]), range(columns.index_SN.shape[1])):
        row = rows.index_SN[:, i]
        area = weight[row] * (rows.counts_SN[:, i] & columns.counts_SN[:, j])
        if area.any():
            yield row, columns.index_SN[:, j], area


def _where_enough(value: Floats, valid: Floats | float, total: Floats | float) -> Floats:
    return np.where(np.asarray(valid) >= MINIMUM_SHARE * np.maximum(total, 1e-12), value, np.nan)
