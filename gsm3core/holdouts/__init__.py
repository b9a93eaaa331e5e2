"""Holdouts: splits of sites and days into training and test folds."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from gsm3core.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from gsm3core.config import HoldoutConfig
    from gsm3core.holdouts.base import Holdout

_REGISTRY = {
    "temporal": "gsm3core.holdouts.temporal:Temporal",
    "random_spatial": "gsm3core.holdouts.random_spatial:RandomSpatial",
    "cross_continental": "gsm3core.holdouts.cross_continental:CrossContinental",
    "spatial_block": "gsm3core.holdouts.spatial_block:SpatialBlock",
    "custom": "gsm3core.holdouts.custom:Custom",
}


def make_holdout(config: HoldoutConfig) -> Holdout:
    """Return the holdout that a configuration names.

    Raises
    ------
    ConfigError
        If the name is not known.
    """
    if config.name not in _REGISTRY:
        raise ConfigError(f"holdout {config.name!r} is not known. {did_you_mean(config.name, _REGISTRY)}")
    holdout: Holdout = resolve_name(_REGISTRY[config.name])(config)
    return holdout
