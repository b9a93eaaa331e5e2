"""Error types of a model by region, from its four experiments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.evaluation.pairing import check_confidence
from gsm3core.files import texts
from gsm3core.metrics import Metric, metrics_named
from gsm3core.statistics.cluster_bootstrap import REPLICATES, SITES, difference_interval, median_interval
from gsm3core.statistics.hypothesis_tests import wilcoxon_p

TRAIN = "train"
EXPERIMENTS = (TRAIN, "temporal", "random_spatial", "cross_continental")
GLOBAL = "Global"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorType:
    """Loss of skill between two experiments.

    Parameters
    ----------
    name, meaning
        For tables.
    better, worse
        The two experiments; ``better`` is ``None`` for the difference from a perfect score.
    """

    name: str
    meaning: str
    better: str | None
    worse: str


ERROR_TYPES = (
    ErrorType(name="D", better=None, worse=TRAIN,
              meaning="training error: error at the sites and days of the training data"),
    ErrorType(name="A+B", better=TRAIN, worse="temporal",
              meaning="forcing errors and nonstationarity: loss in years outside the training period"),
    ErrorType(name="C", better=TRAIN, worse="random_spatial",
              meaning="spatial heterogeneity: loss at sites outside the training data"),
    ErrorType(name="extrapolation", better="random_spatial", worse="cross_continental",
              meaning="loss on a continent outside the training data, beyond that at other sites"),
    ErrorType(name="A+B over C", better="random_spatial", worse="temporal",
              meaning="loss in other years minus loss at other sites: above 0 indicates strong nonstationarity"),
)  # fmt: skip


def error_types(
    experiments: Mapping[str, xr.Dataset],
    *,
    metric: str = "R",
    product: str = v.MULTITASK_LSTM,
    confidence: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> xr.Dataset:
    """Return the error types of a model by region.

    Parameters
    ----------
    experiments
        Per-site scores of :func:`gsm3core.site_scores` by experiment: ``train`` (training sites and days),
        ``temporal``, ``random_spatial``, ``cross_continental``. Error types of missing experiments are NaN, with the
        reason. With coordinates ``region`` and, for the bootstrap over networks, ``network``.
    metric
        A metric of the scores.
    product
        The model's product, where the scores have several.
    confidence, replicates, seed
        Of the bootstrap over networks.

    Returns
    -------
    xarray.Dataset
        ``level`` ``(experiment, region)``: median over sites, with ``level_lower``, ``level_upper``, ``level_sites``.
        ``error`` ``(error_type, region)``: loss of skill in units of the score (positive is worse for R and RMSE alike), a
        difference of medians over the sites scored by both experiments; with ``lower``, ``upper``, ``p`` (Wilcoxon over
        sites), ``n_sites``, ``clusters`` and ``reason``. Regions are those of the paper with sites, ``Other``, and
        ``Global``. ``resampled`` ``(region)``: ``networks``, or ``sites`` where there are too few networks to resample;
        those intervals are too narrow where networks differ.

    Raises
    ------
    DatasetError
        If an experiment is unknown, or lacks the metric, the product or the region.

    Notes
    -----
    Liu et al., GSM3 v1.0, section 3.1: (A) forcing errors and (B) nonstationarity appear in temporal tests, (C)
    uncaptured spatial heterogeneity in spatial tests, (D) training error between training and test. The types are
    differences between experiments and do not add up to a total.
    """
    check_confidence(confidence)
    (formula,) = metrics_named([metric])
    scores = {name: _scores_of(name, ds, metric, product) for name, ds in experiments.items()}
    if not scores:
        raise DatasetError(f"experiments is empty; expected scores by name: {', '.join(EXPERIMENTS)}.")
    aligned = xr.Dataset(dict(zip(scores, xr.align(*scores.values(), join="outer"), strict=True)))
    region, network = _labels(aligned, list(experiments.values()))
    regions = [r for r in (*v.REGIONS, v.NO_REGION) if (region == r).any()] + [GLOBAL]

    shape, types = (len(EXPERIMENTS), len(regions)), (len(ERROR_TYPES), len(regions))
    levels = {n: np.full(shape, np.nan) for n in ("level", "level_lower", "level_upper", "level_sites")}
    errors = {n: np.full(types, np.nan) for n in ("error", "lower", "upper", "p", "n_sites", "clusters")}
    reasons = np.full(types, "", dtype="<U120")
    resampled = []
    bootstrap: dict[str, Any] = {"confidence": confidence, "replicates": replicates, "seed": seed}
    for r, name in enumerate(regions):
        in_region = np.ones(len(region), bool) if name == GLOBAL else region == name
        values = {e: aligned[e].values[in_region] for e in scores}
        by_site = False
        for e, experiment in enumerate(EXPERIMENTS):
            if experiment in values:
                middle = median_interval(values[experiment], network[in_region], metric=metric, **bootstrap)
                by_site |= middle.sites > 0 and middle.resampled == SITES
                for key, number in zip(levels, (*middle[:3], middle.sites), strict=True):
                    levels[key][e, r] = number
        for k, kind in enumerate(ERROR_TYPES):
            numbers, reasons[k, r], of_sites = _loss_between(
                kind, values, formula, network[in_region], bootstrap
            )
            for key, number in zip(errors, numbers, strict=True):
                errors[key][k, r] = number
            by_site |= of_sites
        resampled.append("sites" if by_site else "networks")
    result = _dataset(levels, errors, reasons, regions, formula, confidence)
    result["resampled"] = v.REGION, resampled
    return result


def _scores_of(name: str, scores: xr.Dataset, metric: str, product: str) -> xr.DataArray:
    if name not in EXPERIMENTS:
        raise DatasetError(f"unknown experiment {name!r}. {did_you_mean(name, EXPERIMENTS)}")
    if metric not in scores:
        raise DatasetError(
            f"the scores of {name} lack {metric!r}; they have {', '.join(map(str, scores.data_vars))}."
        )
    found = scores[metric]
    if v.PRODUCT in found.dims:
        known = [str(p) for p in found[v.PRODUCT].values]
        if product not in known:
            raise DatasetError(
                f"the scores of {name} have no product {product!r}. {did_you_mean(product, known)}"
            )
        found = found.sel({v.PRODUCT: product}, drop=True)
    return found.reset_coords(drop=True)


def _labels(aligned: xr.Dataset, sources: list[xr.Dataset]) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Return region and network of every site from any experiment that has it; empty without a network."""
    site = aligned[v.SITE]
    found = {}
    for coord in (v.REGION, v.NETWORK):
        labels = np.full(site.size, "", dtype="<U64")
        for ds in sources:
            if coord in ds.coords:
                where = ds[v.SITE].to_index().get_indexer(site.to_index())
                named = np.where(where >= 0, texts(ds[coord].values)[where], "")
                labels = np.where(labels == "", named, labels)
        found[coord] = labels
    if (found[v.REGION] == "").any():
        raise DatasetError(
            f"the scores have no region for site {site.values[found[v.REGION] == ''][0]}; expected a coordinate"
            " 'region' (site)."
        )
    return found[v.REGION], found[v.NETWORK]


