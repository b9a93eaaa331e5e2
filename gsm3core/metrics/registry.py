"""Metrics by name, with units, definition and formula from paired moments."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.metrics.moments import Array, PairedMoments, is_constant

Series = Literal["values", "ranks", "moving anomalies", "climatology anomalies", "triplets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A score, computed from paired moments or, by triple collocation, from three series.

    Parameters
    ----------
    name, units
        As in tables and plots.
    meaning
        Definition in one sentence, shown to users.
    perfect
        Value of a perfect product.
    higher_is_better
        ``True`` (R), ``False`` (errors) or ``None`` where the sign is a direction (bias).
    from_moments
        The formula.
    computed_on
        The series of the moments: the values, their ranks, or their anomalies; ``triplets`` for triple collocation, which has
        no paired moments.
    worst
        Lowest possible value, where there is one.
    """

    name: str
    units: str
    meaning: str
    perfect: float
    higher_is_better: Literal[True, False] | None
    from_moments: Callable[[PairedMoments], Array]
    computed_on: Series = "values"
    worst: float | None = None

    def loss(self, score: Array) -> Array:
        """Return a number that is lower for a better product: the distance from perfect, or minus the score."""
        score = np.asarray(score, float)
        if self.higher_is_better is None:
            return np.abs(score - self.perfect)
        return -score if self.higher_is_better else score

    def bounded(self, values: tuple[float, float, float]) -> tuple[float, float, float]:
        """Return an estimate and its interval clipped to the possible values of the metric."""
        if self.higher_is_better is None:
            return values
        worst = self.worst if self.worst is not None else (-np.inf if self.higher_is_better else np.inf)
        low, high = sorted((worst, self.perfect))
        estimate, lower, upper = (float(np.clip(value, low, high)) for value in values)
        return estimate, lower, upper


def correlation(m: PairedMoments) -> Array:
    """Return Pearson's R, NaN where a series is constant."""
    constant_x, constant_y = is_constant(m)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = m.cov / np.sqrt(m.var_x * m.var_y)
    return np.where(constant_x | constant_y, np.nan, np.clip(r, -1, 1))


def unbiased_mse(m: PairedMoments) -> Array:
    """Return the mean squared difference after removal of the bias."""
    return np.maximum(m.var_x + m.var_y - 2 * m.cov, 0.0)


def _ratio(numerator: Array, denominator: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.asarray(numerator / denominator)
    return np.where(np.isfinite(ratio), ratio, np.nan)


def _alpha(m: PairedMoments) -> Array:
    return np.where(is_constant(m)[1], np.nan, _ratio(np.sqrt(m.var_x), np.sqrt(m.var_y)))


def _beta(m: PairedMoments) -> Array:
    return _ratio(m.mean_x, m.mean_y)


def _gamma(m: PairedMoments) -> Array:
    return _ratio(_alpha(m), _beta(m))


def _kge(m: PairedMoments, variability: Array) -> Array:
    return 1 - np.sqrt((correlation(m) - 1) ** 2 + (variability - 1) ** 2 + (_beta(m) - 1) ** 2)


def _nse(m: PairedMoments) -> Array:
    mse = unbiased_mse(m) + (m.mean_x - m.mean_y) ** 2
    return np.where(is_constant(m)[1], np.nan, 1 - _ratio(mse, m.var_y))


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric(
            name="R", units="1", perfect=1.0, higher_is_better=True, from_moments=correlation, worst=-1.0,
            meaning="Pearson correlation with in-situ soil moisture over paired days.",
        ),
        Metric(
            name="RMSE", units="m3 m-3", perfect=0.0, higher_is_better=False,
            from_moments=lambda m: np.sqrt(unbiased_mse(m) + (m.mean_x - m.mean_y) ** 2),
            meaning="Root-mean-square difference from in-situ soil moisture.",
        ),
        Metric(
            name="ubRMSE", units="m3 m-3", perfect=0.0, higher_is_better=False,
            from_moments=lambda m: np.sqrt(unbiased_mse(m)),
            meaning="Unbiased RMSE: the RMSE after removal of the bias.",
        ),
        Metric(
            name="bias", units="m3 m-3", perfect=0.0, higher_is_better=None,
            from_moments=lambda m: m.mean_x - m.mean_y,
            meaning="Mean of the product minus mean of in situ; positive: too wet.",
        ),
    )
}  # fmt: skip

