"""The training loop of one network."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gsm3core import vocabulary as v
from gsm3core.config import TrainingConfig
from gsm3core.errors import CancelledError, TrainingError
from gsm3core.models.base import Model
from gsm3core.models.precision import resolve_precision
from gsm3core.training.checkpoint import (
    BestWeights,
    Progress,
    load_checkpoint,
    restore_checkpoint,
    save_checkpoint,
)
from gsm3core.training.epoch_metrics import EpochMetrics, peak_memory
from gsm3core.training.loss_checks import NonFiniteLossMonitor, check_divergence
from gsm3core.training.objective import evaluate, needs_separate_passes
from gsm3core.training.optimizer import make_optimizer, make_schedule
from gsm3core.training.step import CudaGraphStep, Step, make_scaler
from gsm3core.windows import WindowSource

CHECKPOINT_SECONDS = 2.0
REPORT_SECONDS = 1.0
# Reading a loss synchronises a GPU, so there it is checked only when progress is reported.
CHECK_EVERY_UPDATE_ON = ("cpu",)
Report = Callable[[dict[str, Any]], None]
Validate = Callable[[Model], dict[str, float]]


def train(
    model: Model,
    windows: WindowSource,
    config: TrainingConfig,
    *,
    target: tuple[float, float],
    checkpoint: Path,
    report: Report,
    cancelled: Callable[[], bool],
    validate: Validate | None = None,
) -> Model:
    """Train a network on one fold's windows, resuming from its checkpoint if there is one.

    Parameters
    ----------
    model
        On the device of ``windows``; trained in place and returned.
    windows
        The fold's training data.
    config
        Optimiser, schedule and number of updates; its seed is this network's own.
    target
        Mean and standard deviation of the training soil moisture, m3 m-3: the network's output is scaled by them.
    checkpoint
        Written after an epoch if the last one is older than 2 seconds, and at the end.
    report
        Called about once a second with epoch, time left, speed (sample-days per second) and memory; after every epoch
        also with its losses (``losses``: RMSE, m3 m-3; ``nll``: nats per day) and the scores at the validation sites.
    cancelled
        Polled between updates.
    validate
        Returns the median scores (``R``, and ``RMSE`` in m3 m-3) at the validation sites; called after every epoch.
        The weights with the best ``config.validation_score`` are returned, and training stops after
        ``config.patience`` epochs without improvement. If ``None``, the last weights are returned.

    Raises
    ------
    TrainingError
        If the loss is not finite or diverges, naming sites and days (the last checkpoint is kept), or if the only
        stream has weight 0.
    CancelledError
        If cancelled; the last checkpoint is kept.
    """
    device = windows.device
    precision = resolve_precision(config.precision, device)
    updates = updates_per_epoch(windows, config)
    generator = windows.generator(config.seed)
    optimizer = make_optimizer(model, config)
    schedule = make_schedule(optimizer, config, updates * config.epochs)
    scaler = make_scaler(precision, device)
    progress = Progress()
    if checkpoint.exists():
        progress = restore_checkpoint(
            load_checkpoint(checkpoint, device), model, optimizer, schedule, scaler, generator
        )

    weights = {v.SM_SMAP: config.satellite_weight}
    if not any(weights.get(name, 1.0) for name in windows.streams):
        raise TrainingError(
            f"training.satellite_weight is 0, but {v.SM_SMAP} is the only training target with values: the loss would "
            "be 0. Set a weight above 0 or add in-situ targets."
        )
    separate_passes = needs_separate_passes(precision, model.hidden, config.batch, len(windows.streams))
    objective = partial(
        evaluate, target=target, weights=weights, precision=precision, separate_passes=separate_passes,
        dynamics_weight=config.dynamics_weight,
    )  # fmt: skip
    plain = Step(model, optimizer, scaler, objective, config.clip_norm)
    step = CudaGraphStep(plain, device) if config.cuda_graph else plain
    non_finite = NonFiniteLossMonitor()
    epoch_metrics = EpochMetrics(config.batch * config.window * len(windows.streams))
    started, last_report = time.monotonic() - progress.seconds, 0.0
    last_checkpoint = time.monotonic()

    def emit_progress(updates_done: int, **more: Any) -> None:
        done = updates_done / (config.epochs * updates)
        seconds = time.monotonic() - started
        report(
            {
                "epochs": config.epochs, "updates": updates_done, "done": done,
                "learning_rate": float(optimizer.param_groups[0]["lr"]), "seconds": seconds,
                "seconds_left": seconds * (1 - done) / done, "sample_days_per_second": epoch_metrics.speed(),
                **peak_memory(device), **more,
            }
        )  # fmt: skip

    for epoch in range(progress.epoch, config.epochs):
        if progress.patience_exhausted(config.patience):
            break
        model.train()
        epoch_metrics.reset()
        for update, batches in enumerate(windows.epoch(config.batch, updates, generator), epoch * updates):
            terms = step(batches)
            non_finite.record(update, terms, batches)
            if device.type in CHECK_EVERY_UPDATE_ON:
                non_finite.check(windows, updates)
            schedule.step()
            epoch_metrics.add(terms)

            if cancelled():
                raise CancelledError(
                    f"Cancelled in epoch {epoch + 1} of {config.epochs}; the last checkpoint is kept."
                )
            if time.monotonic() - last_report >= REPORT_SECONDS:
                non_finite.check(windows, updates)
                # The epoch's losses are reported when it is complete; before that, only progress.
                emit_progress(update + 1, epoch=epoch, losses={})
                last_report = time.monotonic()

        non_finite.check(windows, updates)
        losses = epoch_metrics.mean("rmse")
        check_divergence(losses, epoch)
        scores = validate(model.eval()) if validate else {}
        progress = replace(progress, epoch=epoch + 1, seconds=time.monotonic() - started)
        if scores and config.validation_score != "last":
            validation_loss = _validation_loss(scores, config)
            if progress.best is None or validation_loss < progress.best.validation_loss:
                progress = replace(progress, best=BestWeights(epoch + 1, validation_loss, _copy(model)))
        emit_progress(
            updates * (epoch + 1), epoch=epoch + 1, losses=losses, nll=epoch_metrics.mean("nll"), validation=scores,
            best_epoch=progress.best.epoch if progress.best else None,
        )  # fmt: skip
        ends = epoch + 1 == config.epochs or progress.patience_exhausted(config.patience)
        if ends or time.monotonic() - last_checkpoint > CHECKPOINT_SECONDS:
            save_checkpoint(checkpoint, model, optimizer, schedule, scaler, generator, progress)
            last_checkpoint = time.monotonic()
    if progress.best:
        model.load_state_dict(progress.best.weights)
    return model.eval()


def updates_per_epoch(windows: WindowSource, config: TrainingConfig) -> int:
    """Return the configured number of updates, or that of hydroDL's rule for the first stream (in situ if present).

    Notes
    -----
    After ``ceil(ln 0.01 / ln(1 - batch * window / (sites * days)))`` random windows each day of the record has been
    sampled with probability 0.99 (hydroDL code of Fang et al. 2017, doi:10.1002/2017GL075619).
    """
    if config.updates_per_epoch is not None:
        return config.updates_per_epoch
    stream = next(iter(windows.streams.values()))
    days = int((stream.latest_S - stream.earliest_S)[stream.sites].sum()) + config.window * len(stream)
    share = config.batch * config.window / days
    return 1 if share >= 0.99 else math.ceil(math.log(0.01) / math.log(1 - share))


def _validation_loss(scores: dict[str, float], config: TrainingConfig) -> float:
    """Return RMSE or 1 - R; infinite where the score is undefined (R of a constant)."""
    score = scores[config.validation_score]
    loss = 1 - score if config.validation_score == "R" else score
    return loss if math.isfinite(loss) else math.inf


def _copy(model: Model) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
