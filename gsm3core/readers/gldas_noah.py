"""GLDAS Noah 0.25-degree, 3-hourly (versions 2.0 and 2.1) from netCDF-4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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

_STEP = pd.Timedelta("3h")
_ONE = _STEP.to_pytimedelta()


class GldasNoahReader:
    """Reads soil moisture of the top 10 cm and, on request, the model's forcings and soil temperature.

    Parameters
    ----------
    variables
        Canonical names in the catalogue entry; ``None`` for soil moisture only.

    Notes
    -----
    Rodell et al. (2004), doi:10.1175/BAMS-85-3-381. ``*_inst`` are values at the label; ``*_tavg`` are means over the
    3 hours before it; they are relabelled to the start of the interval.
    """

    def __init__(self, variables: Iterable[str] | None = None) -> None:
        self.variables = None if variables is None else tuple(variables)

    def open(
        self, root: Path, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("gldas-noah025")
        granules = find_granules(entry, root, period, length=_ONE, lag=_ONE)
        raw_granules = (_open_raw(g) for g in granules)
        return read_grid(
            entry,
            raw_granules,
            select_variables(entry, self.variables),
            period=period,
            step=_STEP,
            transform=transform,
        )


@contextmanager
def _open_raw(granule: Granule) -> Iterator[RawGranule]:
    with open_granule(granule.path, "GLDAS Noah 3-hourly") as opened:
        ds = spatial_axes(opened, granule.path)
        times = decoded_times(ds, granule.path)
        if list(times) != [granule.stamp]:
            raise DatasetError(
                f"{granule.path}: time is {granule.start} by the file name but {times[0]} in the file. The file was renamed: "
                "restore the producer's name."
            )
        yield RawGranule(path=granule.path, raw=ds.assign_coords({v.TIME: times}))
