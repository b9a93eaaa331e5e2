"""MSWEP precipitation, daily or 3-hourly, from netCDF-4."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import xarray as xr

from gsm3core.catalog import SourceEntry, source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.granules import Granule, Roots, describe_roots, find_granules, open_granule
from gsm3core.readers.grid_axes import spatial_axes
from gsm3core.readers.gridded import RawGranule, Transform, read_grid, select_variables
from gsm3core.readers.time_axes import single_time

_PER_DAY = ("mm/day", "mm/d", "mm d-1")
_PER_STEP = ("mm/3-hour", "mm/3h", "mm/3 hours")


class MswepReader:
    """Reads ``precipitation`` as a rate in mm per day (Beck et al. 2019, doi:10.1175/BAMS-D-17-0138.1).

    File names (``%Y%j.%H``, ``%Y%j``) and units (mm/3-hour, mm/day) follow other projects' readers and their tests.
    """

    def open(
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``precipitation`` ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("mswep")
        notes: list[str] = []
        granules = find_granules(entry, root, period, notes=notes)
        hourly = {"hour" in g.parts for g in granules}
        if len(hourly) == 2:
            raise DatasetError(
                f"{describe_roots(root)} has daily files (2015091.nc) and 3-hourly ones (2015091.00.nc) of the same "
                "precipitation. Put them into different folders."
            )
        if recent := sum("nrt" in map(str.lower, g.path.parts) for g in granules):
            notes.append(
                f"{recent} of {len(granules)} files lie in a folder NRT: near real time, without rain gauges"
            )
        step = pd.Timedelta("3h") if hourly.pop() else pd.Timedelta("1D")
        raw_granules = (_open_raw(g, entry, step) for g in granules)
        return read_grid(
            entry,
            raw_granules,
            select_variables(entry, None),
            period=period,
            step=step,
            transform=transform,
            notes=notes,
        )


@contextmanager
def _open_raw(granule: Granule, entry: SourceEntry, step: pd.Timedelta) -> Iterator[RawGranule]:
    path = granule.path
    with open_granule(path, "MSWEP precipitation", wanted=("precipitation",), entry=entry) as opened:
        # The file name gives the start of the interval; the time in the file may be its middle or end.
        raw = single_time(spatial_axes(opened, path), path, granule.stamp)
        units = str(raw["precipitation"].attrs.get("units", "")) if "precipitation" in raw else ""
        of_day, of_step = units in _PER_DAY, units in _PER_STEP
        if (of_day and step < pd.Timedelta("1D")) or (of_step and step == pd.Timedelta("1D")):
            every = "every 3 hours" if of_day else "a day"
            raise DatasetError(
                f"{path}: 'precipitation' has units {units!r}, but by its name it has one value {every}. Restore the producer's "
                "name, or put right the units of the file."
            )
        yield RawGranule(path=path, raw=raw)
