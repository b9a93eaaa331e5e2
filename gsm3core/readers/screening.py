"""Conversion of one variable by the catalogue's rule, and screening in which every removed value is counted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceVariable
from gsm3core.errors import DatasetError


def convert(
    raw: xr.Dataset,
    path: Path,
    variable: SourceVariable,
    theirs: str,
    refuse: Mapping[str, xr.DataArray],
    block: slice | None,
    tally: dict[str, dict[str, int]],
) -> xr.DataArray:
    """Return one variable in our units, without what must not be used.

    Parameters
    ----------
    raw
        The file, fill values NaN.
    path
        Its name, for messages.
    variable, theirs
        The catalogue's rule, and the name in this file.
    refuse
        Reason -> where the value must not be used (quality flags).
    block
        Steps to take; all of a static file for ``None``.
    tally
        Per variable of ours: how many values were read, removed by each rule in turn, and kept; added to here. A
        value is counted under the first rule that removes it, so that the removed and the kept add up to the read.

    Raises
    ------
    DatasetError
        If the file states units that the catalogue does not know, or the values cannot be read.
    """
    array = raw[theirs]
    stated = str(array.attrs.get("units", "")).strip()
    if stated not in variable.units:
        expected = " or ".join(repr(u) for u in variable.units)
        raise DatasetError(
            f"{path}: {theirs!r} has units {stated!r}; expected {expected}. It would be converted wrongly: if "
            "the producer has changed them, add them with their factor to the catalogue."
        )
    array = array if block is None else array.isel({v.TIME: block})
    try:
        stored = array.to_numpy()
        masks = {
            reason: np.asarray(m if block is None or v.TIME not in m.dims else m.isel({v.TIME: block}), bool)
            for reason, m in refuse.items()
        }
    except (OSError, RuntimeError, ValueError) as error:
        raise DatasetError(
            f"{path}: {theirs!r} cannot be read: {error}. The file is damaged: download it again."
        ) from error
    counts = tally.setdefault(variable.ours, {})
    out = np.empty(stored.shape, np.float32)
    # One map at a time stays in the processor's cache; a day of hourly global maps at once takes four times as long.
    for k in range(stored.shape[0]) if stored.ndim > 2 else [...]:
        refused = {reason: np.broadcast_to(m, stored.shape)[k] for reason, m in masks.items()}
        out[k] = _screened(stored[k], refused, variable, variable.units[stated], counts)
    # Classes are told by their CF flags, so that nobody interpolates between them.
    flags = {k: array.attrs[k] for k in ("flag_values",) if k in array.attrs}
    return xr.DataArray(out, dims=array.dims, coords=array.coords, attrs=flags)


def _screened(
    stored: NDArray[np.generic],
    masks: Mapping[str, NDArray[np.bool_]],
    variable: SourceVariable,
    factor: float,
    counts: dict[str, int],
) -> NDArray[np.float32]:
    """Convert one map; each value that is removed is counted under the first rule that removes it."""

    def count(reason: str, number: int) -> None:
        counts[reason] = counts.get(reason, 0) + number

    # Satellite maps are mostly empty: only what is there is worked on, as one list in double precision.
    there = ~np.isnan(stored) if stored.dtype.kind == "f" else np.ones(stored.shape, bool)
    if variable.fill is not None:
        there &= ~np.isclose(stored, variable.fill, rtol=1e-6, atol=0.0)
    count("read", stored.size)
    count("fill", stored.size - int(there.sum()))
    for reason, where in masks.items():
        refused = there & where
        count(reason, int(refused.sum()))
        there &= ~refused
    values = stored[there].astype(np.float64) * factor + variable.offset
    if variable.valid_range:
        low, high = variable.valid_range
        # Single precision at the ends: 1.0000000475 is a full cell, not an error.
        below, above = (max(variable.tolerance, 1e-6 * abs(end)) for end in (low, high))
        outside = (values < low - below) | (values > high + above)
        count("outside_valid_range", int(outside.sum()))
        np.clip(values, low, high, out=values)
        values[outside] = np.nan
    count("kept", int((~np.isnan(values)).sum()))
    out = np.full(stored.shape, np.nan, np.float32)
    out[there] = values
    return out


def merge_counts(*records: str) -> str:
    """Return the sum of several ``screening`` records, for datasets read in pieces."""
    total: dict[str, int] = {}
    for record in records:
        for reason, count in json.loads(record).items():
            total[reason] = total.get(reason, 0) + count
    return json.dumps(total)
