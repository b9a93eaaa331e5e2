"""Run time of the metrics compared with numpy and other libraries, in one process, interleaved.

python benchmarks/run.py speed [--sites 1317 --days 2100 --products 6 --rounds 5]

Slow functions of other libraries are timed on a subset of sites and scaled up; the table gives its size.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.benchmark_series import many_products
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.metrics import METRICS, PAIRED_METRICS, effective_sample_size, paired_moments
from gsm3core.statistics.block_bootstrap import fisher_interval


def naive_numpy(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """R, bias, RMSE and ubRMSE in vectorised numpy, in the precision of the data."""
    both = np.isfinite(x) & np.isfinite(y)
    n = both.sum(-1)
    mean_x = np.where(both, x, 0).sum(-1) / n
    mean_y = np.where(both, y, 0).sum(-1) / n
    dx = np.where(both, x - mean_x[..., None], 0)
    dy = np.where(both, y - mean_y[..., None], 0)
    r = (dx * dy).sum(-1) / np.sqrt((dx * dx).sum(-1) * (dy * dy).sum(-1))
    rmse = np.sqrt(np.where(both, (x - y) ** 2, 0).sum(-1) / n)
    return [r, mean_x - mean_y, rmse, np.sqrt(((dx - dy) ** 2).sum(-1) / n)]


def nan_numpy(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """The same with numpy's nan-functions."""
    both = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(both, x, np.nan), np.where(both, y, np.nan)
    dx, dy = x - np.nanmean(x, -1, keepdims=True), y - np.nanmean(y, -1, keepdims=True)
    r = np.nansum(dx * dy, -1) / np.sqrt(np.nansum(dx * dx, -1) * np.nansum(dy * dy, -1))
    return [
        r,
        np.nanmean(x - y, -1),
        np.sqrt(np.nanmean((x - y) ** 2, -1)),
        np.sqrt(np.nanmean((dx - dy) ** 2, -1)),
    ]


