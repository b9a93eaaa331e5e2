"""Addition of a user's table to a dataset as a soil-moisture product."""

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
RESERVED_NAMES = (v.IN_SITU, v.SMAP, *v.MODEL_PRODUCTS.values())
MAX_LISTED = 40  # names in the history: an HDF5 attribute holds 64 kB
LICENSE = "as given by the user who added it"


def add_product(
    ds: xr.Dataset, path: Path, name: str, *, units: str = "", max_bytes: int | None = None
) -> tuple[xr.Dataset, dict[str, Any]]:
    """Return the dataset with a user's table as an additional product, and the step added to its history.

    Parameters
    ----------
    path
        Table with columns site, time, value, units; see :func:`gsm3core.user_tables.tables.read_table`. Sites are the ids
        of the dataset.
    name
        Name of the product in scores and plots.
    units
        Units of a table without the column.
    max_bytes
        Limit for uploads.

    Raises
    ------
    DatasetError
        If the name or the table is invalid, or no row matches a site and a day of the dataset.
    """
    check_name(name, [*products(ds), *RESERVED_NAMES], "product")
    table = read_table(Path(path), units=units, max_bytes=max_bytes)
    ids = pd.Index(ds[v.SITE].values.astype(str))
    unknown = sorted(set(table.daily["site"]) - set(ids))
    values, days = align_table(table, ids, ds, StepCounts(read=len(table.daily)))
    if not np.isfinite(values).any():
        raise DatasetError(
            f"{table.file}: no row matches a site and a day of the dataset: {days}.{_suggest(unknown, ids)}"
        )
    known = v.VARIABLES[v.SM_PRODUCT]
    layer = xr.DataArray(
        values[None], dims=(v.PRODUCT, v.SITE, v.TIME),
        coords={v.PRODUCT: [name], v.SITE: ds[v.SITE], v.TIME: ds[v.TIME]},
    )  # fmt: skip
    attrs = {"units": known.units, "long_name": known.long_name, "standard_name": known.standard_name}
    source = f"{name}: {table.file} (SHA-256 {table.sha256[:12]})"
    if v.SM_PRODUCT in ds:
        before = ds[v.SM_PRODUCT]
        attrs = dict(before.attrs)
        for key, text in (("source", source), ("license", f"{name}: {LICENSE}")):
            attrs[key] = " + ".join(filter(None, [str(before.attrs.get(key) or ds.attrs.get(key, "")), text]))
        joined = xr.concat(
            [before.drop_vars(_other_coordinates(before)), layer],
            dim=v.PRODUCT,
            join="exact",
            combine_attrs="drop",
        )
        ds = ds.drop_vars([v.SM_PRODUCT, v.PRODUCT])
    else:
        attrs |= {"source": source, "license": f"{name}: {LICENSE}"}
        joined = layer
    out = ds.assign({v.SM_PRODUCT: joined.astype(np.float32).assign_attrs(attrs)})
    step = table.as_step("add-product", name) | days.as_step("days")
    step |= {"unknown_sites": unknown[:MAX_LISTED], "unknown_sites_count": len(unknown)}
    if table.refused:
        step["refused"] = dict(list(table.refused.items())[:MAX_LISTED])
    return with_history_step(out, ds, step, f"the dataset with {name}"), step


def check_name(name: str, existing: Iterable[str], what: str) -> None:
    """Raise unless a name is valid in plots and files and not among ``existing`` ones (ignoring case)."""
    if not _NAME.fullmatch(name) or name != name.strip():
        expected = "1 to 40 letters, digits, blanks and . + - ( ), starting with a letter or digit"
        raise DatasetError(f"invalid {what} name {name!r}; expected {expected}.")
    if name.casefold() in {str(t).casefold() for t in existing}:
        raise DatasetError(f"duplicate {what} name {name!r}; choose another name.")


def align_table(
    table: Table, ids: pd.Index, ds: xr.Dataset, days: StepCounts
) -> tuple[np.ndarray, StepCounts]:
    """Return the table's values (site, time) on the dataset's days; rows outside are counted as refused."""
    row = ids.get_indexer(pd.Index(table.daily["site"]))
    column = pd.DatetimeIndex(ds[v.TIME].values).get_indexer(pd.DatetimeIndex(table.daily["day"]))
    days.refuse("site not in the dataset", int((row < 0).sum()))
    days.refuse("day not in the dataset", int(((row >= 0) & (column < 0)).sum()))
    inside = (row >= 0) & (column >= 0)
    values = np.full((len(ids), ds.sizes[v.TIME]), np.nan, np.float32)
    values[row[inside], column[inside]] = table.daily["value"].to_numpy()[inside]
    return values, days


def _other_coordinates(array: xr.DataArray) -> list[str]:
    return [str(c) for c in array.coords if c not in (v.PRODUCT, v.SITE, v.TIME)]


def _suggest(unknown: list[str], ids: pd.Index) -> str:
    if not unknown:
        return ""
    near = difflib.get_close_matches(unknown[0], list(ids), n=1, cutoff=0.5)
    hint = (
        f"Did you mean {near[0]!r}?"
        if near
        else f"Sites of the dataset: {', '.join(map(repr, ids[:3]))}, ..."
    )
    return f" {len(unknown)} sites are not in the dataset, such as {unknown[0]!r}. {hint}"


def with_history_step(out: xr.Dataset, ds: xr.Dataset, step: dict[str, Any], name: str) -> xr.Dataset:
    """Return the checked dataset with one more step in its history."""
    out.attrs = dict(ds.attrs) | {"history": json.dumps([*json.loads(ds.attrs.get("history", "[]")), step])}
    check_dataset(out, name=name)
    return out
