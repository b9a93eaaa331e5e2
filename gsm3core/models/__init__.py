"""Registry of networks."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from gsm3core.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from gsm3core.config import ModelConfig
    from gsm3core.models.base import Model

_REGISTRY = {"multitask_lstm": "gsm3core.models.multitask_lstm:MultitaskLSTM"}


def make_model(config: ModelConfig, n_forcings: int, n_attributes: int, streams: tuple[str, ...]) -> Model:
    """Return a new network of the configured kind and size.

    Parameters
    ----------
    n_forcings, n_attributes
        Number of scaled input columns.
    streams
        Names of the training targets; the first is what the network predicts.

    Raises
    ------
    ConfigError
        If the model's name is not known.
    """
    if config.name not in _REGISTRY:
        raise ConfigError(f"model {config.name!r} is not known. {did_you_mean(config.name, _REGISTRY)}")
    model: Model = resolve_name(_REGISTRY[config.name])(config, n_forcings, n_attributes, streams)
    return model
