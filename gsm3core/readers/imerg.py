"""GPM IMERG precipitation, versions 06 and 07: half-hourly HDF5 and daily netCDF-4."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.files import Granule, find_granules, open_granule
from gsm3core.readers.grid_axes import decoded_times, spatial_axes
from gsm3core.readers.gridded import Each, Piece, chosen, read_grid

_STEPS = {"HHR": pd.Timedelta("30min"), "DAY": pd.Timedelta("1D")}
_QUALITY = "precipitationQualityIndex"


class ImergReader:
    """Reads gauge-adjusted ``precipitation`` as a rate in mm per day.

    Parameters
    ----------
    min_quality
        Smallest ``precipitationQualityIndex`` (0 to 1) of a half hour; 0 keeps all.

    Notes
    -----
    Huffman et al., doi:10.5067/GPM/IMERG/3B-HH/07. Where both versions of a step are in the folder, the later is read.
    """

    def __init__(self, min_quality: float = 0.0) -> None:
        self.min_quality = min_quality

    def open(self, root: Path, period: Period | None = None, *, each: Each | None = None) -> xr.Dataset:
        """Return ``precipitation`` ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("imerg")
        granules = find_granules(entry, root, period)
        steps = {g.parts["step"] for g in granules}
        if len(steps) > 1:
            raise DatasetError(
                f"{root} holds half-hourly (3B-HHR) and daily (3B-DAY) files; they tell the same rain twice. Put "
                "them into different folders."
            )
        step = _STEPS[steps.pop()]
        pieces = (self._piece(g) for g in granules)
        out = read_grid(entry, pieces, chosen(entry, None), period=period, step=step, each=each)
        out.attrs["product_version"] = ", ".join(sorted({g.parts["version"] for g in granules}))
        return out

    @contextmanager
    def _piece(self, granule: Granule) -> Iterator[Piece]:
        group = "Grid" if granule.parts["step"] == "HHR" else None
        with open_granule(granule.path, "IMERG precipitation", group=group) as opened:
            ds = spatial_axes(opened, granule.path)
            times = decoded_times(ds, granule.path)
            start = granule.stamp
            # Daily files are stamped within their day, half-hourly ones at the start of their half hour.
            if (times if group else times.normalize())[0] != start:
                raise DatasetError(
                    f"{granule.path}: the name says {start}, the file {times[0]}. The file was renamed: give it back "
                    "the producer's name."
                )
            ds = ds.assign_coords({v.TIME: [start]}).transpose(v.TIME, v.LAT, v.LON, ...)
            refuse = {}
            if self.min_quality > 0:
                if _QUALITY not in ds:
                    raise DatasetError(
                        f"{granule.path} has no {_QUALITY}, which min_quality needs; set it to 0."
                    )
                refuse = {f"quality_below_{self.min_quality:g}": ~(ds[_QUALITY] >= self.min_quality)}
            names = ("precipitation", "precipitationCal")
            yield Piece(path=granule.path, raw=ds, refuse=dict.fromkeys(names, refuse))
