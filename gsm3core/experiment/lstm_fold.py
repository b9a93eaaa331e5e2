"""One fold of the LSTM: scaling, training of every ensemble member, calibration, prediction."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.experiment.calibration import fit_std_factor
from gsm3core.experiment.devices import DeviceSlot
from gsm3core.experiment.finetuning import starting_scaler, training_part
from gsm3core.experiment.folds import predicted_target, targets_of
from gsm3core.experiment.progress import Position, progress_event
from gsm3core.experiment.training_predictions import kept_training_sites, write_training_predictions
from gsm3core.files import atomic_write
from gsm3core.fold_files import FoldFiles
from gsm3core.holdouts.base import Fold, Mask
from gsm3core.metrics import METRICS, paired_moments
from gsm3core.models import make_model
from gsm3core.models.base import Model
from gsm3core.models.device import explain_out_of_memory, limit_gpu_memory, resolve_device
from gsm3core.models.files import load_tensors
from gsm3core.models.precision import resolve_precision
from gsm3core.prediction import Records, as_dataset, estimate, estimate_fold
from gsm3core.run import Run
from gsm3core.scaling import Scaler, fit_scaler, fold_attributes, missing_inputs
from gsm3core.training.loop import Validate, train
from gsm3core.windows import WindowSource, stored_windows, training_windows

Emit = Callable[..., None]


def run_fold(
    run: Run,
    ds: xr.Dataset,
    fold: Fold,
    emit: Emit,
    cancelled: Callable[[], bool],
    slot: DeviceSlot,
) -> None:
    """Train and predict one fold; trained members are kept, an interrupted one resumes from its checkpoint.

    Parameters
    ----------
    emit, cancelled
        As in :func:`gsm3core.experiment.execute`.
    slot
        The device, and the share of its memory.
    """
    config, files = run.config, run.fold(fold.name)
    device = resolve_device(slot.device)
    limit_gpu_memory(device, slot.memory_share)
    precision = resolve_precision(config.training.precision, device)
    started = time.monotonic()
    start = run.start(fold.name)
    # Before validation sites are split off: these decide nothing about the attributes.
    if start:
        ds, scaler, chosen = starting_scaler(start, ds, fold, config)
    else:
        ds, chosen = fold_attributes(ds, fold, config.data)
    fold, validation_sites = training_part(run, fold, ds)
    if not start:
        scaler = fit_scaler(ds, fold, config.data, chosen=chosen)
    files.folder.mkdir(parents=True, exist_ok=True)
    scaler.save(files.scaler)
    with explain_out_of_memory(device):
        windows = _windows(run, ds, fold, scaler, device)
    emit(
        "fold_started", fold=fold.name, device=str(device), model=config.model.name,
        members=config.training.members, precision=precision,
        train_sites={n: len(s) for n, s in windows.streams.items()}, test_sites=int(fold.test_sites.sum()),
        validation_sites=int(validation_sites.sum()),
        filled=missing_inputs(ds, scaler),
        notes=[*scaler.notes, *chosen.notes],
    )  # fmt: skip
    validate = (
        _validation(ds, fold, validation_sites, scaler, run, device) if validation_sites.any() else None
    )
    for member in range(config.training.members):
        if not files.member(member).model.exists():
            at = Position(fold.name, member, config.training.members)
            with explain_out_of_memory(device):
                _fit(run, files, at, windows, scaler, validate, emit, cancelled)
    if files.inputs.exists():
        shutil.rmtree(files.inputs)
    if validation_sites.any():
        _calibrate(run, files, ds, fold, validation_sites, device)
    found = estimate_fold(config, files, ds, fold.test_sites, device=device, std_factor=files.std_factor)
    tested = ds.isel({v.SITE: fold.test_sites})
    predicted = as_dataset(found, tested, config.model.head)
    fitted = kept_training_sites(fold)
    if (fitted & ~fold.test_sites).any():
        fit = estimate_fold(config, files, ds, fitted, device=device)
        fit_predicted = as_dataset(fit, ds.isel({v.SITE: fitted}), config.model.head)
    else:
        fit_predicted = predicted.isel({v.SITE: fitted[fold.test_sites]})
    write_training_predictions(fit_predicted, fold, files)
    atomic_write(predicted, files.predictions)
    emit(
        "fold_finished", fold=fold.name, seconds=round(time.monotonic() - started, 1),
        clipped=found.clipped, std_factor=round(files.std_factor, 3),
    )  # fmt: skip


def _windows(run: Run, ds: xr.Dataset, fold: Fold, scaler: Scaler, device: torch.device) -> WindowSource:
    training = run.config.training
    shape: dict[str, Any] = {
        "targets": [t for t in targets_of(ds, run.config) if t in scaler.targets],
        "window": training.window, "warmup": training.warmup, "device": device,
    }  # fmt: skip
    if training.inputs == "disk":
        return stored_windows(ds, fold, scaler, run.fold(fold.name).inputs, **shape)
    return training_windows(ds, fold, scaler, **shape)


def _calibrate(
    run: Run, files: FoldFiles, ds: xr.Dataset, fold: Fold, validation_sites: Mask, device: torch.device
) -> None:
    """Fit the factor on the predictive standard deviation at the validation sites, if the networks predict one."""
    found = estimate_fold(run.config, files, ds, validation_sites, device=device)
    if found.std_ST is not None:
        observed_ST = _observed(run, ds, fold, validation_sites)
        files.write_std_factor(fit_std_factor(found.mean_ST, found.std_ST, observed_ST))


def _fit(
    run: Run,
    files: FoldFiles,
    at: Position,
    windows: WindowSource,
    scaler: Scaler,
    validate: Validate | None,
    emit: Emit,
    cancelled: Callable[[], bool],
) -> None:
    """Train one member; its weights are written at the end."""
    config, member = run.config, files.member(at.member)
    training = config.training.model_copy(update={"seed": config.training.seed + at.member})
    torch.manual_seed(training.seed)
    model = make_model(config.model, scaler.n_forcings, scaler.n_attributes, scaler.targets)
    if start := run.start(at.fold):
        weights = start.member(at.member).model
        model.load_state_dict(
            load_tensors(weights, torch.device("cpu"), remedy="Create the fine-tuning run again.")
        )
    train(
        model.to(windows.device),
        windows,
        training,
        target=scaler.target,
        checkpoint=member.checkpoint,
        report=lambda state: emit("progress", **progress_event(at, state)),
        cancelled=cancelled,
        validate=validate,
    )
    partial = member.model.with_suffix(".part")
    torch.save(model.state_dict(), partial)
    partial.replace(member.model)


def _validation(
    ds: xr.Dataset, fold: Fold, validation_sites: Mask, scaler: Scaler, run: Run, device: torch.device
) -> Validate:
    """Return a function that scores a network at the validation sites, on training days."""
    records = Records.of(ds, scaler, validation_sites, run.config.training)
    observed_ST = _observed(run, ds, fold, validation_sites)

    def validate(model: Model) -> dict[str, float]:
        found = estimate(model, records, scaler.target, device=device)
        moments = paired_moments(found.mean_ST, observed_ST)
        return {name: _median(METRICS[name].from_moments(moments)) for name in ("R", "RMSE")}

    return validate


def _observed(run: Run, ds: xr.Dataset, fold: Fold, validation_sites: Mask) -> np.ndarray:
    """Observations of the predicted target at the validation sites, NaN outside the training days."""
    observed = ds[predicted_target(targets_of(ds, run.config))].isel({v.SITE: validation_sites})
    return np.where(fold.train_days, observed.transpose(v.SITE, v.TIME).values, np.nan)


def _median(scores: np.ndarray) -> float:
    known = scores[np.isfinite(scores)]
    return float(np.median(known)) if known.size else float("nan")
