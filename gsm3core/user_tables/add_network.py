"""Addition of a user's in-situ table to a dataset as a network, with the forcings and attributes of the nearest sites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.geography.grids import cell_of, distance_km
from gsm3core.geography.regions import region_of
from gsm3core.geography.site_coordinates import describe_coordinates
from gsm3core.readers.step_counts import StepCounts
from gsm3core.user_tables.add_product import LICENSE, MAX_LISTED, align_table, check_name, with_history_step
from gsm3core.user_tables.tables import read_table

MAX_REASONS = 3


def add_network(
    ds: xr.Dataset,
    path: Path,
    name: str,
    *,
    within_km: float = 25.0,
    units: str = "",
    max_bytes: int | None = None,
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Return the dataset with a user's in-situ table as an additional network, and a table of the new sites.

    Parameters
    ----------
    path
        Table with columns site, time, value, units, lat, lon, and optionally depth (m) and station.
    name
        Name of the network; site ids become ``NAME_site``.
    within_km
        Largest distance to the nearest site of the dataset, whose forcings and attributes a new site gets; sites farther
        away are refused. ERA5's cells are 28 km wide.
    units, max_bytes
        As for :func:`add_product`.

    Returns
    -------
    xarray.Dataset, pandas.DataFrame
        The table has a row per site: used or refused and the reason, nearest site, its distance (km), days.

    Raises
    ------
    DatasetError
        If the name or the table is invalid, or no site of it can be used.

    Notes
    -----
    Satellite soil moisture, a training target, is copied only within the same cell of its grid: a holdout keeps a cell
    and its sites together, and elsewhere the copy would be in the training and the test data. Other products are not
    copied.
    """  # fmt: skip
    networks = set(ds[v.NETWORK].values.astype(str)) if v.NETWORK in ds.coords else set()
    check_name(name, networks - {""}, "network")
    table = read_table(Path(path), in_situ=True, units=units, max_bytes=max_bytes)
    report = table.sites.reset_index().assign(outcome="used", note="")
    nearest, distance = _nearest(report["lat"].to_numpy(), report["lon"].to_numpy(), ds)
    report["neighbour"], report["km"] = ds[v.SITE].values.astype(str)[nearest], distance.round(2)
    far = distance > within_km
    report.loc[far, ["outcome", "note"]] = [
        "refused",
        f"no site of the dataset within {within_km:g} km",
    ]
    values, days = align_table(table, pd.Index(report["site"]), ds, StepCounts(read=len(table.daily)))
    report["days"] = np.isfinite(values).sum(axis=1)
    report.loc[~far & (report["days"] == 0).to_numpy(), ["outcome", "note"]] = [
        "refused",
        "no value on a day of the dataset",
    ]
    used = (report["outcome"] == "used").to_numpy()
    if not used.any():
        reasons = "; ".join(f"{c} site(s): {n}" for n, c in report["note"].value_counts().items())
        more = "".join(f" {why}" for why in list(table.refused.values())[:MAX_REASONS])
        raise DatasetError(
            f"{table.file}: no site can be used ({reasons}).{more} The nearest is {report['km'].min():g} km from a site of the "
            "dataset."
        )
    selected = report[used]
    new = _from_neighbours(ds, selected, nearest[used], values[used], name)
    clash = np.intersect1d(ds[v.SITE].values.astype(str), new[v.SITE].values.astype(str))
    if len(clash):
        raise DatasetError(
            f"duplicate site id {str(clash[0])!r} ({len(clash)} in all): the dataset already has it; choose another network name."
        )
    both = xr.concat(
        [_with_in_situ_record(ds), new], dim=v.SITE, join="exact", data_vars="all", coords="different", compat="equals",
        combine_attrs="override",
    )  # fmt: skip
    for variable in both.data_vars:
        both[variable].attrs = dict(
            new[variable].attrs if variable == v.SM_INSITU and variable not in ds else ds[variable].attrs
        )
    if v.SM_INSITU in ds:
        before = str(ds[v.SM_INSITU].attrs.get("source") or ds.attrs.get("source", ""))
        both[v.SM_INSITU].attrs["source"] = f"{before} + {name}: {table.file}"
    both = describe_coordinates(both.transpose(..., v.SITE, v.TIME), known_regions=True)
    step = table.as_step("add-network", name) | days.as_step("days")
    refused = dict(zip(report["site"][~used], report["note"][~used], strict=True)) | table.refused
    step |= {
        "within_km": within_km, "sites_used": int(used.sum()), "sites_refused": len(refused),
        "refused": dict(list(refused.items())[:MAX_LISTED]),
        "farthest_km": float(selected["km"].max()),
        "neighbours": dict(zip(selected["site"][:MAX_LISTED], selected["neighbour"][:MAX_LISTED], strict=True)),
    }  # fmt: skip
    others = pd.DataFrame(
        {"site": list(table.refused), "outcome": "refused", "note": list(table.refused.values()), "days": 0}
    )
    report = pd.concat([report, others], ignore_index=True) if table.refused else report
    return with_history_step(both, ds, step, f"the dataset with {name}"), report


