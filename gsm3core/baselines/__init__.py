"""Baselines, run under the same holdouts, sites and days as the network."""

from __future__ import annotations

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

import xarray as xr

from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError, did_you_mean
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import fold_attributes, input_names
from gsm3core.scaling.copied_targets import refuse_copied_forcings
from gsm3core.schema import target_names

GRADIENT_BOOSTING = "gradient_boosting"
CLIMATOLOGY = "climatology"
API_BUCKET = "api_bucket"

_PREDICTORS = {
    GRADIENT_BOOSTING: "gsm3core.baselines.gradient_boosting:predict_by_boosting",
    CLIMATOLOGY: "gsm3core.baselines.climatology:predict_climatology",
    API_BUCKET: "gsm3core.baselines.api_bucket:predict_bucket",
}
BASELINES = tuple(_PREDICTORS)

Emit = Callable[..., None]


def predict_fold(
    name: str,
    ds: xr.Dataset,
    fold: Fold,
    config: ExperimentConfig,
    emit: Emit | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> xr.DataArray:
    """Fit a baseline to a fold's training part and predict its test sites.

    Parameters
    ----------
    name
        One of :data:`BASELINES`.
    ds
        A SiteDataset.
    fold
        Targets are read, and all statistics computed, at its training sites on its training days only.
    config
        Reads ``data`` (inputs and training targets) and ``training.seed``.
    emit
        Called as ``emit("progress", fold=..., done=...)`` with the completed fraction of the fold.
    cancelled
        Polled often; the work stops when it returns true.

    Returns
    -------
    xarray.DataArray
        ``sm_predicted (site, time)``, m3 m-3: the fold's test sites over their whole records, as for the network,
        clipped to 0 to 1; the attribute ``clipped`` counts the clipped values.

    Raises
    ------
    ConfigError
        If the name is unknown, an input that the baseline needs is not configured, ``data.attributes`` names one that the
        fold must not use (:func:`gsm3core.scaling.fold_attributes`), or a forcing has the values of a target.
    DatasetError
        If a variable is missing.
    TrainingError
        If there are no training targets.
    CancelledError
        If cancelled.
    """
    if name not in _PREDICTORS:
        raise ConfigError(f"baseline {name!r} is not known. {did_you_mean(name, _PREDICTORS)}")
    refuse_copied_forcings(ds, fold, input_names(ds, config.data)[0], target_names(ds))
    ds, chosen = fold_attributes(ds, fold, config.data)
    config = config.replace("data", attributes=chosen.names)
    predict = resolve_name(_PREDICTORS[name])
    predicted: xr.DataArray = predict(ds, fold, config, emit or _ignore_event, cancelled)
    return predicted


def _ignore_event(event: str, **fields: Any) -> None:
    """Discard an event."""
