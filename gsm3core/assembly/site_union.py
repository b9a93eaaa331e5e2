"""Sites of several in-situ sources in one dataset; a station that is in two of them counts once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.assembly.recipe import SiteSpec
from gsm3core.assembly.site_selection import SelectedSites, find_sites
from gsm3core.assembly.twins import Duplicates, drop_duplicates, twin_notes
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.ismn.reader import Progress

_TEXTS = (v.NETWORK, v.STATION)


def find_all_sites(
    specs: Sequence[SiteSpec],
    period: Period | None,
    duplicates: Duplicates = "first",
    progress: Progress | None = None,
) -> SelectedSites:
    """Return the sites of one or several specifications, with their soil-moisture records.

    Parameters
    ----------
    specs
        One: the sites as :func:`gsm3core.assembly.site_selection.find_sites` returns them. Several: of each only the
        soil-moisture records, because the other measurements of a network are missing at the other's stations.
    period
        Days of the stations' records to keep.
    duplicates
        Rule for a station that is in several of them; see :func:`gsm3core.assembly.twins.drop_duplicates`.
    progress
        Called with the stations read and their number, for one specification after the other.

    Raises
    ------
    DatasetError
        If a source cannot be read, or two sites have the same name.
    """
    found = [find_sites(spec, period, progress) for spec in specs]
    if len(found) == 1:
        return found[0]
    kept, step, _ = drop_duplicates([one.ds for one in found], duplicates)
    names = np.concatenate([ds[v.SITE].values.astype(str) for ds in kept])
    unique, counts = np.unique(names, return_counts=True)
    if (counts > 1).any():
        raise DatasetError(
            f"duplicate site {str(unique[counts > 1][0])!r} in {' and '.join(s.kind for s in specs)}; expected different "
            "sites. Rename one of them."
        )
    left_out = sorted({str(n) for ds in kept for n in ds.data_vars} - set(v.SOIL_MOISTURE))
    joined = _concatenate(kept)
    references = [str(one.ds.attrs.get("references", "")) for one in found]
    joined.attrs = {"references": " + ".join(dict.fromkeys(filter(None, references)))}
    table = pd.concat([one.table for one in found], ignore_index=True)
    gone = (table["outcome"] == "used") & ~table["site"].isin(names)
    table.loc[gone, "outcome"] = "refused"
    if "note" in table.columns:
        table["note"] = table["note"].fillna("")
        table.loc[gone, "note"] += "; in another source"
        table["note"] = table["note"].str.removeprefix("; ")
    elif gone.any():
        table["note"] = np.where(gone, "in another source", "")
    notes = twin_notes(step)
    if left_out:
        notes.append(f"Measurements other than soil moisture are not used: {', '.join(left_out)}.")
    union = {"step": "sites of several sources", "sources": [s.kind for s in specs], **step}
    return SelectedSites(joined, table, [s for one in found for s in one.steps] + [union | {"notes": notes}])


def _concatenate(datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """Return the records of all datasets over all sites and days; missing where a dataset has none."""
    records = [n for n in v.SOIL_MOISTURE if any(n in ds for ds in datasets) and n != v.SM_PRODUCT]
    timed = [ds for ds in datasets if v.TIME in ds.dims]
    days = pd.date_range(
        min(ds[v.TIME].values[0] for ds in timed), max(ds[v.TIME].values[-1] for ds in timed), freq="D", unit="ns",
        name=v.TIME,
    ) if timed else None  # fmt: skip
    parts = [_with_all(ds, records, days) for ds in datasets]
    out = xr.concat(
        parts, v.SITE, join="exact", combine_attrs="override", coords="minimal", compat="override"
    )
    for name in records:
        owners = [ds[name].attrs for ds in datasets if name in ds]
        out[name].attrs = dict(owners[0]) | {
            key: " + ".join(dict.fromkeys(str(a[key]) for a in owners if a.get(key)))
            for key in ("source", "license", "comment")
            if any(a.get(key) for a in owners)
        }
    return out


def _with_all(ds: xr.Dataset, records: list[str], days: pd.DatetimeIndex | None) -> xr.Dataset:
    """Return coordinates and records under the same names for every dataset."""
    sites = ds.sizes[v.SITE]
    part = xr.Dataset(coords={n: ds[n].variable for n in (v.SITE, v.LAT, v.LON)})
    for name in _TEXTS:
        given = ds[name].values.astype(str) if name in ds.coords else np.full(sites, "")
        part = part.assign_coords({name: (v.SITE, given)})
    depth = ds[v.DEPTH].values if v.DEPTH in ds.coords else np.full(sites, np.nan)
    attrs = {"units": "m", "long_name": "sensor depth"}
    part = part.assign_coords({v.DEPTH: (v.SITE, depth, attrs)})
    if days is None:
        return part
    part = part.assign_coords({v.TIME: days})
    for name in records:
        if name in ds:
            part[name] = ds[name].transpose(v.SITE, v.TIME).reindex({v.TIME: days}).astype(np.float32)
        else:
            part[name] = ((v.SITE, v.TIME), np.full((sites, len(days)), np.nan, np.float32))
    return part
