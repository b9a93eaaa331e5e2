"""SoMo.ml soil moisture of 0-10 cm, daily, from the yearly netCDF-4 files of layer 1."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.readers.granules import Granule, find_granules, open_granule
from gsm3core.readers.grid_axes import decoded_times, spatial_axes
from gsm3core.readers.gridded import RawGranule, Transform, read_grid, select_variables

_YEAR = dt.timedelta(days=366)


class SomoMlReader:
    """Reads layer 1 (O and Orth 2021, doi:10.1038/s41597-021-00964-1).

    The variable ``layer1`` (time, lat, lon) and the names of the yearly files follow several other projects' readers.
    """

    def open(
        self, root: Path, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``sm_product`` ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("somo-ml")
        granules = find_granules(
            entry, root, period, keep=lambda parts: parts.get("layer") == "1", length=_YEAR
        )
        raw_granules = (_open_raw(g) for g in granules)
        return read_grid(
            entry,
            raw_granules,
            select_variables(entry, None),
            period=period,
            step=pd.Timedelta("1D"),
            transform=transform,
        )


@contextmanager
def _open_raw(granule: Granule) -> Iterator[RawGranule]:
    with open_granule(granule.path, "SoMo.ml soil moisture") as opened:
        ds = spatial_axes(opened, granule.path)
        # Some days are labelled at noon; a daily mean belongs to its day.
        days = decoded_times(ds, granule.path).normalize()
        yield RawGranule(
            path=granule.path, raw=ds.assign_coords({v.TIME: days}).transpose(v.TIME, v.LAT, v.LON, ...)
        )