def _nearest(lat: np.ndarray, lon: np.ndarray, ds: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of the site nearest to each point, and its distance, km."""
    km = distance_km(lat[:, None], lon[:, None], ds[v.LAT].values, ds[v.LON].values)
    nearest = km.argmin(axis=1)
    return nearest, km[np.arange(len(lat)), nearest]


def _from_neighbours(
    ds: xr.Dataset, selected: pd.DataFrame, nearest: np.ndarray, values: np.ndarray, name: str
) -> xr.Dataset:
    """Return the new sites with the inputs of the nearest sites and their own soil moisture."""
    lat, lon = selected["lat"].to_numpy(), selected["lon"].to_numpy()
    new = _with_in_situ_record(ds).isel({v.SITE: nearest})
    if v.SM_SMAP in new:
        grid = new[v.SM_SMAP].attrs.get("grid")
        same = (
            cell_of(lat, lon, grid) == cell_of(new[v.LAT].values, new[v.LON].values, grid)
            if grid
            else np.zeros(len(lat), bool)
        )
        new[v.SM_SMAP] = new[v.SM_SMAP].where(xr.DataArray(same, dims=v.SITE))
    if v.SM_PRODUCT in new:
        new[v.SM_PRODUCT] = new[v.SM_PRODUCT].where(False)
    depth = selected["depth"].to_numpy() if "depth" in selected else np.full(len(selected), np.nan)
    known = v.VARIABLES[v.SM_INSITU]
    new[v.SM_INSITU] = (
        (v.SITE, v.TIME), values, {"units": known.units, "long_name": known.long_name, "source": name, "license": LICENSE},
    )  # fmt: skip
    return new.assign_coords({
        v.SITE: np.array([f"{name}_{s}" for s in selected["site"]]), v.LAT: (v.SITE, lat), v.LON: (v.SITE, lon),
        v.REGION: (v.SITE, region_of(lat, lon)), v.NETWORK: (v.SITE, np.full(len(selected), name)),
        v.STATION: (v.SITE, selected["station"].to_numpy().astype(str)), v.DEPTH: (v.SITE, depth),
    })  # fmt: skip


def _with_in_situ_record(ds: xr.Dataset) -> xr.Dataset:
    """Return the dataset with in-situ soil moisture and all site coordinates, empty where it has none."""
    n = ds.sizes[v.SITE]
    empty = {v.NETWORK: np.full(n, ""), v.STATION: np.full(n, ""), v.DEPTH: np.full(n, np.nan)}
    ds = ds.assign_coords({c: (v.SITE, values) for c, values in empty.items() if c not in ds.coords})
    if v.SM_INSITU not in ds:
        ds = ds.assign({v.SM_INSITU: xr.full_like(ds[v.SM_SMAP], np.nan).assign_attrs(units=v.SM_UNITS)})
    return ds
