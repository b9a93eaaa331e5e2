"""Soil at the sites from stored windows of SoilGrids 2.0."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.cell_rasters import (
    StoredWindow,
    describe_missing,
    existing_windows,
    requested,
    site_series,
)
from gsm3core.readers.points import Points, join_series

DEPTHS = {"0-5cm": 5.0, "5-15cm": 10.0, "15-30cm": 15.0}
"""Layers of the topsoil and their thickness, cm."""

PIXELS_TAG = "GSM3_PIXELS_IN_CELL"

_PROPERTIES = {
    "sand": "sand",
    "silt": "silt",
    "clay": "clay",
    "bulk_density": "bdod",
    "soil_organic_carbon": "soc",
}
_SURFACE = "_0_5cm"
_MINIMUM_SHARE = 0.1
_MAX_CLOSURE_ERROR = 0.1


class SoilLayer(NamedTuple):
    """A property of the producer and the depths that a variable averages."""

    theirs: str
    depths: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Folder of the stored windows."""
        return f"{self.theirs}_{self.depths[0].split('-')[0]}-{self.depths[-1].split('-')[1]}"


def layer_of(variable: str) -> SoilLayer:
    """Return property and depths of a canonical variable: the topsoil (0-30 cm), or 0-5 cm with the ending ``_0_5cm``."""
    surface = variable.endswith(_SURFACE)
    depths = ("0-5cm",) if surface else tuple(DEPTHS)
    return SoilLayer(_PROPERTIES[variable.removesuffix(_SURFACE)], depths)


class SoilGridsReader:
    """Reads the mean soil of the site's 9 km cell.

    Notes
    -----
    The depths are those of the topsoil of HWSD, 0-30 cm, averaged by thickness; with the ending ``_0_5cm`` the uppermost layer.
    The mean is over the pixels of 1 km with their centres in the cell of EASE-Grid 2.0 that contains the site, and missing if
    fewer than a tenth of them have a value: water, ice, rock and towns have none. Poggio et al. (2021,
    doi:10.5194/soil-7-217-2021).
    """

    def files(
        self, root: Path, points: Points, period: Period | None = None, variables: Iterable[str] | None = None
    ) -> list[Path]:
        """Return the stored windows at the sites; see :class:`gsm3core.readers.points.PointReader`."""
        names = requested(source_entry("soilgrids"), variables)
        return existing_windows(root, points, [layer_of(n).folder for n in names])

    def open(
        self, root: Path, points: Points, period: Period | None = None, variables: Iterable[str] | None = None
    ) -> xr.Dataset:
        """Return soil properties ``(site)``; see :class:`gsm3core.readers.points.PointReader`.

        Raises
        ------
        DatasetError
            Also if sand, silt and clay add up to 1 at no site.
        """
        entry = source_entry("soilgrids")
        names = requested(entry, variables)
        layers = {n: layer_of(n).folder for n in names}
        series = chain.from_iterable(
            site_series(root, points, folder, partial(_means, n)) for n, folder in layers.items()
        )
        out = join_series(entry, series, names, points=points, period=None, step=None, allow_missing=True)
        why = "water, ice, rock or towns cover more than nine tenths of the cell"
        notes = describe_missing(out, points, names, why)
        for ending in ("", _SURFACE):
            notes += _check_closure(out, ending, points, root)
        for name in out.data_vars:
            out[name].attrs["collocation"] = (
                f"mean of the 1 km pixels ({layers[str(name)]}) in the 9 km cell (EASE-Grid 2.0) that contains the site"
            )
        out.attrs["notes"] = json.dumps(notes)
        return out


def _means(name: str, window: StoredWindow, places: Sequence[tuple[float, float]]) -> list[dict[str, float]]:
    known = np.isfinite(window.values)
    pixels = int(window.tags.get(PIXELS_TAG, known.size))
    enough = known.sum() >= max(1, _MINIMUM_SHARE * pixels)
    mean = float(window.values[known].mean()) if enough else np.nan
    return [{name: mean}] * len(places)


def _check_closure(out: xr.Dataset, ending: str, points: Points, root: Path) -> list[str]:
    """Remove the texture of sites where it does not add up to 1; return a sentence that names them."""
    names = [n + ending for n in ("sand", "silt", "clay") if n + ending in out]
    if len(names) < 3:
        return []
    total = sum((out[n].values for n in names), np.zeros(len(points)))
    wrong = abs(total - 1) > _MAX_CLOSURE_ERROR
    if not wrong.any():
        return []
    shown = ", ".join(f"{points.site[k]}: {total[k]:.2f}" for k in np.flatnonzero(wrong)[:5])
    depth = " (0-5 cm)" if ending else ""
    problem = f"sand, silt and clay{depth} do not add up to 1 at {wrong.sum()} of {len(points)} sites"
    if wrong.sum() == np.isfinite(total).sum():
        raise DatasetError(
            f"{root}: {problem} ({shown}). The maps have other units than g/kg: check the address, delete this folder and rerun."
        )
    for name in names:
        out[name] = out[name].where(~wrong)
    return [f"{problem} ({shown}): left out there"]
