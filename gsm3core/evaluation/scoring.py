"""Scores of a run and all products on the run's test days, for the dashboard, the command line and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.evaluation.comparison import compare_products
from gsm3core.evaluation.conditions import condition_attrs, with_masked_days
from gsm3core.evaluation.day_masks import apply_masks
from gsm3core.evaluation.error_sources import ErrorSources, trained_sources
from gsm3core.evaluation.reference_scaling import NO_SCALING, scale_to_reference
from gsm3core.evaluation.site_scores import Intervals, site_scores
from gsm3core.evaluation.stratified import LOCAL_SEASONS, SEASON, season_scores
from gsm3core.evaluation.test_days import compared_products, in_season, only_season, tested_series
from gsm3core.evaluation.triplets import AUTOMATIC, triple_scores
from gsm3core.files import fingerprint, texts
from gsm3core.metrics import METRICS, TRIPLE_METRICS, metrics_named
from gsm3core.metrics.rescaling import Scaling
from gsm3core.run import Run
from gsm3core.schema import open_dataset, target_names

MIN_DAYS = 30
NOT_SCORED = "not part of this run"
_COUNTS = ("n_valid", "n_effective", "n_masked", "TC_days")
_TRIPLE = "TC_"


def score_run(
    run: Run | str | Path,
    *,
    dataset: xr.Dataset | None = None,
    reference: str | None = None,
    season: str | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    min_days: int | None = None,
    third: str = AUTOMATIC,
    scaling: Scaling = NO_SCALING,
    masks: Sequence[str] = (),
) -> xr.Dataset:
    """Return the scores of a run and of every product at each site, on the run's test days.

    Stored scores of the run are read; others are computed.

    Parameters
    ----------
    run
        A run or the path of its directory.
    dataset
        The dataset of the run; opened where needed by default.
    reference
        ``sm_insitu`` or ``sm_smap``; by default the first that the run was scored against.
    season
        Local season of each site, in :data:`gsm3core.evaluation.stratified.LOCAL_SEASONS`; by default all days.
    metrics
        Names in :data:`gsm3core.metrics.ALL_METRICS`.
    min_days
        Minimum number of paired days for a score, if larger than ``scores.min_days`` of the run.
    third
        Third product of triple collocation (metrics ``TC_R`` and ``TC_error``); by default chosen for each product, see
        :func:`gsm3core.evaluation.triplets.third_products`.
    scaling
        Scaling to the reference before scoring: ``none``, ``mean_std`` or ``cdf``, with the parameters of all paired test
        days of a site that are not masked; a season does not change them.
    masks
        Days to leave out, names in :data:`gsm3core.evaluation.day_masks.MASKS`: ``frozen``, ``snow``, ``flagged``. The
        variable ``n_masked`` is the number of paired days that they remove.

    Returns
    -------
    xarray.Dataset
        As :func:`gsm3core.site_scores`, ``(product, site)``, with ``lat``, ``lon``, ``region``, ``network``
        and ``station`` as coordinates where the dataset has them; for ``TC_R`` and ``TC_error`` also the variables of
        :func:`gsm3core.evaluation.triplets.triple_scores`.

    Raises
    ------
    RunError
        If the run has no scores against the reference.
    DatasetError
        If the dataset cannot be read, or a metric or season is unknown.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    if reference is None:
        reference = next(iter(run.references()), v.SM_INSITU)
    metrics_named(metrics)
    _check_season(season)
    stored = run.scores(reference)
    missing = [m for m in metrics if m not in stored]
    conditions = bool(season or masks or scaling != NO_SCALING)
    computed = bool(conditions or missing)
    if dataset is None and computed:
        dataset = dataset_of(run)
    elif dataset is None and v.REGION not in stored.coords and run.dataset_path.exists():
        stored = _with_coordinates(stored, open_dataset(run.dataset_path))
    config = run.config.scores
    if computed:
        assert dataset is not None
        scores = score_on_test_days(
            dataset, reference, {own_product(run): run.predictions()}, season=season,
            metrics=metrics if conditions else missing, min_days=config.min_days, confidence=config.confidence,
            intervals="R" if season else "all" if conditions else "none", third=third, scaling=scaling, masks=masks,
            sources={own_product(run): trained_sources(run.config.data.targets or target_names(dataset))},
        )  # fmt: skip
        if not conditions:
            collocated = [str(n) for n in scores.data_vars if str(n).startswith(_TRIPLE)]
            scores = _with_metrics(
                at_sites(stored, dataset), scores, list(dict.fromkeys([*missing, *collocated]))
            )
    else:
        scores = stored if dataset is None else at_sites(stored, dataset)
    return require_days(scores, min_days or 0)


