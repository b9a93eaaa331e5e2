"""Region of each site, from polygons of the paper's seven regions."""

from __future__ import annotations

from functools import cache

import numpy as np
import shapely
import yaml
from numpy.typing import ArrayLike, NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import GSM3Error
from gsm3core.resources import catalog_folder


@cache
def region_polygons() -> dict[str, shapely.MultiPolygon]:
    """Return the polygons of ``data_catalog/regions.yaml``; the first one that contains a site gives its region.

    Raises
    ------
    GSM3Error
        If the regions differ from the vocabulary, or a polygon is invalid.
    """
    path = catalog_folder() / "regions.yaml"
    rings = yaml.safe_load(path.read_text(encoding="utf-8"))
    if set(rings) != set(v.REGIONS):
        raise GSM3Error(f"{path} has the regions {sorted(rings)}; expected {sorted(v.REGIONS)}.")
    polygons = {
        name: shapely.MultiPolygon([shapely.Polygon(r) for r in parts]) for name, parts in rings.items()
    }
    for name, polygon in polygons.items():
        if not polygon.is_valid:
            raise GSM3Error(f"{path}: invalid polygon of {name}: {shapely.is_valid_reason(polygon)}.")
    return polygons


def region_of(lat: ArrayLike, lon: ArrayLike) -> NDArray[np.str_]:
    """Return the region of each point; ``"Other"`` outside all regions.

    Parameters
    ----------
    lat, lon
        Degrees, the same length; longitude in -180..180.
    """
    points = shapely.points(np.asarray(lon, float), np.asarray(lat, float))
    names = np.full(points.shape, v.NO_REGION, dtype="<U16")
    for name, polygon in region_polygons().items():
        shapely.prepare(polygon)
        names[(names == v.NO_REGION) & shapely.intersects(polygon, points)] = name
    return names
