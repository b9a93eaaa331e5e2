"""Comparison of products on all their days and on common days, with intervals and paired tests."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.pairing import PAIRWISE, SAME_SAMPLE, Paired, check_confidence, pair, same_sample
from gsm3core.evaluation.reference_scaling import NO_SCALING, scale_to_reference
from gsm3core.evaluation.site_scores import NO_PREDICTED, site_scores
from gsm3core.files import texts
from gsm3core.metrics import METRICS, Metric, metrics_named, paired_moments
from gsm3core.metrics.rescaling import Scaling, rescaled, scaled_moments
from gsm3core.statistics.cluster_bootstrap import (
    NETWORKS,
    REPLICATES,
    SITES,
    difference_interval,
    median_interval,
)
from gsm3core.statistics.hypothesis_tests import holm, wilcoxon_p, win_share

SAMPLE = "sample"
METRIC = "metric"
OTHER = "other"
GIVEN = "given"
NO_COMMON_DAY = "no day that all products have"

_STATISTICS = ("median", "lower", "upper", "n_sites", "clusters", "resampled")
_PAIR_STATISTICS = (
    "difference",
    "difference_lower",
    "difference_upper",
    "p",
    "p_holm",
    "win_share",
    "n_common",
)


def compare_products(
    predicted: xr.DataArray | xr.Dataset,
    observed: xr.DataArray | None = None,
    *,
    networks: ArrayLike | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    min_days: int = 30,
    min_effective: float = 0.0,
    confidence: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
    scaling: Scaling = NO_SCALING,
    days: xr.DataArray | None = None,
) -> xr.Dataset:
    """Compare products over sites, each on all its days and all on common site-days.

    Parameters
    ----------
    predicted
        ``(product, site, time)``, m3 m-3; or per-site scores of :func:`gsm3core.site_scores`, which cannot be restricted to
        common days.
    observed
        ``(site, time)``; not used with scores.
    networks
        ``(site)`` cluster of each site of ``observed`` (or of the scores); by default the coordinate ``network``, and
        without it every site is a cluster of its own.
    metrics
        Names of metrics of the values (R, bias, RMSE, ubRMSE, KGE, NSE ...); with scores, any of their metrics.
    min_days, min_effective
        Minimum number of paired and effective days for a score, as in :func:`gsm3core.site_scores`.
    confidence
        Level of the intervals.
    replicates, seed
        Of the bootstrap over networks; all products use the same replicates, so that differences are paired.
    scaling
        Scaling to the observations before scoring, as in :func:`gsm3core.site_scores`; not used with scores. Each sample,
        and each pair of products on its common days, has its own parameters.
    days
        ``(site, time)``: days that are scored, such as a season; the parameters of the scaling are those of all days.

    Returns
    -------
    xarray.Dataset
        Dimension ``sample``: ``pairwise`` (each product on all its days with observations) and
        ``same_sample`` (only days with all products), or ``given`` with scores.

        - ``median``, ``lower``, ``upper``, ``n_sites`` ``(sample, metric, product)``; number of ``clusters``, and
          ``resampled``: ``networks`` or, with too few of them, ``sites``;
        - ``difference`` ``(sample, metric, product, other)``: difference of the medians (product minus other) over
          common sites, with ``difference_lower`` and ``difference_upper``; for the bias, of its absolute value. ``p``
          (Wilcoxon) and ``p_holm`` (corrected over all pairs of a metric and sample), ``win_share`` (share of sites where
          ``product`` is better), ``n_common``. The pairwise sample compares two products on their common days,
          regardless of the others;
        - ``best`` ``(sample, metric, site)``: name of the best product, empty with fewer than two
          scores;
        - ``score`` ``(sample, metric, product, site)`` and ``reason`` ``(sample, product, site)``.

    Raises
    ------
    DatasetError
        If there is no second product, a metric cannot be compared, or the series do not match.
    """
    check_confidence(confidence)
    wanted = metrics_named(metrics)
    if isinstance(predicted, xr.Dataset):
        samples = {GIVEN: _score_array(predicted, wanted)}
        pair_scores: dict[str, dict[tuple[int, int], NDArray[np.float64]]] = {GIVEN: {}}
        reasons = {GIVEN: _reason_array(predicted, samples[GIVEN])}
        names, sites = predicted[v.PRODUCT].values, predicted[v.SITE]
        source: xr.DataArray | xr.Dataset = predicted
    else:
        if observed is None:
            raise DatasetError(
                "observed is missing; expected the in-situ series that the products are compared with."
            )
        _check_products(predicted, wanted)
        both = pair(predicted, observed)
        options = {
            "min_days": min_days,
            "min_effective": min_effective,
            "metrics": metrics,
            "intervals": "none",
        }
        part = None if days is None else _days_of(both, days)
        masked = both.predicted.copy(data=same_sample(both.x))
        found = {
            name: _sample_scores(series, both.observed, part, scaling, options)
            for name, series in ((PAIRWISE, both.predicted), (SAME_SAMPLE, masked))
        }
        samples = {name: _score_array(scores, wanted) for name, scores in found.items()}
        reasons = {name: scores["reason"].values for name, scores in found.items()}
        no_common_day = (reasons[SAME_SAMPLE] == NO_PREDICTED) & (reasons[PAIRWISE] != NO_PREDICTED)
        reasons[SAME_SAMPLE] = np.where(no_common_day, NO_COMMON_DAY, reasons[SAME_SAMPLE])
        pair_scores = {
            PAIRWISE: _scores_on_common_days(both, wanted, min_days, scaling, part),
            SAME_SAMPLE: {},
        }
        names, sites, source = predicted[v.PRODUCT].values, both.observed[v.SITE], both.observed
        if networks is not None and observed is not None:
            networks = xr.DataArray(np.asarray(networks), dims=v.SITE, coords={v.SITE: observed[v.SITE]})
            networks = networks.sel({v.SITE: sites}).values
    if networks is None and v.NETWORK in source.coords:
        networks = source[v.NETWORK].values
    clusters = np.full(len(sites), "") if networks is None else np.asarray(networks)
    bootstrap = {"confidence": confidence, "replicates": replicates, "seed": seed}
    tables = [_sample_statistics(samples[s], pair_scores[s], wanted, clusters, bootstrap) for s in samples]
    dims: dict[str, tuple[str, ...]] = dict.fromkeys(_STATISTICS, (SAMPLE, METRIC, v.PRODUCT))
    dims |= dict.fromkeys(_PAIR_STATISTICS, (SAMPLE, METRIC, v.PRODUCT, OTHER))
    result = xr.Dataset({n: (d, np.stack([t[n] for t in tables])) for n, d in dims.items()})
    result["resampled"] = result["resampled"].dims, np.where(result["resampled"] == 1, SITES, NETWORKS)
    result["score"] = (SAMPLE, METRIC, v.PRODUCT, v.SITE), np.stack(list(samples.values()))
    result["reason"] = (SAMPLE, v.PRODUCT, v.SITE), np.stack(list(reasons.values())).astype(str)
    best = np.stack([_best_product(s, wanted, names) for s in samples.values()])
    result["best"] = (SAMPLE, METRIC, v.SITE), best
    result = result.assign_coords(
        {
            SAMPLE: list(samples),
            METRIC: [m.name for m in wanted],
            v.PRODUCT: names,
            OTHER: names,
            v.SITE: sites,
        }
    )
    return result.assign_attrs(
        min_days=min_days, min_effective=min_effective, confidence=confidence, replicates=replicates, seed=seed,
        scaling=predicted.attrs.get("scaling", NO_SCALING) if isinstance(predicted, xr.Dataset) else scaling,
        resampled=SITES if ((result["resampled"] == SITES) & (result["n_sites"] > 0)).any() else NETWORKS,
    )  # fmt: skip


def _check_products(predicted: xr.DataArray, metrics: list[Metric]) -> None:
    if v.PRODUCT not in predicted.dims or predicted.sizes[v.PRODUCT] < 2:
        raise DatasetError("predicted has fewer than two products; expected at least two to compare.")
    if v.PRODUCT not in predicted.coords:
        raise DatasetError("predicted has no coordinate 'product'; expected the names of the products.")
    for metric in metrics:
        if metric.computed_on != "values":
            raise DatasetError(
                f"metric {metric.name!r} is of {metric.computed_on}, which cannot be compared on common days; compute "
                "the scores at each site and compare those."
            )


def _score_array(scores: xr.Dataset, metrics: list[Metric]) -> NDArray[np.float64]:
    if v.PRODUCT not in scores.dims or scores.sizes[v.PRODUCT] < 2:
        raise DatasetError("the scores have fewer than two products; expected at least two to compare.")
    if missing := [m.name for m in metrics if m.name not in scores]:
        raise DatasetError(
            f"the scores lack {missing[0]!r}; they have {', '.join(map(str, scores.data_vars))}."
        )
    return np.stack([scores[m.name].transpose(v.PRODUCT, v.SITE).values for m in metrics])


def _reason_array(scores: xr.Dataset, values: NDArray[np.float64]) -> NDArray[np.str_]:
    if "reason" in scores:
        return texts(scores["reason"].transpose(v.PRODUCT, v.SITE).values).reshape(values.shape[1:])
    return np.full(values.shape[1:], "", dtype="<U1")


def _days_of(both: Paired, days: xr.DataArray) -> NDArray[np.bool_]:
    """Return the days that are scored, at the sites and days of the pair."""
    here = {d: both.observed[d] for d in (v.SITE, v.TIME)}
    return np.asarray(days.reindex(here, fill_value=False).transpose(v.SITE, v.TIME).values, bool)


def _sample_scores(
    predicted: xr.DataArray,
    observed: xr.DataArray,
    days: NDArray[np.bool_] | None,
    scaling: Scaling,
    options: dict[str, Any],
) -> xr.Dataset:
    if days is None:
        return site_scores(predicted, observed, scaling=scaling, **options)
    scaled = scale_to_reference(predicted, observed, scaling)
    return site_scores(scaled.copy(data=np.where(days, scaled.values, np.nan)), observed, **options)


def _scores_on_common_days(
    both: Paired, metrics: list[Metric], min_days: int, scaling: Scaling, days: NDArray[np.bool_] | None
) -> dict[tuple[int, int], NDArray[np.float64]]:
    """Return scores ``(metric, 2, site)`` of every pair of products on their common days."""
    x, y = both.x, both.y
    scores = {}
    for a, b in combinations(range(len(x)), 2):
        two = np.stack([x[a] + 0 * x[b], x[b] + 0 * x[a]])
        if days is None:
            moments = scaled_moments(two, y, scaling)
        else:
            moments = paired_moments(np.where(days, rescaled(two, y, scaling), np.nan), y)
        scores[a, b] = np.stack(
            [np.where(moments.n >= min_days, m.from_moments(moments), np.nan) for m in metrics]
        )
    return scores


def _sample_statistics(
    scores: NDArray[np.float64],
    pair_scores: dict[tuple[int, int], NDArray[np.float64]],
    metrics: list[Metric],
    networks: NDArray[Any],
    bootstrap: dict[str, Any],
) -> dict[str, NDArray[np.float64]]:
    number = scores.shape[1]
    table = {name: np.full((len(metrics), number), np.nan) for name in _STATISTICS}
    pairs = {name: np.full((len(metrics), number, number), np.nan) for name in _PAIR_STATISTICS}
    for k, metric in enumerate(metrics):
        for p in range(number):
            values = scores[k, p]
            middle = median_interval(values, networks, metric=metric.name, **bootstrap)
            table["median"][k, p], table["lower"][k, p], table["upper"][k, p] = middle[:3]
            table["n_sites"][k, p], table["clusters"][k, p] = middle.sites, middle.clusters
            table["resampled"][k, p] = middle.resampled == SITES
        for a, b in combinations(range(number), 2):
            two = pair_scores[a, b][k] if (a, b) in pair_scores else scores[k, [a, b]]
            usable = np.isfinite(two).all(0) & np.isfinite(scores[k, [a, b]]).all(0)
            _compare_pair(pairs, (k, a, b), metric, np.where(usable, two, np.nan), networks, bootstrap)
        upper = np.triu_indices(number, 1)
        pairs["p_holm"][k][upper] = holm(pairs["p"][k][upper])
        pairs["p_holm"][k].T[upper] = pairs["p_holm"][k][upper]
    return table | pairs


def _compare_pair(
    pairs: dict[str, NDArray[np.float64]],
    at: tuple[int, int, int],
    metric: Metric,
    two: NDArray[np.float64],
    networks: NDArray[Any],
    bootstrap: dict[str, Any],
) -> None:
    k, a, b = at
    n = int(np.isfinite(two[0]).sum())
    pairs["n_common"][k, a, b] = pairs["n_common"][k, b, a] = n
    if not n:
        return
    size = np.abs(two) if metric.higher_is_better is None else two
    middle, low, high = difference_interval(size[0], size[1], networks, **bootstrap)[:3]
    loss = metric.loss(two)
    p, wins = wilcoxon_p(loss[0] - loss[1]), win_share(loss[0], loss[1])
    for i, j, sign, ends, share in ((a, b, 1, (low, high), wins), (b, a, -1, (-high, -low), 1 - wins)):
        pairs["difference"][k, i, j] = sign * middle
        pairs["difference_lower"][k, i, j], pairs["difference_upper"][k, i, j] = ends
        pairs["p"][k, i, j], pairs["win_share"][k, i, j] = p, share


def _best_product(
    scores: NDArray[np.float64], metrics: list[Metric], names: NDArray[np.str_]
) -> NDArray[np.str_]:
    best = []
    for metric, values in zip(metrics, scores, strict=True):
        loss = np.where(np.isfinite(values), metric.loss(values), np.inf)
        several = np.isfinite(values).sum(0) >= 2
        best.append(np.where(several, texts(names)[loss.argmin(0)], ""))
    return np.stack(best)
