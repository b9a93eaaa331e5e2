"""Effect of a change: difference of medians over sites between runs with and without it, paired by seed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from gsm3core import Run, open_dataset, site_scores
from gsm3core import vocabulary as v
from gsm3core.baselines import BASELINES
from gsm3core.experiment.folds import folds_of
from gsm3core.prediction import Records, estimate, load_models
from gsm3core.statistics.cluster_bootstrap import ClusterBootstrap, interval_about

METRICS = ("R", "RMSE", "ubRMSE", "anomaly_R")
_CONFIDENCE = 0.95


def series_of(
    run: Run, observed: xr.DataArray, test_days: xr.DataArray, variable: str = v.SM_PREDICTED
) -> xr.DataArray:
    """Return the test predictions of a run at the sites and days of a record, NaN where there are none."""
    predictions = run.predictions()
    series = predictions[variable].where(predictions[v.IN_TEST]).reset_coords(drop=True)
    series = series.reindex({v.SITE: observed[v.SITE], v.TIME: observed[v.TIME]})
    coords = {n: c for n, c in observed.coords.items() if v.TIME not in c.dims}
    return series.where(test_days).assign_coords(coords)


def paired_difference(
    with_change: Sequence[Run], without: Sequence[Run], reference: str = v.SM_INSITU
) -> pd.DataFrame:
    """Return the difference of medians over sites, with minus without the change, over seeds.

    Parameters
    ----------
    with_change, without
        Finished runs, paired by ``training.seed``. Each member of an ensemble counts as a seed and is scored by
        itself.
    reference
        Variable of the reference record.

    Notes
    -----
    Two intervals. ``over sites and seeds``: bootstrap over networks (or sites, if there are too few networks; the same
    resamples for every run), with Student's t for the variation between seeds added. ``over seeds``: Student's t
    only, for other seeds at the same sites.
    """
    both = [
        [pair for run in runs for pair in scores_by_seed(run, reference)] for runs in (with_change, without)
    ]
    a, b = (dict(pairs) for pairs in both)
    if sorted(a) != sorted(b) or any(len(pairs) != len(a) for pairs in both):
        sys.exit(f"The runs are not paired by seed: seeds {sorted(a)} with the change, {sorted(b)} without.")
    aligned = xr.align(*(s for seed in sorted(a) for s in (a[seed], b[seed])), join="inner")
    return paired_medians(list(aligned[::2]), list(aligned[1::2]))


def scores_by_seed(run: Run, reference: str) -> Iterator[tuple[int, xr.Dataset]]:
    """Yield the seed of each member and its scores at the test sites and days."""
    observed = open_dataset(run.dataset_path)[reference].load()
    all_days = xr.ones_like(observed[v.TIME], dtype=bool)
    first_seed = run.config.training.seed
    members = 1 if run.config.model.name in BASELINES else run.config.training.members
    for member in range(members):
        series = series_of_member(run, member, observed, all_days)
        yield first_seed + member, site_scores(series, observed, metrics=METRICS, intervals="none")


def series_of_member(run: Run, member: int, observed: xr.DataArray, test_days: xr.DataArray) -> xr.DataArray:
    """Return :func:`series_of` of a single member of a run."""
    if run.config.training.members == 1:
        return series_of(run, observed, test_days)
    series = run.predictions()[v.SM_PREDICTED].copy(data=_predict_member(run, member)).reset_coords(drop=True)
    series = series.reindex({v.SITE: observed[v.SITE], v.TIME: observed[v.TIME]})
    coords = {n: c for n, c in observed.coords.items() if v.TIME not in c.dims}
    return series.where(test_days).assign_coords(coords)


def _predict_member(run: Run, member: int) -> NDArray[np.float32]:
    """Predict the test data of every fold with one of its members; NaN elsewhere."""
    ds, cpu = open_dataset(run.dataset_path).load(), torch.device("cpu")
    predicted = np.full((ds.sizes[v.SITE], ds.sizes[v.TIME]), np.nan, np.float32)
    for fold in folds_of(ds, run.config):
        scaler, models = load_models(run.config, run.fold(fold.name), cpu)
        model = next(islice(models, member, None))
        records = Records.of(ds, scaler, fold.test_sites, run.config.training)
        one = estimate(model, records, scaler.target, device=cpu).mean_ST
        predicted[fold.test_sites] = np.where(fold.test_days, one, np.nan)
    return predicted


def paired_medians(
    with_change: Sequence[xr.Dataset], without: Sequence[xr.Dataset], *, replicates: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Return :func:`paired_difference` from per-site scores with the same sites in the same order."""
    first = with_change[0]
    networks = first[v.NETWORK].values if v.NETWORK in first.coords else np.full(first.sizes[v.SITE], "")
    draws = ClusterBootstrap.make(networks, replicates=replicates, seed=seed)
    n = len(with_change)
    # Student's t, because a bootstrap over about five seeds gives too narrow intervals.
    student = np.random.default_rng(seed + 1).standard_t(max(n - 1, 1), replicates)
    rows = {}
    for metric in METRICS:
        both = np.array([[s[metric].values for s in side] for side in (with_change, without)], float)
        both = np.where(np.isfinite(both).all((0, 1)), both, np.nan)
        used = draws.used(both[0, 0])
        if not used:
            continue
        difference = np.nanmedian(both[0], axis=-1) - np.nanmedian(both[1], axis=-1)
        resampled = np.stack(
            [draws.medians(x) - draws.medians(y) for x, y in zip(*both, strict=True)], axis=1
        )
        error = difference.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
        replicate_differences = resampled.mean(1) + (student * error if n > 1 else 0.0)
        estimate, low, high = interval_about(
            float(difference.mean()), replicate_differences, used, _CONFIDENCE
        )
        half = stats.t.ppf(0.5 + _CONFIDENCE / 2, max(n - 1, 1)) * error
        rows[metric] = {
            "with": np.nanmedian(both[0], axis=-1).mean(),
            "without": np.nanmedian(both[1], axis=-1).mean(),
            "difference": estimate,
            "over sites and seeds" if n > 1 else "over sites": f"{low:+.4f} to {high:+.4f}",
            "over seeds": f"{estimate - half:+.4f} to {estimate + half:+.4f}" if n > 1 else "one seed",
            "seeds": n,
            "sites": int(np.isfinite(both[0, 0]).sum()),
        }
    return pd.DataFrame(rows).T
