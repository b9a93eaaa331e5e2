"""Metrics of soil-moisture products, computed from paired moments."""

from gsm3core.metrics.autocorrelation import (
    Autocorrelation,
    effective_sample_size,
    fit_autocorrelation,
    lag1_autocorrelation,
    mean_gap,
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
from gsm3core.metrics.probabilistic import (
    censored_normal,
    crps_gaussian,
    gaussian_interval,
    pit_gaussian,
    pit_share,
)
from gsm3core.metrics.registry import (
    ALL_METRICS,
    METRICS,
    MORE_METRICS,
    PAIRED_METRICS,
    TRIPLE_METRICS,
    Metric,
    metrics_named,
    paired_metrics,
)

__all__ = [
    "ALL_METRICS",
    "METRICS",
    "MORE_METRICS",
    "PAIRED_METRICS",
    "TRIPLE_METRICS",
    "Autocorrelation",
    "Metric",
    "PairedMoments",
    "anomaly_moments",
    "blocked_moments",
    "censored_normal",
    "crps_empirical",
    "crps_ensemble",
    "crps_gaussian",
    "effective_sample_size",
    "ensemble_interval",
    "fit_autocorrelation",
    "gaussian_interval",
    "is_constant",
    "lag1_autocorrelation",
    "mean_gap",
    "merge_moments",
    "metrics_named",
    "paired_metrics",
    "paired_moments",
    "pit_ensemble",
    "pit_gaussian",
    "pit_share",
    "rank_moments",
]
