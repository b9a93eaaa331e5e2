"""Select the sites of a dataset by region, network, land cover, climate, soil moisture, aspect, sensor depth and polygon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
import shapely
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.evaluation.strata import site_strata
from gsm3core.files import texts
from gsm3core.geography.aspect import poleward_aspect_of
from gsm3core.geography.mercator import mercator
from gsm3core.schema import products

Mask = NDArray[np.bool_]
Range = tuple[float, float]
Corner = tuple[float, float]

LAND_COVER, CLIMATE, ASPECT = "land_cover", "climate", "poleward_aspect"
CATEGORIES = (v.REGION, v.NETWORK, LAND_COVER, CLIMATE)
_DEPTH_ROUNDING = 1e-4  # m; depths are written with centimetres, single precision is not exact
_RECORDS = {v.SM_INSITU: v.IN_SITU, v.IN_SITU.lower(): v.IN_SITU, v.SM_SMAP: v.SMAP}


@dataclass(frozen=True, kw_only=True)
class SiteFilter:
    """Criteria that a site must all meet; empty criteria are ignored.

    Parameters
    ----------
    region, network, land_cover, climate
        Names; a site must have one of them.
    moisture
        Lowest and highest mean soil moisture, m3 m-3, inclusive.
    moisture_of
        Record of the mean: ``SMAP``, ``in situ`` (also ``sm_smap``, ``sm_insitu``) or a product's name.
    aspect
        Lowest and highest poleward aspect, -1 to 1, inclusive.
    depth
        Smallest and largest depth of the in-situ sensor, m, inclusive.
    polygon
        Corners ``(longitude, latitude)`` in degrees, joined by straight lines on a Mercator map.
    without_suspect
        Leave out sites with a suspect in-situ record (:func:`gsm3core.suspect_sites`).
    """

    region: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    land_cover: tuple[str, ...] = ()
    climate: tuple[str, ...] = ()
    moisture: Range | None = None
    moisture_of: str = v.SMAP
    aspect: Range | None = None
    depth: Range | None = None
    polygon: tuple[Corner, ...] = ()
    without_suspect: bool = False

    def masks(self, sites: pd.DataFrame, moisture: pd.DataFrame) -> dict[str, Mask]:
        """Return the masks of the sites that meet each criterion, by its name; empty criteria are left out.

        Parameters
        ----------
        sites, moisture
            From :func:`site_table` and :func:`mean_soil_moisture`. A missing value is in no range, and no site meets a
            criterion without an attribute in the dataset. ``without_suspect`` needs a column ``suspect``: the reason why
            a record is suspect, or an empty text.
        """
        found = {
            k: sites[k].isin(requested).to_numpy() for k in CATEGORIES if (requested := getattr(self, k))
        }
        if self.moisture:
            means = moisture.get(_RECORDS.get(self.moisture_of, self.moisture_of))
            found["moisture"] = np.zeros(len(sites), bool) if means is None else _within(means, self.moisture)
        if self.aspect:
            found[ASPECT] = _within(sites[ASPECT], self.aspect)
        if self.depth:
            found[v.DEPTH] = _within(sites[v.DEPTH], self.depth, tolerance=_DEPTH_ROUNDING)
        if self.polygon:
            # The dashboard's table has the projected coordinates already.
            x, y = (sites["x"], sites["y"]) if "x" in sites else mercator(sites[v.LON], sites[v.LAT])
            found["polygon"] = _in_projected(self.polygon, np.asarray(x), np.asarray(y))
        if self.without_suspect:
            found["suspect"] = (sites["suspect"] == "").to_numpy()
        return found


def select_sites(
    ds: xr.Dataset,
    *,
    region: str | Sequence[str] = (),
    network: str | Sequence[str] = (),
    land_cover: str | Sequence[str] = (),
    climate: str | Sequence[str] = (),
    moisture: Range | None = None,
    moisture_of: str = v.SMAP,
    aspect: Range | None = None,
    depth: Range | None = None,
    polygon: Sequence[Corner] = (),
) -> xr.Dataset:
    """Return the sites of a dataset that meet all criteria.

    The filters of the dashboard use the same function.

    Parameters
    ----------
    ds
        A SiteDataset.
    region, network, land_cover, climate
        One name or several; a site must have one of them.
    moisture, moisture_of
        Lowest and highest mean soil moisture, m3 m-3, and the record of the mean: ``SMAP``, ``in situ`` or a
        product's name.
    aspect
        Lowest and highest poleward aspect, -1 (facing the equator) to 1 (facing the pole).
    depth
        Smallest and largest depth of the in-situ sensor, m.
    polygon
        At least three corners ``(longitude, latitude)``, degrees, joined by straight lines on a Mercator map.

    Raises
    ------
    DatasetError
        If a name, record or attribute is not in the dataset, the lower limit of a range exceeds the upper, or a polygon
        has fewer than three corners.

    Examples
    --------
    >>> ds = gsm3core.open_dataset("data/joined.zarr")  # doctest: +SKIP
    >>> dry = gsm3core.select_sites(ds, region="CONUS", moisture=(0.0, 0.16))  # doctest: +SKIP
    """
    names = {v.REGION: region, v.NETWORK: network, LAND_COVER: land_cover, CLIMATE: climate}
    chosen: dict[str, Any] = {k: (n,) if isinstance(n, str) else tuple(map(str, n)) for k, n in names.items()}
    requested = SiteFilter(
        **chosen,
        moisture=moisture,
        moisture_of=moisture_of,
        aspect=aspect,
        depth=depth,
        polygon=tuple(polygon),
    )
    sites = site_table(ds)
    means = mean_soil_moisture(ds) if moisture is not None else pd.DataFrame(index=sites.index)
    _check(requested, sites, means)
    mask = np.ones(len(sites), bool)
    for part in requested.masks(sites, means).values():
        mask &= part
    return ds.isel({v.SITE: np.flatnonzero(mask)})


def site_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return the sites of a dataset as a table.

    Returns
    -------
    pandas.DataFrame
        Indexed by site id: ``station`` (the id where unnamed), ``network``, ``region``, ``land_cover``, ``climate`` (empty
        where unknown), ``lat``, ``lon`` (degrees), sensor ``depth`` (m) and ``poleward_aspect`` (-1 to 1), NaN where unknown.
    """
    ids = pd.Index(texts(ds[v.SITE].values), name=v.SITE)
    table = pd.DataFrame(index=ids)
    for name in (v.STATION, v.NETWORK, v.REGION):
        table[name] = texts(ds[name].values) if name in ds.coords else ""
    table[v.STATION] = np.where(table[v.STATION] == "", ids, table[v.STATION])
    for name in (v.LAT, v.LON):
        table[name] = ds[name].values.astype(float)
    for name in (LAND_COVER, CLIMATE):
        table[name] = site_strata(ds, name).values.astype(str) if name in ds.data_vars else ""
    table[v.DEPTH] = ds[v.DEPTH].values.astype(float) if v.DEPTH in ds.coords else np.nan
    table[ASPECT] = poleward_aspect_of(ds)
    return table


