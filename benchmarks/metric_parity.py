"""Largest differences between every metric and independent libraries, on random series with gaps.

python benchmarks/run.py parity [--series 1000]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import scores as scores_library
import xarray as xr
import xskillscore
from scipy import stats

from gsm3core.evaluation.site_scores import site_scores
from gsm3core.metrics import PAIRED_METRICS

HALF_WINDOW, MIN_DAYS = 17, 5


def gappy_series(number: int, days: int = 400, seed: int = 11) -> tuple[xr.DataArray, xr.DataArray]:
    """Pairs with various gaps, lengths, correlations, ties and means; every pair keeps at least 20 days."""
    rng = np.random.default_rng(seed)
    truth = 0.25 + 0.05 * rng.normal(size=(number, days)).cumsum(-1) / 8
    x = truth * rng.uniform(0.3, 2, (number, 1)) + rng.uniform(-0.1, 0.1, (number, 1))
    x += rng.uniform(0.001, 0.2, (number, 1)) * rng.normal(size=x.shape)
    x[::7] = x[::7].round(2)  # ties, for the ranks
    length = rng.integers(60, days + 1, (number, 1))
    outside = np.arange(days) >= length
    gaps = [rng.random(x.shape) < rng.uniform(0, 0.6, (number, 1)) for _ in range(2)]
    for gap in gaps:
        gap[:, :40] &= rng.random((number, 40)) < 0.2
    coords = {"site": [f"s{k}" for k in range(number)], "time": pd.date_range("2015-04-01", periods=days)}
    found = (np.where(outside | gap, np.nan, s) for s, gap in zip((x, truth), gaps, strict=True))
    a, b = (xr.DataArray(s, dims=("site", "time"), coords=coords) for s in found)
    return a, b


def with_pandas(x: np.ndarray, y: np.ndarray) -> float:
    """Anomaly R by a centred rolling mean over the paired days."""
    both = np.isfinite(x) & np.isfinite(y)
    anomalies = []
    for s in (x, y):
        paired = pd.Series(np.where(both, s, np.nan))
        anomalies.append(
            paired - paired.rolling(2 * HALF_WINDOW + 1, center=True, min_periods=MIN_DAYS).mean()
        )
    ok = anomalies[0].notna()
    return float(np.corrcoef(anomalies[0][ok], anomalies[1][ok])[0, 1])


def direct_climatology_r(x: np.ndarray, y: np.ndarray, day_of_year: np.ndarray) -> float:
    """Climatology R, with a direct sum for each day's climatological mean."""
    both = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    doy = day_of_year[both]
    distance = np.abs(doy[:, None] - doy[None, :])
    near = np.minimum(distance, 366 - distance) <= HALF_WINDOW
    weights = np.where(near.sum(1, keepdims=True) >= MIN_DAYS, near / near.sum(1, keepdims=True), np.nan)
    a, b = (s[both] - weights @ s[both] for s in (x, y))
    ok = np.isfinite(a)
    return float(np.corrcoef(a[ok], b[ok])[0, 1])


def on_paired_days(
    function: Callable[[np.ndarray, np.ndarray], float],
) -> Callable[[np.ndarray, np.ndarray], float]:
    """Restrict a function of two series to their paired days."""

    def restricted(x: np.ndarray, y: np.ndarray) -> float:
        both = np.isfinite(x) & np.isfinite(y)
        return float(function(x[both], y[both]))

    return restricted


def references(x: xr.DataArray, y: xr.DataArray) -> Iterator[tuple[str, str, np.ndarray]]:
    """Metric, library and its values, one per series."""
    c, doy = scores_library.continuous, x["time"].dt.dayofyear.values
    both = x.notnull() & y.notnull()
    a, b = x.where(both), y.where(both)
    yield "R", "scores", c.correlation.pearsonr(a, b, reduce_dims="time").values
    yield "R", "xskillscore", xskillscore.pearson_r(a, b, dim="time", skipna=True).values
    yield "RMSE", "scores", c.rmse(a, b, reduce_dims="time").values
    yield "RMSE", "xskillscore", xskillscore.rmse(a, b, dim="time", skipna=True).values
    yield "bias", "scores", c.additive_bias(a, b, reduce_dims="time").values
    yield "bias", "xskillscore", xskillscore.me(a, b, dim="time", skipna=True).values
    yield "KGE", "scores", c.kge(a, b, reduce_dims="time").values
    yield "NSE", "scores", c.nse(a, b, reduce_dims="time").values
    parts = c.kge(a, b, reduce_dims="time", include_components=True)
    for ours, theirs in (("KGE_alpha", "alpha"), ("KGE_beta", "beta")):
        yield ours, "scores", parts[theirs].values
    single: list[tuple[str, str, Callable[[np.ndarray, np.ndarray], float]]] = [
        ("R", "scipy", on_paired_days(lambda p, q: stats.pearsonr(p, q).statistic)),
        ("spearman", "scipy", on_paired_days(lambda p, q: stats.spearmanr(p, q).statistic)),
        ("KGE_gamma", "scipy", on_paired_days(lambda p, q: stats.variation(p) / stats.variation(q))),
        ("KGE_2012", "numpy", on_paired_days(kling_2012)),
        ("anomaly_R", "pandas", with_pandas),
        ("climatology_R", "direct sum", lambda p, q: direct_climatology_r(p, q, doy)),
    ]
    try:
        from pytesmo.metrics import bias, nash_sutcliffe, pearson_r, rmsd, spearman_r, ubrmsd
    except ImportError:
        pass
    else:
        single += [
            (ours, "pytesmo", on_paired_days(f))
            for ours, f in (
                ("R", pearson_r), ("RMSE", rmsd), ("ubRMSE", ubrmsd), ("bias", bias), ("spearman", spearman_r),
                ("NSE", lambda p, q: nash_sutcliffe(q, p)),
            )
        ]  # fmt: skip
    for ours, library, function in single:
        yield ours, library, np.array([function(p, q) for p, q in zip(x.values, y.values, strict=True)])


def kling_2012(p: np.ndarray, q: np.ndarray) -> float:
    """KGE' by its definition."""
    gamma = (p.std() / p.mean()) / (q.std() / q.mean())
    r = np.corrcoef(p, q)[0, 1]
    return float(1 - np.sqrt((r - 1) ** 2 + (p.mean() / q.mean() - 1) ** 2 + (gamma - 1) ** 2))


def largest_differences(number: int) -> pd.DataFrame:
    """Metric, library, number of series, and the largest difference relative to 1 or the value, whichever is larger."""
    x, y = gappy_series(number)
    ours = site_scores(x, y, min_days=2, metrics=list(PAIRED_METRICS), intervals="none")
    rows = []
    for metric, library, theirs in references(x, y):
        found = ours[metric].values
        known = np.isfinite(theirs)
        difference = np.abs(found - theirs) / np.maximum(np.abs(theirs), 1)
        rows.append(
            {"metric": metric, "library": library, "series": int(known.sum()),
             "unmatched": int((known != np.isfinite(found)).sum()), "largest": float(difference[known].max())}
        )  # fmt: skip
    return pd.DataFrame(rows).sort_values(["metric", "library"]).reset_index(drop=True)


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="run.py parity", description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=1000)
    sys.stdout.write(largest_differences(parser.parse_args(arguments).series).to_string(index=False) + "\n")
