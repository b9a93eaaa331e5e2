"""Tables of the types of error by region."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.evaluation.error_types import RESIDUAL, RESIDUAL_MEANING
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
        [
            (display_name(r),),
            *(_level_cell(found.sel({"experiment": e, v.REGION: r}), "level") for e in experiments),
            _level_cell(found.sel({v.REGION: r}), "residual"),
        ]
        for r in regions
    ]
    names = ["error", "lower", "upper", "p", "n_sites", "clusters", "reason"]
    level_names = [f"level{p}" for p in ("", "_lower", "_upper", "_sites")]
    residual = found[[n.replace("level", "residual") for n in level_names]].to_dataframe().reset_index()
    residual.columns = [str(n).replace("residual", "level") for n in residual.columns]
    resampled = found["resampled"].to_series()
    frames = [
        found[n].drop_vars("meaning", errors="ignore").to_dataframe().reset_index()
        for n in (names, level_names)
    ]
    frames[0]["dominant"] = (
        frames[0][v.REGION].map(found["dominant"].to_series()).where(frames[0]["error_type"] == "C", "")
    )
    frames[1] = pd.concat([frames[1], residual.assign(experiment=RESIDUAL)], ignore_index=True)
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
            caption=f"Median {metric} of each experiment, and the {RESIDUAL}",
            head=("", *map(display_name, experiments), RESIDUAL),
            rows=levels,
            frame=frames[1].assign(resampled=frames[1][v.REGION].map(resampled)),
            notes=(f"{RESIDUAL}: {RESIDUAL_MEANING}.",),
        ),
    ]


def _error_cell(one: xr.Dataset) -> Cell:
    if not np.isfinite(one["error"]):
        return (NOTHING, display_name(str(one["reason"].item())))
    p = float(one["p"])
    sample = f"{int(one['n_sites'])} sites" + (f", {probability(p)}" if np.isfinite(p) else "")
    reading = ("B exceeds C",) if str(one["error_type"].item()) == "C" and float(one["error"]) < 0 else ()
    return (number(float(one["error"]), sign=True), _marked_interval(one, "lower", "upper"), sample, *reading)


def _level_cell(one: xr.Dataset, name: str) -> Cell:
    if not np.isfinite(one[name]):
        return ("not run",) if np.isnan(one[f"{name}_sites"]) else (NOTHING,)
    return (
        number(float(one[name])),
        _marked_interval(one, f"{name}_lower", f"{name}_upper"),
        f"{int(one[f'{name}_sites'])} sites",
    )


def _marked_interval(one: xr.Dataset, lower: str, upper: str) -> str:
    """Return the interval, with a star where single sites were resampled."""
    star = "*" if str(one["resampled"].item()) == "sites" else ""
    return interval(float(one[lower]), float(one[upper])) + star
