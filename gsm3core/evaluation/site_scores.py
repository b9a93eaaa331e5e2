"""Scores of one or several products at every site, with intervals, and a reason where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.pairing import check_confidence, pair
from gsm3core.metrics import (
    METRICS,
    Metric,
    PairedMoments,
    anomaly_moments,
    effective_sample_size,
    is_constant,
    metrics_named,
    paired_moments,
    rank_moments,
)
from gsm3core.statistics.block_bootstrap import (
    BLOCK_DAYS,
    REPLICATES,
    BlockDraws,
    block_intervals,
    fisher_interval,
)

NO_OBSERVED = "no in-situ record"
NO_PREDICTED = "no values of the product"
CONSTANT_OBSERVED = "in-situ record is constant"
CONSTANT_PREDICTED = "product is constant"

Intervals = Literal["all", "R", "none"]


def site_scores(
    predicted: xr.DataArray,
    observed: xr.DataArray,
    *,
    min_days: int = 30,
    confidence: float = 0.95,
    min_effective: float = 0.0,
    metrics: Sequence[str] = tuple(METRICS),
    intervals: Intervals = "all",
    replicates: int = REPLICATES,
    block_days: int = BLOCK_DAYS,
    seed: int = 0,
) -> xr.Dataset:
    """Score predictions against observations at every site, over the days that both have.

    Parameters
    ----------
    predicted
        ``(site, time)`` or ``(product, site, time)``, m3 m-3; NaN is missing.
    observed
        ``(site, time)``, m3 m-3. Sites and days are matched by label; what only one has is left out.
    min_days
        Fewest paired days for a score.
    confidence
        Of every interval.
    min_effective
        Fewest effective days for a score; 0 asks for none.
    metrics
        Names in :data:`gsm3core.metrics.ALL_METRICS`: anomaly R, Spearman, KGE with its parts, NSE beside the
        paper's four.
    intervals
        ``"all"``; ``"R"`` for that of R alone, which costs no bootstrap; ``"none"``.
    replicates, block_days, seed
        Of the block bootstrap. One seed, one result, on any machine.

    Returns
    -------
    xarray.Dataset
        Dimensions of ``predicted`` without time. ``R``, ``bias`` (product minus observed), ``RMSE``, ``ubRMSE``;
        ``n_valid`` and ``n_effective`` (paired days, and how many independent ones they are worth);
        ``R_lower``, ``R_upper`` and, of every metric of the values themselves, ``bias_lower``, ``bias_upper`` and
        so on (ranks and anomalies have none); ``reason``, empty where there is a score. A constant series has no
        R, but keeps its bias and errors.

    Raises
    ------
    DatasetError
        If units are not m3 m-3, dimensions are wrong, or no site or day is common to both.

    Notes
    -----
    The interval of R is Fisher's z with the effective sample size of
    :func:`gsm3core.metrics.effective_sample_size` in place of the number of days; the others come from
    :func:`gsm3core.statistics.block_bootstrap.block_intervals`.
    """
    if min_days < 2:
        raise DatasetError(f"min_days is {min_days}; a correlation needs at least 2 days.")
    if intervals not in ("all", "R", "none"):
        raise DatasetError(f"intervals is {intervals!r}; expected 'all', 'R' or 'none'.")
    if replicates < 100 or block_days < 1:
        raise DatasetError(
            f"replicates is {replicates} and block_days {block_days}; expected at least 100 and at least 1."
        )
    check_confidence(confidence)
    wanted = metrics_named(metrics)
    both = pair(predicted, observed)
    x, y, dims = both.x, both.y, both.dims

    moments = paired_moments(x, y)
    n_effective = np.where(moments.n >= min_days, effective_sample_size(x, y), np.nan)
    reason = _reasons(x, y, moments, n_effective, min_days, min_effective)
    # A series without R for being constant keeps its errors: only too little data takes them.
    enough = (moments.n >= min_days) & ~(n_effective < min_effective)
    constant_x, constant_y = is_constant(moments)
    reason = np.where((reason == "") & constant_y, CONSTANT_OBSERVED, reason)
    reason = np.where((reason == "") & constant_x, CONSTANT_PREDICTED, reason)

    scores = xr.Dataset(coords=both.coords, attrs={"min_days": min_days, "confidence": confidence})
    for metric in wanted:
        of = _moments_of(metric, both.observed, x, y, moments)
        found = np.where(enough & (of.n >= min_days), metric.from_moments(of), np.nan)
        scores[metric.name] = (dims, found, {"units": metric.units, "long_name": metric.meaning})
    ends = {}
    if intervals != "none" and "R" in scores:
        ends["R"] = fisher_interval(scores["R"].values, n_effective, confidence)
    if intervals == "all":
        draws = BlockDraws.make(x.shape[-1], block_days=block_days, replicates=replicates, seed=seed)
        by_blocks = [m for m in wanted if m.computed_on == "values" and m.name != "R"]
        ends |= block_intervals(x, y, by_blocks, draws, confidence)
        scores.attrs |= {"replicates": replicates, "block_days": block_days, "seed": seed}
    for name, (lower, upper) in ends.items():
        for end, values in (("lower", lower), ("upper", upper)):
            meaning = f"{end} end of the {confidence:.0%} interval of {name}"
            units = scores[name].attrs["units"]
            values = np.where(np.isnan(scores[name].values), np.nan, values)
            scores[f"{name}_{end}"] = (dims, values, {"units": units, "long_name": meaning})
    for name, counted, meaning in (
        ("n_valid", moments.n, "days valid in both series"),
        ("n_effective", n_effective, "independent days that the valid ones are worth"),
    ):
        scores[name] = (dims, counted, {"units": "1", "long_name": meaning})
    scores["reason"] = (
        dims,
        reason.astype(str),
        {"long_name": "why there is no score, or no R; empty where there is"},
    )
    return scores


def _moments_of(
    metric: Metric, observed: xr.DataArray, x: Any, y: Any, of_values: PairedMoments
) -> PairedMoments:
    if metric.computed_on == "ranks":
        return rank_moments(x, y)
    if metric.computed_on == "moving anomalies":
        return anomaly_moments(x, y)
    if metric.computed_on == "climatology anomalies":
        days = pd.DatetimeIndex(observed[v.TIME].values).day_of_year.to_numpy()
        return anomaly_moments(x, y, day_of_year=days)
    return of_values


def _reasons(
    x: np.ndarray,
    y: np.ndarray,
    moments: PairedMoments,
    n_effective: np.ndarray,
    min_days: int,
    min_effective: float,
) -> np.ndarray:
    n = moments.n
    no_y = np.broadcast_to(~np.isfinite(y).any(-1), n.shape)
    no_x = ~np.isfinite(x).any(-1)
    few = np.char.add(n.astype(str), f" paired days, fewer than {min_days}")
    worth = np.char.add(
        np.char.mod("%.1f", np.nan_to_num(n_effective)), f" effective days, fewer than {min_effective:g}"
    )
    remembers = np.where(n_effective < min_effective, worth, "")
    return np.where(n >= min_days, remembers, np.where(no_y, NO_OBSERVED, np.where(no_x, NO_PREDICTED, few)))