def mean_soil_moisture(ds: xr.Dataset) -> pd.DataFrame:
    """Return the mean soil moisture of every record at every site over its valid days.

    Returns
    -------
    pandas.DataFrame
        Indexed by site id, one column per record (``in situ``, ``SMAP``, other products), m3 m-3; NaN without valid days.
    """
    in_situ = {v.IN_SITU: ds[v.SM_INSITU]} if v.SM_INSITU in ds.data_vars else {}
    means = {
        name: record.mean(v.TIME, skipna=True, dtype=float).values
        for name, record in (in_situ | products(ds)).items()
    }
    return pd.DataFrame(means, index=pd.Index(texts(ds[v.SITE].values), name=v.SITE), dtype=float)


def in_polygon(polygon: Sequence[Corner], lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Mask:
    """Return whether points lie in a polygon whose corners are joined by straight lines on a Mercator map.

    Parameters
    ----------
    polygon
        Corners ``(longitude, latitude)``, degrees. A self-intersecting polygon is the union of its loops.
    lon, lat
        ``(site)`` degrees.
    """
    return _in_projected(polygon, *mercator(lon, lat))


def _in_projected(polygon: Sequence[Corner], x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
    shape = shapely.Polygon(np.column_stack(mercator(*np.asarray(polygon, float).T)))
    shape = shape if shape.is_valid else shapely.make_valid(shape)
    found: Mask = shapely.intersects_xy(shape, x, y)
    return found


def _check(requested: SiteFilter, sites: pd.DataFrame, means: pd.DataFrame) -> None:
    for kind in CATEGORIES:
        known = set(sites[kind]) - {""}
        if missing := [n for n in getattr(requested, kind) if n not in known]:
            raise DatasetError(
                f"{kind} {missing[0]!r} is not in the dataset. {did_you_mean(missing[0], known)}"
            )
    if requested.moisture and _RECORDS.get(requested.moisture_of, requested.moisture_of) not in means:
        raise DatasetError(
            f"moisture_of is {requested.moisture_of!r}, which is not in the dataset. "
            f"{did_you_mean(requested.moisture_of, map(str, means))}"
        )
    if requested.aspect and sites[ASPECT].isna().all():
        raise DatasetError("aspect: the dataset has neither 'poleward_aspect' nor 'aspect'.")
    if requested.depth and sites[v.DEPTH].isna().all():
        raise DatasetError(
            "depth: the dataset has no coordinate 'depth' with values (m). Build it from a source with sensors."
        )
    for name in ("moisture", "aspect", "depth"):
        limits = getattr(requested, name)
        if limits is not None and not (len(limits) == 2 and limits[0] <= limits[1]):
            raise DatasetError(f"{name} is {limits}; expected (lower, upper).")
    if requested.polygon and len(requested.polygon) < 3:
        raise DatasetError(f"polygon has {len(requested.polygon)} corners; expected at least 3.")
    if requested.polygon and not np.isfinite(np.asarray(requested.polygon, float)).all():
        raise DatasetError(f"polygon is {requested.polygon}; expected finite degrees.")


def _within(values: pd.Series, limits: Range, *, tolerance: float = 0.0) -> Mask:
    x = values.to_numpy(float)
    return (x >= limits[0] - tolerance) & (x <= limits[1] + tolerance)


def criteria(requested: SiteFilter) -> dict[str, object]:
    """Return the criteria that are not empty, as keyword arguments of :func:`select_sites`.

    ``without_suspect`` is not among them, as it depends on scores.
    """
    found = {f.name: getattr(requested, f.name) for f in fields(requested) if f.name != "without_suspect"}
    if not requested.moisture:
        found.pop("moisture_of")
    return {name: value for name, value in found.items() if value not in ((), None)}
