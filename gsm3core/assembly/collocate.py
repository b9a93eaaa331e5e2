"""Collocate grids with sites or EASE-Grid 2.0: nearest cell or bilinear, with the distance to the cell centre."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from gsm3core import vocabulary as v
from gsm3core.assembly.area_mean import DISTANCE, with_area_means
from gsm3core.errors import DatasetError
from gsm3core.geography.grids import EASE_WIDTH, GRIDS, cell_centres, distance_km, ease_metres

Method = Literal["nearest", "bilinear"]


@dataclass(frozen=True, slots=True)
class _AxisWeights:
    """Position of targets between the cell centres of an axis: lower and upper index, and weight of the upper."""

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    weight: NDArray[np.float64]
    inside: NDArray[np.bool_]

    @property
    def nearest(self) -> NDArray[np.intp]:
        return np.where(self.weight < 0.5, self.low, self.high)


def to_sites(
    ds: xr.Dataset,
    lat: ArrayLike,
    lon: ArrayLike,
    *,
    method: Method = "nearest",
    site: ArrayLike | None = None,
    resolution: float | None = None,
) -> xr.Dataset:
    """Return the values of a grid at sites, ``(time, site)``.

    Parameters
    ----------
    ds
        Output of a gridded reader: ``(time, lat, lon)``, or ``(time, y, x)`` with the attribute ``grid``.
    lat, lon
        Degrees, one pair per site; longitudes from -180 to 180 or from 0 to 360.
    method
        ``nearest``: the cell whose centre is nearest along each axis, which is the cell that contains the site.
        ``bilinear``: of the four surrounding centres; missing ones are omitted and the weights of the rest rescaled, if
        these are at least half of the total. Classes (CF ``flag_values``) and directions in degrees
        (:data:`gsm3core.vocabulary.CIRCULAR`) are always those of the nearest cell.
    site
        Names of the sites.
    resolution
        Degrees: finer grids are averaged over the cell of this size that contains the site
        (:func:`gsm3core.assembly.area_mean.with_area_means`); coarser ones keep ``method``. ``None``: no averaging.

    Returns
    -------
    xarray.Dataset
        With ``distance_km`` from each site to the nearest cell's centre. A site outside the grid has no values.

    Notes
    -----
    As the ``transform`` of a reader, ``reader.open(root, period, transform=lambda ds: to_sites(ds, lat, lon))`` reads
    years of whole grids and keeps only the sites.
    """
    lat, lon = np.atleast_1d(np.asarray(lat, float)), np.atleast_1d(np.asarray(lon, float))
    if lat.shape != lon.shape or lat.ndim != 1:
        raise DatasetError(
            f"lat and lon must be lists of the same length; their shapes are {lat.shape} and {lon.shape}."
        )
    if not (np.abs(lat) <= 90).all() or not ((lon >= -180) & (lon <= 360)).all():
        raise DatasetError(
            "invalid site: latitude beyond 90 or longitude beyond 360 degrees. Are lat and lon swapped?"
        )
    rows, columns, (row_name, column_name) = _locate_axes(ds, lat, lon)
    out = _interpolate(ds, rows, columns, (row_name, column_name), method, (v.SITE,))
    centre_lat, centre_lon = _centres(ds)
    distance = distance_km(lat, lon, centre_lat[rows.nearest], centre_lon[columns.nearest])
    distance = np.where(rows.inside & columns.inside, distance, np.nan)
    names = np.arange(len(lat)) if site is None else np.asarray(site)
    lon = np.where(lon >= 180, lon - 360, lon)
    out = out.assign_coords({
        v.SITE: names,
        v.LAT: (v.SITE, lat),
        v.LON: (v.SITE, lon),
        DISTANCE: (v.SITE, distance, {"units": "km", "long_name": "distance to the centre of the nearest cell"}),
    })  # fmt: skip
    if resolution is None:
        return out
    return with_area_means(out, ds, (centre_lat, centre_lon), (row_name, column_name), lat, lon, resolution)


def to_ease(
    ds: xr.Dataset, grid: str = "M09", *, method: Method = "bilinear", rows: slice = slice(None)
) -> xr.Dataset:
    """Return a grid regridded to EASE-Grid 2.0, ``(time, y, x)``.

    Parameters
    ----------
    ds
        Output of a gridded reader.
    grid
        ``M09`` (9 km) or ``M36`` (36 km).
    method
        See :func:`to_sites`. Source cells are not averaged within a target cell: average sources that are much finer
        first, as the land-cover reader does.
    rows
        Rows of the target grid, to process the globe in strips.

    Returns
    -------
    xarray.Dataset
        With ``lat`` ``(y)``, ``lon`` ``(x)``, and ``distance_km`` ``(y, x)`` to the centre of the nearest cell.
    """
    if grid not in GRIDS:
        raise DatasetError(f"unknown EASE-Grid 2.0 {grid!r}. Known: {', '.join(GRIDS)}.")
    lat, lon = _cached_centres(grid)
    y = np.arange(len(lat))[rows]
    # Both grids have one latitude per row and one longitude per column, so each axis is located separately.
    row, column, names = _locate_axes(ds, lat[y][:, None], lon[None, :])
    out = _interpolate(ds, row, column, names, method, ("y", "x"))
    centre_lat, centre_lon = _centres(ds)
    distance = distance_km(lat[y][:, None], lon[None, :], centre_lat[row.nearest], centre_lon[column.nearest])
    distance = np.where(row.inside & column.inside, distance, np.nan).astype(np.float32)
    out = out.assign_coords({
        "y": y,
        "x": np.arange(len(lon)),
        v.LAT: ("y", lat[y], {"units": "degrees_north", "standard_name": "latitude"}),
        v.LON: ("x", lon, {"units": "degrees_east", "standard_name": "longitude"}),
        DISTANCE: (("y", "x"), distance, {"units": "km", "long_name": "distance to the centre of the nearest cell"}),
    })  # fmt: skip
    out.attrs["grid"] = grid
    return out


@cache
def _cached_centres(grid: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return cell_centres(grid)


def _centres(ds: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the centres of the rows and columns of a grid."""
    if v.LAT in ds.dims and v.LON in ds.dims:
        return ds[v.LAT].values, ds[v.LON].values
    grid = ds.attrs.get("grid") or next(
        (a.attrs["grid"] for a in ds.data_vars.values() if "grid" in a.attrs), None
    )
    if not {"y", "x"} <= set(ds.dims):
        raise DatasetError(
            f"a grid needs dimensions lat and lon, or y and x; it has {', '.join(map(str, ds.dims))}."
        )
    if grid is None and (ds.sizes["y"], ds.sizes["x"]) in (
        shapes := {(g.rows, g.columns): n for n, g in GRIDS.items()}
    ):
        grid = shapes[ds.sizes["y"], ds.sizes["x"]]
    if grid not in GRIDS:
        raise DatasetError(
            f"dimensions y and x need the attribute 'grid', one of {', '.join(GRIDS)}; it is {grid!r}."
        )
    lat, lon = _cached_centres(grid)
    return lat[ds["y"].values], lon[ds["x"].values]


