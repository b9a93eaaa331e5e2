"""Unit conversion and screening of one variable; every removed value is counted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.catalog import SourceVariable
from gsm3core.errors import DatasetError
from gsm3core.readers.layouts import UnreadableFileError

_MOST = 0.95  # of the values that are not missing


def convert(
    raw: xr.Dataset,
    path: Path,
    variable: SourceVariable,
    theirs: str,
    masks: Mapping[str, xr.DataArray],
    block: slice | None,
    tally: dict[str, dict[str, int]],
) -> xr.DataArray:
    """Return one variable in canonical units; masked and invalid values are NaN.

    Parameters
    ----------
    raw
        The file, fill values NaN.
    path
        File name, for messages.
    variable, theirs
        Entry of the catalogue, and the name in this file.
    masks
        Reason -> where the value must not be used (quality flags).
    block
        Time steps to convert; ``None`` for a static file.
    tally
        By canonical name: values read, removed by each rule in turn, and kept; updated in place. A value is counted
        under the first rule that removes it, so that removed and kept add up to read.

    Raises
    ------
    DatasetError
        If the file states units that are not in the catalogue; ``UnreadableFileError`` if the values cannot be read.
    """
    array = raw[theirs]
    stated = str(array.attrs.get("units", "")).strip()
    if stated not in variable.units:
        expected = " or ".join(repr(u) for u in variable.units)
        raise DatasetError(
            f"{path}: {theirs!r} has units {stated!r}; expected {expected}. If the producer changed the units, add them "
            "with their conversion factor to the catalogue."
        )
    array = array if block is None else array.isel({v.TIME: block})
    try:
        stored = array.to_numpy()
        arrays = {
            reason: np.asarray(m if block is None or v.TIME not in m.dims else m.isel({v.TIME: block}), bool)
            for reason, m in masks.items()
        }
    except (OSError, RuntimeError, ValueError) as error:
        raise UnreadableFileError(
            f"{path}: {theirs!r} cannot be read: {error}. The file is damaged: download it again.", path
        ) from error
    counts = tally.setdefault(variable.ours, {})
    out = np.empty(stored.shape, np.float32)
    # One map at a time fits the processor's cache; a day of hourly global maps at once takes four times as long.
    for k in range(stored.shape[0]) if stored.ndim > 2 else [...]:
        invalid = {reason: np.broadcast_to(m, stored.shape)[k] for reason, m in arrays.items()}
        out[k] = _screen(stored[k], invalid, variable, variable.units[stated], counts)
    # CF flags mark classes, so that they are not interpolated.
    flags = {k: array.attrs[k] for k in ("flag_values",) if k in array.attrs}
    return xr.DataArray(out, dims=array.dims, coords=array.coords, attrs=flags)


def _screen(
    stored: NDArray[np.generic],
    masks: Mapping[str, NDArray[np.bool_]],
    variable: SourceVariable,
    factor: float,
    counts: dict[str, int],
) -> NDArray[np.float32]:
    """Convert one map; each removed value is counted under the first rule that removes it."""

    def count(reason: str, number: int) -> None:
        counts[reason] = counts.get(reason, 0) + number

    # Satellite maps are mostly empty: convert only the valid values, in double precision.
    valid = ~np.isnan(stored) if stored.dtype.kind == "f" else np.ones(stored.shape, bool)
    if variable.fill is not None:
        valid &= ~np.isclose(stored, variable.fill, rtol=1e-6, atol=0.0)
    count("read", stored.size)
    count("fill", stored.size - int(valid.sum()))
    for reason, where in masks.items():
        masked = valid & where
        count(reason, int(masked.sum()))
        valid &= ~masked
    values = stored[valid].astype(np.float64) * factor + variable.offset
    if variable.valid_range:
        low, high = variable.valid_range
        # Tolerance of single precision at the ends: 1.0000000475 is a full cell, not an error.
        below, above = (max(variable.tolerance, 1e-6 * abs(end)) for end in (low, high))
        outside = (values < low - below) | (values > high + above)
        count("outside_valid_range", int(outside.sum()))
        if values.size:
            known = cast("list[float]", counts.get("found", [np.inf, -np.inf]))
            ends = [min(known[0], float(np.nanmin(values))), max(known[1], float(np.nanmax(values)))]
            counts["found"] = cast(int, ends)
        np.clip(values, low, high, out=values)
        values[outside] = np.nan
    count("kept", int((~np.isnan(values)).sum()))
    out = np.full(stored.shape, np.nan, np.float32)
    out[valid] = values
    return out


def screening_record(counts: Mapping[str, Any]) -> str:
    """Return the counts of a variable as JSON; with ``found``, the range of its values, if most are outside the valid range."""
    outside, kept = counts.get("outside_valid_range", 0), counts.get("kept", 0)
    mostly = outside > _MOST * (outside + kept)
    return json.dumps({
        k: [float(f"{x:.4g}") for x in n] if k == "found" else n
        for k, n in counts.items()
        if k != "found" or mostly
    })  # fmt: skip


def describe_screening(variable: SourceVariable, record: Mapping[str, Any]) -> str:
    """Return which rule removed most values of a variable, with its bounds and the range found; empty if none did.

    Parameters
    ----------
    record
        Counts by rule, as in the attribute ``screening``.
    """
    left = record.get("read", 0) - record.get("fill", 0)
    for reason, number in record.items():
        if reason in ("read", "fill", "kept", "found") or not number or number <= _MOST * left:
            continue
        share = "all" if number == left else f"{100 * number / left:.1f} %"
        if reason != "outside_valid_range" or variable.valid_range is None:
            return f"{variable.ours}: {share} of the {left} values were removed by the rule {reason}"
        low, high = variable.valid_range
        found = record.get("found")
        values = f"; the files have {found[0]:g} to {found[1]:g}" if found else ""
        return (
            f"{variable.ours}: {share} of the {left} values are outside the valid range of {low:g} to {high:g} "
            f"{variable.our_units}{values}. Their units, scaling or accumulation are not those of the catalogue"
        )
    return ""


def merge_counts(*records: str) -> str:
    """Return the sum of several ``screening`` records, for datasets read in parts."""
    total: dict[str, Any] = {}
    for record in records:
        for reason, count in json.loads(record).items():
            if reason == "found":
                known = total.get(reason, count)
                total[reason] = [min(known[0], count[0]), max(known[1], count[1])]
            else:
                total[reason] = total.get(reason, 0) + count
    return json.dumps(total)
