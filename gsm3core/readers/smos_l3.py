"""SMOS L3 daily soil moisture of CATDS from netCDF."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.files import Granule, find_granules, open_granule
from gsm3core.readers.grid_axes import spatial_axes
from gsm3core.readers.gridded import Each, Piece, chosen, read_grid

_EPOCH = pd.Timestamp("2000-01-01")


class SmosL3Reader:
    """Reads soil moisture of one orbit direction.

    Parameters
    ----------
    orbit
        ``A`` ascending (6 h local), ``D`` descending (18 h).
    max_rfi, max_dqx
        Largest probability of interference and largest uncertainty (m3 m-3) of a retrieval; applied where the file
        holds them. Retrievals above 0.2 and 0.06 are those that validations leave out (Al-Yaari et al. 2017,
        doi:10.1016/j.rse.2017.03.010, and those after it).
    """

    def __init__(
        self, orbit: Literal["A", "D"] = "A", *, max_rfi: float = 0.2, max_dqx: float = 0.06
    ) -> None:
        self.orbit = orbit
        self.limits = {"Rfi_Prob": max_rfi, "Soil_Moisture_Dqx": max_dqx}

    def open(self, root: Path, period: Period | None = None, *, each: Each | None = None) -> xr.Dataset:
        """Return ``sm_product`` ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("smos-l3")
        granules = find_granules(entry, root, period, keep=lambda parts: parts.get("orbit") == self.orbit)
        absent: set[str] = set()
        pieces = (self._piece(g, absent) for g in granules)
        out = read_grid(entry, pieces, chosen(entry, None), period=period, step=pd.Timedelta("1D"), each=each)
        out[v.SM_PRODUCT].attrs |= {"orbit": self.orbit, "cell_methods": "time: point"}
        if absent:
            out[v.SM_PRODUCT].attrs["screening_not_applied"] = ", ".join(sorted(absent))
        return out

    @contextmanager
    def _piece(self, granule: Granule, absent: set[str]) -> Iterator[Piece]:
        with open_granule(granule.path, "SMOS L3 soil moisture") as opened:
            ds = spatial_axes(opened, granule.path)
            day = granule.stamp
            _check_day(ds, day, granule.path)
            refuse = {}
            for flag, limit in self.limits.items():
                if flag in ds:
                    refuse[f"{flag}_above_{limit:g}"] = ds[flag].transpose(v.LAT, v.LON) > limit
                else:
                    absent.add(flag)
            data = ds[[n for n in ds.data_vars if {v.LAT, v.LON} == set(ds[n].dims)]]
            raw = data.transpose(v.LAT, v.LON).expand_dims({v.TIME: [day]})
            yield Piece(path=granule.path, raw=raw, refuse={"Soil_Moisture": refuse})


def _check_day(ds: xr.Dataset, day: pd.Timestamp, path: Path) -> None:
    """Compare the day in the name with the acquisition times in the file, where it has them."""
    if "Mean_Acq_Time_Days" not in ds:
        return
    days = ds["Mean_Acq_Time_Days"].values
    days = days[~np.isnan(days)]
    if days.size:
        measured = _EPOCH + pd.Timedelta(days=int(np.median(days)))
        if measured != day:
            raise DatasetError(
                f"{path}: the name says {day:%Y-%m-%d}, Mean_Acq_Time_Days says {measured:%Y-%m-%d}. The file was "
                "renamed: give it back the producer's name."
            )
