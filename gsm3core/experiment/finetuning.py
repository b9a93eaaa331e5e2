"""A new run that starts from another run's networks: fine-tuned on the sites of another dataset, tested honestly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.config import HoldoutConfig
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.experiment.folds import folds_of, targets_of
from gsm3core.experiment.provenance import provenance_of, refuse_changed_dataset
from gsm3core.geography.grids import cell_of
from gsm3core.holdouts.base import Fold, Mask
from gsm3core.run import Run
from gsm3core.scaling import Scaler
from gsm3core.schema import open_dataset

# A network that has learnt is not to forget it in the first updates.
SLOWER = 0.1


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
    """Make a run that goes on from another run's networks and scaling; nothing is trained yet.

    Parameters
    ----------
    parent
        A run of the network with finished folds, its dataset still in its place.
    dataset
        Path of the SiteDataset whose training sites teach now.
    root
        Folder of all runs.
    holdout
        What to hold out of the new dataset; the parent's by default.
    learning_rate
        A tenth of the parent's by default.
    epochs
        The parent's by default.
    title
        What to call the new run.

    Returns
    -------
    Run
        New. Each of its folds starts from a fold of the parent that has not seen what it tests: of the same name if
        that one will do. The scaling stays the parent's, as the weights are made for it. Its provenance names both.

    Raises
    ------
    ConfigError
        If every fold of the parent has learnt at sites and days that a new fold tests, or the parent's dataset
        cannot be asked any more.
    DatasetError
        If the new dataset lacks an input, every record to learn from, or the only one that teaches what is predicted.
    RunError
        If the parent has no finished network.
    """
    path = Path(dataset).resolve()
    ds = open_dataset(path)
    starts = {files.folder.name: files for files in parent.finished_folds() if files.models()}
    scalers = [Scaler.load(files.scaler) for files in starts.values()]
    for scaler in scalers:
        scaler.scale_forcings(ds.isel({v.TIME: [0]}))
        scaler.scale_attributes(ds)
    slower = SLOWER * parent.config.training.learning_rate
    config = (
        parent.config.replace("data", dataset=str(path), targets=_targets(parent, ds, scalers[0]))
        .replace("training", learning_rate=slower if learning_rate is None else learning_rate, epochs=epochs)
        .model_copy(update={"title": title, "holdout": holdout or _without_names(parent.config.holdout)})
    )
    folds = folds_of(ds, config)
    seen = _seen(parent, list(starts))
    start_of = {fold.name: _start(fold, ds, seen) for fold in folds}
    origin = {
        "run": parent.id,
        "dataset_sha256": parent.provenance.get("dataset_sha256"),
        "start_of_fold": start_of,
        "seen": {name: seen[name] for name in sorted(set(start_of.values()))},
    }
    provenance = provenance_of(config, path, ds) | {"parent": origin}
    return Run.create(root, config, provenance, start={f: starts[s] for f, s in start_of.items()})


def _without_names(holdout: HoldoutConfig) -> HoldoutConfig:
    """The same kind of holdout; another dataset's folds have names of their own."""
    return holdout.model_copy(update={"only_folds": None})


def _targets(parent: Run, ds: xr.Dataset, scaler: Scaler) -> tuple[str, ...]:
    both = tuple(t for t in scaler.targets if t in ds)
    if not both:
        raise DatasetError(
            f"The dataset has none of the records that run {parent.id} was taught by ({', '.join(scaler.targets)})."
        )
    heads, predicted = parent.config.model.heads, scaler.targets[0]
    if heads != "shared" and predicted not in ds:
        raise DatasetError(
            f"The dataset has no {predicted}, which run {parent.id} predicts by an output that nothing else teaches "
            f"(model.heads = {heads!r}); it has {', '.join(both)}. Start from a run with heads 'shared'."
        )
    return both


def _seen(parent: Run, folds: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return by fold where and when its networks have learnt, its ancestors' lessons included."""
    if not parent.dataset_path.exists():
        raise ConfigError(
            f"{parent.dataset_path}, the dataset of run {parent.id}, is not there any more: whether the new test sites were "
            "seen in its training cannot be checked. Put it back."
        )
    refuse_changed_dataset(parent)
    ds = open_dataset(parent.dataset_path)
    known = {t: ds[t].transpose(v.SITE, v.TIME).notnull().values for t in targets_of(ds, parent.config)}
    grid = _grid(ds)
    before = parent.provenance.get("parent", {})
    seen: dict[str, list[dict[str, Any]]] = {}
    for fold in folds_of(ds, parent.config):
        if fold.name not in folds:
            continue
        taught = fold.train_sites & np.logical_or.reduce(
            [(k & fold.train_days).any(axis=1) for k in known.values()]
        )
        days = pd.DatetimeIndex(ds[v.TIME].values)[fold.train_days]
        lesson = {
            "lat": ds[v.LAT].values[taught].astype(float).tolist(),
            "lon": ds[v.LON].values[taught].astype(float).tolist(),
            "grid": grid, "first": str(days[0].date()), "last": str(days[-1].date()),
        }  # fmt: skip
        earlier = before["seen"][before["start_of_fold"][fold.name]] if before else []
        seen[fold.name] = [lesson, *earlier]
    return seen


def _start(fold: Fold, ds: xr.Dataset, seen: dict[str, list[dict[str, Any]]]) -> str:
    """Return a fold of the parent that has learnt nothing of what this one tests."""
    met = {
        name: int((fold.test_sites & _met(fold.test_days, ds, lessons)).sum())
        for name, lessons in seen.items()
    }
    for name in sorted(met, key=lambda n: n != fold.name):
        if met[name] == 0:
            return name
    nearest = min(met, key=lambda n: met[n])
    raise ConfigError(
        f"fold {fold.name} would test {met[nearest]} site(s) at which the networks have already learnt on the same days (parent "
        f"fold {nearest}, the best of {len(met)}): its scores would be no test. Hold out other sites (holdout 'custom'), "
        "or other days (holdout 'temporal')."
    )


def learnt_before(run: Run, fold: Fold, ds: xr.Dataset) -> Mask:
    """Mask of the sites whose satellite cell has taught a fine-tuning's first networks on the fold's training days.

    Parameters
    ----------
    run
        Made by :func:`create_finetune`.
    fold, ds
        One of its folds, and its dataset.
    """
    origin = run.provenance["parent"]
    return _met(fold.train_days, ds, origin["seen"][origin["start_of_fold"][fold.name]])


def _met(on: Mask, ds: xr.Dataset, lessons: list[dict[str, Any]]) -> Mask:
    """Mask of the sites whose satellite cell has taught on some days."""
    days = pd.DatetimeIndex(ds[v.TIME].values)[on]
    met = np.zeros(ds.sizes[v.SITE], bool)
    for lesson in lessons:
        if not ((days >= lesson["first"]) & (days <= lesson["last"])).any():
            continue
        grid = "M36" if "M36" in (lesson["grid"], _grid(ds)) else "M09"
        taught = cell_of(np.asarray(lesson["lat"]), np.asarray(lesson["lon"]), grid)
        mine = cell_of(ds[v.LAT].values.astype(float), ds[v.LON].values.astype(float), grid)
        met |= np.isin(mine, taught[taught >= 0])
    return met


def _grid(ds: xr.Dataset) -> str:
    return str(ds[v.SM_SMAP].attrs.get("grid", "M09")) if v.SM_SMAP in ds else "M09"
