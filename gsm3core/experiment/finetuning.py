"""Fine-tuning: a new run that continues training another run's networks on another dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.baselines import BASELINES
from gsm3core.config import ExperimentConfig, HoldoutConfig
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.experiment.folds import (
    folds_of,
    group_grid,
    split_validation_sites,
    targets_of,
)
from gsm3core.experiment.provenance import provenance_of, refuse_changed_dataset, with_absolute_regions
from gsm3core.fold_files import FoldFiles
from gsm3core.geography.grids import cell_of
from gsm3core.geography.neighbours import near_any
from gsm3core.holdouts.base import Fold, Mask
from gsm3core.run import Run
from gsm3core.scaling import AttributeChoice, Scaler, fold_attributes, with_means
from gsm3core.scaling.copied_targets import refuse_copied_forcings
from gsm3core.schema import open_dataset, target_names

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
        scaler.require_inputs(ds)
    default_rate = LEARNING_RATE_FACTOR * parent.config.training.learning_rate
    config = (
        parent.config.replace("data", dataset=str(path), targets=_targets(parent, ds, scalers[0]))
        .replace(
            "training", learning_rate=default_rate if learning_rate is None else learning_rate, epochs=epochs
        )
        .model_copy(update={"title": title, "holdout": holdout or _all_folds(parent.config.holdout)})
    )
    config = with_absolute_regions(config)
    folds = folds_of(ds, config)
    seen = _training_records(parent, list(starts))
    start_of = {fold.name: _start(fold, ds, seen, config.holdout) for fold in folds}
    for fold in folds:
        starting_scaler(starts[start_of[fold.name]], ds, fold, config)
    origin = {
        "run": parent.id,
        "dataset_sha256": parent.provenance.get("dataset_sha256"),
        "start_of_fold": start_of,
        "seen": {name: seen[name] for name in sorted(set(start_of.values()))},
    }
    provenance = provenance_of(config, path, ds) | {"parent": origin}
    return Run.create(root, config, provenance, start={f: starts[s] for f, s in start_of.items()})


def starting_scaler(
    start: FoldFiles, ds: xr.Dataset, fold: Fold, config: ExperimentConfig
) -> tuple[xr.Dataset, Scaler, AttributeChoice]:
    """Return the dataset with the attributes of a fold, the scaler it starts from, and what was changed.

    Raises
    ------
    ConfigError
        If the networks have an attribute that the fold must not use (:func:`gsm3core.scaling.fold_attributes`), or a forcing
        with the values of a target.
    """
    scaler = Scaler.load(start.scaler)
    refuse_copied_forcings(ds, fold, scaler.forcings, target_names(ds))
    ds = with_means(ds, scaler.means, scaler.mean_days)
    data = config.data.model_copy(update={"attributes": scaler.attribute_names})
    ds, chosen = fold_attributes(ds, fold, data)
    # Weights and scaling stay the parent's; the means are those of the new training days.
    days = chosen.days if chosen.means else ("", "")
    return ds, replace(scaler, means=chosen.means, mean_days=days), chosen


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
    """Return by fold the sites and days that its networks were trained on, including the runs it was fine-tuned from.

    Its validation sites were not trained on; they are listed apart.
    """
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
        part, validated = training_part(parent, fold, ds)
        trained = part.train_sites & np.logical_or.reduce(
            [(k & fold.train_days).any(axis=1) for k in known.values()]
        )
        days = pd.DatetimeIndex(ds[v.TIME].values)[fold.train_days]
        record = {
            **_coordinates(ds, trained), "validation": _coordinates(ds, validated),
            "grid": group_grid(ds, parent.config.holdout), "first": str(days[0].date()), "last": str(days[-1].date()),
        }  # fmt: skip
        earlier = before["seen"][before["start_of_fold"][fold.name]] if before else []
        seen[fold.name] = [record, *earlier]
    return seen


def _coordinates(ds: xr.Dataset, sites: Mask) -> dict[str, list[float]]:
    return {n: ds[n].values[sites].astype(float).tolist() for n in (v.LAT, v.LON)}


def _start(fold: Fold, ds: xr.Dataset, seen: dict[str, list[dict[str, Any]]], holdout: HoldoutConfig) -> str:
    """Return the name of a parent fold that was neither trained nor validated on the test data of this one."""
    overlap = {
        name: int((fold.test_sites & _used_sites(fold.test_days, ds, records, holdout, validated=True)).sum())
        for name, records in seen.items()
    }
    for name in sorted(overlap, key=lambda n: n != fold.name):
        if overlap[name] == 0:
            return name
    best = min(overlap, key=lambda n: overlap[n])
    raise ConfigError(
        f"fold {fold.name} would test {overlap[best]} site(s) that the networks were trained on, on the same days (parent "
        f"fold {best}, the best of {len(overlap)}; validation sites, which the weights were chosen by, count): its scores would "
        "not be independent. Hold out other sites (holdout "
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
    records = origin["seen"][origin["start_of_fold"][fold.name]]
    return _used_sites(fold.train_days, ds, records, run.config.holdout, validated=False)


def training_part(run: Run, fold: Fold, ds: xr.Dataset) -> tuple[Fold, Mask]:
    """Return a fold without its validation sites, and the ``(site)`` mask of these; none for a baseline.

    Parameters
    ----------
    run, fold, ds
        A run, one of its folds, and its dataset.
    """
    share = run.config.training.validation_share
    if not share or run.config.model.name in BASELINES:
        return fold, np.zeros(ds.sizes[v.SITE], bool)
    trained = previously_trained(run, fold, ds) if "parent" in run.provenance else None
    return split_validation_sites(
        ds, fold, targets_of(ds, run.config), share, run.config.training.seed,
        trained=trained, holdout=run.config.holdout,
    )  # fmt: skip


def _used_sites(
    on: Mask, ds: xr.Dataset, records: list[dict[str, Any]], holdout: HoldoutConfig, *, validated: bool
) -> Mask:
    """``(site)`` mask of the sites whose group was trained on (or validated at) during some of the days.

    A group is a cell, with ``holdout.group_km`` also what lies within that distance.
    """
    days = pd.DatetimeIndex(ds[v.TIME].values)[on]
    lat_S, lon_S = (ds[n].values.astype(float) for n in (v.LAT, v.LON))
    sites = len(lat_S)
    trained_S = np.zeros(sites, bool)
    for record in records:
        if not ((days >= record["first"]) & (days <= record["last"])).any():
            continue
        parts = [record, record["validation"]] if validated and "validation" in record else [record]
        for part in parts:
            lat, lon = np.asarray(part["lat"], float), np.asarray(part["lon"], float)
            for grid in {record["grid"], group_grid(ds, holdout)}:
                trained = cell_of(lat, lon, grid)
                trained_S |= np.isin(cell_of(lat_S, lon_S, grid), trained[trained >= 0])
            if holdout.group_km:
                new = np.arange(sites + len(lat)) < sites
                near = near_any(np.r_[lat_S, lat], np.r_[lon_S, lon], new, ~new, holdout.group_km)
                trained_S |= near[:sites]
    return trained_S
