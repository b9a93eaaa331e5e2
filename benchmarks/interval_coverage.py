"""Coverage of nominal 95 % intervals at one site, compared with intervals that assume independent days.

python benchmarks/run.py coverage [--pairs 1000] [--days 2100]
"""

from __future__ import annotations

import argparse
import sys
import time
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.benchmark_series import known_pair
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.metrics import METRICS
from gsm3core.statistics.block_bootstrap import BlockDraws, block_intervals, fisher_interval

LAG1 = (0.0, 0.8, 0.9, 0.95, 0.98)


def independent_days(scores: xr.Dataset, x: np.ndarray, y: np.ndarray) -> dict[str, tuple]:
    """Usual analytic intervals: Fisher's z with n, standard error of the mean, chi-square for ubRMSE."""
    from scipy.stats import chi2

    n = scores.n_valid.values
    z = NormalDist().inv_cdf(0.975)
    half = z * scores.ubRMSE.values / np.sqrt(n - 1)
    ub2 = scores.ubRMSE.values**2 * n
    return {
        "R": fisher_interval(scores.R.values, n, 0.95),
        "bias": (scores.bias.values - half, scores.bias.values + half),
        "ubRMSE": (np.sqrt(ub2 / chi2.ppf(0.975, n - 1)), np.sqrt(ub2 / chi2.ppf(0.025, n - 1))),
    }


def covered_share(interval: tuple, truth: float) -> float:
    lower, upper = interval
    return float(((lower <= truth) & (upper >= truth)).mean())


def coverage(
    lag1: float, *, pairs: int, days: int, seed: int = 1, **options: Any
) -> dict[str, dict[str, float]]:
    """Share of pairs whose interval covers the true value, by kind of interval and metric.

    ``options`` are those of :func:`benchmarks.benchmark_series.known_pair`.
    """
    rng = np.random.default_rng(seed)
    x, y, truth = known_pair(rng, pairs, days, lag1, **options)
    coords = {"site": np.arange(pairs), "time": pd.date_range("2015-04-01", periods=days)}
    a, b = (xr.DataArray(s, dims=("site", "time"), coords=coords) for s in (x, y))
    scores = site_scores(a, b)
    ours = {m: (scores[f"{m}_lower"].values, scores[f"{m}_upper"].values) for m in METRICS}
    draws = BlockDraws.make(days)
    plain = block_intervals(
        x, y, [METRICS[m] for m in ("bias", "RMSE", "ubRMSE")], draws, 0.95, corrected=False
    )
    naive = independent_days(scores, x, y)
    return {
        kind: {m: covered_share(intervals[m], truth[m]) for m in intervals}
        for kind, intervals in (("ours", ours), ("plain blocks", plain), ("independent days", naive))
    }


def designs(days: int) -> dict[str, dict[str, Any]]:
    """Options of :func:`coverage` by design: the judged ones, none of which served to choose a method."""
    every_lag1: dict[str, dict[str, Any]] = {
        "AR(1)": {"days": days}, "season + AR(1)": {"days": days, "seasonal": True},
        "AR(1), three-day revisit": {"days": days, "every": 3},
        "AR(1) + white noise": {"days": days, "white": 0.04}, "AR(1), 365 days": {"days": 365},
    }  # fmt: skip
    found = {f"{name}, lag-1 {lag1}": {"lag1": lag1, **o} for name, o in every_lag1.items() for lag1 in LAG1}
    smap = {"every": (2, 3), "winter": 60}
    for length in (180, 365, 730, 1500, days):
        for own in (0.0, 0.5, 0.8):
            found[f"AR(1) 0.98 + own noise {own}, {length} days"] = {
                "days": length,
                "lag1": 0.98,
                "own_lag1": own,
            }
        found[f"AR(1) 0.98 + own noise 0.5, SMAP's gaps, {length} days"] = {
            "days": length, "lag1": 0.98, "own_lag1": 0.5, **smap
        }  # fmt: skip
        found[f"AR(1) 0.95 + own noise 0.5, seasonal error, {length} days"] = {
            "days": length, "lag1": 0.95, "own_lag1": 0.5, "season_error": 0.04
        }  # fmt: skip
    return found


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="run.py coverage", description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--days", type=int, default=2100)
    parser.add_argument("--only", default="", help="part of the name of a design")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    rows = []
    for name, design in designs(options.days).items():
        if options.only in name:
            found = coverage(pairs=options.pairs, **design)
            rows += [{"design": name, "interval": kind, **values} for kind, values in found.items()]
    table = pd.DataFrame(rows).set_index(["design", "interval"])
    error = (0.95 * 0.05 / options.pairs) ** 0.5
    sys.stdout.write(
        f"{options.pairs} pairs, 10 % gaps in each series; standard error at 0.95: {error:.3f}\n"
    )
    sys.stdout.write(f"{table.unstack('interval').dropna(axis=1, how='all').round(3).to_string()}\n")
    sys.stdout.write(f"\n{time.perf_counter() - started:.0f} s\n")