def score_products(
    dataset: xr.Dataset,
    *,
    reference: str = v.SM_INSITU,
    season: str | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    min_days: int = MIN_DAYS,
    confidence: float = 0.95,
    third: str = AUTOMATIC,
    scaling: Scaling = NO_SCALING,
    masks: Sequence[str] = (),
) -> xr.Dataset:
    """Return the scores of every product of a dataset at each site, on all days.

    Parameters
    ----------
    dataset, reference
        A SiteDataset, and the record that its products are compared with.
    season, metrics, min_days, third, scaling, masks
        As for :func:`score_run`.
    confidence
        Level of the intervals.

    Raises
    ------
    DatasetError
        If the dataset has no product to compare, or a metric or season is unknown.
    """
    metrics_named(metrics)
    _check_season(season)
    scores = score_on_test_days(
        dataset, reference, {}, season=season, metrics=metrics, min_days=min(min_days, MIN_DAYS), confidence=confidence,
        intervals="R" if season else "all", third=third, scaling=scaling, masks=masks,
    )  # fmt: skip
    return require_days(scores, min_days)


def score_on_test_days(
    dataset: xr.Dataset,
    reference: str,
    predictions: Mapping[str, xr.Dataset],
    *,
    season: str | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    min_days: int = MIN_DAYS,
    confidence: float = 0.95,
    intervals: Intervals = "all",
    third: str = AUTOMATIC,
    sources: Mapping[str, ErrorSources] | None = None,
    scaling: Scaling = NO_SCALING,
    masks: Sequence[str] = (),
) -> xr.Dataset:
    """Return the scores of predictions and every product on the test days common to all predictions.

    Parameters
    ----------
    dataset, reference, predictions
        As for :func:`gsm3core.evaluation.test_days.tested_series`.
    season, metrics, min_days, confidence, intervals, scaling, masks
        As for :func:`score_run` and :func:`gsm3core.site_scores`. Only R, bias, RMSE, ubRMSE and triple collocation have
        intervals.
    third, sources
        As for :func:`gsm3core.evaluation.triplets.third_products`.
    """
    _check(dataset, reference)
    observed = dataset[reference].load()
    tested = tested_series(dataset, reference, predictions)
    series = apply_masks(tested, dataset, reference, masks)
    scaled = scale_to_reference(series, observed, scaling)
    usual = [m for m in metrics if m in METRICS]
    triple = [m for m in metrics if m in TRIPLE_METRICS]
    others = [m for m in metrics if m not in METRICS and m not in TRIPLE_METRICS]
    one_season = scaled if season is None else only_season(scaled, dataset, season)
    # Of one season the parameters of the scaling are those of all seasons; of all days the bootstrap repeats the scaling.
    days, repeated = (series, scaling) if season is None else (one_season, NO_SCALING)
    scores = site_scores(
        days, observed, metrics=usual or ["bias"], min_days=min_days, confidence=confidence,
        intervals=intervals if usual else "none", scaling=repeated,
    )  # fmt: skip
    scores = scores if usual else scores.drop_vars("bias")
    scores.attrs |= {"reference": reference, "scaling": scaling} | ({"season": season} if season else {})
    if masks:
        unmasked = tested if season is None else only_season(tested, dataset, season)
        scores = with_masked_days(scores, unmasked, series, observed, masks)
    if triple:
        collocated = triple_scores(
            one_season,
            observed,
            reference=reference,
            third=third,
            sources=sources,
            min_days=min_days,
            confidence=confidence,
        )
        scores = _with_metrics(scores, collocated, [str(n) for n in collocated.data_vars])
    if not others:
        return scores
    if season is None:
        more = site_scores(
            scaled, observed, metrics=others, min_days=min_days, confidence=confidence, intervals="none"
        )
    else:
        # Anomalies are relative to the mean of all neighbouring days, also those outside the season.
        more = season_scores(scaled, observed, metrics=others, min_days=min_days).sel({SEASON: season})
    return _with_metrics(scores, more, others)


