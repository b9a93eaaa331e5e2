"""Metrics of soil-moisture products, computed from paired moments."""

from gsm3core.metrics.autocorrelation import (
    effective_sample_size,
    lag1_autocorrelation,
    mean_gap,
    persistence,
)
from gsm3core.metrics.ensembles import (
    crps_empirical,
    crps_ensemble,
    ensemble_interval,
    pit_ensemble,
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
from gsm3core.metrics.probabilistic import crps_gaussian, gaussian_interval, pit_gaussian
from gsm3core.metrics.registry import ALL_METRICS, METRICS, MORE_METRICS, Metric, metrics_named

__all__ = [
    "ALL_METRICS",
    "METRICS",
    "MORE_METRICS",
    "Metric",
    "PairedMoments",
    "anomaly_moments",
    "blocked_moments",
    "crps_empirical",
    "crps_ensemble",
    "crps_gaussian",
    "effective_sample_size",
    "ensemble_interval",
    "gaussian_interval",
    "is_constant",
    "lag1_autocorrelation",
    "mean_gap",
    "merge_moments",
    "metrics_named",
    "paired_moments",
    "persistence",
    "pit_ensemble",
    "pit_gaussian",
    "rank_moments",
]
