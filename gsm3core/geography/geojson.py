"""Regions from a GeoJSON file: a FeatureCollection whose features have names."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from gsm3core import vocabulary as v
from gsm3core.errors import ConfigError

_NAME = re.compile(r"\w(?:[\w .,()'-]{0,58}[\w)])?")
_MAX_BYTES = 100_000_000
_MAX_FEATURES = 1000
_SWAPPED = "GeoJSON coordinates are (longitude, latitude)"


def read_polygons(path: Path) -> dict[str, shapely.MultiPolygon]:
    """Return the polygons of each feature of a GeoJSON file (RFC 7946) by its property ``name``.

    Parameters
    ----------
    path
        ``.geojson`` or ``.json``, or one of them compressed with gzip. Longitude and latitude in degrees, WGS 84.

    Raises
    ------
    ConfigError
        If the file is missing or no FeatureCollection, or a feature has no valid name, no polygon, an invalid ring or
        coordinates that are no longitude and latitude; the message names the feature.
    """
    features = _features(path)
    found: dict[str, shapely.MultiPolygon] = {}
    for number, feature in enumerate(features, 1):
        name = _name_of(path, number, feature)
        if clash := next((known for known in found if known.lower() == name.lower()), ""):
            raise ConfigError(
                f"{path}: feature {number} has the name {name!r}, which feature {list(found).index(clash) + 1} has too "
                f"({clash!r}). Give each region its own name, or join its polygons to one MultiPolygon."
            )
        found[name] = _polygons_of(f"{path}: feature {number} ({name!r})", feature.get("geometry"))
    return found


def _features(path: Path) -> list[Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(
                f"{path} has {path.stat().st_size / 1e6:.0f} MB; expected at most {_MAX_BYTES / 1e6:.0f}. Simplify its polygons."
            )
        raw = path.read_bytes()
        content = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror or error}. Give the path of a GeoJSON file."
        ) from error
    except (ValueError, EOFError) as error:
        raise ConfigError(f"{path} is not JSON: {error}. Export the regions as GeoJSON again.") from error
    kind = content.get("type") if isinstance(content, dict) else None
    if kind != "FeatureCollection" or not isinstance(content.get("features"), list):
        raise ConfigError(
            f"{path} is not a GeoJSON FeatureCollection (its type is {kind!r}). Export the regions as one FeatureCollection, "
            "each feature with a property 'name'."
        )
    features: list[Any] = content["features"]
    if not 1 <= len(features) <= _MAX_FEATURES:
        raise ConfigError(f"{path} has {len(features)} features; expected 1 to {_MAX_FEATURES} regions.")
    return features


def _name_of(path: Path, number: int, feature: Any) -> str:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    properties = properties if isinstance(properties, dict) else {}
    name = properties.get("name")
    if name is None:
        has = ", ".join(map(repr, properties)) or "none"
        raise ConfigError(
            f"{path}: feature {number} has no property 'name' (its properties: {has}). Add the region's name to its properties."
        )
    if not isinstance(name, str) or not _NAME.fullmatch(name.strip()):
        raise ConfigError(
            f"{path}: feature {number} has the name {name!r}; expected 1 to 60 letters, digits, spaces or . , ( ) ' - _, "
            "starting with a letter or digit: folds and their folders have this name. Rename it."
        )
    if name.strip().lower() == v.NO_REGION.lower():
        raise ConfigError(
            f"{path}: feature {number} has the name {name!r}, which stands for sites in no region. Rename it."
        )
    return name.strip()


def _polygons_of(where: str, geometry: Any) -> shapely.MultiPolygon:
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        raise ConfigError(
            f"{where} has a geometry of type {kind!r}; expected Polygon or MultiPolygon. Close its lines to rings."
        )
    try:
        parsed = shapely.from_geojson(json.dumps(geometry))
        corners = shapely.get_coordinates(parsed)
    except (shapely.errors.GEOSException, ValueError) as error:
        raise ConfigError(f"{where} cannot be read: {error}. Export it as GeoJSON again.") from error
    if not len(corners):
        raise ConfigError(f"{where} is empty. Draw its polygon or remove the feature.")
    if not np.isfinite(corners).all():
        raise ConfigError(f"{where} has a coordinate that is not a number. Export it as GeoJSON again.")
    for axis, limit, what, hint in (
        (1, 90, "latitude", _SWAPPED),
        (0, 180, "longitude", "shift it into -180 to 180"),
    ):
        worst = corners[np.abs(corners[:, axis]).argmax(), axis]
        if abs(worst) > limit:
            raise ConfigError(
                f"{where} has the {what} {worst:g}; expected -{limit} to {limit} degrees: {hint}."
            )
    if not shapely.is_valid(parsed):
        raise ConfigError(
            f"{where} is invalid: {shapely.is_valid_reason(parsed)} (longitude latitude). Repair the ring, for example with "
            "'Fix geometries' of QGIS."
        )
    for ring in shapely.get_rings(shapely.get_parts(parsed)):
        lon = shapely.get_coordinates(ring)[:, 0]
        jump = np.abs(np.diff(lon))
        if ((jump > 180) & (jump < 360)).any():
            raise ConfigError(
                f"{where} has an edge of {jump.max():g} degrees of longitude. Cut the polygon at the antimeridian (RFC 7946, "
                "section 3.1.9)."
            )
    return parsed if kind == "MultiPolygon" else shapely.MultiPolygon([parsed])