MORE_METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric(
            name="anomaly_R", units="1", perfect=1.0, higher_is_better=True, from_moments=correlation,
            computed_on="moving anomalies", worst=-1.0,
            meaning="Correlation of anomalies from a 35-day moving mean: single wetting events and dry-downs.",
        ),
        Metric(
            name="climatology_R", units="1", perfect=1.0, higher_is_better=True, from_moments=correlation,
            computed_on="climatology anomalies", worst=-1.0,
            meaning="Correlation of anomalies from the mean seasonal cycle: wet and dry years.",
        ),
        Metric(
            name="spearman", units="1", perfect=1.0, higher_is_better=True, from_moments=correlation, computed_on="ranks",
            worst=-1.0,
            meaning="Spearman rank correlation over paired days.",
        ),
        Metric(
            name="KGE", units="1", perfect=1.0, higher_is_better=True,
            from_moments=lambda m: _kge(m, _alpha(m)),
            meaning="Kling-Gupta efficiency (Gupta et al. 2009), which combines R, KGE_alpha and KGE_beta.",
        ),
        Metric(
            name="KGE_alpha", units="1", perfect=1.0, higher_is_better=None, from_moments=_alpha,
            meaning="Standard deviation of the product divided by that of in situ.",
        ),
        Metric(
            name="KGE_beta", units="1", perfect=1.0, higher_is_better=None, from_moments=_beta,
            meaning="Mean of the product divided by the mean of in situ.",
        ),
        Metric(
            name="KGE_2012", units="1", perfect=1.0, higher_is_better=True,
            from_moments=lambda m: _kge(m, _gamma(m)),
            meaning="Kling-Gupta efficiency (Kling et al. 2012), which combines R, KGE_gamma and KGE_beta.",
        ),
        Metric(
            name="KGE_gamma", units="1", perfect=1.0, higher_is_better=None, from_moments=_gamma,
            meaning="Coefficient of variation of the product divided by that of in situ.",
        ),
        Metric(
            name="NSE", units="1", perfect=1.0, higher_is_better=True, from_moments=_nse,
            meaning="Nash-Sutcliffe efficiency: 1 minus the mean squared error divided by the variance of in situ.",
        ),
    )
}  # fmt: skip
"""Metrics not in the paper. Gupta et al. 2009: doi:10.1016/j.jhydrol.2009.08.003; Kling et al. 2012:
doi:10.1016/j.jhydrol.2012.01.011; Nash and Sutcliffe 1970: doi:10.1016/0022-1694(70)90255-6."""

PAIRED_METRICS: dict[str, Metric] = METRICS | MORE_METRICS
"""Metrics that are computed from pairs of a product and a reference."""


def _no_pairs(_: PairedMoments) -> Array:
    raise TypeError("Triple collocation needs three series, not paired moments.")


TRIPLE_METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric(
            name="TC_R", units="1", perfect=1.0, higher_is_better=True, from_moments=_no_pairs, computed_on="triplets",
            worst=0.0,
            meaning="Correlation with the unknown truth, by triple collocation with the reference and a third product.",
        ),
        Metric(
            name="TC_error", units="m3 m-3", perfect=0.0, higher_is_better=False, from_moments=_no_pairs,
            computed_on="triplets",
            meaning="Standard deviation of the product's random error, by triple collocation with the reference and a third "
            "product.",
        ),
    )
}  # fmt: skip
"""Metrics of triple collocation (McColl et al. 2014, doi:10.1002/2014GL061322)."""

ALL_METRICS: dict[str, Metric] = PAIRED_METRICS | TRIPLE_METRICS


def metrics_named(names: Iterable[str]) -> list[Metric]:
    """Return metrics by name; a :class:`~gsm3core.errors.DatasetError` suggests the nearest name for an unknown one."""
    names = list(names)
    for name in names:
        if name not in ALL_METRICS:
            raise DatasetError(f"unknown metric {name!r}. {did_you_mean(name, ALL_METRICS)}")
    return [ALL_METRICS[n] for n in names]


def paired_metrics(names: Iterable[str]) -> list[Metric]:
    """Return metrics of pairs by name; a :class:`~gsm3core.errors.DatasetError` names one that needs a third product."""
    metrics = metrics_named(names)
    for metric in metrics:
        if metric.name in TRIPLE_METRICS:
            raise DatasetError(
                f"metric {metric.name!r} needs three series. Use score_run or score_products, or `gsm3 score` with a dataset "
                "or a run."
            )
    return metrics
