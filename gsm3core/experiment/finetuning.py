"""Fine-tuning: a new run that continues training another run's networks on another dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.config import HoldoutConfig
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.experiment.folds import folds_of, satellite_grid, targets_of
from gsm3core.experiment.provenance import provenance_of, refuse_changed_dataset
from gsm3core.geography.grids import cell_of
from gsm3core.holdouts.base import Fold, Mask
from gsm3core.run import Run
from gsm3core.scaling import Scaler
from gsm3core.schema import open_dataset

# Of the parent's learning rate: large first updates would undo its training.
LEARNING_RATE_FACTOR = 0.1


def create_finetune(
    parent: Run,
    dataset: str | Path,
    root: str | Path,
    *,
    holdout: HoldoutConfig | None = None,
    learning_rate: float | None = None,
    epochs: int | None = None,
    title: str = "",
) -> Run:
    """Create a run that starts from another run's networks and scaling, without training it.

    Parameters
    ----------
    parent
        An LSTM run with finished folds; its dataset must still exist.
    dataset
        Path of the SiteDataset to train on.
    root
        Folder of all runs.
    holdout
        Holdout of the new dataset; the parent's by default.
    learning_rate
        A tenth of the parent's by default.
    epochs
        The parent's by default.

    Returns
    -------
    Run
        Each of its folds starts from a fold of the parent that was not trained on its test data, of the same name if
        possible. It uses the parent's scaling, for which the weights were trained. Its provenance names both.

    Raises
    ------
    ConfigError
        If every fold of the parent was trained at sites and days that a new fold tests, or the parent's dataset
        is missing.
    DatasetError
        If the new dataset lacks an input, every training target, or the target of the predicting output.
    RunError
        If the parent has no trained network.
    """
    path = Path(dataset).resolve()
    ds = open_dataset(path)
    starts = {files.folder.name: files for files in parent.finished_folds() if files.models()}
    scalers = [Scaler.load(files.scaler) for files in starts.values()]
    for scaler in scalers:
        scaler.scale_forcings(ds.isel({v.TIME: [0]}))
        scaler.scale_attributes(ds)
    default_rate = LEARNING_RATE_FACTOR * parent.config.training.learning_rate
    config = (
        parent.config.replace("data", dataset=str(path), targets=_targets(parent, ds, scalers[0]))
        .replace(
            "training", learning_rate=default_rate if learning_rate is None else learning_rate, epochs=epochs
        )
        .model_copy(update={"title": title, "holdout": holdout or _all_folds(parent.config.holdout)})
    )
    folds = folds_of(ds, config)
    seen = _training_records(parent, list(starts))
    start_of = {fold.name: _start(fold, ds, seen) for fold in folds}
    origin = {
        "run": parent.id,
        "dataset_sha256": parent.provenance.get("dataset_sha256"),
        "start_of_fold": start_of,
        "seen": {name: seen[name] for name in sorted(set(start_of.values()))},
    }
    provenance = provenance_of(config, path, ds) | {"parent": origin}
    return Run.create(root, config, provenance, start={f: starts[s] for f, s in start_of.items()})


def _all_folds(holdout: HoldoutConfig) -> HoldoutConfig:
    """The same holdout without a selection of folds, as another dataset may have other folds."""
    return holdout.model_copy(update={"only_folds": None})


def _targets(parent: Run, ds: xr.Dataset, scaler: Scaler) -> tuple[str, ...]:
    shared = tuple(t for t in scaler.targets if t in ds)
    if not shared:
        raise DatasetError(
            f"The dataset has none of the training targets of run {parent.id} ({', '.join(scaler.targets)})."
        )
    heads, predicted = parent.config.model.heads, scaler.targets[0]
    if heads != "shared" and predicted not in ds:
        raise DatasetError(
            f"The dataset has no {predicted}, the only target of the output that run {parent.id} predicts with "
            f"(model.heads = {heads!r}); it has {', '.join(shared)}. Start from a run with heads 'shared'."
        )
    return shared


def _training_records(parent: Run, folds: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return by fold the sites and days that its networks were trained on, including the runs it was fine-tuned from."""
    if not parent.dataset_path.exists():
        raise ConfigError(
            f"{parent.dataset_path}, the dataset of run {parent.id}, does not exist. It is needed to check that the new test "
            "sites were not used in training. Put it back."
        )
    refuse_changed_dataset(parent)
    ds = open_dataset(parent.dataset_path)
    known = {t: ds[t].transpose(v.SITE, v.TIME).notnull().values for t in targets_of(ds, parent.config)}
    before = parent.provenance.get("parent", {})
    seen: dict[str, list[dict[str, Any]]] = {}
    for fold in folds_of(ds, parent.config):
        if fold.name not in folds:
            continue
        trained = fold.train_sites & np.logical_or.reduce(
            [(k & fold.train_days).any(axis=1) for k in known.values()]
        )
        days = pd.DatetimeIndex(ds[v.TIME].values)[fold.train_days]
        record = {
            "lat": ds[v.LAT].values[trained].astype(float).tolist(),
            "lon": ds[v.LON].values[trained].astype(float).tolist(),
            "grid": satellite_grid(ds), "first": str(days[0].date()), "last": str(days[-1].date()),
        }  # fmt: skip
        earlier = before["seen"][before["start_of_fold"][fold.name]] if before else []
        seen[fold.name] = [record, *earlier]
    return seen


def _start(fold: Fold, ds: xr.Dataset, seen: dict[str, list[dict[str, Any]]]) -> str:
    """Return the name of a parent fold that was not trained on the test data of this one."""
    overlap = {
        name: int((fold.test_sites & _trained_sites(fold.test_days, ds, records)).sum())
        for name, records in seen.items()
    }
    for name in sorted(overlap, key=lambda n: n != fold.name):
        if overlap[name] == 0:
            return name
    best = min(overlap, key=lambda n: overlap[n])
    raise ConfigError(
        f"fold {fold.name} would test {overlap[best]} site(s) that the networks were trained on, on the same days (parent "
        f"fold {best}, the best of {len(overlap)}): its scores would not be independent. Hold out other sites (holdout "
        "'custom') or other days (holdout 'temporal')."
    )


def previously_trained(run: Run, fold: Fold, ds: xr.Dataset) -> Mask:
    """``(site)`` mask of the sites whose satellite cell the parent's networks were trained on, on the fold's training days.

    Parameters
    ----------
    run
        Created by :func:`create_finetune`.
    fold, ds
        One of its folds, and its dataset.
    """
    origin = run.provenance["parent"]
    return _trained_sites(fold.train_days, ds, origin["seen"][origin["start_of_fold"][fold.name]])


def _trained_sites(on: Mask, ds: xr.Dataset, records: list[dict[str, Any]]) -> Mask:
    """``(site)`` mask of the sites whose satellite cell was trained on during some of the days."""
    days = pd.DatetimeIndex(ds[v.TIME].values)[on]
    trained_S = np.zeros(ds.sizes[v.SITE], bool)
    for record in records:
        if not ((days >= record["first"]) & (days <= record["last"])).any():
            continue
        grid = "M36" if "M36" in (record["grid"], satellite_grid(ds)) else "M09"
        trained = cell_of(np.asarray(record["lat"]), np.asarray(record["lon"]), grid)
        cell_S = cell_of(ds[v.LAT].values.astype(float), ds[v.LON].values.astype(float), grid)
        trained_S |= np.isin(cell_S, trained[trained >= 0])
    return trained_S
