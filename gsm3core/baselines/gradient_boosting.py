"""Gradient boosting on lags, means and antecedent precipitation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.baselines.features import FeatureTable, feature_table
from gsm3core.baselines.training_record import TrainingRecord, to_prediction, training_record
from gsm3core.config import ExperimentConfig
from gsm3core.errors import CancelledError
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import input_names, spin_up_days, with_spin_up

TREES = 300
# Trees per call of fit, between which progress is reported and cancellation polled; each call bins the rows again.
_TREES_PER_CALL = 100
MOST_ROWS = 300_000
_SITES_AT_ONCE = 32


def predict_by_boosting(
    ds: xr.Dataset,
    fold: Fold,
    config: ExperimentConfig,
    emit: Callable[..., None],
    cancelled: Callable[[], bool],
) -> xr.DataArray:
    """Fit histogram gradient boosting on a fold's training part and predict its test sites.

    Parameters
    ----------
    ds, fold, config, emit, cancelled
        As for :func:`gsm3core.baselines.predict_fold`.

    Notes
    -----
    Every training day with a target is a row; streams with more than :data:`MOST_ROWS` are subsampled without
    replacement (``training.seed``). The trees handle missing inputs themselves, so ``data.fill_forcing``,
    ``data.transform_precipitation`` and ``data.derived`` are not used. Lags and means at the start of a record are
    those of its spin-up (:func:`gsm3core.scaling.with_spin_up`), in training and prediction.

    All training targets are used, as by the network: a column encodes the target's record, every stream has as many
    rows as the longest (shorter ones are repeated; the satellite's number is multiplied by
    ``training.satellite_weight``, its factor in the network's loss), and predictions are made for the first record. With
    in situ alone (``data.targets``) it is the usual baseline. Rows are repeated because sample weights make
    scikit-learn ten times slower. Columns: :mod:`gsm3core.baselines.features`; the algorithm is scikit-learn's,
    after Ke et al. (2017, LightGBM, NeurIPS 30).
    """
    forcings, attributes, _ = input_names(ds, config.data)
    table = feature_table(ds, forcings, attributes, fold.train_sites)
    training = training_record(ds, fold, config)
    x, y = _training_rows(ds, table, training, config, cancelled)
    model = _fit(x, y, table, config.training.seed, fold.name, emit, cancelled)
    values_ST = np.full((int(fold.test_sites.sum()), ds.sizes[v.TIME]), np.nan)
    done = 0
    for sites in _site_blocks(np.flatnonzero(fold.test_sites)):
        _raise_if_cancelled(cancelled)
        rows = _rows(table, ds.isel({v.SITE: sites}), config)
        flat = _append_source(rows.reshape(-1, rows.shape[-1]), 0)
        values_ST[done : done + len(sites)] = model.predict(flat).reshape(rows.shape[:2])
        done += len(sites)
    return to_prediction(values_ST, ds, fold, forcings)


def _training_rows(
    ds: xr.Dataset,
    table: FeatureTable,
    training: TrainingRecord,
    config: ExperimentConfig,
    cancelled: Callable[[], bool],
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return features and targets of the training rows, concatenated over streams."""
    rng = np.random.default_rng(config.training.seed)
    valid_ST = {name: np.isfinite(target) for name, target in training.streams.items()}
    longest = min(MOST_ROWS, max(int(t.sum()) for t in valid_ST.values()))
    x, y = [], []
    for source, (name, target) in enumerate(training.streams.items()):
        weight = config.training.satellite_weight if source and name == v.SM_SMAP else 1.0
        counts_ST = _sample_counts(valid_ST[name], round(longest * weight), rng)
        for sites in _site_blocks(np.flatnonzero(counts_ST.any(axis=1))):
            _raise_if_cancelled(cancelled)
            counts = counts_ST[sites]
            rows = _rows(table, ds.isel({v.SITE: sites}), config)[counts > 0]
            x.append(np.repeat(_append_source(rows, source), counts[counts > 0], axis=0))
            y.append(np.repeat(target[sites][counts > 0], counts[counts > 0]))
    return np.concatenate(x), np.concatenate(y)


def _rows(table: FeatureTable, ds: xr.Dataset, config: ExperimentConfig) -> NDArray[np.float32]:
    """Return the features of a dataset's days ``(site, time, feature)``, with spun-up lags and means."""
    spun_up = with_spin_up(ds, table.forcings, spin_up_days(config.training))
    return table.rows(spun_up)[:, -ds.sizes[v.TIME] :]


def _fit(
    x: NDArray[np.float32],
    y: NDArray[np.float64],
    table: FeatureTable,
    seed: int,
    fold: str,
    emit: Callable[..., None],
    cancelled: Callable[[], bool],
) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        learning_rate=0.05,
        max_leaf_nodes=31,
        min_samples_leaf=100,
        l2_regularization=1.0,
        max_features=0.3,
        categorical_features=[*table.categorical, False],
        # Early stopping on random rows would validate on days adjacent to training days and never stop.
        early_stopping=False,
        warm_start=True,
        random_state=seed,
    )
    for trees in [*range(_TREES_PER_CALL, TREES, _TREES_PER_CALL), TREES]:
        _raise_if_cancelled(cancelled)
        model.set_params(max_iter=trees).fit(x, y)
        emit("progress", fold=fold, done=round(trees / TREES, 4))
    return model


def _sample_counts(valid_ST: NDArray[np.bool_], number: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return how often each site and day is a row: as evenly as ``number`` allows, the remainder at random."""
    days = np.flatnonzero(valid_ST)
    counts_ST = np.zeros(valid_ST.size, np.intp)
    counts_ST[days] = number // len(days)
    counts_ST[rng.choice(days, number % len(days), replace=False)] += 1
    return counts_ST.reshape(valid_ST.shape)


def _append_source(rows: NDArray[np.float32], source: int) -> NDArray[np.float32]:
    return np.column_stack([rows, np.full(len(rows), source, np.float32)])


def _site_blocks(sites: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    for start in range(0, len(sites), _SITES_AT_ONCE):
        yield sites[start : start + _SITES_AT_ONCE]


def _raise_if_cancelled(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise CancelledError("Cancelled while fitting gradient boosting; this fold is not saved.")
