"""Scores of a run and all products on the run's test days, for the dashboard, the command line and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.evaluation.comparison import compare_products
from gsm3core.evaluation.site_scores import Intervals, site_scores
from gsm3core.evaluation.stratified import LOCAL_SEASONS, SEASON, season_scores
from gsm3core.evaluation.test_days import compared_products, in_season, tested_series
from gsm3core.files import fingerprint, texts
from gsm3core.metrics import METRICS, metrics_named
from gsm3core.run import Run
from gsm3core.schema import open_dataset

MIN_DAYS = 30
NOT_SCORED = "not part of this run"
_COUNTS = ("n_valid", "n_effective")


def score_run(
    run: Run | str | Path,
    *,
    dataset: xr.Dataset | None = None,
    reference: str | None = None,
    season: str | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    min_days: int | None = None,
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

    Returns
    -------
    xarray.Dataset
        As :func:`gsm3core.site_scores`, ``(product, site)``, with ``lat``, ``lon``, ``region``, ``network``
        and ``station`` as coordinates where the dataset has them.

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
    computed = bool(season or missing)
    if dataset is None and computed:
        dataset = _dataset_of(run)
    elif dataset is None and v.REGION not in stored.coords and run.dataset_path.exists():
        stored = _with_coordinates(stored, open_dataset(run.dataset_path))
    config = run.config.scores
    if computed:
        assert dataset is not None
        scores = score_on_test_days(
            dataset, reference, {own_product(run): run.predictions()}, season=season,
            metrics=metrics if season else missing, min_days=config.min_days, confidence=config.confidence,
            intervals="R" if season else "none",
        )  # fmt: skip
        if not season:
            scores = _with_metrics(at_sites(stored, dataset), scores, missing)
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
) -> xr.Dataset:
    """Return the scores of every product of a dataset at each site, on all days.

    Parameters
    ----------
    dataset, reference
        A SiteDataset, and the record that its products are compared with.
    season, metrics, min_days
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
        intervals="R" if season else "all",
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
) -> xr.Dataset:
    """Return the scores of predictions and every product on the test days common to all predictions.

    Parameters
    ----------
    dataset, reference, predictions
        As for :func:`gsm3core.evaluation.test_days.tested_series`.
    season, metrics, min_days, confidence, intervals
        As for :func:`score_run` and :func:`gsm3core.site_scores`. Only R, bias, RMSE and ubRMSE have intervals.
    """
    _check(dataset, reference)
    series = tested_series(dataset, reference, predictions)
    observed = dataset[reference].load()
    usual = [m for m in metrics if m in METRICS]
    others = [m for m in metrics if m not in METRICS]
    one_season = (
        series if season is None else series.where(in_season(dataset, season)).assign_attrs(series.attrs)
    )
    scores = site_scores(
        one_season, observed, metrics=usual or ["bias"], min_days=min_days, confidence=confidence,
        intervals=intervals if usual else "none",
    )  # fmt: skip
    scores = scores if usual else scores.drop_vars("bias")
    scores.attrs["reference"] = reference
    if not others:
        return scores
    if season is None:
        more = site_scores(
            series, observed, metrics=others, min_days=min_days, confidence=confidence, intervals="none"
        )
    else:
        # Anomalies are relative to the mean of all neighbouring days, also those outside the season.
        more = season_scores(series, observed, metrics=others, min_days=min_days).sel({SEASON: season})
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
) -> xr.Dataset:
    """Compare runs and every product of a dataset on the common test days of the runs.

    Parameters
    ----------
    dataset
        The SiteDataset of the runs, or a selection of its sites by :func:`gsm3core.select_sites`.
    runs
        Runs by product name of their prediction; empty to compare only the products, on all days.
    reference, season
        As for :func:`score_run`.
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
    if season is not None:
        series = series.where(in_season(dataset, season)).assign_attrs(series.attrs)
    return compare_products(
        series,
        dataset[reference].load(),
        metrics=metrics,
        min_days=max(config.min_days, min_days or 0) if config else min_days or MIN_DAYS,
        confidence=confidence or (config.confidence if config else 0.95),
    )


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
    found = scores.map(
        lambda a: a.where(~few) if a.dtype.kind == "f" and a.name not in _COUNTS else a, keep_attrs=True
    )
    day_counts = np.char.add(
        np.nan_to_num(n.values).astype(int).astype(str), f" paired days, fewer than {days}"
    )
    reason = texts(scores["reason"].values).reshape(n.shape)
    newly_rejected = few & (n.values > 0) & (reason == "")
    found["reason"] = scores["reason"].dims, np.where(newly_rejected, day_counts, reason)
    return found.assign_attrs(scores.attrs | {"min_days": days})


def _dataset_of(run: Run) -> xr.Dataset:
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
    return scores.assign({m: (dims, more[m].transpose(*dims).values, more[m].attrs) for m in names})


def _check(dataset: xr.Dataset, reference: str) -> None:
    if reference not in v.TARGETS or reference not in dataset:
        there = [t for t in v.TARGETS if t in dataset]
        raise DatasetError(f"reference {reference!r} is not in the dataset. {did_you_mean(reference, there)}")


def _check_season(season: str | None) -> None:
    if season is not None and season not in LOCAL_SEASONS:
        raise DatasetError(f"unknown season {season!r}. {did_you_mean(season, LOCAL_SEASONS)}")
