"""SoMo.ml soil moisture of 0-10 cm, daily, from the yearly netCDF-4 files of layer 1."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceEntry, source_entry
from gsm3core.config import Period
from gsm3core.readers.granules import Granule, Roots, find_granules, open_granule
from gsm3core.readers.grid_axes import spatial_axes
from gsm3core.readers.gridded import RawGranule, Transform, read_grid, select_variables
from gsm3core.readers.time_axes import check_step, time_series

_YEAR = dt.timedelta(days=366)
_STEP = pd.Timedelta("1D")


class SomoMlReader:
    """Reads layer 1 (O and Orth 2021, doi:10.1038/s41597-021-00964-1).

    The variable ``layer1`` (time, lat, lon) and the names of the yearly files follow several other projects' readers.
    """

    def open(
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``sm_product`` ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("somo-ml")
        notes: list[str] = []
        granules = find_granules(
            entry,
            root,
            period,
            keep=lambda parts: parts.get("layer") == "1",
            length=_YEAR,
            notes=notes,
            what="layer 1 (0-10 cm)",
        )
        raw_granules = (_open_raw(g, entry) for g in granules)
        return read_grid(
            entry,
            raw_granules,
            select_variables(entry, None),
            period=period,
            step=_STEP,
            transform=transform,
            notes=notes,
        )


@contextmanager
def _open_raw(granule: Granule, entry: SourceEntry) -> Iterator[RawGranule]:
    path = granule.path
    with open_granule(path, "SoMo.ml soil moisture", wanted=("layer1",), entry=entry) as opened:
        maps, times = time_series(spatial_axes(opened, path), path)
        # Some days are labelled at noon; a daily mean belongs to its day.
        days = times.normalize()
        check_step(days, _STEP, path, entry)
        yield RawGranule(path=path, raw=maps.assign_coords({v.TIME: days}))
