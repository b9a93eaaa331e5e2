"""Provenance of a run: dataset, versions, commit; and the check that the dataset has not changed."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError
from gsm3core.files import fingerprint
from gsm3core.geography.regions import region_schemes
from gsm3core.run import Run

_VERSIONS = ("gsm3", "torch", "numpy", "xarray", "pandas", "scikit-learn")


def provenance_of(config: ExperimentConfig, path: Path, ds: xr.Dataset) -> dict[str, Any]:
    """Return the provenance of a run, ready for JSON.

    Parameters
    ----------
    path, ds
        Location and contents of the dataset.
    """
    regions = (
        {"regions_sha256": fingerprint(Path(config.holdout.regions))} if _has_region_file(config) else {}
    )
    return {
        "created": pd.Timestamp.now("UTC").isoformat(timespec="seconds"),
        "dataset_path": str(path),
        "dataset_sha256": dataset_sha256(path),
        "dataset_title": ds.attrs.get("title", ""),
        "simulated": ds.attrs.get("simulated", "false"),
        "seed": config.training.seed,
        "device": config.training.device,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in _VERSIONS},
        **regions,
    }


def with_absolute_regions(config: ExperimentConfig) -> ExperimentConfig:
    """Return the configuration with the absolute path of its GeoJSON file of regions, if it names one that exists."""
    path = Path(config.holdout.regions)
    if not _has_region_file(config) or not path.is_file():
        return config
    return config.replace("holdout", regions=str(path.resolve()))


def _has_region_file(config: ExperimentConfig) -> bool:
    holdout = config.holdout
    return holdout.name == "cross_continental" and holdout.regions not in region_schemes()


def refuse_changed_dataset(run: Run) -> None:
    """Raise an error if a run's dataset, or its file of regions, has changed since the run was created.

    Raises
    ------
    ConfigError
        If its SHA-256 differs.
    """
    before, now = run.provenance.get("dataset_sha256"), dataset_sha256(run.dataset_path)
    if before and before != now:
        raise ConfigError(
            f"{run.dataset_path} has changed since run {run.id} was created (SHA-256 {now[:12]}, expected {before[:12]}): its "
            "folds would be trained on different data. Restore the dataset or start a new run."
        )
    if before := run.provenance.get("regions_sha256"):
        path = Path(run.config.holdout.regions)
        now = fingerprint(path) if path.is_file() else ""
        if before != now:
            raise ConfigError(
                f"{path}, the regions of run {run.id}, {'has changed' if now else 'is missing'} (SHA-256 {now[:12] or 'none'}, "
                f"expected {before[:12]}). Restore the file or start a new run."
            )


def dataset_sha256(path: Path) -> str:
    """Return the SHA-256 of a dataset, computed once per process as long as no file's size, time or inode changes."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    stats = ((str(file), file.stat()) for file in files)
    return _sha256(path, tuple((name, s.st_size, s.st_mtime_ns, s.st_ino) for name, s in stats))


@lru_cache(maxsize=16)
def _sha256(path: Path, version: tuple[tuple[str, int, int, int], ...]) -> str:
    return fingerprint(path)


def _commit() -> str:
    """Return the git commit of the checkout, empty for an installed package."""
    here = Path(__file__).resolve().parent
    if not (here.parents[1] / ".git").exists():
        return ""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return described.stdout.strip()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
