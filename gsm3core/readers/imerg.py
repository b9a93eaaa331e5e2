"""GPM IMERG precipitation, versions 06 and 07: half-hourly HDF5 and daily netCDF-4."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pandas as pd
import xarray as xr

from gsm3core.catalog import SourceEntry, source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.readers.file_names import match_name
from gsm3core.readers.granules import (
    Granule,
    Roots,
    describe_roots,
    find_granules,
    matching_files,
    open_granule,
)
from gsm3core.readers.grid_axes import spatial_axes
from gsm3core.readers.gridded import RawGranule, Transform, read_grid, select_variables
from gsm3core.readers.layouts import global_attributes
from gsm3core.readers.time_axes import decoded_times, find_time, single_time

_STEPS = {"HHR": pd.Timedelta("30min"), "DAY": pd.Timedelta("1D")}
_QUALITY = "precipitationQualityIndex"
_NAMES = ("precipitation", "precipitationCal")
_RUNS = {"final": "", "late": "L", "early": "E"}

Run = Literal["final", "late", "early"]


class ImergReader:
    """Reads ``precipitation`` as a rate in mm per day.

    Parameters
    ----------
    min_quality
        Minimum ``precipitationQualityIndex`` (0 to 1) of a half hour; 0 keeps all.
    run
        ``final``, which is adjusted to rain gauges, or the earlier estimates ``late`` (after 14 hours) and ``early`` (4 hours),
        which are not. Files of other runs are not read.

    Notes
    -----
    Huffman et al., doi:10.5067/GPM/IMERG/3B-HH/07. If the folder has both versions of a time step, the later is read.
    """

    def __init__(self, min_quality: float = 0.0, run: Run = "final") -> None:
        if run not in _RUNS:
            raise DatasetError(f"unknown run {run!r} of IMERG. {did_you_mean(str(run), _RUNS)}")
        self.min_quality = min_quality
        self.run = run

    def open(
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``precipitation`` ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`."""
        entry = source_entry("imerg")
        notes = self._check_runs(entry, root)
        granules = find_granules(
            entry,
            root,
            period,
            keep=lambda parts: parts.get("run", "").upper() == _RUNS[self.run],
            notes=notes,
        )
        steps = {g.parts["step"].upper() for g in granules}
        if len(steps) > 1:
            raise DatasetError(
                f"{describe_roots(root)} has half-hourly (3B-HHR) and daily (3B-DAY) files of the same precipitation. "
                "Put them into different folders."
            )
        step = _STEPS[steps.pop()]
        raw_granules = (self._open_raw(g) for g in granules)
        out = read_grid(
            entry,
            raw_granules,
            select_variables(entry, None),
            period=period,
            step=step,
            transform=transform,
            notes=notes,
        )
        out.attrs["product_version"] = ", ".join(sorted({g.parts["version"].upper() for g in granules}))
        if self.run != "final":
            out["precipitation"].attrs["source"] = entry.title.replace("Final", self.run.title())
        return out

    def _check_runs(self, entry: SourceEntry, root: Roots) -> list[str]:
        """Return a sentence about the files of other runs; raise if there are only those."""
        by_letter = {letter: run for run, letter in _RUNS.items()}
        files: dict[str, list[str]] = {}
        for path in matching_files(entry, root):
            match = match_name(entry, path.name)
            letter = (match["run"] or "").upper() if match else ""
            files.setdefault(by_letter[letter], []).append(path.name)
        others = {run: names for run, names in files.items() if run != self.run}
        text = "; ".join(
            f"{len(names)} file{'s' if len(names) > 1 else ''} of the {run.title()} Run ({names[0]})"
            for run, names in others.items()
        )
        if others and self.run not in files:
            run = next(iter(others))
            raise DatasetError(
                f"{describe_roots(root)} has {text}, none of the {self.run.title()} Run. Only the Final Run is adjusted to "
                f"gauges. Get it, or read these files with the option run: {run} (in a recipe, sources: "
                f"{{imerg: {{options: {{run: {run}}}}}}})."
            )
        return [f"not read: {text}"] if others else []

    @contextmanager
    def _open_raw(self, granule: Granule) -> Iterator[RawGranule]:
        path, half_hourly = granule.path, granule.parts["step"].upper() == "HHR"
        group = "Grid" if half_hourly else None
        with open_granule(path, "IMERG precipitation", group=group, wanted=_NAMES) as opened:
            self._check_run(path, opened)
            ds = spatial_axes(opened, path)
            if name := find_time(ds):
                times = decoded_times(ds, path, name)
                # Daily files are labelled within their day, half-hourly ones at the start of their interval.
                if (times if half_hourly else times.normalize())[0] != granule.stamp:
                    raise DatasetError(
                        f"{path}: time is {granule.stamp} by the file name but {times[0]} in the file. The file was renamed: "
                        "restore the producer's name."
                    )
            ds = single_time(ds, path, granule.stamp)
            for name in _NAMES:
                if half_hourly and name in ds and ds[name].attrs.get("units") == "mm":
                    raise DatasetError(
                        f"{path}: {name!r} has units 'mm' in a half-hourly file; expected 'mm/hr'."
                    )
            masks = {}
            if self.min_quality > 0:
                if _QUALITY not in ds:
                    raise DatasetError(
                        f"{path} lacks {_QUALITY}, which min_quality needs; set min_quality to 0."
                    )
                masks = {f"quality_below_{self.min_quality:g}": ~(ds[_QUALITY] >= self.min_quality)}
            yield RawGranule(path=path, raw=ds, masks=dict.fromkeys(_NAMES, masks))

    def _check_run(self, path: Path, ds: xr.Dataset) -> None:
        """Compare the run that the attributes name with the one of the file's name."""
        text = global_attributes(path, ds)
        match = re.search(r"IMERG (Final|Late|Early)|3B-(?:HHR|DAY)(?:-([EL]))?\.MS", text)
        if match is None:
            return
        found = match[1].lower() if match[1] else {"E": "early", "L": "late", None: "final"}[match[2]]
        if found != self.run:
            raise DatasetError(
                f"{path} is of the {found.title()} Run by its attributes ({match[0]!r}), of the {self.run.title()} Run by its "
                "name. The file was renamed: restore the producer's name."
            )
