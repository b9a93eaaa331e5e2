"""Where a run comes from: dataset, versions, commit; and whether the dataset is still the same."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError
from gsm3core.files import fingerprint
from gsm3core.run import Run

_VERSIONS = ("gsm3", "torch", "numpy", "xarray", "pandas", "scikit-learn")


def provenance_of(config: ExperimentConfig, path: Path, ds: xr.Dataset) -> dict[str, Any]:
    """Return what a run writes down of its origin, JSON-able.

    Parameters
    ----------
    config
        The experiment.
    path, ds
        The dataset's place and contents.
    """
    return {
        "created": pd.Timestamp.now("UTC").isoformat(timespec="seconds"),
        "dataset_path": str(path),
        "dataset_sha256": fingerprint(path),
        "dataset_title": ds.attrs.get("title", ""),
        "simulated": ds.attrs.get("simulated", "false"),
        "seed": config.training.seed,
        "device": config.training.device,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in _VERSIONS},
    }


def refuse_changed_dataset(run: Run) -> None:
    """Stop if a run's dataset is not the one that it was made with.

    Raises
    ------
    ConfigError
        If its bytes have changed.
    """
    before, now = run.provenance.get("dataset_sha256"), fingerprint(run.dataset_path)
    if before and before != now:
        raise ConfigError(
            f"{run.dataset_path} has changed since run {run.id} was made; its folds would not fit together. Start a new run."
        )


def _commit() -> str:
    """Return the commit of the checkout that runs, or an empty text in an installed copy."""
    here = Path(__file__).resolve().parent
    if not (here.parents[1] / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
