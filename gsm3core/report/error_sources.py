"""Where the error comes from, region by region, as tables."""

from __future__ import annotations

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.report.medians import SITES_DRAWN
from gsm3core.report.tables import NOTHING, Cell, Table, interval, number, probability, words


def error_tables(found: xr.Dataset) -> list[Table]:
    """Return the types of error and the levels that they are differences of.

    Parameters
    ----------
    found
        Of :func:`gsm3core.error_types`.
    """
    metric = found.attrs["metric"]
    regions = [str(r) for r in found[v.REGION].values]
    kinds = [str(k) for k in found["error_type"].values]
    experiments = [str(e) for e in found["experiment"].values]
    types: list[list[Cell]] = [
        [(words(r),), *(_error(found.sel({"error_type": k, v.REGION: r})) for k in kinds)] for r in regions
    ]
    levels: list[list[Cell]] = [
        [(words(r),), *(_level(found.sel({"experiment": e, v.REGION: r})) for e in experiments)]
        for r in regions
    ]
    names = ["error", "lower", "upper", "p", "n_sites", "clusters", "reason"]
    level_names = ["level", "level_lower", "level_upper", "level_sites"]
    drawn = found["resampled"].to_series()
    frames = [
        found[n].drop_vars("meaning", errors="ignore").to_dataframe().reset_index()
        for n in (names, level_names)
    ]
    notes = (SITES_DRAWN,) if (found["resampled"] == "sites").any() else ()
    return [
        Table(
            name=f"error-types-{metric}",
            caption=f"Loss of {metric} by type of error: positive is lost, a difference of medians over common sites",
            head=("", *kinds),
            rows=types,
            frame=frames[0].assign(resampled=frames[0][v.REGION].map(drawn)),
            notes=(*(f"{k}: {m}." for k, m in zip(kinds, found["meaning"].values, strict=True)), *notes),
        ),
        Table(
            name=f"error-types-{metric}-levels",
            caption=f"Median {metric} of each experiment",
            head=("", *map(words, experiments)),
            rows=levels,
            frame=frames[1].assign(resampled=frames[1][v.REGION].map(drawn)),
        ),
    ]


def _error(one: xr.Dataset) -> Cell:
    if not np.isfinite(one["error"]):
        return (NOTHING, words(str(one["reason"].item())))
    p = float(one["p"])
    of = f"{int(one['n_sites'])} sites" + (f", {probability(p)}" if np.isfinite(p) else "")
    return (number(float(one["error"]), sign=True), _ends(one, "lower", "upper"), of)


def _level(one: xr.Dataset) -> Cell:
    if not np.isfinite(one["level"]):
        return ("not run",) if np.isnan(one["level_sites"]) else (NOTHING,)
    return (
        number(float(one["level"])),
        _ends(one, "level_lower", "level_upper"),
        f"{int(one['level_sites'])} sites",
    )


def _ends(one: xr.Dataset, lower: str, upper: str) -> str:
    star = "*" if str(one["resampled"].item()) == "sites" else ""
    return interval(float(one[lower]), float(one[upper])) + star
