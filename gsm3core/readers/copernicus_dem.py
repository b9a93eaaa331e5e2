"""Terrain at the sites from stored windows of the Copernicus DEM GLO-30."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.readers.cell_rasters import (
    ABSENT_TAG,
    HALO,
    StoredWindow,
    describe_missing,
    existing_windows,
    requested,
    site_series,
)
from gsm3core.readers.points import Points, join_series
from gsm3core.readers.terrain import mean_terrain, pixel_terrain

LAYER = "dem"
_SITE = "_30m"
_LOWEST, _HIGHEST = -500.0, 9000.0


class CopernicusDemReader:
    """Computes terrain from elevations at 30 m: the mean over the site's 9 km cell, and the site's own pixel.

    Notes
    -----
    Variables with the ending ``_30m`` are those of the pixel whose centre is nearest to the site; the others are means over
    all pixels whose centres lie in the 9 km cell of EASE-Grid 2.0 that contains the site. Formulas:
    :func:`gsm3core.readers.terrain.pixel_terrain`. The poleward aspect is the cosine of the aspect, times -1 at sites in
    the Southern Hemisphere (:func:`gsm3core.geography.aspect.poleward_aspect`). The model is one of the surface: it includes
    trees and buildings.
    """

    def files(
        self, root: Path, points: Points, period: Period | None = None, variables: Iterable[str] | None = None
    ) -> list[Path]:
        """Return the stored windows at the sites; see :class:`gsm3core.readers.points.PointReader`."""
        return existing_windows(root, points, [LAYER])

    def open(
        self, root: Path, points: Points, period: Period | None = None, variables: Iterable[str] | None = None
    ) -> xr.Dataset:
        """Return the terrain ``(site)``; see :class:`gsm3core.readers.points.PointReader`."""
        entry = source_entry("copernicus-dem")
        names = requested(entry, variables)
        outside: list[int] = []
        absent: dict[str, None] = {}

        def terrain(window: StoredWindow, places: Sequence[tuple[float, float]]) -> list[dict[str, float]]:
            if tiles := window.tags.get(ABSENT_TAG):
                absent.update(dict.fromkeys(tiles.split(", ")))
            return _terrain_at(window, places, outside)

        series = site_series(root, points, LAYER, terrain)
        out = join_series(entry, series, names, points=points, period=None, step=None)
        notes = describe_missing(
            out, points, [n for n in names if not n.startswith("aspect")],
            "the sea, or a tile that the producer has not published (Armenia, Azerbaijan)",
        )  # fmt: skip
        if absent:
            shown = ", ".join(list(absent)[:5]) + (", ..." if len(absent) > 5 else "")
            notes.append(f"the server has no tile {shown}: taken as sea, 0 m, where a cell has other tiles")
        if outside:
            notes.append(f"{sum(outside)} pixels outside {_LOWEST:g} to {_HIGHEST:g} m were left out")
        for name in out.data_vars:
            out[name].attrs["collocation"] = (
                "pixel of 30 m nearest to the site" if str(name).endswith(_SITE)
                else "mean of the 30 m pixels in the 9 km cell (EASE-Grid 2.0) that contains the site"
            )  # fmt: skip
        out.attrs["notes"] = json.dumps(notes)
        return out


def _terrain_at(
    window: StoredWindow, places: Sequence[tuple[float, float]], outside: list[int]
) -> list[dict[str, float]]:
    """Return the terrain of the cell and of each place's pixel."""
    z = window.values
    wrong = (z < _LOWEST) | (z > _HIGHEST)
    if wrong.any():
        outside.append(int(wrong.sum()))
        z = np.where(wrong, np.nan, z)
    pixels = pixel_terrain(z, window.y, (float(window.y[0] - window.y[1]), float(window.x[1] - window.x[0])))
    # The derived pixels begin one pixel within the window.
    inner = slice(HALO - 1, -(HALO - 1))
    means = mean_terrain({n: a[inner, inner] for n, a in pixels.items()}, window.y[HALO:-HALO])
    found = []
    for place in places:
        row, column = window.pixel_at(*place)
        at = (
            min(max(row - 1, 0), len(window.y) - 3),
            min(max(column - 1, 0), len(window.x) - 3),
        )
        values = means | {n + _SITE: float(a[at]) for n, a in pixels.items()}
        sign = -1.0 if place[0] < 0 else 1.0
        for ending in ("", _SITE):
            values["poleward_aspect" + ending] = sign * values["aspect_cosine" + ending]
        found.append(values)
    return found
