"""Scores of one or several products at every site, with intervals, and reasons for missing scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.pairing import check_confidence, pair
from gsm3core.evaluation.reference_scaling import NO_SCALING, check_scaling
from gsm3core.metrics import (
    METRICS,
    Metric,
    PairedMoments,
    anomaly_moments,
    effective_sample_size,
    is_constant,
    paired_metrics,
    rank_moments,
)
from gsm3core.metrics.rescaling import Scaling, rescaled, scaled_moments
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
    scaling: Scaling = NO_SCALING,
) -> xr.Dataset:
    """Return the scores of predictions against observations at every site, over their common days.

    Parameters
    ----------
    predicted
        ``(site, time)`` or ``(product, site, time)``, m3 m-3; NaN is missing.
    observed
        ``(site, time)``, m3 m-3. Sites and UTC days are matched by label; only common ones are used. Values within the day
        are averaged, on either side (:func:`gsm3core.readers.utc_days.to_utc_days`).
    min_days
        Minimum number of paired days for a score.
    confidence
        Level of the intervals.
    min_effective
        Minimum number of effective days for a score.
    metrics
        Names in :data:`gsm3core.metrics.PAIRED_METRICS`: the paper's four, anomaly R, Spearman, KGE with its components, NSE.
    intervals
        ``"all"``; ``"R"`` for R only, without a bootstrap; or ``"none"``.
    replicates, block_days, seed
        Of the block bootstrap. One seed gives one result on any machine.
    scaling
        Scaling to the observations before scoring, with the parameters of the paired days: ``none``, ``mean_std`` or
        ``cdf``, see :func:`gsm3core.evaluation.reference_scaling.scale_to_reference`. Each replicate of the bootstrap is
        scaled anew; the interval of R takes the scaling as given.

    Returns
    -------
    xarray.Dataset
        Dimensions of ``predicted`` without time. ``R``, ``bias`` (product minus observed), ``RMSE``, ``ubRMSE``;
        ``n_valid`` and ``n_effective`` (paired days and effective sample size); ``R_lower``, ``R_upper`` and, for every
        metric of the values, ``bias_lower``, ``bias_upper`` and so on (not for ranks and anomalies); ``reason``, empty
        where there is a score. A constant series has bias and errors but no R. The attribute ``notes`` says what was
        assumed to match the two, if anything.

    Raises
    ------
    DatasetError
        If units are not m3 m-3, dimensions are wrong, or there is no common site or day.

    Notes
    -----
    The interval of R uses Fisher's z with the effective sample size of
    :func:`gsm3core.metrics.effective_sample_size`; the others are from
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
    check_scaling(scaling)
    requested = paired_metrics(metrics)
    both = pair(predicted, observed)
    raw, y, dims = both.x, both.y, both.dims
    x = rescaled(raw, y, scaling)

    moments = scaled_moments(raw, y, scaling)
    n_effective = np.where(moments.n >= min_days, effective_sample_size(x, y), np.nan)
    reason = _reasons(x, y, moments, n_effective, min_days, min_effective)
    # A constant series has no R but has errors; too few days give no score at all.
    enough = (moments.n >= min_days) & ~(n_effective < min_effective)
    constant_x, constant_y = is_constant(moments)
    # Nothing can be scaled to a constant record, also where the scaling was done before.
    reason = np.where((reason == NO_PREDICTED) & _is_constant(y), CONSTANT_OBSERVED, reason)
    reason = np.where((reason == "") & constant_y, CONSTANT_OBSERVED, reason)
    reason = np.where((reason == "") & constant_x, CONSTANT_PREDICTED, reason)

    scores = xr.Dataset(
        coords=both.coords, attrs={"min_days": min_days, "confidence": confidence, "scaling": scaling}
    )
    if both.notes:
        scores.attrs["notes"] = "\n".join(both.notes)
    for metric in requested:
        metric_moments = _moments_of(metric, both.observed, x, y, moments)
        found = np.where(enough & (metric_moments.n >= min_days), metric.from_moments(metric_moments), np.nan)
        scores[metric.name] = (dims, found, {"units": metric.units, "long_name": metric.meaning})
    ends = {}
    if intervals != "none" and "R" in scores:
        ends["R"] = fisher_interval(scores["R"].values, n_effective, confidence)
    if intervals == "all":
        draws = BlockDraws.make(x.shape[-1], block_days=block_days, replicates=replicates, seed=seed)
        by_blocks = [m for m in requested if m.computed_on == "values" and m.name != "R"]
        ends |= block_intervals(raw, y, by_blocks, draws, confidence, scaling=scaling)
        scores.attrs |= {"replicates": replicates, "block_days": block_days, "seed": seed}
    for name, (lower, upper) in ends.items():
        for end, values in (("lower", lower), ("upper", upper)):
            meaning = f"{end} end of the {confidence:.0%} interval of {name}"
            units = scores[name].attrs["units"]
            values = np.where(np.isnan(scores[name].values), np.nan, values)
            scores[f"{name}_{end}"] = (dims, values, {"units": units, "long_name": meaning})
    for name, counted, meaning in (
        ("n_valid", moments.n, "days valid in both series"),
        ("n_effective", n_effective, "effective sample size in days"),
    ):
        scores[name] = (dims, counted, {"units": "1", "long_name": meaning})
    scores["reason"] = (
        dims,
        reason.astype(str),
        {"long_name": "why there is no score, or no R; empty where there is"},
    )
    return scores


def _is_constant(y: np.ndarray) -> Any:
    """Return whether rows have one value only, ``(site)``."""
    return np.isfinite(y).any(-1) & (np.fmax.reduce(y, axis=-1) == np.fmin.reduce(y, axis=-1))


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
    too_few = np.char.add(n.astype(str), f" paired days, fewer than {min_days}")
    too_few_effective = np.char.add(
        np.char.mod("%.1f", np.nan_to_num(n_effective)), f" effective days, fewer than {min_effective:g}"
    )
    effective = np.where(n_effective < min_effective, too_few_effective, "")
    return np.where(
        n >= min_days, effective, np.where(no_y, NO_OBSERVED, np.where(no_x, NO_PREDICTED, too_few))
    )
