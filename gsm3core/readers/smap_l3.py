"""SMAP L3 radiometer soil moisture (SPL3SMP_E, 9 km; SPL3SMP, 36 km, has the same layout) from HDF5."""

from __future__ import annotations

import json
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
from gsm3core.readers.granules import Granule, find_granules, open_granule
from gsm3core.readers.gridded import RawGranule, Transform, read_grid, select_variables

_GRIDS = {(1624, 3856): "M09", (406, 964): "M36"}
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
        self, root: Path, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``sm_smap`` ``(time, y, x)``; see :class:`gsm3core.readers.gridded.GridReader`.

        ``y`` and ``x`` are the producer's row and column. The file's latitudes and longitudes are fill values where
        there is no retrieval; use :func:`gsm3core.geography.grids.cell_centres`.
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
        self, root: Path, period: Period | None, transform: Transform | None, overpass: str
    ) -> xr.Dataset:
        entry = source_entry("smap-l3e")
        granules = find_granules(entry, root, period)
        grids: set[str] = set()
        raw_granules = (self._open_raw(g, overpass, grids) for g in granules)
        out = read_grid(
            entry,
            raw_granules,
            select_variables(entry, None),
            period=period,
            step=pd.Timedelta("1D"),
            transform=transform,
        )
        out.attrs["grid"] = grids.pop()
        # An area mean of the transform has named the grid of its cells already.
        out[v.SM_SMAP].attrs.setdefault("grid", out.attrs["grid"])
        out[v.SM_SMAP].attrs |= {"overpass": overpass, "cell_methods": "time: point"}
        return out

    @contextmanager
    def _open_raw(self, granule: Granule, overpass: str, grids: set[str]) -> Iterator[RawGranule]:
        group, tail = f"Soil_Moisture_Retrieval_Data_{overpass}", "" if overpass == "AM" else "_pm"
        needed = [f"soil_moisture{tail}", f"retrieval_qual_flag{tail}"]
        with open_granule(granule.path, "SMAP L3 soil moisture", group=group) as ds:
            if absent := [n for n in needed if n not in ds]:
                raise DatasetError(
                    f"{granule.path} lacks {' and '.join(absent)} in {group}; expected the layout of SPL3SMP_E."
                )
            value, flag = (ds[n] for n in needed)
            if value.shape not in _GRIDS:
                raise DatasetError(
                    f"{granule.path}: {needed[0]} has shape {value.shape}; expected a global EASE-Grid 2.0 map, "
                    f"{' or '.join(f'{r} x {c} ({n})' for (r, c), n in _GRIDS.items())}. Spatial subsets are not supported."
                )
            grids.add(_GRIDS[value.shape])
            rows, columns = value.shape
            as_rows = dict(zip(value.dims, ("y", "x"), strict=True))
            axes = {"y": np.arange(rows), "x": np.arange(columns), v.TIME: [granule.stamp]}
            bits = flag.fillna(_NO_FLAG).astype(np.uint16).rename(as_rows)
            bad = _NOT_RECOMMENDED if self.screening == "recommended" else _NOT_SUCCESSFUL
            reason = "not_recommended" if self.screening == "recommended" else "not_successful"
            raw = (
                value.rename(as_rows)
                .expand_dims(v.TIME)
                .to_dataset()
                .drop_vars(list(ds.coords), errors="ignore")
            )
            yield RawGranule(
                path=granule.path,
                raw=raw.assign_coords(axes),
                masks={needed[0]: {reason: (bits & bad) != 0}},
            )
