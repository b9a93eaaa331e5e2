"""SMOS L3 daily soil moisture (CATDS) from netCDF."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceEntry, source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.granules import Granule, Roots, find_granules, open_granule
from gsm3core.readers.grid_axes import spatial_axes
from gsm3core.readers.gridded import RawGranule, Transform, read_grid, select_variables
from gsm3core.readers.time_axes import single_time

_EPOCH = pd.Timestamp("2000-01-01")


class SmosL3Reader:
    """Reads soil moisture of one orbit direction.

    Parameters
    ----------
    orbit
        ``A`` ascending (06:00 local time), ``D`` descending (18:00).
    max_rfi, max_dqx
        Maximum probability of radio-frequency interference and maximum uncertainty (m3 m-3) of a retrieval; applied if
        the file has them. The defaults follow Al-Yaari et al. (2017, doi:10.1016/j.rse.2017.03.010) and later
        validations.
    """

    def __init__(
        self, orbit: Literal["A", "D"] = "A", *, max_rfi: float = 0.2, max_dqx: float = 0.06
    ) -> None:
        self.orbit = orbit
        self.limits = {"Rfi_Prob": max_rfi, "Soil_Moisture_Dqx": max_dqx}

    def open(
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``sm_product`` ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("smos-l3")
        notes: list[str] = []
        granules = find_granules(
            entry,
            root,
            period,
            keep=lambda parts: parts.get("orbit", "").upper() == self.orbit,
            notes=notes,
            what=f"the orbit {self.orbit} (option orbit)",
        )
        if len({g.parts["kind"].upper() for g in granules}) == 2:
            daily = [g for g in granules if g.parts["kind"] == "1"]
            notes.append(
                f"{len(granules) - len(daily)} files of the Simple User Data Product (CLF3S) are not read"
            )
            granules = daily
        absent: set[str] = set()
        raw_granules = (self._open_raw(g, entry, absent) for g in granules)
        out = read_grid(
            entry,
            raw_granules,
            select_variables(entry, None),
            period=period,
            step=pd.Timedelta("1D"),
            transform=transform,
            notes=notes,
        )
        out[v.SM_PRODUCT].attrs |= {"orbit": self.orbit, "cell_methods": "time: point"}
        if absent:
            out[v.SM_PRODUCT].attrs["screening_not_applied"] = ", ".join(sorted(absent))
        return out

    @contextmanager
    def _open_raw(self, granule: Granule, entry: SourceEntry, absent: set[str]) -> Iterator[RawGranule]:
        path, day = granule.path, granule.stamp
        if granule.parts["end"] != granule.parts["day"]:
            raise DatasetError(
                f"{path} covers {granule.parts['day']} to {granule.parts['end']} by its name; expected a map of one day "
                f"({entry.title})."
            )
        with open_granule(path, "SMOS L3 soil moisture", wanted=("Soil_Moisture",), entry=entry) as opened:
            raw = single_time(spatial_axes(opened, path), path, day)
            _check_day(raw, day, path)
            masks = {}
            for flag, limit in self.limits.items():
                if flag in raw:
                    masks[f"{flag}_above_{limit:g}"] = raw[flag] > limit
                else:
                    absent.add(flag)
            yield RawGranule(path=path, raw=raw, masks={"Soil_Moisture": masks})


def _check_day(ds: xr.Dataset, day: pd.Timestamp, path: Path) -> None:
    """Compare the day in the file name with the acquisition times, if the file has them."""
    if "Mean_Acq_Time_Days" not in ds:
        return
    days = ds["Mean_Acq_Time_Days"].values
    days = days[~np.isnan(days)]
    if days.size:
        acquired = _EPOCH + pd.Timedelta(days=int(np.median(days)))
        if acquired != day:
            raise DatasetError(
                f"{path}: day is {day:%Y-%m-%d} by the file name but {acquired:%Y-%m-%d} by Mean_Acq_Time_Days. The file was "
                "renamed: restore the producer's name."
            )
