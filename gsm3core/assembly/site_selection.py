"""Sites of a dataset: stations with their records, a table of sites, or cells of EASE-Grid 2.0."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.assembly.insitu import ISMN, build_insitu
from gsm3core.assembly.recipe import SiteSpec
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.files import sha256
from gsm3core.geography.grids import cell_centres
from gsm3core.readers.granules import matching_files
from gsm3core.readers.ismn.reader import Progress
from gsm3core.readers.ismn.sensor_choice import SensorChoice
from gsm3core.user_tables.checks import SITE_NAME, SITE_NAME_RULE
from gsm3core.user_tables.files import read_columns

GRID = "M09"


@dataclass(slots=True)
class SelectedSites:
    """Sites with their records, before any grid is read.

    Parameters
    ----------
    ds
        Coordinates of ``site``; for stations also records and variables.
    table
        One row per station or site, used or refused.
    steps
        Entries of the dataset's history.
    """

    ds: xr.Dataset
    table: pd.DataFrame
    steps: list[dict[str, Any]] = field(default_factory=list)


def find_sites(spec: SiteSpec, period: Period | None, progress: Progress | None = None) -> SelectedSites:
    """Return the sites of a recipe.

    Parameters
    ----------
    period
        Days of the stations' records to keep.
    progress
        Called with the stations read and their number.

    Raises
    ------
    DatasetError
        If there is no site, or the source cannot be read.
    """
    if spec.kind == "grid":
        return _grid_cells(spec)
    assert spec.path is not None
    if spec.kind == "table":
        return _table_sites(spec.path)
    choice = {k: x for k in ("depth", "min_hours", "combine", "flags") if (x := getattr(spec, k)) is not None}
    ds, table = build_insitu(
        spec.kind,
        spec.path,
        period=period,
        choice=SensorChoice(**choice) if choice else None,
        progress=progress,
    )
    steps = json.loads(ds.attrs["history"])
    entry = source_entry(spec.kind)
    for name in ds.data_vars:
        ds[name].attrs.setdefault("source", entry.provider)
        ds[name].attrs.setdefault("license", entry.license)
    ds.attrs = {"references": ds.attrs["references"]}
    return SelectedSites(ds, table, steps)


def site_files(spec: SiteSpec) -> list[Path]:
    """Return the files that the sites are read from."""
    if spec.path is None:
        return []
    if spec.kind == "table" or spec.path.is_file():
        return [spec.path]
    if spec.kind == ISMN:
        return [p for p in sorted(spec.path.rglob("*")) if p.suffix in (".stm", ".csv")]
    return matching_files(source_entry(spec.kind), spec.path)


def _grid_cells(spec: SiteSpec) -> SelectedSites:
    assert spec.box is not None
    west, south, east, north = spec.box
    lat, lon = cell_centres(GRID)
    rows = np.flatnonzero((lat >= south) & (lat <= north))
    columns = np.flatnonzero((lon >= west) & (lon <= east))
    if not len(rows) or not len(columns):
        raise DatasetError(
            f"no 9 km cell centre in the bounding box {spec.box}; the grid extends from {lat.min():.2f} to "
            f"{lat.max():.2f} degrees of latitude."
        )
    y, x = (a.ravel() for a in np.meshgrid(rows, columns, indexing="ij"))
    names = np.array([f"{GRID}_r{r:04d}_c{c:04d}" for r, c in zip(y, x, strict=True)])
    ds = _site_coordinates(names, lat[y], lon[x])
    step = {
        "step": "grid cells", "grid": f"EASE-Grid 2.0 {GRID} (9 km)", "box": list(spec.box), "cells": len(names),
        "rows": [int(rows[0]), int(rows[-1])], "columns": [int(columns[0]), int(columns[-1])],
    }  # fmt: skip
    return SelectedSites(ds, _station_table(ds), [step])


def _table_sites(path: Path) -> SelectedSites:
    raw = read_columns(path)
    if absent := [c for c in ("site", "lat", "lon") if c not in raw.columns]:
        raise DatasetError(f"{path.name} lacks the column(s) {', '.join(absent)}; expected site, lat, lon.")
    names = raw["site"].astype("str").str.strip()
    invalid = raw["site"].isna() | ~names.str.fullmatch(SITE_NAME)
    if invalid.any():
        k = int(np.flatnonzero(invalid.to_numpy())[0])
        raise DatasetError(
            f"{path.name}, line {k + 2}: invalid site name {str(raw['site'].iloc[k])[:40]!r}: {SITE_NAME_RULE}."
        )
    if names.duplicated().any():
        raise DatasetError(f"{path.name}: duplicate site {names[names.duplicated()].iloc[0]!r}.")
    numbers = raw[["lat", "lon"]].apply(pd.to_numeric, errors="coerce")
    far = (numbers["lat"].abs() > 90) | ~numbers["lon"].between(-180, 360)
    bad = numbers.isna().any(axis=1) | far
    if bad.any():
        k = int(np.flatnonzero(bad.to_numpy())[0])
        raise DatasetError(
            f"{path.name}, line {k + 2}: invalid coordinates lat {raw['lat'].iloc[k]!r}, lon {raw['lon'].iloc[k]!r} of site "
            f"{names.iloc[k]!r}; expected degrees, at most 90 and 360."
            + (" Are lat and lon swapped?" if far.iloc[k] else "")
        )
    lon = numbers["lon"].to_numpy(float)
    ds = _site_coordinates(
        names.to_numpy(str), numbers["lat"].to_numpy(float), np.where(lon >= 180, lon - 360, lon)
    )
    for column in (v.NETWORK, v.STATION):
        if column in raw.columns:
            ds = ds.assign_coords({column: (v.SITE, raw[column].fillna("").to_numpy(str))})
    step: dict[str, Any] = {
        "step": "site table",
        "file": path.name,
        "sha256": sha256(path),
        "sites": len(names),
    }
    if (lon >= 180).any():
        step["longitudes_made_negative"] = int((lon >= 180).sum())
    return SelectedSites(ds, _station_table(ds), [step])


def _site_coordinates(names: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> xr.Dataset:
    return xr.Dataset(coords={v.SITE: names, v.LAT: (v.SITE, lat), v.LON: (v.SITE, lon)})


def _station_table(ds: xr.Dataset) -> pd.DataFrame:
    return pd.DataFrame({"site": ds[v.SITE].values, "outcome": "used"})