def _loss_between(
    kind: ErrorType,
    values: dict[str, NDArray[np.float64]],
    metric: Metric,
    networks: NDArray[np.str_],
    bootstrap: dict[str, Any],
) -> tuple[tuple[float, ...], str, bool]:
    missing = [e for e in (kind.better, kind.worse) if e is not None and e not in values]
    if missing:
        return (np.nan,) * 6, f"no {missing[0]} experiment", False
    worse = metric.loss(values[kind.worse])
    perfect = np.full(worse.shape, float(metric.loss(np.array(metric.perfect))))
    better = perfect if kind.better is None else metric.loss(values[kind.better])
    both = np.isfinite(worse) & np.isfinite(better)
    n = float(both.sum())
    if not n:
        return (np.nan, np.nan, np.nan, np.nan, 0.0, 0.0), "no site scored by both experiments", False
    worse, better = np.where(both, worse, np.nan), np.where(both, better, np.nan)
    middle = difference_interval(worse, better, networks, **bootstrap)
    # The difference from a perfect score has no null hypothesis to test.
    p = np.nan if kind.better is None else wilcoxon_p(worse - better)
    reason = "" if middle.clusters >= 2 else "no interval: fewer than two sites or networks"
    return (*middle[:3], p, n, float(middle.clusters)), reason, middle.resampled == SITES


def _dataset(
    levels: dict[str, NDArray[np.float64]],
    errors: dict[str, NDArray[np.float64]],
    reasons: NDArray[np.str_],
    regions: list[str],
    metric: Metric,
    confidence: float,
) -> xr.Dataset:
    result = xr.Dataset(
        {n: (("experiment", v.REGION), a) for n, a in levels.items()}
        | {n: (("error_type", v.REGION), a) for n, a in errors.items()},
        coords={
            "experiment": list(EXPERIMENTS),
            "error_type": [k.name for k in ERROR_TYPES],
            "meaning": ("error_type", [k.meaning for k in ERROR_TYPES]),
            v.REGION: regions,
        },
    )
    result["reason"] = ("error_type", v.REGION), reasons.astype(str)
    for name in ("level", "error"):
        result[name].attrs["units"] = metric.units
    return result.assign_attrs(metric=metric.name, confidence=confidence)
