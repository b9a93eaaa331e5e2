"""Static attributes: soils (HWSD), terrain (Amatulli et al.) and land cover (ESA CCI)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceEntry, source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.geotiff import open_geotiff
from gsm3core.readers.granules import Granule, Roots, describe_roots, find_granules, open_granule
from gsm3core.readers.grid_axes import single_band, spatial_axes
from gsm3core.readers.gridded import RawGranule, Transform, read_grid, select_variables
from gsm3core.readers.land_cover import IGBP_OF_LCCS, igbp_of_lccs
from gsm3core.readers.layouts import describe_layout
from gsm3core.readers.time_axes import single_time

_MAX_CLOSURE_ERROR = 0.02  # of sand + silt + clay
_COARSER = 1.5  # times the producer's cell: a resampled map
_LCCS, _IGBP, _ASPECT = "land_cover_lccs", "land_cover", "poleward_aspect"


class HwsdReader:
    """Reads topsoil sand, silt, clay and bulk density, regridded to 0.05 degree (doi:10.3334/ORNLDAAC/1247)."""

    def open(
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``(lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`. The period is not used.

        Raises
        ------
        DatasetError
            Also if sand, silt and clay do not add up to 1.
        """
        entry = source_entry("hwsd")
        notes: list[str] = []
        raw_granules = (_soil(g, entry) for g in find_granules(entry, root, notes=notes))
        out = read_grid(
            entry,
            raw_granules,
            select_variables(entry, None),
            period=None,
            step=None,
            transform=transform,
            allow_missing=True,
            notes=notes,
        )
        if {"sand", "silt", "clay"} <= set(out.data_vars):
            total = out["sand"] + out["silt"] + out["clay"]
            off = float(abs(total - 1).median()) if total.notnull().any() else 0.0
            if off > _MAX_CLOSURE_ERROR:
                raise DatasetError(
                    f"{describe_roots(root)}: sand, silt and clay add up to {1 + off:.2f} or {1 - off:.2f}; expected 1."
                )
        return out


