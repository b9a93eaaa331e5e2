"""Tiny experiments on the small dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gsm3core import ExperimentConfig
from support.small_world import TINY


def config(world: Path, holdout: dict[str, Any] | None = None, **training: Any) -> ExperimentConfig:
    values = TINY | {
        "training": TINY["training"] | training,
        "data": {"dataset": str(world)},
        "holdout": holdout or {},
    }  # type: ignore[operator]
    return ExperimentConfig.from_mapping(values)


TEMPORAL = {
    "name": "temporal",
    "train": {"start": "2015-04-01", "end": "2015-12-31"},
    "test": {"start": "2016-01-01", "end": "2016-04-01"},
}
