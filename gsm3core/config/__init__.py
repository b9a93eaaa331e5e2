"""One experiment as a frozen, typed configuration, read from TOML; unknown keys are refused."""

from gsm3core.config.experiment import ExperimentConfig
from gsm3core.config.sections import (
    DataConfig,
    HoldoutConfig,
    ModelConfig,
    Period,
    ScoreConfig,
    TrainingConfig,
)

__all__ = [
    "DataConfig",
    "ExperimentConfig",
    "HoldoutConfig",
    "ModelConfig",
    "Period",
    "ScoreConfig",
    "TrainingConfig",
]
