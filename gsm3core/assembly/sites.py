"""Build and join SiteDatasets; each variable keeps its units, source and license."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.assembly.site_checks import check_sites
from gsm3core.assembly.twins import Duplicates, drop_duplicates, twin_notes
from gsm3core.catalog import dataset_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.files import fingerprint
from gsm3core.geography.site_coordinates import describe_coordinates
from gsm3core.readers import make_reader
from gsm3core.scaling.long_term_means import averaged_days
from gsm3core.schema import attribute_names, check_dataset, forcing_names, is_simulated, mean_record_names


def build(name: str, source: Path, *, period: Period | None = None) -> xr.Dataset:
    """Build the SiteDataset of a catalogue entry from its source file.

    Parameters
    ----------
    name
        Entry of ``data_catalog/datasets``, such as ``conus-smap`` or ``uscrn``.
    source
        The producer's file, or any file with the entry's layout.
    period
        Days to keep.

    Raises
    ------
    DatasetError
        If the entry is unknown, the file has another layout, or the result is not a valid SiteDataset.
    """
    entry = dataset_entry(name)
    ds = make_reader(entry.reader).open(Path(source), period)
    ds = describe_coordinates(ds.transpose(v.SITE, v.TIME, ...))
    step: dict[str, object] = {
        "step": "build", "entry": name, "file": Path(source).name, "sha256": fingerprint(source),
    }  # fmt: skip
    if v.SM_INSITU in ds and (notes := check_sites(ds)[1]):
        step["notes"] = notes
    ds.attrs = {
        "Conventions": "CF-1.11",
        "featureType": "timeSeries",
        "title": entry.title,
        "source": entry.provider,
        "license": entry.license,
        "references": f"{entry.citation} doi:{entry.doi}" if entry.doi else entry.citation,
        "history": json.dumps([step]),
    }
    check_dataset(ds, name=f"{name} from {source}")
    return ds


def join(
    first: xr.Dataset,
    second: xr.Dataset,
    *,
    inputs: Literal["shared", "all"] = "shared",
    duplicates: Duplicates = "first",
) -> xr.Dataset:
    """Join two SiteDatasets into one; a station that is in both counts once.

    Parameters
    ----------
    first, second
        SiteDatasets with different sites.
    inputs
        ``shared``: only the forcings and attributes that both have. ``all``: those of either, missing at the other's
        sites; a model should then get flags of missing inputs (``data.flag_missing``).
    duplicates
        Which site of a station that is in both is kept (:func:`gsm3core.assembly.twins.drop_duplicates`). The step ``join``
        in the history says which were left out, and which others are within 1 km of each other.

    Returns
    -------
    xarray.Dataset
        All sites, on a daily axis that spans both; all soil-moisture records of either (missing at the other's sites).
        ``history`` lists the forcings and attributes that only one has.

    Raises
    ------
    DatasetError
        If a site's name is in both, they share no forcing, or a shared variable differs in units, grid or classes; with
        ``duplicates = "error"``, if a station is in both.
    """
    shared_sites = np.intersect1d(first[v.SITE].values.astype(str), second[v.SITE].values.astype(str))
    if len(shared_sites):
        raise DatasetError(
            f"duplicate site {str(shared_sites[0])!r} ({len(shared_sites)} sites are in both datasets); expected different "
            "sites. If these are years of one source, build it from both: --from for each folder or archive."
        )
    (first, second), twins, _ = drop_duplicates([first, second], duplicates)
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
    means = {
        n for ds in (first, second) for n in mean_record_names(ds) if n.removesuffix("_record") in attributes
    }
    records = [*(n for n in v.SOIL_MOISTURE if n in first or n in second), *sorted(means)]
    parts = [_aligned(ds, forcings, attributes, records, days) for ds in _align_products(first, second)]
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
    only_in = {
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
    step: dict[str, object] = {"step": "join", "inputs": inputs, "only_in": only_in}
    if notes := twin_notes(twins):
        step |= {"twins": twins, "notes": notes}
    out.attrs["history"] = json.dumps([*steps, step])
    if is_simulated(first) or is_simulated(second):
        out.attrs["simulated"] = "true"
    check_dataset(out, name="the joined dataset")
    return out


def _align_products(first: xr.Dataset, second: xr.Dataset) -> list[xr.Dataset]:
    """Return both with the same product axis, so that no product is lost."""
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


def _aligned(
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
    """Return the attributes that both share, with the sources and licenses of both."""
    owners = [ds for ds in (first, second) if name in ds]
    for key in ("units", "flag_values", "flag_meanings", "grid"):
        values = [ds[name].attrs[key] for ds in owners if key in ds[name].attrs]
        if len(values) == 2 and not np.array_equal(values[0], values[1]):
            raise DatasetError(
                f"{name!r} has {key} {values[0]!r} in the first dataset and {values[1]!r} in the second."
            )
    if len({"flag_values" in ds[name].attrs for ds in owners}) == 2:
        raise DatasetError(f"{name!r} is categorical in one dataset and numeric in the other.")
    merged: dict[str, object] = dict(owners[-1][name].attrs) | dict(owners[0][name].attrs)
    if days := [d for ds in owners if v.TIME not in ds[name].dims and (d := averaged_days(ds[name]))]:
        merged[v.PERIOD_START], merged[v.PERIOD_END] = min(d[0] for d in days), max(d[1] for d in days)
        if len({ds[name].attrs.get("averaged") for ds in owners}) == 2:
            merged.pop("averaged", None)
    for key in ("source", "license"):
        texts = [str(ds[name].attrs.get(key) or ds.attrs.get(key, "")) for ds in owners]
        merged[key] = " + ".join(dict.fromkeys(filter(None, texts)))
    return merged