class AmatulliReader:
    """Reads elevation, slope, poleward aspect, curvatures and roughness (doi:10.1038/sdata.2018.40).

    Parameters
    ----------
    variables
        Canonical names; by default all but the tangential curvature.

    Notes
    -----
    The producer's ``aspectcosine`` is +1 facing north. It is multiplied by -1 in the Southern Hemisphere, as in the
    GSM3 paper (section 2.2), so that +1 faces the pole everywhere; after the collocation, because interpolated values would
    lose their size at the equator.
    """

    def __init__(self, variables: Iterable[str] | None = None) -> None:
        self.variables = None if variables is None else tuple(variables)

    def open(
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``(lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`. The period is not used."""
        entry = source_entry("amatulli-topography")
        notes: list[str] = []
        raw_granules = (_terrain(g) for g in find_granules(entry, root, notes=notes))
        out = read_grid(
            entry,
            raw_granules,
            select_variables(entry, self.variables),
            period=None,
            step=None,
            transform=transform,
            allow_missing=True,
            notes=notes,
        )
        if _ASPECT in out:
            sign = xr.where(out[v.LAT] < 0, -1.0, 1.0)
            out[_ASPECT] = (out[_ASPECT] * sign).astype(np.float32).assign_attrs(out[_ASPECT].attrs)
        return out


class EsaCciLandCoverReader:
    """Reads the most frequent class of each cell of a coarser grid (ESA 2017, Product User Guide 2).

    Parameters
    ----------
    cells
        The producer's 300 m cells per coarse cell, along latitude and longitude; 30 give 1/12 degree (9 km). The map
        (8 GB) is read in strips of that many rows.
    """

    def __init__(self, cells: int = 30) -> None:
        self.cells = cells

    def open(
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``land_cover_lccs`` and ``land_cover`` ``(lat, lon)`` with their classes as CF flags.

        ``land_cover`` has the IGBP classes, see :func:`gsm3core.readers.land_cover.igbp_of_lccs`.

        Raises
        ------
        DatasetError
            Also if there are maps of several years.
        """
        entry = source_entry("esa-cci-land-cover")
        granules = find_granules(entry, root)
        if len(granules) > 1:
            raise DatasetError(
                f"{describe_roots(root)} has maps of {', '.join(g.parts['year'] for g in granules)}; pass the file of one year."
            )
        flags: dict[str, object] = {}
        raw_granules = (self._open_raw(g, flags, entry) for g in granules)
        out = read_grid(
            entry,
            raw_granules,
            [entry.variable(_LCCS)],
            period=None,
            step=None,
            transform=transform,
            native=False,
        )
        out[_LCCS].attrs |= flags | {"year": granules[0].parts["year"]}
        igbp = v.CLASSES[_IGBP]
        out[_IGBP] = out[_LCCS].copy(data=igbp_of_lccs(out[_LCCS].values))
        out[_IGBP].attrs |= {
            "long_name": v.VARIABLES[_IGBP].long_name,
            "flag_values": np.array(list(igbp), np.int16),
            "flag_meanings": " ".join(m.replace(" ", "_") for m in igbp.values()),
        }
        return out

    @contextmanager
    def _open_raw(
        self, granule: Granule, flags: dict[str, object], entry: SourceEntry
    ) -> Iterator[RawGranule]:
        with open_granule(
            granule.path, "ESA CCI land cover", decode=False, wanted=("lccs_class",), entry=entry
        ) as opened:
            ds = single_band(spatial_axes(opened, granule.path), granule.path, "lccs_class")
            if "lccs_class" not in ds:
                raise DatasetError(
                    f"{granule.path} has no variable lccs_class; it has {describe_layout(ds)}."
                )
            classes = ds["lccs_class"]
            classes = classes.isel({d: 0 for d in classes.dims if d not in (v.LAT, v.LON)})
            # Classes from 128 are negative in files with signed bytes and _Unsigned = true.
            for key in ("flag_values", "flag_meanings"):
                if key in classes.attrs:
                    value = classes.attrs[key]
                    flags[key] = (
                        value
                        if key == "flag_meanings"
                        else np.atleast_1d(value).astype(np.uint8).astype(np.int16)
                    )
            n, notes = self._cells_to_join(classes, entry)
            rows, columns = (classes.sizes[d] // n for d in (v.LAT, v.LON))
            if not rows or not columns:
                raise DatasetError(
                    f"{granule.path} has {dict(classes.sizes)} cells; expected at least {n} x {n}."
                )
            classes = classes.transpose(v.LAT, v.LON)
            majority = np.stack([
                _majority(classes[i * n : (i + 1) * n, : columns * n].to_numpy().astype(np.uint8), n) for i in range(rows)
            ])  # fmt: skip
            centre = {
                d: ds[d].values[: k * n].astype(float).reshape(k, n).mean(1)
                for d, k in ((v.LAT, rows), (v.LON, columns))
            }
            known = {"flag_values": flags.get("flag_values", np.array(list(IGBP_OF_LCCS), np.int16))}
            raw = xr.Dataset({"lccs_class": ((v.LAT, v.LON), majority, known)}, coords=centre)
            yield RawGranule(path=granule.path, raw=raw, notes=notes)

    def _cells_to_join(self, classes: xr.DataArray, entry: SourceEntry) -> tuple[int, tuple[str, ...]]:
        """Return how many cells of the file give one of the reader's, with a sentence if they are not the producer's."""
        cell = float(np.median(np.abs(np.diff(classes[v.LAT].values)))) if classes.sizes[v.LAT] > 1 else 0.0
        native = entry.grid.degrees
        if not native or not _COARSER * native < cell < self.cells * native * 2:
            return self.cells, ()
        n = max(1, round(self.cells * native / cell))
        return n, (
            f"cells of {cell:.4g} degrees, not of {native:g}: the map was resampled; {n} x {n} are joined",
        )


def _majority(strip: np.ndarray, n: int) -> np.ndarray:
    """Return the most frequent class of each n x n square of a strip of n rows; 0 (no data) only if there is no other."""
    columns = strip.shape[1] // n
    squares = strip.reshape(n, columns, n).transpose(1, 0, 2).reshape(columns, n * n)
    counts = np.zeros((columns, 256), np.int32)
    np.add.at(counts, (np.repeat(np.arange(columns), n * n), squares.ravel()), 1)
    counts[:, 0] = np.minimum(counts[:, 0], 0) + (counts[:, 1:].sum(1) == 0)
    return counts.argmax(1).astype(np.float64)


@contextmanager
def _soil(granule: Granule, entry: SourceEntry) -> Iterator[RawGranule]:
    path = granule.path
    name = granule.parts["variable"].upper()
    with open_granule(path, "HWSD topsoil", wanted=(name,), entry=entry) as opened:
        ds = single_band(spatial_axes(opened, path), path, name)
        maps = single_time(ds, path, pd.Timestamp(0)).isel({v.TIME: 0}, drop=True)
        yield RawGranule(path=path, raw=maps)


@contextmanager
def _terrain(granule: Granule) -> Iterator[RawGranule]:
    raster, notes = open_geotiff(granule.path, "terrain at 10 km")
    name = granule.parts["variable"].lower()
    yield RawGranule(path=granule.path, raw=raster.to_dataset(name=name), notes=notes)
