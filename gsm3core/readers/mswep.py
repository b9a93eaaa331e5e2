"""MSWEP precipitation, daily or 3-hourly, from netCDF-4."""

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
from gsm3core.readers.grid_axes import spatial_axes
from gsm3core.readers.gridded import RawGranule, Transform, read_grid, select_variables


class MswepReader:
    """Reads ``precipitation`` as a rate in mm per day (Beck et al. 2019, doi:10.1175/BAMS-D-17-0138.1).

    File names (``%Y%j.%H``, ``%Y%j``) and units (mm/3-hour, mm/day) follow other projects' readers and their tests.
    """

    def open(
        self, root: Path, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``precipitation`` ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("mswep")
        granules = find_granules(entry, root, period)
        hourly = {"hour" in g.parts for g in granules}
        if len(hourly) == 2:
            raise DatasetError(
                f"{root} has daily files (2015091.nc) and 3-hourly ones (2015091.00.nc) of the same precipitation. Put "
                "them into different folders."
            )
        step = pd.Timedelta("3h") if hourly.pop() else pd.Timedelta("1D")
        raw_granules = (_open_raw(g) for g in granules)
        return read_grid(
            entry, raw_granules, select_variables(entry, None), period=period, step=step, transform=transform
        )


@contextmanager
def _open_raw(granule: Granule) -> Iterator[RawGranule]:
    with open_granule(granule.path, "MSWEP precipitation") as opened:
        ds = spatial_axes(opened, granule.path)
        if v.TIME in ds.dims:
            if ds.sizes[v.TIME] != 1:
                raise DatasetError(
                    f"{granule.path} has {ds.sizes[v.TIME]} time steps; expected one per file."
                )
            ds = ds.isel({v.TIME: 0}, drop=True)
        ds = ds.drop_vars(v.TIME, errors="ignore").transpose(v.LAT, v.LON, ...)
        # The file name gives the start of the interval; the time in the file may be its middle or end.
        yield RawGranule(path=granule.path, raw=ds.expand_dims({v.TIME: [granule.stamp]}))
