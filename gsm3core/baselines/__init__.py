"""Comparison models: what the network must beat, under the same holdouts, on the same sites and days."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import xarray as xr

from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError, did_you_mean
from gsm3core.holdouts.base import Fold

GRADIENT_BOOSTING = "gradient_boosting"
CLIMATOLOGY = "climatology"
API_BUCKET = "api_bucket"

_PREDICTORS = {
    GRADIENT_BOOSTING: "gsm3core.baselines.gradient_boosting:predict_by_boosting",
    CLIMATOLOGY: "gsm3core.baselines.climatology:predict_climatology",
    API_BUCKET: "gsm3core.baselines.api_bucket:predict_bucket",
}
BASELINES = tuple(_PREDICTORS)

Tell = Callable[..., None]


def predict_fold(
    name: str,
    ds: xr.Dataset,
    fold: Fold,
    config: ExperimentConfig,
    tell: Tell | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> xr.DataArray:
    """Fit a comparison model to a fold's training part and predict the sites that it tests.

    Parameters
    ----------
    name
        One of :data:`BASELINES`.
    ds
        A SiteDataset.
    fold
        Of its targets only those at training sites on training days are read, and every statistic is theirs.
    config
        ``data`` says which variables are read and which records teach; ``training.seed`` makes it repeatable.
    tell
        Called as ``tell("progress", fold=..., done=...)`` with the share of the fold's work that is done.
    cancelled
        Asked often; when true the work stops.

    Returns
    -------
    xarray.DataArray
        ``sm_predicted (site, time)``, m3 m-3: the fold's test sites over their whole records, as the network
        predicts them, clipped to 0 to 1; the attribute ``clipped`` counts what was outside.

    Raises
    ------
    ConfigError
        If the name is not known, or the model needs an input that the configuration leaves out.
    DatasetError
        If a variable is missing.
    TrainingError
        If there is nothing to learn from.
    CancelledError
        If cancelled.
    """
    if name not in _PREDICTORS:
        raise ConfigError(f"comparison model {name!r} is not known. {did_you_mean(name, _PREDICTORS)}")
    module, function = _PREDICTORS[name].split(":")
    predict: Any = getattr(import_module(module), function)
    predicted: xr.DataArray = predict(ds, fold, config, tell or _say_nothing, cancelled)
    return predicted


def _say_nothing(event: str, **fields: Any) -> None:
    """Nobody listens."""
