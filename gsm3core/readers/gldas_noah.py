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
from gsm3core.readers.files import Granule, find_granules, open_granule
from gsm3core.readers.grid_axes import decoded_times, spatial_axes
from gsm3core.readers.gridded import Each, Piece, chosen, read_grid

_STEP = pd.Timedelta("3h")
_ONE = _STEP.to_pytimedelta()


class GldasNoahReader:
    """Reads soil moisture of the top 10 cm, and by name the model's forcings and soil temperature.

    Parameters
    ----------
    variables
        Our names, of those in the catalogue's entry; ``None`` for soil moisture alone.

    Notes
    -----
    Rodell et al. (2004), doi:10.1175/BAMS-85-3-381. ``*_inst`` are values at the label; ``*_tavg`` are means over the
    3 hours before it, and are given the label of their start.
    """

    def __init__(self, variables: Iterable[str] | None = None) -> None:
        self.variables = None if variables is None else tuple(variables)

    def open(self, root: Path, period: Period | None = None, *, each: Each | None = None) -> xr.Dataset:
        """Return ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("gldas-noah025")
        granules = find_granules(entry, root, period, length=_ONE, lag=_ONE)
        pieces = (_piece(g) for g in granules)
        return read_grid(entry, pieces, chosen(entry, self.variables), period=period, step=_STEP, each=each)


@contextmanager
def _piece(granule: Granule) -> Iterator[Piece]:
    with open_granule(granule.path, "GLDAS Noah 3-hourly") as opened:
        ds = spatial_axes(opened, granule.path)
        times = decoded_times(ds, granule.path)
        if list(times) != [granule.stamp]:
            raise DatasetError(
                f"{granule.path}: the name says {granule.start}, the file {times[0]}. The file was renamed: give it "
                "back the producer's name."
            )
        yield Piece(path=granule.path, raw=ds.assign_coords({v.TIME: times}))
