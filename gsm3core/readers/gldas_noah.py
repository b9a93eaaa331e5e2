"""GLDAS Noah 0.25-degree, 3-hourly (versions 2.0 and 2.1) from netCDF-4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pandas as pd
import xarray as xr

from gsm3core.catalog import SourceEntry, source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.granules import Granule, Roots, find_granules, open_granule
from gsm3core.readers.grid_axes import spatial_axes
from gsm3core.readers.gridded import RawGranule, Transform, read_grid, select_variables
from gsm3core.readers.time_axes import decoded_times, find_time, single_time

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
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("gldas-noah025")
        notes: list[str] = []
        granules = find_granules(entry, root, period, length=_ONE, lag=_ONE, notes=notes)
        if early := sum("early" in g.parts for g in granules):
            notes.append(
                f"{early} of {len(granules)} files are the early product (GLDAS_NOAH025_3H_EP), which the producer replaces "
                "later"
            )
        raw_granules = (_open_raw(g, entry) for g in granules)
        return read_grid(
            entry,
            raw_granules,
            select_variables(entry, self.variables),
            period=period,
            step=_STEP,
            transform=transform,
            notes=notes,
        )


@contextmanager
def _open_raw(granule: Granule, entry: SourceEntry) -> Iterator[RawGranule]:
    path = granule.path
    wanted = [t for x in entry.variables for t in x.theirs]
    with open_granule(path, "GLDAS Noah 3-hourly", wanted=wanted, entry=entry) as opened:
        ds = spatial_axes(opened, path)
        if name := find_time(ds):
            times = decoded_times(ds, path, name)
            minutes = str(ds[name].attrs.get("time_increment", "180"))
            if minutes.strip() and float(minutes) != _STEP.total_seconds() / 60:
                raise DatasetError(
                    f"{path} has one value every {float(minutes) / 60:g} h by the attribute time_increment of its time; expected "
                    f"every 3 h ({entry.title})."
                )
            if len(times) == 1 and times[0] != granule.stamp:
                raise DatasetError(
                    f"{path}: time is {granule.start} by the file name but {times[0]} in the file. The file was renamed: "
                    "restore the producer's name."
                )
        yield RawGranule(path=path, raw=single_time(ds, path, granule.stamp))
