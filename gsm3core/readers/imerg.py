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
from gsm3core.readers.granules import Granule, find_granules, open_granule
from gsm3core.readers.grid_axes import decoded_times, spatial_axes
from gsm3core.readers.gridded import RawGranule, Transform, read_grid, select_variables

_STEPS = {"HHR": pd.Timedelta("30min"), "DAY": pd.Timedelta("1D")}
_QUALITY = "precipitationQualityIndex"


class ImergReader:
    """Reads gauge-adjusted ``precipitation`` as a rate in mm per day.

    Parameters
    ----------
    min_quality
        Minimum ``precipitationQualityIndex`` (0 to 1) of a half hour; 0 keeps all.

    Notes
    -----
    Huffman et al., doi:10.5067/GPM/IMERG/3B-HH/07. If the folder has both versions of a time step, the later is read.
    """

    def __init__(self, min_quality: float = 0.0) -> None:
        self.min_quality = min_quality

    def open(
        self, root: Path, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``precipitation`` ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("imerg")
        granules = find_granules(entry, root, period)
        steps = {g.parts["step"] for g in granules}
        if len(steps) > 1:
            raise DatasetError(
                f"{root} has half-hourly (3B-HHR) and daily (3B-DAY) files of the same precipitation. Put them into "
                "different folders."
            )
        step = _STEPS[steps.pop()]
        raw_granules = (self._open_raw(g) for g in granules)
        out = read_grid(
            entry, raw_granules, select_variables(entry, None), period=period, step=step, transform=transform
        )
        out.attrs["product_version"] = ", ".join(sorted({g.parts["version"] for g in granules}))
        return out

    @contextmanager
    def _open_raw(self, granule: Granule) -> Iterator[RawGranule]:
        group = "Grid" if granule.parts["step"] == "HHR" else None
        with open_granule(granule.path, "IMERG precipitation", group=group) as opened:
            ds = spatial_axes(opened, granule.path)
            times = decoded_times(ds, granule.path)
            start = granule.stamp
            # Daily files are labelled within their day, half-hourly ones at the start of their interval.
            if (times if group else times.normalize())[0] != start:
                raise DatasetError(
                    f"{granule.path}: time is {start} by the file name but {times[0]} in the file. The file was renamed: "
                    "restore the producer's name."
                )
            ds = ds.assign_coords({v.TIME: [start]}).transpose(v.TIME, v.LAT, v.LON, ...)
            masks = {}
            if self.min_quality > 0:
                if _QUALITY not in ds:
                    raise DatasetError(
                        f"{granule.path} lacks {_QUALITY}, which min_quality needs; set min_quality to 0."
                    )
                masks = {f"quality_below_{self.min_quality:g}": ~(ds[_QUALITY] >= self.min_quality)}
            names = ("precipitation", "precipitationCal")
            yield RawGranule(path=granule.path, raw=ds, masks=dict.fromkeys(names, masks))
