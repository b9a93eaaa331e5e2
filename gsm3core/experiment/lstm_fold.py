"""One fold of the network: scaled, fitted once for every member, predicted by all of them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.experiment.calibration import spread_factor
from gsm3core.experiment.devices import DeviceSlot
from gsm3core.experiment.finetuning import learnt_before
from gsm3core.experiment.folds import predicted_target, split_validation_sites, targets_of
from gsm3core.experiment.progress import Position, progress_event
from gsm3core.files import atomic_write
from gsm3core.holdouts.base import Fold, Mask
from gsm3core.metrics import METRICS, paired_moments
from gsm3core.models import make_model
from gsm3core.models.base import Model
from gsm3core.models.device import bound_memory, device_named, memory_explained
from gsm3core.models.files import load_tensors
from gsm3core.models.precision import resolve_precision
from gsm3core.prediction import Records, as_dataset, estimate, estimate_fold
from gsm3core.run import FoldFiles, Run
from gsm3core.scaling import Scaler, fit_scaler, missing_inputs
from gsm3core.training.loop import Validate, train
from gsm3core.windows import WindowSource, stored_windows, training_windows

Tell = Callable[..., None]


def run_fold(
    run: Run,
    ds: xr.Dataset,
    fold: Fold,
    tell: Tell,
    cancelled: Callable[[], bool],
    place: DeviceSlot,
) -> None:
    """Fit and predict one fold; members that are done are kept, a started one goes on from its checkpoint.

    Parameters
    ----------
    run, ds, fold
        What to do.
    tell, cancelled
        As in :func:`gsm3core.experiment.execute`.
    place
        The device, and how much of its memory.
    """
    config, files = run.config, run.fold(fold.name)
    device = device_named(place.device)
    bound_memory(device, place.memory_share)
    precision = resolve_precision(config.training.precision, device)
    started = time.monotonic()
    targets = targets_of(ds, config)
    held_back = np.zeros(ds.sizes[v.SITE], bool)
    start = run.start(fold.name)
    if share := config.training.validation_share:
        learnt = learnt_before(run, fold, ds) if start else None
        fold, held_back = split_validation_sites(
            ds, fold, targets, share, config.training.seed, learnt=learnt
        )
    scaler = Scaler.load(start.scaler) if start else fit_scaler(ds, fold, config.data)
    scaler.save(files.scaler)
    with memory_explained(device):
        windows = _windows(run, ds, fold, scaler, device)
    tell(
        "fold_started", fold=fold.name, device=str(device), model=config.model.name,
        members=config.training.members, precision=precision,
        train_sites={n: len(s) for n, s in windows.streams.items()}, test_sites=int(fold.test_sites.sum()),
        validation_sites=int(held_back.sum()),
        filled=missing_inputs(ds, scaler),
    )  # fmt: skip
    validate = _validation(ds, fold, held_back, scaler, run, device) if held_back.any() else None
    for member in range(config.training.members):
        if not files.member(member).model.exists():
            at = Position(fold.name, member, config.training.members)
            with memory_explained(device):
                _fit(run, files, at, windows, scaler, validate, tell, cancelled)
    if files.inputs.exists():
        shutil.rmtree(files.inputs)
    if held_back.any():
        _calibrate(run, files, ds, fold, held_back, device)
    found = estimate_fold(config, files, ds, fold.test_sites, device=device, spread=files.spread_factor)
    tested = ds.isel({v.SITE: fold.test_sites})
    atomic_write(as_dataset(found, tested, config.model.head), files.predictions)
    tell(
        "fold_finished", fold=fold.name, seconds=round(time.monotonic() - started, 1),
        clipped=found.clipped, spread_factor=round(files.spread_factor, 3),
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
    run: Run, files: FoldFiles, ds: xr.Dataset, fold: Fold, held_back: Mask, device: torch.device
) -> None:
    """Learn at the held-back sites how wide the spread must be, where the networks have one."""
    found = estimate_fold(run.config, files, ds, held_back, device=device)
    if found.std_ST is not None:
        observed_ST = _observed(run, ds, fold, held_back)
        files.write_spread_factor(spread_factor(found.mean_ST, found.std_ST, observed_ST))


def _fit(
    run: Run,
    files: FoldFiles,
    at: Position,
    windows: WindowSource,
    scaler: Scaler,
    validate: Validate | None,
    tell: Tell,
    cancelled: Callable[[], bool],
) -> None:
    """Fit one member; its weights are written when it is done."""
    config, mine = run.config, files.member(at.member)
    training = config.training.model_copy(update={"seed": config.training.seed + at.member})
    torch.manual_seed(training.seed)
    model = make_model(config.model, scaler.n_forcings, scaler.n_attributes, scaler.targets)
    if start := run.start(at.fold):
        first = start.member(at.member).model
        model.load_state_dict(load_tensors(first, torch.device("cpu"), remedy="Make the fine-tuning anew."))
    train(
        model.to(windows.device),
        windows,
        training,
        target=scaler.target,
        checkpoint=mine.checkpoint,
        report=lambda state: tell("progress", **progress_event(at, state)),
        cancelled=cancelled,
        validate=validate,
    )
    beside = mine.model.with_suffix(".part")
    torch.save(model.state_dict(), beside)
    beside.replace(mine.model)


def _validation(
    ds: xr.Dataset, fold: Fold, held_back: Mask, scaler: Scaler, run: Run, device: torch.device
) -> Validate:
    """Return what scores a network at held-back training sites, on training days."""
    warmup = run.config.training.warmup
    records = Records.of(ds, scaler, held_back)
    observed_ST = _observed(run, ds, fold, held_back)

    def validate(model: Model) -> dict[str, float]:
        found = estimate(model, records, scaler.target, warmup=warmup, device=device)
        moments = paired_moments(found.mean_ST, observed_ST)
        return {name: _median(METRICS[name].from_moments(moments)) for name in ("R", "RMSE")}

    return validate


def _observed(run: Run, ds: xr.Dataset, fold: Fold, held_back: Mask) -> np.ndarray:
    """What was measured at the held-back sites on training days, of the record that is predicted; else NaN."""
    observed = ds[predicted_target(targets_of(ds, run.config))].isel({v.SITE: held_back})
    return np.where(fold.train_days, observed.transpose(v.SITE, v.TIME).values, np.nan)


def _median(scores: np.ndarray) -> float:
    known = scores[np.isfinite(scores)]
    return float(np.median(known)) if known.size else float("nan")
