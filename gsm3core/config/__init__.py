"""The frozen, typed configuration of an experiment, read from TOML; unknown keys are an error."""

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
