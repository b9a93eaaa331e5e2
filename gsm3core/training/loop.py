"""The training loop of one network, to be read from top to bottom."""

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
from gsm3core.training.checkpoint import Best, Progress, load_checkpoint, restore, save_checkpoint
from gsm3core.training.epoch_metrics import Meter, memory
from gsm3core.training.loss_checks import NonFiniteLossMonitor, check_divergence
from gsm3core.training.objective import evaluate, passes_apart
from gsm3core.training.optimizer import make_optimizer, make_schedule
from gsm3core.training.step import CudaGraphStep, Step, make_scaler
from gsm3core.windows import WindowSource

CHECKPOINT_SECONDS = 2.0
REPORT_SECONDS = 1.0
# Looking at a loss makes a GPU's queue run dry: there it is looked at when there is something to report anyway.
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
    """Fit a network to one fold's windows, resuming from its checkpoint if there is one.

    Parameters
    ----------
    model
        On the device of ``windows``.
    windows
        The fold's training data.
    config
        Optimiser, schedule and number of updates; its seed is this network's own.
    target
        Mean and standard deviation of the training soil moisture, m3 m-3: the network's output is scaled by them.
    checkpoint
        Written after an epoch when the last one is 2 seconds old, and at the end.
    report
        Called about once a second with epoch, time left, speed (sample-days per second) and memory; after every epoch
        also with its losses (``losses``: RMSE, m3 m-3; ``nll``: nats per day) and the scores at the held-back sites.
    cancelled
        Asked between updates.
    validate
        The median scores (``R``, and ``RMSE`` in m3 m-3) at training sites that are held back; asked after every epoch.
        The weights with the best ``config.validation_score`` are the ones returned, and ``config.patience`` epochs
        without a better one end the training. Without it the last weights are returned.

    Returns
    -------
    Model
        The same object, fitted.

    Raises
    ------
    TrainingError
        If the loss is not finite or diverges, naming sites and days (the last checkpoint is kept), or if the only
        stream has no weight.
    CancelledError
        If asked to stop; the last checkpoint is kept.
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
        progress = restore(load_checkpoint(checkpoint, device), model, optimizer, schedule, scaler, generator)

    weights = {v.SM_SMAP: config.satellite_weight}
    if not any(weights.get(name, 1.0) for name in windows.streams):
        raise TrainingError(
            f"training.satellite_weight is 0 and only {v.SM_SMAP} has values to learn from: nothing would be learnt."
        )
    apart = passes_apart(precision, model.hidden, config.batch, len(windows.streams))
    objective = partial(
        evaluate, target=target, weights=weights, precision=precision, apart=apart,
        dynamics_weight=config.dynamics_weight,
    )  # fmt: skip
    plain = Step(model, optimizer, scaler, objective, config.clip_norm)
    step = CudaGraphStep(plain, device) if config.cuda_graph else plain
    failure, meter = NonFiniteLossMonitor(), Meter(config.batch * config.window * len(windows.streams))
    started, last_report = time.monotonic() - progress.seconds, 0.0
    last_checkpoint = time.monotonic()

    def tell(updates_done: int, **more: Any) -> None:
        done = updates_done / (config.epochs * updates)
        seconds = time.monotonic() - started
        report(
            {
                "epochs": config.epochs, "updates": updates_done, "done": done,
                "learning_rate": float(optimizer.param_groups[0]["lr"]), "seconds": seconds,
                "seconds_left": seconds * (1 - done) / done, "sample_days_per_second": meter.speed(),
                **memory(device), **more,
            }
        )  # fmt: skip

    for epoch in range(progress.epoch, config.epochs):
        if progress.waited(config.patience):
            break
        model.train()
        meter.reset()
        for update, batches in enumerate(windows.epoch(config.batch, updates, generator), epoch * updates):
            terms = step(batches)
            failure.watch(update, terms, batches)
            if device.type in CHECK_EVERY_UPDATE_ON:
                failure.check(windows, updates)
            schedule.step()
            meter.add(terms)

            if cancelled():
                raise CancelledError(
                    f"Cancelled in epoch {epoch + 1} of {config.epochs}; the last checkpoint is kept."
                )
            if time.monotonic() - last_report >= REPORT_SECONDS:
                failure.check(windows, updates)
                # Every epoch is told once it is whole; in between, only that work goes on.
                tell(update + 1, epoch=epoch, losses={})
                last_report = time.monotonic()

        failure.check(windows, updates)
        losses = meter.mean("rmse")
        check_divergence(losses, epoch)
        scores = validate(model.eval()) if validate else {}
        progress = replace(progress, epoch=epoch + 1, seconds=time.monotonic() - started)
        if scores and config.validation_score != "last":
            badness = _validation_loss(scores, config)
            if progress.best is None or badness < progress.best.badness:
                progress = replace(progress, best=Best(epoch + 1, badness, _copy(model)))
        tell(
            updates * (epoch + 1), epoch=epoch + 1, losses=losses, nll=meter.mean("nll"), validation=scores,
            best_epoch=progress.best.epoch if progress.best else None,
        )  # fmt: skip
        ends = epoch + 1 == config.epochs or progress.waited(config.patience)
        if ends or time.monotonic() - last_checkpoint > CHECKPOINT_SECONDS:
            save_checkpoint(checkpoint, model, optimizer, schedule, scaler, generator, progress)
            last_checkpoint = time.monotonic()
    if progress.best:
        model.load_state_dict(progress.best.weights)
    return model.eval()


def updates_per_epoch(windows: WindowSource, config: TrainingConfig) -> int:
    """Return the configured number, or the lineage's rule for the first stream (in-situ where there is one).

    Notes
    -----
    After ``ceil(ln 0.01 / ln(1 - batch * window / (sites * days)))`` random windows each day of the record has been
    seen with probability 0.99 (as in the hydroDL code of Fang et al. 2017, doi:10.1002/2017GL075619).
    """
    if config.updates_per_epoch is not None:
        return config.updates_per_epoch
    stream = next(iter(windows.streams.values()))
    days = int((stream.latest_S - stream.earliest_S)[stream.sites].sum()) + config.window * len(stream)
    share = config.batch * config.window / days
    return 1 if share >= 0.99 else math.ceil(math.log(0.01) / math.log(1 - share))


def _validation_loss(scores: dict[str, float], config: TrainingConfig) -> float:
    """What is to be lowest; a score that does not exist (R of a constant) is worse than any."""
    score = scores[config.validation_score]
    badness = 1 - score if config.validation_score == "R" else score
    return badness if math.isfinite(badness) else math.inf


def _copy(model: Model) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
