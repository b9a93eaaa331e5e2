"""Tables of the types of error by region."""

from __future__ import annotations

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.report.medians import FEW_NETWORKS_NOTE
from gsm3core.report.tables import NOTHING, Cell, Table, display_name, interval, number, probability


def error_tables(found: xr.Dataset) -> list[Table]:
    """Return the types of error by region, and the median scores that they are differences of.

    Parameters
    ----------
    found
        From :func:`gsm3core.error_types`.
    """
    metric = found.attrs["metric"]
    regions = [str(r) for r in found[v.REGION].values]
    kinds = [str(k) for k in found["error_type"].values]
    experiments = [str(e) for e in found["experiment"].values]
    types: list[list[Cell]] = [
        [(display_name(r),), *(_error_cell(found.sel({"error_type": k, v.REGION: r})) for k in kinds)]
        for r in regions
    ]
    levels: list[list[Cell]] = [
        [(display_name(r),), *(_level_cell(found.sel({"experiment": e, v.REGION: r})) for e in experiments)]
        for r in regions
    ]
    names = ["error", "lower", "upper", "p", "n_sites", "clusters", "reason"]
    level_names = ["level", "level_lower", "level_upper", "level_sites"]
    resampled = found["resampled"].to_series()
    frames = [
        found[n].drop_vars("meaning", errors="ignore").to_dataframe().reset_index()
        for n in (names, level_names)
    ]
    notes = (FEW_NETWORKS_NOTE,) if (found["resampled"] == "sites").any() else ()
    return [
        Table(
            name=f"error-types-{metric}",
            caption=f"Loss of {metric} by type of error: difference of medians over common sites, positive is a loss",
            head=("", *kinds),
            rows=types,
            frame=frames[0].assign(resampled=frames[0][v.REGION].map(resampled)),
            notes=(*(f"{k}: {m}." for k, m in zip(kinds, found["meaning"].values, strict=True)), *notes),
        ),
        Table(
            name=f"error-types-{metric}-levels",
            caption=f"Median {metric} of each experiment",
            head=("", *map(display_name, experiments)),
            rows=levels,
            frame=frames[1].assign(resampled=frames[1][v.REGION].map(resampled)),
        ),
    ]


def _error_cell(one: xr.Dataset) -> Cell:
    if not np.isfinite(one["error"]):
        return (NOTHING, display_name(str(one["reason"].item())))
    p = float(one["p"])
    sample = f"{int(one['n_sites'])} sites" + (f", {probability(p)}" if np.isfinite(p) else "")
    return (number(float(one["error"]), sign=True), _marked_interval(one, "lower", "upper"), sample)


def _level_cell(one: xr.Dataset) -> Cell:
    if not np.isfinite(one["level"]):
        return ("not run",) if np.isnan(one["level_sites"]) else (NOTHING,)
    return (
        number(float(one["level"])),
        _marked_interval(one, "level_lower", "level_upper"),
        f"{int(one['level_sites'])} sites",
    )


def _marked_interval(one: xr.Dataset, lower: str, upper: str) -> str:
    """Return the interval, with a star where single sites were resampled."""
    star = "*" if str(one["resampled"].item()) == "sites" else ""
    return interval(float(one[lower]), float(one[upper])) + star