def compare_runs(
    dataset: xr.Dataset,
    runs: Mapping[str, Run],
    *,
    reference: str = v.SM_INSITU,
    season: str | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    min_days: int | None = None,
    confidence: float | None = None,
    scaling: Scaling = NO_SCALING,
    masks: Sequence[str] = (),
) -> xr.Dataset:
    """Compare runs and every product of a dataset on the common test days of the runs.

    Parameters
    ----------
    dataset
        The SiteDataset of the runs, or a selection of its sites by :func:`gsm3core.select_sites`.
    runs
        Runs by product name of their prediction; empty to compare only the products, on all days.
    reference, season, scaling, masks
        As for :func:`score_run`; each sample of days has its own parameters of the scaling.
    metrics
        Metrics of the values; those of anomalies and ranks cannot be computed on common days.
    min_days, confidence
        Minimum number of paired days for a score and level of the intervals, by default those of the first run;
        ``min_days`` cannot be smaller than that of the run.

    Returns
    -------
    xarray.Dataset
        As :func:`gsm3core.compare_products`.
    """
    _check_season(season)
    _check(dataset, reference)
    config = next((run.config.scores for run in runs.values()), None)
    series = tested_series(dataset, reference, {name: run.predictions() for name, run in runs.items()})
    found = compare_products(
        apply_masks(series, dataset, reference, masks),
        dataset[reference].load(),
        metrics=metrics,
        min_days=max(config.min_days, min_days or 0) if config else min_days or MIN_DAYS,
        confidence=confidence or (config.confidence if config else 0.95),
        scaling=scaling,
        days=None if season is None else in_season(dataset, season),
    )
    return found.assign_attrs(condition_attrs(season, masks))


def own_product(run: Run) -> str:
    """Return the product name of a run's prediction."""
    return v.MODEL_PRODUCTS.get(run.config.model.name, v.MULTITASK_LSTM)


def has_products(dataset: xr.Dataset, reference: str) -> bool:
    """Return whether a dataset has a product to compare with a reference."""
    return bool(compared_products(dataset, reference))


def require_days(scores: xr.Dataset, days: int) -> xr.Dataset:
    """Return scores with NaN where there are fewer paired days, and the number of days as ``reason``.

    Parameters
    ----------
    scores
        From :func:`gsm3core.site_scores`, with at least ``min_days`` paired days.
    days
        Minimum number of paired days.
    """
    if "n_valid" not in scores or days <= int(scores.attrs.get("min_days", 0)):
        return scores
    n = scores["n_valid"]
    few = (n < days).values
    few_of_three = few | (scores["TC_days"] < days).values if "TC_days" in scores else few
    found = scores.map(
        lambda a: (
            a.where(~(few_of_three if str(a.name).startswith(_TRIPLE) else few))
            if a.dtype.kind == "f" and a.name not in _COUNTS
            else a
        ),
        keep_attrs=True,
    )
    day_counts = np.char.add(
        np.nan_to_num(n.values).astype(int).astype(str), f" paired days, fewer than {days}"
    )
    reason = texts(scores["reason"].values).reshape(n.shape)
    newly_rejected = few & (n.values > 0) & (reason == "")
    found["reason"] = scores["reason"].dims, np.where(newly_rejected, day_counts, reason)
    if "TC_days" in scores:
        found["TC_reason"] = scores["TC_reason"].dims, _few_triplets(scores, days)
    return found.assign_attrs(scores.attrs | {"min_days": days})


