"""Names, units and decimals of metrics as the pages show them."""

from __future__ import annotations

from types import MappingProxyType

from gsm3core.metrics import ALL_METRICS

_NAMES = MappingProxyType(
    {
        "anomaly_R": "anomaly R",
        "climatology_R": "climatology R",
        "spearman": "Spearman's rank R",
        "KGE_alpha": "KGE α",
        "KGE_beta": "KGE β",
        "KGE_gamma": "KGE γ",
        "KGE_2012": "KGE 2012",
        "TC_R": "R to the truth",
        "TC_error": "random error",
    }
)


def metric_name(metric: str) -> str:
    """Return the display name of a metric."""
    return _NAMES.get(metric, metric)


def metric_label(metric: str) -> str:
    """Return the display name of a metric with its units."""
    units = ALL_METRICS[metric].units
    return metric_name(metric) if units == "1" else f"{metric_name(metric)} (m³ m⁻³)"


def metric_digits(metric: str) -> int:
    """Return the number of decimals: two for ratios and correlations, three for soil moisture."""
    return 2 if ALL_METRICS[metric].units == "1" else 3
