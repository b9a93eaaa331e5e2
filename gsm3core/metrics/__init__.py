"""Metrics of soil-moisture products: paired moments in one read, and every score made from them."""

from gsm3core.metrics.memory import (
    effective_sample_size,
    lag1_autocorrelation,
    mean_gap,
    persistence,
)
from gsm3core.metrics.moments import (
    PairedMoments,
    anomaly_moments,
    blocked_moments,
    is_constant,
    merge_moments,
    paired_moments,
    rank_moments,
)
from gsm3core.metrics.table import ALL_METRICS, METRICS, MORE_METRICS, Metric, metrics_named

__all__ = [
    "ALL_METRICS",
    "METRICS",
    "MORE_METRICS",
    "Metric",
    "PairedMoments",
    "anomaly_moments",
    "blocked_moments",
    "effective_sample_size",
    "is_constant",
    "lag1_autocorrelation",
    "mean_gap",
    "merge_moments",
    "metrics_named",
    "paired_moments",
    "persistence",
    "rank_moments",
]
