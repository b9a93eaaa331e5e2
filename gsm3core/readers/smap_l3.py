"""SMAP L3 radiometer soil moisture (SPL3SMP_E, 9 km; SPL3SMP, 36 km, has the same layout) from HDF5."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceEntry, source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.granules import Granule, Roots, describe_roots, find_granules, open_granule
from gsm3core.readers.gridded import RawGranule, Transform, read_grid, select_variables
from gsm3core.readers.smap_layouts import place_map

_COARSE_TITLE = "SMAP L3 radiometer soil moisture, daily, 36 km (SPL3SMP)"
_NOT_RECOMMENDED, _NOT_SUCCESSFUL = 1, 4
_NO_FLAG = 0xFFFF


class SmapL3Reader:
    """Reads soil moisture of the morning or evening overpass, screened by ``retrieval_qual_flag``.

    Parameters
    ----------
    overpass
        ``AM`` (06:00 local time, descending), ``PM`` (18:00, ascending), or ``both``: the mean of those available. AM is
        the default because soil, vegetation and air are then close to thermal equilibrium, as the retrieval assumes
        (O'Neill et al., SPL3SMP_E user guide, doi:10.5067/4DQ54OUIJ9DL).
    screening
        ``recommended`` keeps retrievals whose bit 0 is 0; ``attempted`` every successful one (bit 2 is 0).
    """

    def __init__(
        self,
        overpass: Literal["AM", "PM", "both"] = "AM",
        screening: Literal["recommended", "attempted"] = "recommended",
    ) -> None:
        self.overpass = overpass
        self.screening = screening

    def open(
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``sm_smap`` ``(time, y, x)``; see :class:`gsm3core.readers.gridded.GridReader`.

        ``y`` and ``x`` are the producer's row and column. The file's latitudes and longitudes are fill values where
        there is no retrieval; use :func:`gsm3core.geography.grids.cell_centres`. Files in geographic coordinates, of NSIDC's
        reformatting (HEG) or of AppEEARS, give ``(time, lat, lon)``.
        """
        if self.overpass != "both":
            return self._open(root, period, transform, self.overpass)
        passes = {name: self._open(root, period, transform, name) for name in ("AM", "PM")}
        days = xr.concat(list(passes.values()), dim=pd.Index(list(passes), name="overpass"), join="outer")
        out = passes["AM"].reindex({v.TIME: days[v.TIME]})
        values = days[v.SM_SMAP]
        out[v.SM_SMAP] = values.sum("overpass", min_count=1) / values.notnull().sum("overpass").clip(min=1)
        counts = {name: json.loads(ds[v.SM_SMAP].attrs["screening"]) for name, ds in passes.items()}
        out[v.SM_SMAP].attrs = passes["AM"][v.SM_SMAP].attrs | {
            "overpass": "both",
            "screening": json.dumps(counts),
        }
        return out

    def _open(
        self, root: Roots, period: Period | None, transform: Transform | None, overpass: str
    ) -> xr.Dataset:
        entry = source_entry("smap-l3e")
        notes: list[str] = []
        granules = find_granules(entry, root, period, notes=notes)
        enhanced = {"grid" in g.parts for g in granules}
        if len(enhanced) == 2:
            raise DatasetError(
                f"{describe_roots(root)} has files of SPL3SMP_E (9 km, SMAP_L3_SM_P_E_...) and of SPL3SMP (36 km, "
                "SMAP_L3_SM_P_...). Put them into different folders."
            )
        grids: set[str] = set()
        raw_granules = (self._open_raw(g, overpass, grids, entry) for g in granules)
        out = read_grid(
            entry,
            raw_granules,
            select_variables(entry, None),
            period=period,
            step=pd.Timedelta("1D"),
            transform=transform,
            notes=notes,
        )
        if len(grids) > 1:
            raise DatasetError(
                f"{describe_roots(root)} has maps on {' and '.join(sorted(grids))}; put them into different folders."
            )
        if grid := grids.pop():
            out.attrs["grid"] = grid
            # An area mean of the transform has named the grid of its cells already.
            out[v.SM_SMAP].attrs.setdefault("grid", grid)
        out[v.SM_SMAP].attrs |= {"overpass": overpass, "cell_methods": "time: point"}
        if grid == "M36" or not enhanced.pop():
            out[v.SM_SMAP].attrs["source"] = _COARSE_TITLE
            said = [
                "the files are SPL3SMP of 36 km, not SPL3SMP_E of 9 km",
                *json.loads(out.attrs.get("notes", "[]")),
            ]
            out.attrs["notes"] = json.dumps(said, ensure_ascii=False)
        return out

    @contextmanager
    def _open_raw(
        self, granule: Granule, overpass: str, grids: set[str], entry: SourceEntry
    ) -> Iterator[RawGranule]:
        group, tail = f"Soil_Moisture_Retrieval_Data_{overpass}", "" if overpass == "AM" else "_pm"
        moisture, quality = f"soil_moisture{tail}", f"retrieval_qual_flag{tail}"
        path = granule.path
        with open_granule(path, "SMAP L3 soil moisture", group=group, wanted=(moisture,), entry=entry) as ds:
            if moisture not in ds:
                # The first days have no passes of one direction.
                yield RawGranule(path=path, raw=ds)
                return
            if quality not in ds:
                raise DatasetError(
                    f"{path} lacks {quality} in {group}, which the screening needs. Order the flag with the soil moisture."
                )
            raw, grid = place_map(ds, moisture, quality, tail, granule, "grid" in granule.parts)
            grids.add(grid)
            bits = raw[quality].fillna(_NO_FLAG).astype(np.uint16)
            bad = _NOT_RECOMMENDED if self.screening == "recommended" else _NOT_SUCCESSFUL
            reason = "not_recommended" if self.screening == "recommended" else "not_successful"
            yield RawGranule(
                path=path, raw=raw[[moisture]], masks={moisture: {reason: (bits & bad) != 0}}, grid=grid
            )
