"""Gradient boosting on lags, means and antecedent precipitation: what trees make of the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.baselines.features import FeatureTable, feature_table
from gsm3core.baselines.training_record import TrainingRecord, as_prediction, inputs, training_record
from gsm3core.config import ExperimentConfig
from gsm3core.errors import CancelledError
from gsm3core.holdouts.base import Fold

TREES = 300
# Grown this many at a time, so that the work can be watched and cancelled; every new start sorts the rows again.
_TREES_AT_ONCE = 100
MOST_ROWS = 300_000
_SITES_AT_ONCE = 32


def predict_by_boosting(
    ds: xr.Dataset,
    fold: Fold,
    config: ExperimentConfig,
    tell: Callable[..., None],
    cancelled: Callable[[], bool],
) -> xr.DataArray:
    """Fit histogram gradient boosting on a fold's training part and predict its test sites.

    Parameters
    ----------
    ds, fold, config, tell, cancelled
        As for :func:`gsm3core.baselines.predict_fold`.

    Notes
    -----
    Every training day with a target is a row; of more than :data:`MOST_ROWS` in a stream, so many are drawn
    without replacement (``training.seed``). Missing inputs stay missing: the trees send them where the training
    error is least, so ``data.fill_forcing``, ``data.transform_precipitation`` and ``data.derived`` have no part here.

    Both teachers teach, as they do the network: a column says which record a row's target is from, the streams have
    as many rows as the longest of them (shorter ones are repeated; the satellite's are ``training.satellite_weight``
    times as many, which is its factor in the network's loss), and the prediction is asked for as in situ. With in
    situ alone (``data.targets``) it is the ordinary comparison model. Repeated rows stand for weights, which make
    scikit-learn ten times slower. Columns: :mod:`gsm3core.baselines.features`; the algorithm is scikit-learn's,
    after Ke et al. (2017, LightGBM, NeurIPS 30).
    """
    forcings, attributes = inputs(ds, config)
    table = feature_table(ds, forcings, attributes, fold.train_sites)
    taught = training_record(ds, fold, config)
    x, y = _training_rows(ds, table, taught, config, cancelled)
    model = _fit(x, y, table, config.training.seed, fold.name, tell, cancelled)
    values_ST = np.full((int(fold.test_sites.sum()), ds.sizes[v.TIME]), np.nan)
    done = 0
    for sites in _in_parts(np.flatnonzero(fold.test_sites)):
        _stop_if(cancelled)
        rows = table.rows(ds.isel({v.SITE: sites}))
        flat = _with_source(rows.reshape(-1, rows.shape[-1]), 0)
        values_ST[done : done + len(sites)] = model.predict(flat).reshape(rows.shape[:2])
        done += len(sites)
    return as_prediction(values_ST, ds, fold, forcings)


def _training_rows(
    ds: xr.Dataset,
    table: FeatureTable,
    taught: TrainingRecord,
    config: ExperimentConfig,
    cancelled: Callable[[], bool],
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Columns and target of the rows that train, all streams one after the other."""
    rng = np.random.default_rng(config.training.seed)
    taught_ST = {name: np.isfinite(target) for name, target in taught.streams.items()}
    longest = min(MOST_ROWS, max(int(t.sum()) for t in taught_ST.values()))
    x, y = [], []
    for source, (name, target) in enumerate(taught.streams.items()):
        weight = config.training.satellite_weight if source and name == v.SM_SMAP else 1.0
        times = _draw(taught_ST[name], round(longest * weight), rng)
        for sites in _in_parts(np.flatnonzero(times.any(axis=1))):
            _stop_if(cancelled)
            mine = times[sites]
            rows = table.rows(ds.isel({v.SITE: sites}))[mine > 0]
            x.append(np.repeat(_with_source(rows, source), mine[mine > 0], axis=0))
            y.append(np.repeat(target[sites][mine > 0], mine[mine > 0]))
    return np.concatenate(x), np.concatenate(y)


def _fit(
    x: NDArray[np.float32],
    y: NDArray[np.float64],
    table: FeatureTable,
    seed: int,
    fold: str,
    tell: Callable[..., None],
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
        # Stopping early on random rows would look at the neighbouring days of training rows: it never stops.
        early_stopping=False,
        warm_start=True,
        random_state=seed,
    )
    for trees in [*range(_TREES_AT_ONCE, TREES, _TREES_AT_ONCE), TREES]:
        _stop_if(cancelled)
        model.set_params(max_iter=trees).fit(x, y)
        tell("progress", fold=fold, done=round(trees / TREES, 4))
    return model


def _draw(taught_ST: NDArray[np.bool_], number: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """How often each site and day is a row: all equally often as far as ``number`` allows, the rest by chance."""
    days = np.flatnonzero(taught_ST)
    times = np.zeros(taught_ST.size, np.intp)
    times[days] = number // len(days)
    times[rng.choice(days, number % len(days), replace=False)] += 1
    return times.reshape(taught_ST.shape)


def _with_source(rows: NDArray[np.float32], source: int) -> NDArray[np.float32]:
    return np.column_stack([rows, np.full(len(rows), source, np.float32)])


def _in_parts(sites: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    for start in range(0, len(sites), _SITES_AT_ONCE):
        yield sites[start : start + _SITES_AT_ONCE]


def _stop_if(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise CancelledError(
            "Cancelled while a comparison model was being fitted; nothing of this fold is kept."
        )
