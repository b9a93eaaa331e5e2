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
from gsm3core.readers.files import Granule, find_granules, open_granule
from gsm3core.readers.grid_axes import spatial_axes
from gsm3core.readers.gridded import Each, Piece, chosen, read_grid


class MswepReader:
    """Reads ``precipitation`` as a rate in mm per day (Beck et al. 2019, doi:10.1175/BAMS-D-17-0138.1).

    Names (``%Y%j.%H``, ``%Y%j``) and units (mm/3-hour, mm/day) are as other projects' readers and their tests have them.
    """

    def open(self, root: Path, period: Period | None = None, *, each: Each | None = None) -> xr.Dataset:
        """Return ``precipitation`` ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("mswep")
        granules = find_granules(entry, root, period)
        hourly = {"hour" in g.parts for g in granules}
        if len(hourly) == 2:
            raise DatasetError(
                f"{root} holds daily files (2015091.nc) and 3-hourly ones (2015091.00.nc); they tell the same "
                "rain twice. Put them into different folders."
            )
        step = pd.Timedelta("3h") if hourly.pop() else pd.Timedelta("1D")
        pieces = (_piece(g) for g in granules)
        return read_grid(entry, pieces, chosen(entry, None), period=period, step=step, each=each)


@contextmanager
def _piece(granule: Granule) -> Iterator[Piece]:
    with open_granule(granule.path, "MSWEP precipitation") as opened:
        ds = spatial_axes(opened, granule.path)
        if v.TIME in ds.dims:
            if ds.sizes[v.TIME] != 1:
                raise DatasetError(f"{granule.path} holds {ds.sizes[v.TIME]} steps; expected one a file.")
            ds = ds.isel({v.TIME: 0}, drop=True)
        ds = ds.drop_vars(v.TIME, errors="ignore").transpose(v.LAT, v.LON, ...)
        # The name is the start of the interval; the file's own time may be its middle or its end.
        yield Piece(path=granule.path, raw=ds.expand_dims({v.TIME: [granule.stamp]}))
