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
from gsm3core.assembly.site_checks import check_sites
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.files import sha256
from gsm3core.geography.grids import cell_centres
from gsm3core.readers.granules import matching_files
from gsm3core.readers.ismn.reader import Progress
from gsm3core.readers.ismn.sensor_choice import SensorChoice
from gsm3core.user_tables.add_product import LICENSE
from gsm3core.user_tables.files import read_columns
from gsm3core.user_tables.places import read_places
from gsm3core.user_tables.tables import Table, read_table

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
    if spec.kind == "table":
        return _with_checks(_table_sites(spec.paths[0]))
    choice = {k: x for k in ("depth", "min_hours", "combine", "flags") if (x := getattr(spec, k)) is not None}
    ds, table = build_insitu(
        spec.kind,
        spec.paths,
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
    files: list[Path] = []
    for path in spec.paths:
        if spec.kind == "table" or path.is_file():
            files.append(path)
        elif spec.kind == ISMN:
            files += [p for p in sorted(path.rglob("*")) if p.suffix.lower() in (".stm", ".csv", ".zip")]
        else:
            files += matching_files(source_entry(spec.kind), path)
    return files


def _with_checks(selected: SelectedSites) -> SelectedSites:
    """Add what :func:`gsm3core.assembly.site_checks.check_sites` finds to the table and the last step."""
    table, notes = check_sites(selected.ds, selected.table)
    *earlier, step = selected.steps
    step = step | {"notes": [*step.get("notes", []), *notes]} if notes else step
    return SelectedSites(selected.ds, table, [*earlier, step])


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
    """Return the places of a table; with its columns time and value, also their soil moisture."""
    columns = set(read_columns(path).frame.columns)
    step: dict[str, Any] = {"step": "site table", "file": path.name, "sha256": sha256(path)}
    if {"time", "value"} <= columns:
        table = read_table(path, in_situ=True)
        sites, refused, notes = table.sites, table.refused, table.notes
        step |= {"units": table.units, **table.counts.as_step("rows")}
    else:
        table = None
        places = read_places(path)
        sites, refused, notes = places.sites, places.refused, places.notes
    names = sites.index.to_numpy().astype(str)
    ds = _site_coordinates(names, sites["lat"].to_numpy(float), sites["lon"].to_numpy(float))
    if table is not None:
        sites = sites.assign(network=sites.get("network", path.stem))
        ds = ds.assign_coords({v.DEPTH: (v.SITE, sites["depth"].to_numpy(float))})
        ds = ds.assign({v.SM_INSITU: _records(table, names)})
    for column in (v.NETWORK, v.STATION):
        if column in sites:
            ds = ds.assign_coords({column: (v.SITE, sites[column].to_numpy().astype(str))})
    step |= {"sites": len(names), "sites_refused": len(refused), "notes": notes}
    gone = pd.DataFrame({"site": list(refused), "outcome": "refused", "note": list(refused.values())})
    rows = pd.concat([_station_table(ds), gone], ignore_index=True) if refused else _station_table(ds)
    return SelectedSites(ds, rows.fillna({"note": ""}) if refused else rows, [step])


def _records(table: Table, names: np.ndarray) -> xr.DataArray:
    """Return the soil moisture of a user's table, (site, time), on all days from its first to its last."""
    days = pd.date_range(table.daily["day"].min(), table.daily["day"].max(), freq="D", unit="ns", name=v.TIME)
    wide = table.daily.pivot(index="site", columns="day", values="value").reindex(index=names, columns=days)
    known = v.VARIABLES[v.SM_INSITU]
    attrs = {
        "units": known.units, "long_name": known.long_name, "standard_name": known.standard_name or "",
        "source": f"{table.file} (SHA-256 {table.sha256[:12]})", "license": LICENSE,
    }  # fmt: skip
    coords = {v.SITE: names, v.TIME: days}
    return xr.DataArray(wide.to_numpy(np.float32), dims=(v.SITE, v.TIME), coords=coords, attrs=attrs)


def _site_coordinates(names: np.ndarray, lat: np.ndarray, lon: np.ndarray) -> xr.Dataset:
    return xr.Dataset(coords={v.SITE: names, v.LAT: (v.SITE, lat), v.LON: (v.SITE, lon)})


def _station_table(ds: xr.Dataset) -> pd.DataFrame:
    return pd.DataFrame({"site": ds[v.SITE].values, "outcome": "used"})
