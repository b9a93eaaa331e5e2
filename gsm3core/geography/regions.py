"""Region of each site under the schemes of the catalogue, or of a user's GeoJSON file."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from gsm3core import vocabulary as v
from gsm3core.catalog import region_entries
from gsm3core.errors import ConfigError, GSM3Error, did_you_mean
from gsm3core.geography.boundaries import Boundary
from gsm3core.geography.geojson import read_polygons
from gsm3core.geography.region_schemes import PolygonScheme, RasterScheme, RegionScheme, file_scheme
from gsm3core.resources import catalog_folder

_FOLDER = "regions"


def region_schemes() -> dict[str, str]:
    """Return the titles of the catalogue's region schemes by name, the paper's first."""
    entries = region_entries()
    return {name: entries[name].title for name in sorted(entries, key=lambda n: (n != v.PAPER_REGIONS, n))}


def region_scheme(name_or_path: str | Path) -> RegionScheme:
    """Return a region scheme, read once per process.

    Parameters
    ----------
    name_or_path
        A name of :func:`region_schemes`, or the path of a GeoJSON file: a FeatureCollection whose features are polygons
        with a property ``name``.

    Raises
    ------
    ConfigError
        If there is neither a scheme nor a file of this name, or the file is invalid.
    """
    name = str(name_or_path)
    if name in region_entries():
        return _from_catalog(name)
    path = Path(name)
    if not path.is_file():
        hint = did_you_mean(name, region_entries())
        raise ConfigError(f"holdout.regions = {name!r} is neither a region scheme nor a GeoJSON file. {hint}")
    stat = path.stat()
    return _from_file(path, stat.st_mtime_ns, stat.st_size)


def region_of(lat: ArrayLike, lon: ArrayLike, scheme: str | Path = v.PAPER_REGIONS) -> NDArray[np.str_]:
    """Return the region of each point; ``"Other"`` outside all regions.

    Parameters
    ----------
    lat, lon
        Degrees, WGS 84, the same length; longitude in -180..180.
    scheme
        As in :func:`region_scheme`.

    Raises
    ------
    ConfigError
        From :func:`region_scheme`, or if a point lies in two regions of a user's file.
    """
    return region_scheme(scheme).region_of(lat, lon)


def region_polygons(scheme: str | Path = v.PAPER_REGIONS) -> dict[str, shapely.MultiPolygon]:
    """Return the polygons of each region of a scheme; none for the climates, which are a raster.

    Parameters
    ----------
    scheme
        As in :func:`region_scheme`.
    """
    found = region_scheme(scheme)
    if not isinstance(found, PolygonScheme):
        return {}
    return {name: found.pieces[name] for name in found.regions}


def sites_near(
    lat: ArrayLike, lon: ArrayLike, region: NDArray[np.str_], scheme: str | Path, buffer_km: float
) -> dict[str, NDArray[np.bool_]]:
    """Return for each region the sites of other regions that are near to it or to one of its sites.

    Parameters
    ----------
    lat, lon
        ``(site)`` degrees, WGS 84.
    region
        ``(site)`` names of regions of the scheme, or ``"Other"``, which has no area: only its sites count.
    scheme
        As in :func:`region_scheme`.
    buffer_km
        Largest geodesic distance, km.

    Returns
    -------
    dict
        Region -> ``(site)`` mask. Sites count as well as the area because a site on an island that a map omits lies
        outside the polygons of its region.
    """
    lat, lon = np.asarray(lat, float), np.asarray(lon, float)
    regions = region_scheme(scheme)
    today, found = regions.region_of(lat, lon), {}
    for name in np.unique(region).tolist():
        inside, outside = region == name, np.flatnonzero(region != name)
        at = lat[outside], lon[outside]
        near, _ = Boundary(lat[inside], lon[inside]).nearest(*at, within_km=buffer_km)
        if name in regions.regions:
            near = np.minimum(near, regions.distance_km(*at, name, within_km=buffer_km))
        # A dataset of an earlier version may have another region than today's polygons.
        found[name] = (today == name) & ~inside & (name in regions.regions)
        found[name][outside] |= near <= buffer_km
    return found


@cache
def _from_catalog(name: str) -> RegionScheme:
    entry, folder = region_entries()[name], catalog_folder() / _FOLDER
    if entry.raster:
        from PIL import Image

        with Image.open(folder / entry.raster) as image:
            return RasterScheme(name, entry.title, np.asarray(image), entry.classes)
    if entry.polygons:
        polygons = read_polygons(folder / entry.polygons)
        return PolygonScheme(name, entry.title, tuple(polygons), polygons, nearest_km=entry.nearest_km)
    lands = _divide(name)
    pieces = {
        region: _join([land.area for land in lands if land.region == region])
        for region in (*entry.regions, v.NO_REGION)
    }
    return PolygonScheme(name, entry.title, tuple(entry.regions), pieces, nearest_km=entry.nearest_km)


@lru_cache(maxsize=16)
def _from_file(path: Path, mtime_ns: int, size: int) -> RegionScheme:
    return file_scheme(path, read_polygons(path))


class _Land(NamedTuple):
    """A part of one country and its region in one scheme."""

    country: str
    region: str
    area: shapely.Geometry


@cache
def _divide(name: str) -> tuple[_Land, ...]:
    """Return all land, divided into the regions of a scheme that is made of parts of countries or continents."""
    entry = region_entries()[name]
    parts = [(region, part) for region, parts in entry.regions.items() for part in parts]
    left = (
        _divide("continents") if any(part.continents for _, part in parts)
        else [_Land(country, "", area) for country, area in region_polygons("countries").items()]
    )  # fmt: skip
    known = {land.country for land in left} | {land.region for land in left}
    found: list[_Land] = []
    for region, part in parts:
        if unknown := [n for n in (*part.countries, *part.continents) if n not in known]:
            raise GSM3Error(
                f"data_catalog/{_FOLDER}/{name}.yaml: unknown name {unknown[0]!r}. {did_you_mean(unknown[0], known)}"
            )
        rest = []
        for land in left:
            if land.country not in part.countries and land.region not in part.continents:
                rest.append(land)
            elif part.within:
                ring = shapely.Polygon(part.within)
                found.append(_Land(land.country, region, shapely.intersection(land.area, ring)))
                rest.append(land._replace(area=shapely.difference(land.area, ring)))
            else:
                found.append(land._replace(region=region))
        left = rest
    return (*found, *(land._replace(region=v.NO_REGION) for land in left))


def _join(areas: list[shapely.Geometry]) -> shapely.MultiPolygon:
    """Return the polygons of several areas as one; they keep their inner borders, which changes no distance from outside."""
    parts = shapely.get_parts(shapely.get_parts(np.array(areas, dtype=object)))
    return shapely.MultiPolygon([p for p in parts if p.geom_type == "Polygon"])
