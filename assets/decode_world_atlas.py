"""Decodes Natural Earth coastlines from the npm package world-atlas 2.0.2 into natural_earth.npz.

Usage: ``npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz && python decode_world_atlas.py package``.
Each array is one NaN-separated line of (longitude, latitude), so that a map draws one glyph instead of
thousands. Shared borders are kept once; the artificial edges at the antimeridian and the pole are dropped.
TopoJSON: https://github.com/topojson/topojson-specification.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import shapely

COAST_TOLERANCE_DEGREES = 0.03


def arcs_of(topology: dict) -> list[np.ndarray]:
    """Undo TopoJSON's delta and quantisation encoding: (n, 2) longitude, latitude per arc."""
    scale, translate = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    return [np.cumsum(np.array(arc, float), axis=0) * scale + translate for arc in topology["arcs"]]


def lines(topology: dict, name: str, *, shared_only: bool = False) -> list[np.ndarray]:
    """Return each arc of an object once, cut where the data set closes polygons artificially."""
    users: dict[int, set[int]] = {}

    def walk(node: list | int, owner: int) -> None:
        if isinstance(node, int):
            users.setdefault(node if node >= 0 else ~node, set()).add(owner)
        else:
            for child in node:
                walk(child, owner)

    for owner, geometry in enumerate(topology["objects"][name]["geometries"]):
        walk(geometry.get("arcs", []), owner)
    arcs = arcs_of(topology)
    found = []
    for index, owners in users.items():
        if shared_only and len(owners) < 2:
            continue
        arc = arcs[index]
        edge = (np.abs(arc[:, 0]) > 179.99) | (arc[:, 1] < -89.9)
        jump = np.abs(np.diff(arc[:, 0])) > 180
        cuts = np.flatnonzero((edge[1:] & edge[:-1]) | jump) + 1
        found += [part for part in np.split(arc, cuts) if len(part) > 1]
    return found


def rings(topology: dict, name: str) -> list[np.ndarray]:
    """Return the outer ring of every polygon of an object."""
    arcs = arcs_of(topology)
    found = []
    for geometry in topology["objects"][name]["geometries"]:
        polygons = [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry["arcs"]
        for polygon in polygons:
            parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in polygon[0]]
            found.append(np.concatenate([p if k == 0 else p[1:] for k, p in enumerate(parts)]))
    return found


def fuse(parts: list[np.ndarray], tolerance: float) -> np.ndarray:
    """Simplify and join the parts, NaN between them; float32 is 1 m of longitude at most near 180 degrees."""
    joined = []
    for part in parts:
        simple = np.array(shapely.simplify(shapely.LineString(part), tolerance).coords)
        if len(simple) > 2 or np.hypot(*(simple[-1] - simple[0])) > 2 * tolerance:
            joined += [simple, np.full((1, 2), np.nan)]
    return np.concatenate(joined).astype(np.float32)


def main(package: Path) -> None:
    """Write natural_earth.npz beside this file."""
    land50, countries50, land110 = (
        json.loads((package / f"{name}.json").read_text())
        for name in ("land-50m", "countries-50m", "land-110m")
    )
    np.savez_compressed(
        Path(__file__).parent / "natural_earth.npz",
        coast=fuse(lines(land50, "land"), COAST_TOLERANCE_DEGREES),
        borders=fuse(lines(countries50, "countries", shared_only=True), COAST_TOLERANCE_DEGREES),
        land=fuse(rings(land110, "land"), 0.0),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
