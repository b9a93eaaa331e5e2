"""Land cover at the sites from stored windows of ESA WorldCover 2021."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.readers.cell_rasters import (
    StoredWindow,
    describe_missing,
    existing_windows,
    requested,
    site_series,
)
from gsm3core.readers.points import Points, join_series

LAYER = "classes"
_CLASS, _SHARE, _SITE = "land_cover_worldcover", "land_cover_worldcover_share", "land_cover_worldcover_10m"
_LEGEND = v.CLASSES[_CLASS]


class WorldCoverReader:
    """Reads the class of most of the site's 9 km cell, its share of the cell, and the class of the site's own pixel.

    Notes
    -----
    All pixels of 10 m of the cell of EASE-Grid 2.0 that contains the site are counted, weighted by their area; of two classes
    with the same area the one with the lower number is used. WorldCover does not separate needleleaf from broadleaf trees or
    closed from open shrubland, so that its classes have no IGBP equivalents: they have their own name.
    """

    def files(
        self, root: Path, points: Points, period: Period | None = None, variables: Iterable[str] | None = None
    ) -> list[Path]:
        """Return the stored windows at the sites; see :class:`gsm3core.readers.points.PointReader`."""
        return existing_windows(root, points, [LAYER])

    def open(
        self, root: Path, points: Points, period: Period | None = None, variables: Iterable[str] | None = None
    ) -> xr.Dataset:
        """Return classes and share ``(site)``; see :class:`gsm3core.readers.points.PointReader`."""
        entry = source_entry("worldcover")
        names = requested(entry, variables)
        unknown: list[int] = []
        out = join_series(
            entry, site_series(root, points, LAYER, lambda w, p: _classes_at(w, p, unknown)), names, points=points,
            period=None, step=None,
        )  # fmt: skip
        notes = describe_missing(out, points, names, "the map has no land cover there (the sea, Antarctica)")
        if unknown:
            notes.append(f"{sum(unknown)} pixels with classes that are not in the legend were left out")
        how = {
            _CLASS: "class of most of the 9 km cell (EASE-Grid 2.0) that contains the site, from pixels of 10 m",
            _SHARE: "share of that class among the classified pixels of the cell",
            _SITE: "pixel of 10 m at the site",
        }
        for name in out.data_vars:
            out[name].attrs["collocation"] = how[str(name)]
            if name != _SHARE:
                out[name].attrs |= {
                    "flag_values": np.array(list(_LEGEND), np.int16),
                    "flag_meanings": " ".join(m.replace(" ", "_") for m in _LEGEND.values()),
                }
        out.attrs["notes"] = json.dumps(notes)
        return out


def _classes_at(
    window: StoredWindow, places: Sequence[tuple[float, float]], unknown: list[int]
) -> list[dict[str, float]]:
    """Return class and share of the cell, and the class of each place's pixel."""
    known = np.isin(window.values, list(_LEGEND))
    if number := int((~known & np.isfinite(window.values)).sum()):
        unknown.append(number)
    values = np.where(known, window.values, 0).astype(int)
    inside = values[window.inner]
    weight = np.broadcast_to(np.cos(np.radians(window.y[window.inner[0]]))[:, None], inside.shape)
    area = np.bincount(inside.ravel(), weights=weight.ravel(), minlength=256)
    area[0] = 0
    total = float(area.sum())
    cell = {
        _CLASS: float(area.argmax()) if total else np.nan,
        _SHARE: float(area.max() / total) if total else np.nan,
    }
    at_site = [float(window.values[p]) if known[p] else np.nan for p in (window.pixel_at(*x) for x in places)]
    return [cell | {_SITE: value} for value in at_site]