def _locate_axes(
    ds: xr.Dataset, lat: NDArray[np.float64], lon: NDArray[np.float64]
) -> tuple[_AxisWeights, _AxisWeights, tuple[str, str]]:
    centre_lat, centre_lon = _centres(ds)
    names, circle = (v.LAT, v.LON), 360.0
    lon = np.where(lon >= 180, lon - 360, lon)
    if v.LAT not in ds.dims:
        # EASE-Grid cells are regular in projected metres; in degrees a border is not half-way between centres.
        names, circle = ("y", "x"), EASE_WIDTH
        centre_lat, lat = ease_metres(centre_lat, 0)[1], ease_metres(lat, 0)[1]
        centre_lon, lon = ease_metres(0, centre_lon)[0], ease_metres(0, lon)[0]
    # A grid of one row or column says its cell size, in degrees.
    cells = [ds[n].attrs.get("cell") if n in ds.coords else None for n in names]
    return (
        _locate(centre_lat, lat, cell=cells[0]),
        _locate(centre_lon, lon, circle=circle, cell=cells[1]),
        names,
    )


def _locate(
    centres: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    circle: float | None = None,
    cell: float | None = None,
) -> _AxisWeights:
    """Locate targets between ascending or descending centres; a global longitude axis is periodic."""
    n = len(centres)
    if n == 1 and cell:
        apart = target - centres[0]
        if circle is not None:
            apart = (apart + circle / 2) % circle - circle / 2
        only = np.zeros(np.shape(target), np.intp)
        return _AxisWeights(only, only, np.zeros(np.shape(target)), np.abs(apart) <= cell / 2 * (1 + 1e-9))
    if n < 2:
        raise DatasetError("a grid needs at least two rows and two columns.")
    flip = centres[0] > centres[-1]
    up = centres[::-1] if flip else centres
    steps = np.diff(up)
    if not (steps > 0).all():
        raise DatasetError("the latitudes or longitudes of the grid are not monotonic.")
    index = np.arange(n)[::-1] if flip else np.arange(n)
    step = np.median(steps)
    if circle is not None:
        if abs(n * step - circle) < step / 2:
            up = np.r_[up[-1] - circle, up, up[0] + circle]
            index = np.r_[index[-1], index, index[0]]
        else:
            up, index, target = _unwrap(up, index, target, circle)
    low = np.clip(np.searchsorted(up, target, side="right") - 1, 0, len(up) - 2)
    gap = up[low + 1] - up[low]
    weight = (target - up[low]) / gap
    # The outermost cells reach half a cell beyond their centres; so do the cells on either side of a gap.
    is_gap = gap > 1.5 * step
    inside = (weight >= -0.5 - 1e-9) & (weight <= 1.5 + 1e-9)
    inside &= ~is_gap | (np.minimum(np.abs(weight), np.abs(1 - weight)) * gap <= step / 2)
    weight = np.where(is_gap, np.round(weight), weight)
    return _AxisWeights(index[low], index[low + 1], np.clip(weight, 0.0, 1.0), inside)


