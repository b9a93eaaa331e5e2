"""Does something help? Runs with and without it, paired by their seeds: the difference of their medians over sites."""

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
from gsm3core.statistics.cluster_bootstrap import ClusterDraws, interval_about

METRICS = ("R", "RMSE", "ubRMSE", "anomaly_R")
_CONFIDENCE = 0.95


def series_of(
    run: Run, observed: xr.DataArray, test_days: xr.DataArray, variable: str = v.SM_PREDICTED
) -> xr.DataArray:
    """Return what a run predicts on its test days, at the sites and days of a record; NaN where it has nothing."""
    predictions = run.predictions()
    series = predictions[variable].where(predictions[v.IN_TEST]).reset_coords(drop=True)
    series = series.reindex({v.SITE: observed[v.SITE], v.TIME: observed[v.TIME]})
    coords = {n: c for n, c in observed.coords.items() if v.TIME not in c.dims}
    return series.where(test_days).assign_coords(coords)


def paired(helped: Sequence[Run], without: Sequence[Run], reference: str = v.SM_INSITU) -> pd.DataFrame:
    """Return the difference of the medians over sites, with minus without, over seeds.

    Parameters
    ----------
    helped, without
        Finished runs, one per seed on either side; paired by ``training.seed``. A run of several members is as many
        seeds: its networks are scored one by one.
    reference
        The record that judges.

    Notes
    -----
    Two intervals. ``over sites and seeds``: the mean difference under resampled networks (or sites, where there are
    too few networks; the same draw for every run), with Student's t of the seeds' scatter added. ``over seeds``:
    Student's t alone, what other seeds would give on these very sites.
    """
    both = [[pair for run in runs for pair in by_seed(run, reference)] for runs in (helped, without)]
    a, b = (dict(pairs) for pairs in both)
    if sorted(a) != sorted(b) or any(len(pairs) != len(a) for pairs in both):
        sys.exit(f"The runs are not paired by seed: {sorted(a)} with it, {sorted(b)} without.")
    aligned = xr.align(*(s for seed in sorted(a) for s in (a[seed], b[seed])), join="inner")
    return paired_medians(list(aligned[::2]), list(aligned[1::2]))


def by_seed(run: Run, reference: str) -> Iterator[tuple[int, xr.Dataset]]:
    """Yield each network's seed and its scores at the sites and days that its fold tests."""
    observed = open_dataset(run.dataset_path)[reference].load()
    everything = xr.ones_like(observed[v.TIME], dtype=bool)
    first = run.config.training.seed
    members = 1 if run.config.model.name in BASELINES else run.config.training.members
    for member in range(members):
        series = series_of_member(run, member, observed, everything)
        yield first + member, site_scores(series, observed, metrics=METRICS, intervals="none")


def series_of_member(run: Run, member: int, observed: xr.DataArray, test_days: xr.DataArray) -> xr.DataArray:
    """Return :func:`series_of` of one of a run's networks alone."""
    if run.config.training.members == 1:
        return series_of(run, observed, test_days)
    alone = run.predictions()[v.SM_PREDICTED].copy(data=_of_member(run, member)).reset_coords(drop=True)
    alone = alone.reindex({v.SITE: observed[v.SITE], v.TIME: observed[v.TIME]})
    coords = {n: c for n, c in observed.coords.items() if v.TIME not in c.dims}
    return alone.where(test_days).assign_coords(coords)


def _of_member(run: Run, member: int) -> NDArray[np.float32]:
    """Predict with one network of every fold what its fold tests; NaN elsewhere."""
    ds, cpu = open_dataset(run.dataset_path).load(), torch.device("cpu")
    found = np.full((ds.sizes[v.SITE], ds.sizes[v.TIME]), np.nan, np.float32)
    for fold in folds_of(ds, run.config):
        scaler, models = load_models(run.config, run.fold(fold.name), cpu)
        model = next(islice(models, member, None))
        records = Records.of(ds, scaler, fold.test_sites)
        warmup = run.config.training.warmup
        one = estimate(model, records, scaler.target, warmup=warmup, device=cpu).mean_ST
        found[fold.test_sites] = np.where(fold.test_days, one, np.nan)
    return found


def paired_medians(
    helped: Sequence[xr.Dataset], without: Sequence[xr.Dataset], *, replicates: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Return :func:`paired` of per-site scores, the same sites in the same order throughout."""
    first = helped[0]
    networks = first[v.NETWORK].values if v.NETWORK in first.coords else np.arange(first.sizes[v.SITE])
    draws = ClusterDraws.make(networks, replicates=replicates, seed=seed)
    n = len(helped)
    # Of few seeds Student's t, not a bootstrap, which is far too sure of five.
    student = np.random.default_rng(seed + 1).standard_t(max(n - 1, 1), replicates)
    rows = {}
    for metric in METRICS:
        both = np.array([[s[metric].values for s in side] for side in (helped, without)], float)
        both = np.where(np.isfinite(both).all((0, 1)), both, np.nan)
        used = draws.used(both[0, 0])
        if not used:
            continue
        difference = np.nanmedian(both[0], axis=-1) - np.nanmedian(both[1], axis=-1)
        redrawn = np.stack([draws.medians(x) - draws.medians(y) for x, y in zip(*both, strict=True)], axis=1)
        error = difference.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
        scattered = redrawn.mean(1) + (student * error if n > 1 else 0.0)
        estimate, low, high = interval_about(float(difference.mean()), scattered, used, _CONFIDENCE)
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