def _few_triplets(scores: xr.Dataset, days: int) -> NDArray[np.str_]:
    """Return the reasons of triple collocation, with the number of days where there are fewer than ``days``."""
    n, reason = scores["TC_days"].values, texts(scores["TC_reason"].values).reshape(scores["TC_days"].shape)
    text = np.char.add(n.astype(int).astype(str), f" days with all three, fewer than {days}")
    return np.where((n > 0) & (n < days) & (reason == ""), text, reason)


def dataset_of(run: Run) -> xr.Dataset:
    """Open the dataset that a run read; refuse another one, from which scores would be those of other values."""
    known = str(run.provenance.get("dataset_sha256") or "")
    if known and fingerprint(run.dataset_path) != known:
        raise DatasetError(
            f"{run.dataset_path} has changed since run {run.id} read it. Pass the dataset that the run read (dataset=...), "
            "or run the experiment again."
        )
    return open_dataset(run.dataset_path)


def _with_coordinates(scores: xr.Dataset, dataset: xr.Dataset) -> xr.Dataset:
    """Add a dataset's site coordinates to the scores of an earlier version, at the sites that both have."""
    sites, known = texts(scores[v.SITE].values), texts(dataset[v.SITE].values)
    if not np.isin(sites, known).all():
        return scores
    at = pd.Index(known).get_indexer(pd.Index(sites))
    return scores.assign_coords({n: (v.SITE, c.values[at]) for n, c in _site_coordinates(dataset).items()})


def _site_coordinates(dataset: xr.Dataset) -> dict[str, xr.DataArray]:
    found = {}
    for name in v.SITE_COORDINATES:
        if name in dataset.coords and dataset[name].dims == (v.SITE,):
            coord = dataset[name]
            found[name] = coord if coord.dtype.kind in "biuf" else coord.copy(data=texts(coord.values))
    return found


def at_sites(scores: xr.Dataset, dataset: xr.Dataset) -> xr.Dataset:
    """Return stored scores at every site of a dataset, in its order and with its coordinates; NaN where not scored."""
    sites = texts(dataset[v.SITE].values)
    found = scores.drop_vars([n for n in v.SITE_COORDINATES if n in scores.coords])
    found = found.assign_coords({v.SITE: texts(found[v.SITE].values)}).reindex(
        {v.SITE: sites}, fill_value=np.nan
    )
    if "reason" in found:
        reason = found["reason"].astype(object)
        found["reason"] = reason.where(reason.notnull(), NOT_SCORED).astype(str)
    coords = {n: (v.SITE, c.values, c.attrs) for n, c in _site_coordinates(dataset).items()}
    return found.assign_coords(coords)


def _with_metrics(scores: xr.Dataset, more: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Add metrics to scores of the same products and sites."""
    dims = scores["n_valid"].dims
    more = more.reindex({v.PRODUCT: scores[v.PRODUCT]})
    found = {m: more[m].transpose(*dims) for m in names}
    # A text reindexed is of type object, which no file format stores.
    return scores.assign(
        {
            m: (dims, a.values if a.dtype.kind in "biuf" else a.values.astype(str), a.attrs)
            for m, a in found.items()
        }
    )


def _check(dataset: xr.Dataset, reference: str) -> None:
    if reference not in v.TARGETS or reference not in dataset:
        there = [t for t in v.TARGETS if t in dataset]
        raise DatasetError(f"reference {reference!r} is not in the dataset. {did_you_mean(reference, there)}")


def _check_season(season: str | None) -> None:
    if season is not None and season not in LOCAL_SEASONS:
        raise DatasetError(f"unknown season {season!r}. {did_you_mean(season, LOCAL_SEASONS)}")