def _unwrap(
    up: NDArray[np.float64], index: NDArray[np.intp], target: NDArray[np.float64], circle: float
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    """Start a regional axis behind its widest gap, so that a region across 180 degrees is contiguous."""
    gaps = np.diff(np.r_[up, up[0] + circle])
    first = (int(np.argmax(gaps)) + 1) % len(up)
    up = np.r_[up[first:], up[:first] + circle]
    middle = up[0] - gaps.max() / 2
    # Shift by whole circles only: rounding must not change targets that are in range already.
    return up, np.roll(index, -first), target - circle * np.floor((target - middle) / circle)


def _interpolate(
    ds: xr.Dataset,
    rows: _AxisWeights,
    columns: _AxisWeights,
    names: tuple[str, str],
    method: Method,
    dims: tuple[str, ...],
) -> xr.Dataset:
    if method not in ("nearest", "bilinear"):
        raise DatasetError(f"unknown method {method!r}. Known: nearest, bilinear.")
    inside = rows.inside & columns.inside
    out: dict[str, xr.DataArray] = {}
    for name, array in ds.data_vars.items():
        if not set(names) <= set(array.dims):
            raise DatasetError(f"variable {name!r} has dimensions {array.dims}; expected {names} among them.")
        lead = [d for d in array.dims if d not in names]
        values = array.transpose(*lead, *names).to_numpy()
        nearest = method == "nearest" or "flag_values" in array.attrs or name in v.CIRCULAR
        found = values[..., rows.nearest, columns.nearest] if nearest else _bilinear(values, rows, columns)
        found = np.where(inside, found, np.nan).astype(np.float32)
        kept = {k: c for k, c in array.coords.items() if not set(names) & set(c.dims)}
        attrs = {k: x for k, x in array.attrs.items() if k != "grid"}
        attrs["collocation"] = "nearest" if nearest else method
        out[str(name)] = xr.DataArray(found, dims=(*lead, *dims), coords=kept, attrs=attrs)
    return xr.Dataset(out, attrs={k: x for k, x in ds.attrs.items() if k != "grid"})


def _bilinear(values: NDArray[np.generic], rows: _AxisWeights, columns: _AxisWeights) -> NDArray[np.float64]:
    """Weight the four neighbours; without the missing ones, if the rest have at least half of the weight."""
    total: NDArray[np.float64] | float = 0.0
    total_weight: NDArray[np.float64] | float = 0.0
    for row, row_weight in ((rows.low, 1 - rows.weight), (rows.high, rows.weight)):
        for column, column_weight in ((columns.low, 1 - columns.weight), (columns.high, columns.weight)):
            found = values[..., row, column].astype(np.float64)
            weight = np.where(np.isnan(found), 0.0, row_weight * column_weight)
            total = total + np.where(weight > 0, found, 0.0) * weight
            total_weight = total_weight + weight
    return np.where(np.asarray(total_weight) >= 0.5, total / np.maximum(total_weight, 1e-12), np.nan)