def kernel(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """All four metrics from paired moments."""
    moments = paired_moments(x, y)
    return [m.from_moments(moments) for m in METRICS.values()]


def kernel_and_fisher(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """The four metrics, effective sample sizes, and the interval of R."""
    scores = kernel(x, y)
    return [*scores, *fisher_interval(scores[0], effective_sample_size(x, y), 0.95)]


def with_scores(x: xr.DataArray, y: xr.DataArray) -> list[xr.DataArray]:
    """The library `scores`."""
    import scores

    c = scores.continuous
    both = x.notnull() & y.notnull()
    a, b = x.where(both), y.where(both)
    rest = c.rmse(a - a.mean("time"), b - b.mean("time"), reduce_dims="time")
    return [c.correlation.pearsonr(a, b, reduce_dims="time"), c.additive_bias(a, b, reduce_dims="time"),
            c.rmse(a, b, reduce_dims="time"), rest]  # fmt: skip


def with_pytesmo(x: np.ndarray, y: np.ndarray, *, intervals: bool) -> None:
    """pytesmo's functions, called once per pair of series, with its analytic intervals where it has them."""
    from pytesmo.metrics import bias, pearson_r, rmsd, ubrmsd, with_analytical_ci

    for p in range(len(x)):
        for s in range(len(y)):
            both = np.isfinite(x[p, s]) & np.isfinite(y[s])
            a, b = x[p, s][both].astype(float), y[s][both].astype(float)
            for metric in (pearson_r, bias, ubrmsd):
                with_analytical_ci(metric, a, b) if intervals else metric(a, b)
            rmsd(a, b)


def pytesmo_intercomparison(x: np.ndarray, y: np.ndarray, days: pd.DatetimeIndex) -> None:
    """pytesmo's own intercomparison of all products at each site, with its analytic intervals."""
    from pytesmo.validation_framework.metric_calculators import PairwiseIntercomparisonMetrics

    calculator = PairwiseIntercomparisonMetrics(calc_spearman=False, analytical_cis=True)
    for s in range(len(y)):
        frame = pd.DataFrame({"ref": y[s], **{f"p{p}": x[p, s] for p in range(len(x))}}, index=days).astype(
            float
        )
        for p in range(len(x)):
            two = frame[["ref", f"p{p}"]].dropna().rename(columns={f"p{p}": "other"})
            calculator.calc_metrics(two, (s, 0.0, 0.0))


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="run.py speed", description=__doc__.splitlines()[0])
    for name, value in (("sites", 1317), ("days", 2100), ("products", 6), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    o = parser.parse_args(arguments)
    x, y = many_products(o.sites, o.days, o.products, gaps=0.1)
    days = pd.date_range("2015-04-01", periods=o.days)
    coords = {"site": np.arange(o.sites), "time": days}
    a = xr.DataArray(x, dims=("product", "site", "time"), coords=coords)
    b = xr.DataArray(y, dims=("site", "time"), coords=coords)
    subset = max(o.sites // 40, 1)
    functions: dict[str, tuple[int, Callable[[], object]]] = {
        "numpy, vectorised": (o.sites, lambda: naive_numpy(x, y)),
        "numpy, nan-functions": (o.sites, lambda: nan_numpy(x, y)),
        "kernel, 4 metrics": (o.sites, lambda: kernel(x, y)),
        "kernel, 4 metrics, n_eff, interval of R": (o.sites, lambda: kernel_and_fisher(x, y)),
        "site_scores, interval of R": (o.sites, lambda: site_scores(a, b, intervals="R")),
        "site_scores, all intervals (1,000 block replicates)": (o.sites, lambda: site_scores(a, b)),
        "site_scores, all 13 metrics, no interval": (
            o.sites, lambda: site_scores(a, b, metrics=list(PAIRED_METRICS), intervals="none")
        ),
        "scores": (o.sites, lambda: with_scores(a, b)),
    }  # fmt: skip
    try:
        import pytesmo  # noqa: F401
    except ImportError:
        sys.stdout.write("pytesmo is not installed and is skipped.\n")
    else:
        part = (x[:, :subset], y[:subset])
        functions |= {
            "pytesmo functions": (subset, lambda: with_pytesmo(*part, intervals=False)),
            "pytesmo functions, analytic intervals": (subset, lambda: with_pytesmo(*part, intervals=True)),
            "pytesmo intercomparison, analytic intervals": (
                subset,
                lambda: pytesmo_intercomparison(*part, days),
            ),
        }
    times: dict[str, list[float]] = {name: [] for name in functions}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of the other libraries
        for round_ in range(o.rounds + 1):
            for name, (sites, function) in functions.items():
                started = time.perf_counter()
                function()
                if round_:  # the first round is a warm-up
                    times[name].append((time.perf_counter() - started) * o.sites / sites)
    # Ratios within a round, because the load of the machine affects both in the same way.
    base = np.array(times["numpy, vectorised"])
    rows = [
        {"function": name, "sites timed": functions[name][0], "median s": np.median(t), "best s": min(t),
         "relative to numpy": np.median(np.array(t) / base)}
        for name, t in times.items()
    ]  # fmt: skip
    sys.stdout.write(
        f"{o.sites} sites x {o.days} days x {o.products} products, 10 % missing in each series\n"
    )
    sys.stdout.write(pd.DataFrame(rows).round(3).to_string(index=False) + "\n")
    if "pytesmo functions, analytic intervals" in times:
        for theirs in (
            "pytesmo functions, analytic intervals",
            "pytesmo intercomparison, analytic intervals",
        ):
            for ours in (
                "kernel, 4 metrics, n_eff, interval of R",
                "site_scores, all intervals (1,000 block replicates)",
            ):
                ratio = np.median(np.array(times[theirs]) / np.array(times[ours]))
                sys.stdout.write(f"{theirs} / {ours}: {ratio:.1f}\n")
