"""Error types of a model by region, from its four experiments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.evaluation.pairing import check_confidence
from gsm3core.evaluation.scoring import own_product, score_run
from gsm3core.evaluation.training_scores import score_training
from gsm3core.files import texts
from gsm3core.metrics import Metric, metrics_named
from gsm3core.run import Run
from gsm3core.statistics.cluster_bootstrap import REPLICATES, SITES, difference_interval, median_interval
from gsm3core.statistics.hypothesis_tests import wilcoxon_p

TRAIN = "train"
EXPERIMENTS = (TRAIN, "temporal", "random_spatial", "cross_continental")
GLOBAL = "Global"
# Region schemes under which each region of the paper is held out whole: countries and climates leave neighbours in training.
_WHOLE_REGIONS = (v.PAPER_REGIONS, "continents")
_RESIDUAL_NAMES = ("residual", "residual_lower", "residual_upper", "residual_sites")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorType:
    """Loss of skill from one experiment to another.

    Parameters
    ----------
    name, meaning
        For tables.
    better, worse
        The two experiments; the loss can be negative.
    """

    name: str
    meaning: str
    better: str
    worse: str


ERROR_TYPES = (
    ErrorType(name="A/B/D", better=TRAIN, worse="temporal",
              meaning="forcing errors, nonstationarity and training error, which are not separable: loss from the "
              "training days to other years at the same sites"),
    ErrorType(name="C", better="temporal", worse="random_spatial",
              meaning="spatial heterogeneity: loss from other years at the same sites to other sites; where it is below 0, "
              "nonstationarity (B) exceeds heterogeneity"),
    ErrorType(name="extrapolation", better="random_spatial", worse="cross_continental",
              meaning="loss from other sites to sites of a region outside the training data"),
)  # fmt: skip
RESIDUAL = "residual of the fit"
RESIDUAL_MEANING = (
    "what the fit to the training data leaves over: representativeness, sensors and fit together"
)


def experiments_of(
    runs: Iterable[Run], *, dataset: xr.Dataset | None = None, reference: str | None = None, **options: Any
) -> dict[str, xr.Dataset]:
    """Return the per-site scores of the four experiments from runs, for :func:`error_types`.

    Parameters
    ----------
    runs
        The first of each holdout is used; other holdouts than those of the paper are left out, and so are cross-continental
        runs by country, climate or a user's regions, which leave parts of the paper's regions in training.
    dataset, reference
        As for :func:`gsm3core.score_run`. Without a dataset, training scores are those stored with the runs.
    **options
        Scaling and masks of :func:`gsm3core.score_run`.

    Returns
    -------
    dict
        ``(site)`` scores of each run's own product by holdout. ``train``: the temporal run on its training days, so that
        ``train`` and ``temporal`` are the same networks at the same sites; without a temporal run, the first run that has
        training scores.
    """
    by_holdout: dict[str, Run] = {}
    for run in runs:
        holdout = run.config.holdout
        if holdout.name == "cross_continental" and holdout.regions not in _WHOLE_REGIONS:
            continue
        if holdout.name in EXPERIMENTS:
            by_holdout.setdefault(holdout.name, run)
    found = {}
    for name in (e for e in EXPERIMENTS if e in by_holdout):
        run = by_holdout[name]
        stored = dataset is not None or run.training_scores(reference or v.SM_INSITU) is not None
        if TRAIN not in found and stored:
            training = score_training(run, dataset=dataset, reference=reference, **options)
            if training is not None:
                found[TRAIN] = training.isel({v.PRODUCT: 0}, drop=True)
        scores = score_run(run, dataset=dataset, reference=reference, **options)
        found[name] = scores.sel({v.PRODUCT: own_product(run)}, drop=True)
    return found


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
        ``temporal``, ``random_spatial``, ``cross_continental``; :func:`experiments_of` reads them from runs. Error types of
        missing experiments are NaN, with the reason. With coordinates ``region`` and, for the bootstrap over networks,
        ``network``.
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
        sites), ``n_sites``, ``clusters`` and ``reason``. ``dominant`` ``(region)``: ``C`` where the loss from the temporal
        to the random spatial experiment is positive, ``B`` where it is negative, empty where it is unknown.
        ``residual`` ``(region)``: median distance of the training score from a perfect one (1 - R, or the RMSE), with
        ``residual_lower``, ``residual_upper``, ``residual_sites``; it is no difference between experiments. Regions are
        those of the paper with sites, ``Other``, and ``Global``. ``resampled`` ``(region)``: ``networks``, or ``sites``
        where there are too few networks to resample; those intervals are too narrow where networks differ.

    Raises
    ------
    DatasetError
        If an experiment is unknown, or lacks the metric, the product or the region.

    Notes
    -----
    Liu et al. 2023 (doi:10.5194/gmd-16-1553-2023), section 3.1: (A) forcing errors and (B) nonstationarity appear in
    temporal tests, (C) uncaptured spatial heterogeneity in spatial tests, and (D) training error as the difference between
    training and test. Training and temporal test differ by A, B and D together, so these three cannot be separated. Of the
    published medians of R (0.853, 0.837, 0.792, 0.624), A/B/D is 0.016, C 0.045, extrapolation 0.168, and the residual of
    the fit 0.147. A difference of medians over common sites need not equal the difference of the levels, which are medians
    over the sites of each experiment.
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
    residuals = {n: np.full(len(regions), np.nan) for n in _RESIDUAL_NAMES}
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
        if TRAIN in values:
            left_over = formula.loss(values[TRAIN]) - formula.loss(np.array(formula.perfect))
            middle = median_interval(left_over, network[in_region], **bootstrap)
            for key, number in zip(residuals, (*middle[:3], middle.sites), strict=True):
                residuals[key][r] = number
        for k, kind in enumerate(ERROR_TYPES):
            numbers, reasons[k, r], of_sites = _loss_between(
                kind, values, formula, network[in_region], bootstrap
            )
            for key, number in zip(errors, numbers, strict=True):
                errors[key][k, r] = number
            by_site |= of_sites
        resampled.append("sites" if by_site else "networks")
    result = _dataset(levels, errors, residuals, reasons, regions, formula, confidence)
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
    missing = [e for e in (kind.better, kind.worse) if e not in values]
    if missing:
        return (np.nan,) * 6, f"no {missing[0]} experiment", False
    worse, better = metric.loss(values[kind.worse]), metric.loss(values[kind.better])
    both = np.isfinite(worse) & np.isfinite(better)
    n = float(both.sum())
    if not n:
        return (np.nan, np.nan, np.nan, np.nan, 0.0, 0.0), "no site scored by both experiments", False
    worse, better = np.where(both, worse, np.nan), np.where(both, better, np.nan)
    middle = difference_interval(worse, better, networks, **bootstrap)
    reason = "" if middle.clusters >= 2 else "no interval: fewer than two sites or networks"
    return (
        (*middle[:3], wilcoxon_p(worse - better), n, float(middle.clusters)),
        reason,
        middle.resampled == SITES,
    )


def _dataset(
    levels: dict[str, NDArray[np.float64]],
    errors: dict[str, NDArray[np.float64]],
    residuals: dict[str, NDArray[np.float64]],
    reasons: NDArray[np.str_],
    regions: list[str],
    metric: Metric,
    confidence: float,
) -> xr.Dataset:
    result = xr.Dataset(
        {n: (("experiment", v.REGION), a) for n, a in levels.items()}
        | {n: (("error_type", v.REGION), a) for n, a in errors.items()}
        | {n: (v.REGION, a) for n, a in residuals.items()},
        coords={
            "experiment": list(EXPERIMENTS),
            "error_type": [k.name for k in ERROR_TYPES],
            "meaning": ("error_type", [k.meaning for k in ERROR_TYPES]),
            v.REGION: regions,
        },
    )
    result["reason"] = ("error_type", v.REGION), reasons.astype(str)
    c = result["error"].sel(error_type="C").values
    result["dominant"] = v.REGION, np.select([c > 0, c < 0], ["C", "B"], "")
    for name in ("level", "error", "residual"):
        result[name].attrs["units"] = metric.units
    return result.assign_attrs(metric=metric.name, confidence=confidence)
