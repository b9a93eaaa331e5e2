"""Building and joining SiteDatasets, each variable with its units, source and terms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import dataset_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.files import fingerprint
from gsm3core.geography.site_coordinates import describe_coordinates
from gsm3core.readers import make_reader
from gsm3core.schema import attribute_names, check_dataset, forcing_names, is_simulated


def build(name: str, source: Path, *, period: Period | None = None) -> xr.Dataset:
    """Build the SiteDataset of a catalogue entry from its source file.

    Parameters
    ----------
    name
        Entry of ``data_catalog/datasets``, such as ``conus-smap`` or ``uscrn``.
    source
        The producer's file; any with the entry's layout will do.
    period
        Days to keep.

    Raises
    ------
    DatasetError
        If the entry is unknown, the file is laid out otherwise, or the result breaks the contract.
    """
    entry = dataset_entry(name)
    ds = make_reader(entry.reader).open(Path(source), period)
    ds = describe_coordinates(ds.transpose(v.SITE, v.TIME, ...))
    ds.attrs = {
        "Conventions": "CF-1.11",
        "featureType": "timeSeries",
        "title": entry.title,
        "source": entry.provider,
        "license": entry.license,
        "references": f"{entry.citation} doi:{entry.doi}" if entry.doi else entry.citation,
        "history": json.dumps(
            [{"step": "build", "entry": name, "file": Path(source).name, "sha256": fingerprint(source)}]
        ),
    }
    check_dataset(ds, name=f"{name} from {source}")
    return ds


def join(first: xr.Dataset, second: xr.Dataset, *, inputs: Literal["shared", "all"] = "shared") -> xr.Dataset:
    """Join two SiteDatasets into one.

    Parameters
    ----------
    first, second
        SiteDatasets with different sites.
    inputs
        ``shared``: only the forcings and attributes that both have. ``all``: every one of either, missing at the
        other's sites; a model should then be told which are missing (``data.flag_missing``).

    Returns
    -------
    xarray.Dataset
        All sites of both, on one daily axis that spans both; every soil-moisture record of either (missing at the
        other's sites). What only one has of forcings and attributes is named in ``history``.

    Raises
    ------
    DatasetError
        If a site is in both, they share no forcing, or a shared variable means different things.
    """
    shared_sites = np.intersect1d(first[v.SITE].values.astype(str), second[v.SITE].values.astype(str))
    if len(shared_sites):
        raise DatasetError(
            f"site {str(shared_sites[0])!r} is in both datasets ({len(shared_sites)} in all); join takes different sites."
        )
    dynamic, static = (
        [set(names(ds)) for ds in (first, second)] for names in (forcing_names, attribute_names)
    )
    if not set.intersection(*dynamic):
        raise DatasetError(
            f"The datasets share no forcing. First: {', '.join(forcing_names(first))}. "
            f"Second: {', '.join(forcing_names(second))}."
        )
    combine = set.intersection if inputs == "shared" else set.union
    forcings, attributes = sorted(combine(*dynamic)), sorted(combine(*static))
    days = pd.date_range(
        min(first[v.TIME].values[0], second[v.TIME].values[0]),
        max(first[v.TIME].values[-1], second[v.TIME].values[-1]),
        name=v.TIME,
    )
    records = [n for n in v.SOIL_MOISTURE if n in first or n in second]
    parts = [_part(ds, forcings, attributes, records, days) for ds in _with_same_products(first, second)]
    out = xr.concat(
        parts,
        dim=v.SITE,
        join="exact",
        combine_attrs="override",
        data_vars="all",
        coords="different",
        compat="equals",
    )
    for name in out.data_vars:
        out[name].attrs = _merged_attributes(str(name), first, second)
    out = describe_coordinates(out.transpose(..., v.SITE, v.TIME), known_regions=True)
    alone = {
        which: sorted({*dynamic[k], *static[k]} - {*dynamic[1 - k], *static[1 - k]})
        for k, which in enumerate(("first", "second"))
    }
    out.attrs = {
        key: text
        if key in ("Conventions", "featureType")
        else " + ".join(dict.fromkeys([text, str(second.attrs.get(key, text))]))
        for key, text in ((k, str(t)) for k, t in first.attrs.items() if k not in ("history", "simulated"))
    }
    steps = [*json.loads(first.attrs.get("history", "[]")), *json.loads(second.attrs.get("history", "[]"))]
    out.attrs["history"] = json.dumps([*steps, {"step": "join", "inputs": inputs, "in_one_alone": alone}])
    if is_simulated(first) or is_simulated(second):
        out.attrs["simulated"] = "true"
    check_dataset(out, name="the joined dataset")
    return out


def _with_same_products(first: xr.Dataset, second: xr.Dataset) -> list[xr.Dataset]:
    """Give both the same product axis, so that neither's products are lost."""
    both = [ds for ds in (first, second) if v.PRODUCT in ds.dims]
    names = list(dict.fromkeys(str(p) for ds in both for p in ds[v.PRODUCT].values))
    return [
        ds.reindex({v.PRODUCT: names})
        if v.PRODUCT in ds.dims
        else ds.assign_coords({v.PRODUCT: names})
        if names
        else ds
        for ds in (first, second)
    ]


def _part(
    ds: xr.Dataset, forcings: list[str], attributes: list[str], records: list[str], days: pd.DatetimeIndex
) -> xr.Dataset:
    part = ds[[n for n in (*forcings, *attributes, *records) if n in ds]].reindex({v.TIME: days})
    template = xr.DataArray(np.nan).expand_dims({v.SITE: ds[v.SITE], v.TIME: days}).astype(np.float32)
    for name in attributes:
        if name not in part:
            part[name] = (v.SITE, np.full(ds.sizes[v.SITE], np.nan))
    for name in forcings:
        if name not in part:
            part[name] = template
    for name in records:
        if name not in part:
            part[name] = (
                template.expand_dims({v.PRODUCT: ds[v.PRODUCT]}) if name == v.SM_PRODUCT else template
            )
    for coord in (v.NETWORK, v.STATION):
        if coord not in part.coords:
            part = part.assign_coords({coord: (v.SITE, np.full(ds.sizes[v.SITE], ""))})
    if v.DEPTH not in part.coords:
        part = part.assign_coords({v.DEPTH: (v.SITE, np.full(ds.sizes[v.SITE], np.nan))})
    return part


def _merged_attributes(name: str, first: xr.Dataset, second: xr.Dataset) -> dict[str, object]:
    """Keep what both say; put their sources and terms one after the other."""
    owners = [ds for ds in (first, second) if name in ds]
    for key in ("units", "flag_values", "flag_meanings", "grid"):
        said = [ds[name].attrs[key] for ds in owners if key in ds[name].attrs]
        if len(said) == 2 and not np.array_equal(said[0], said[1]):
            raise DatasetError(
                f"{name!r} has {key} {said[0]!r} in the first dataset and {said[1]!r} in the second."
            )
    if len({"flag_values" in ds[name].attrs for ds in owners}) == 2:
        raise DatasetError(f"{name!r} holds classes in one dataset and numbers in the other.")
    merged: dict[str, object] = dict(owners[-1][name].attrs) | dict(owners[0][name].attrs)
    for key in ("source", "license"):
        said = [str(ds[name].attrs.get(key) or ds.attrs.get(key, "")) for ds in owners]
        merged[key] = " + ".join(dict.fromkeys(filter(None, said)))
    return merged
