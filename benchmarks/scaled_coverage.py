"""Coverage of nominal 95 % intervals of scores after scaling to the reference, with and without scaling each replicate.

python benchmarks/run.py scaled-coverage [--pairs 300]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core.evaluation.site_scores import site_scores
from gsm3core.metrics.rescaling import rescaled

DAYS, LAG1, R = (365, 2100), (0.0, 0.8, 0.95), 0.8
STD = 0.06  # of the reference, m3 m-3


def autoregressive(rng: np.random.Generator, rows: int, days: int, lag1: float) -> np.ndarray:
    """Gaussian AR(1) series of variance 1, after 300 days of warm-up."""
    noise = rng.normal(size=(rows, days + 300))
    out = np.empty_like(noise)
    out[:, 0] = noise[:, 0]
    for t in range(1, noise.shape[1]):
        out[:, t] = lag1 * out[:, t - 1] + np.sqrt(1 - lag1**2) * noise[:, t]
    return out[:, 300:]


def coverage(rng: np.random.Generator, pairs: int, days: int, lag1: float) -> dict[str, float]:
    """Share of pairs whose interval covers the true R and RMSE after scaling; 10 % of the days are missing."""
    truth, error = (autoregressive(rng, pairs, days, lag1) for _ in range(2))
    y = 0.25 + STD * truth
    x = 0.4 + 0.02 * (R * truth + np.sqrt(1 - R**2) * error)
    for series in (x, y):
        series[rng.random(series.shape) < 0.1] = np.nan
    coords = {"site": np.arange(pairs).astype(str), "time": pd.date_range("2015-04-01", periods=days)}
    a, b = (xr.DataArray(s, dims=("site", "time"), coords=coords) for s in (x, y))
    true = {"R": R, "RMSE": STD * np.sqrt(2 * (1 - R))}
    found = {}
    for scaling in ("mean_std", "cdf"):
        repeated = site_scores(a, b, scaling=scaling)
        given = site_scores(a.copy(data=rescaled(x, y, scaling)), b)
        for name, scores, metric in (
            ("R", repeated, "R"), ("RMSE, scaled in each replicate", repeated, "RMSE"),
            ("RMSE, scaling as given", given, "RMSE"),
        ):  # fmt: skip
            inside = (scores[f"{metric}_lower"] <= true[metric]) & (scores[f"{metric}_upper"] >= true[metric])
            found[f"{scaling}: {name}"] = float(inside.mean())
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the coverage by length of the record and lag-1 autocorrelation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=300)
    pairs = parser.parse_args(arguments).pairs
    rng = np.random.default_rng(7)
    columns = {(days, lag1): coverage(rng, pairs, days, lag1) for days in DAYS for lag1 in LAG1}
    sys.stdout.write(pd.DataFrame(columns).rename_axis(columns=["days", "lag-1"]).round(2).to_string() + "\n")
