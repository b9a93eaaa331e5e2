"""A user's table joined to a dataset as one more product at its sites."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.readers.step_counts import StepCounts
from gsm3core.schema import check_dataset, products
from gsm3core.user_tables.tables import Table, read_table

_NAME = re.compile(r"[^\W_][\w .+()-]{0,39}")
RESERVED = (v.IN_SITU, v.SMAP, *v.MODEL_PRODUCTS.values())
LISTED = 40  # of names in the history: an attribute of an HDF5 file holds 64 KB
LICENSE = "as given by the user who added it"


def add_product(
    ds: xr.Dataset, path: Path, name: str, *, units: str = "", largest: int | None = None
) -> tuple[xr.Dataset, dict[str, Any]]:
    """Return the dataset with a user's table as one more product, and the step that was written to its history.

    Parameters
    ----------
    ds
        A SiteDataset.
    path
        The table: columns site, time, value, units; see :func:`gsm3core.user_tables.tables.read_table`. Its sites are ids
        of the dataset's.
    name
        What the product is called in scores and plots.
    units
        For a table without the column.
    largest
        Bytes, for uploads.

    Raises
    ------
    DatasetError
        If the name is taken or no name, the table is not in order, or none of its rows is at a site and on a day of
        the dataset.
    """
    check_name(name, [*products(ds), *RESERVED], "product")
    table = read_table(Path(path), units=units, largest=largest)
    ids = pd.Index(ds[v.SITE].values.astype(str))
    unknown = sorted(set(table.daily["site"]) - set(ids))
    values, days = on_grid(table, ids, ds, StepCounts(read=len(table.daily)))
    if not np.isfinite(values).any():
        raise DatasetError(
            f"{table.file}: no row is at a site and on a day of the dataset: {days}.{_suggest(unknown, ids)}"
        )
    known = v.VARIABLES[v.SM_PRODUCT]
    layer = xr.DataArray(
        values[None], dims=(v.PRODUCT, v.SITE, v.TIME),
        coords={v.PRODUCT: [name], v.SITE: ds[v.SITE], v.TIME: ds[v.TIME]},
    )  # fmt: skip
    attrs = {"units": known.units, "long_name": known.long_name, "standard_name": known.standard_name}
    here = f"{name}: {table.file} (SHA-256 {table.sha256[:12]})"
    if v.SM_PRODUCT in ds:
        before = ds[v.SM_PRODUCT]
        attrs = dict(before.attrs)
        for key, text in (("source", here), ("license", f"{name}: {LICENSE}")):
            attrs[key] = " + ".join(filter(None, [str(before.attrs.get(key) or ds.attrs.get(key, "")), text]))
        joined = xr.concat(
            [before.drop_vars(_others(before)), layer], dim=v.PRODUCT, join="exact", combine_attrs="drop"
        )
        ds = ds.drop_vars([v.SM_PRODUCT, v.PRODUCT])
    else:
        attrs |= {"source": here, "license": f"{name}: {LICENSE}"}
        joined = layer
    out = ds.assign({v.SM_PRODUCT: joined.astype(np.float32).assign_attrs(attrs)})
    step = table.as_step("add-product", name) | days.as_step("days")
    step |= {"unknown_sites": unknown[:LISTED], "unknown_sites_count": len(unknown)}
    return finished(out, ds, step, f"the dataset with {name}"), step


def check_name(name: str, taken: Iterable[str], what: str) -> None:
    """Raise unless a name can stand in plots and files and is free, whatever its case."""
    if not _NAME.fullmatch(name) or name != name.strip():
        raise DatasetError(
            f"{name!r} is no name for a {what}: 1 to 40 letters, digits, blanks and . + - ( ), beginning with a letter or digit."
        )
    if name.casefold() in {str(t).casefold() for t in taken}:
        raise DatasetError(f"the {what} {name!r} is there already; choose another name.")


def on_grid(table: Table, ids: pd.Index, ds: xr.Dataset, days: StepCounts) -> tuple[np.ndarray, StepCounts]:
    """Return values (site, time) on the dataset's days; what falls outside is booked."""
    row = ids.get_indexer(pd.Index(table.daily["site"]))
    column = pd.DatetimeIndex(ds[v.TIME].values).get_indexer(pd.DatetimeIndex(table.daily["day"]))
    days.refuse("at a site that the dataset has not", int((row < 0).sum()))
    days.refuse("on a day that the dataset has not", int(((row >= 0) & (column < 0)).sum()))
    inside = (row >= 0) & (column >= 0)
    values = np.full((len(ids), ds.sizes[v.TIME]), np.nan, np.float32)
    values[row[inside], column[inside]] = table.daily["value"].to_numpy()[inside]
    return values, days


def _others(array: xr.DataArray) -> list[str]:
    return [str(c) for c in array.coords if c not in (v.PRODUCT, v.SITE, v.TIME)]


def _suggest(unknown: list[str], ids: pd.Index) -> str:
    if not unknown:
        return ""
    near = difflib.get_close_matches(unknown[0], list(ids), n=1, cutoff=0.5)
    hint = (
        f"did you mean {near[0]!r}?"
        if near
        else f"the dataset's sites are like {', '.join(map(repr, ids[:3]))}."
    )
    return f" Site {unknown[0]!r} is not in the dataset ({len(unknown)} such): {hint}"


def finished(out: xr.Dataset, ds: xr.Dataset, step: dict[str, Any], name: str) -> xr.Dataset:
    """Return the dataset with one more step in its history, checked."""
    out.attrs = dict(ds.attrs) | {"history": json.dumps([*json.loads(ds.attrs.get("history", "[]")), step])}
    check_dataset(out, name=name)
    return out
