"""A user's in-situ table joined to a dataset as one more network, its inputs lent by the nearest sites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.geography.grids import cell_of
from gsm3core.geography.regions import region_of
from gsm3core.geography.site_coordinates import describe_coordinates
from gsm3core.readers.step_counts import StepCounts
from gsm3core.user_tables.add_product import LICENSE, LISTED, check_name, finished, on_grid
from gsm3core.user_tables.tables import read_table

_EARTH_KM = 6371.0088


def add_network(
    ds: xr.Dataset,
    path: Path,
    name: str,
    *,
    within_km: float = 25.0,
    units: str = "",
    largest: int | None = None,
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Return the dataset with a user's in-situ table as one more network of sites, and a table of them.

    Parameters
    ----------
    ds
        A SiteDataset.
    path
        The table: columns site, time, value, units, lat, lon, and if known depth (m) and station.
    name
        Of the network; site ids become ``NAME_site``.
    within_km
        A new site takes forcings and attributes from the nearest site of the dataset, if it is no farther than this;
        otherwise it is refused. ERA5's cells are 28 km wide.
    units, largest
        As for :func:`add_product`.

    Returns
    -------
    xarray.Dataset, pandas.DataFrame
        The table has a row per site: used or refused and why, the neighbour, its distance (km), days.

    Raises
    ------
    DatasetError
        If the name is taken or no name, the table is not in order, or no site of it can be used.

    Notes
    -----
    A neighbour lends what goes into the model, never what the model is tested on: satellite soil moisture is taken over
    only within the same cell of its own grid, because a holdout keeps a cell together with its sites; beyond that it
    would be in training and in test at once.
    """  # fmt: skip
    networks = set(ds[v.NETWORK].values.astype(str)) if v.NETWORK in ds.coords else set()
    check_name(name, networks - {""}, "network")
    table = read_table(Path(path), places=True, units=units, largest=largest)
    report = table.places.reset_index().assign(outcome="used", note="")
    donor, distance = _nearest(report["lat"].to_numpy(), report["lon"].to_numpy(), ds)
    report["neighbour"], report["km"] = ds[v.SITE].values.astype(str)[donor], distance.round(2)
    far = distance > within_km
    report.loc[far, ["outcome", "note"]] = [
        "refused",
        f"no site within {within_km:g} km to take forcings from",
    ]
    values, days = on_grid(table, pd.Index(report["site"]), ds, StepCounts(read=len(table.daily)))
    report["days"] = np.isfinite(values).sum(axis=1)
    report.loc[~far & (report["days"] == 0).to_numpy(), ["outcome", "note"]] = [
        "refused",
        "no day of the dataset",
    ]
    used = (report["outcome"] == "used").to_numpy()
    if not used.any():
        reasons = "; ".join(f"{c} site(s): {n}" for n, c in report["note"].value_counts().items())
        raise DatasetError(
            f"{table.file}: no site can be used ({reasons}). The nearest is {report['km'].min():g} km from a site of the dataset."
        )
    taken = report[used]
    new = _borrowed(ds, taken, donor[used], values[used], name)
    clash = np.intersect1d(ds[v.SITE].values.astype(str), new[v.SITE].values.astype(str))
    if len(clash):
        raise DatasetError(
            f"site {str(clash[0])!r} is in the dataset already ({len(clash)} in all); choose another name."
        )
    both = xr.concat(
        [_complete(ds), new], dim=v.SITE, join="exact", data_vars="all", coords="different", compat="equals",
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
    step |= {
        "within_km": within_km, "sites_used": int(used.sum()), "sites_refused": int((~used).sum()),
        "farthest_km": float(taken["km"].max()),
        "neighbours": dict(zip(taken["site"][:LISTED], taken["neighbour"][:LISTED], strict=True)),
    }  # fmt: skip
    return finished(both, ds, step, f"the dataset with {name}"), report


def _nearest(lat: np.ndarray, lon: np.ndarray, ds: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest site of the dataset to each point, and its distance on the sphere, km."""
    phi, lam = np.radians(ds[v.LAT].values), np.radians(ds[v.LON].values)
    a, b = np.radians(lat)[:, None], np.radians(lon)[:, None]
    h = np.sin((phi - a) / 2) ** 2 + np.cos(a) * np.cos(phi) * np.sin((lam - b) / 2) ** 2
    km = 2 * _EARTH_KM * np.arcsin(np.sqrt(np.clip(h, 0, 1)))
    nearest = km.argmin(axis=1)
    return nearest, km[np.arange(len(lat)), nearest]


def _borrowed(
    ds: xr.Dataset, taken: pd.DataFrame, donor: np.ndarray, values: np.ndarray, name: str
) -> xr.Dataset:
    """Return the new sites with their neighbours' inputs and their own soil moisture."""
    lat, lon = taken["lat"].to_numpy(), taken["lon"].to_numpy()
    new = _complete(ds).isel({v.SITE: donor})
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
    depth = taken["depth"].to_numpy() if "depth" in taken else np.full(len(taken), np.nan)
    known = v.VARIABLES[v.SM_INSITU]
    new[v.SM_INSITU] = (
        (v.SITE, v.TIME), values, {"units": known.units, "long_name": known.long_name, "source": name, "license": LICENSE},
    )  # fmt: skip
    return new.assign_coords({
        v.SITE: np.array([f"{name}_{s}" for s in taken["site"]]), v.LAT: (v.SITE, lat), v.LON: (v.SITE, lon),
        v.REGION: (v.SITE, region_of(lat, lon)), v.NETWORK: (v.SITE, np.full(len(taken), name)),
        v.STATION: (v.SITE, taken["station"].to_numpy().astype(str)), v.DEPTH: (v.SITE, depth),
    })  # fmt: skip


def _complete(ds: xr.Dataset) -> xr.Dataset:
    """Return the dataset with an in-situ record and all coordinates of a site, empty where it has none."""
    n = ds.sizes[v.SITE]
    empty = {v.NETWORK: np.full(n, ""), v.STATION: np.full(n, ""), v.DEPTH: np.full(n, np.nan)}
    ds = ds.assign_coords({c: (v.SITE, values) for c, values in empty.items() if c not in ds.coords})
    if v.SM_INSITU not in ds:
        ds = ds.assign({v.SM_INSITU: xr.full_like(ds[v.SM_SMAP], np.nan).assign_attrs(units=v.SM_UNITS)})
    return ds
