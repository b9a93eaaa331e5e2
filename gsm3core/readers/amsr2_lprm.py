"""AMSR2 soil moisture by the Land Parameter Retrieval Model (LPRM), daily, from netCDF-4."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceEntry, source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.granules import Granule, Roots, describe_roots, find_granules, open_granule
from gsm3core.readers.grid_axes import spatial_axes
from gsm3core.readers.gridded import RawGranule, Transform, read_grid
from gsm3core.readers.time_axes import single_time


class Amsr2LprmReader:
    """Reads soil moisture of one band and orbit direction (de Jeu and Owe, doi:10.5067/B0GHODHJLDA8).

    Parameters
    ----------
    band
        ``x`` (10.7 GHz, as in the GSM3 paper), ``c1`` (6.9 GHz) or ``c2`` (7.3 GHz).
    orbit
        ``A`` ascending (13:30 local time, as in the paper) or ``D`` descending (01:30).

    Notes
    -----
    Variable names and units (percent) follow other projects' readers of LPRM_AMSR2_A_SOILM3 001.
    """

    def __init__(self, band: Literal["x", "c1", "c2"] = "x", orbit: Literal["A", "D"] = "A") -> None:
        self.band = band
        self.orbit = orbit

    def open(
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``sm_product`` ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("amsr2-lprm")
        notes: list[str] = []
        granules = find_granules(
            entry,
            root,
            period,
            keep=lambda parts: parts.get("orbit", "").upper() == self.orbit,
            notes=notes,
            what=f"the orbit {self.orbit} (option orbit)",
        )
        fine = {"cells" in g.parts for g in granules}
        if len(fine) == 2:
            raise DatasetError(
                f"{describe_roots(root)} has files of 10 km (LPRM-AMSR2_L3_DS_...) and of 25 km "
                f"(LPRM-AMSR2_L3_{self.orbit}_...). Put them into different folders."
            )
        variable = entry.variable(v.SM_PRODUCT).model_copy(update={"theirs": (f"soil_moisture_{self.band}",)})
        raw_granules = (_open_raw(g, entry, variable.theirs) for g in granules)
        out = read_grid(
            entry,
            raw_granules,
            [variable],
            period=period,
            step=pd.Timedelta("1D"),
            transform=transform,
            notes=notes,
        )
        out[v.SM_PRODUCT].attrs |= {"band": self.band, "orbit": self.orbit, "cell_methods": "time: point"}
        if not fine.pop():
            out[v.SM_PRODUCT].attrs["source"] = entry.title.replace("10 km", "25 km")
        return out


@contextmanager
def _open_raw(granule: Granule, entry: SourceEntry, wanted: tuple[str, ...]) -> Iterator[RawGranule]:
    with open_granule(granule.path, "AMSR2 LPRM soil moisture", wanted=wanted, entry=entry) as opened:
        # The producer stores (Longitude, Latitude): axes are identified by name, not by order.
        raw = single_time(spatial_axes(opened, granule.path), granule.path, granule.stamp)
        yield RawGranule(path=granule.path, raw=raw)
