"""The training loop of one fold, to be read from top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gsm3core import vocabulary as v
from gsm3core.config import TrainingConfig
from gsm3core.errors import CancelledError, TrainingError
from gsm3core.models.base import Model
from gsm3core.training.checkpoint import Progress, load_checkpoint, restore, save_checkpoint
from gsm3core.training.loss import masked_rmse, two_teacher_loss
from gsm3core.windows import Batch, TrainingWindows

CHECKPOINT_SECONDS = 2.0
REPORT_SECONDS = 1.0
Report = Callable[[dict[str, Any]], None]


def train(
    model: Model,
    windows: TrainingWindows,
    config: TrainingConfig,
    *,
    target: tuple[float, float],
    checkpoint: Path,
    report: Report,
    cancelled: Callable[[], bool],
) -> Model:
    """Fit a network to one fold's windows, resuming from its checkpoint if there is one.

    Parameters
    ----------
    model
        On the device of ``windows``.
    windows
        The fold's training data.
    config
        Optimiser, schedule and number of updates.
    target
        Mean and standard deviation of the training soil moisture, m3 m-3: the network's output is scaled by them.
    checkpoint
        Written after an epoch when the last one is 2 seconds old, and at the end.
    report
        Called about once a second with epoch, losses (m3 m-3), learning rate and time left.
    cancelled
        Asked between updates.

    Returns
    -------
    Model
        The same object, fitted.

    Raises
    ------
    TrainingError
        If the loss is not finite; the last checkpoint is kept.
    CancelledError
        If asked to stop; the last checkpoint is kept.
    """
    device = windows.x_STF.device
    updates = updates_per_epoch(windows, config)
    generator = torch.Generator(device).manual_seed(config.seed)
    optimizer = _optimizer(model, config)
    schedule = _schedule(optimizer, config, updates * config.epochs)
    progress = Progress()
    if checkpoint.exists():
        progress = restore(load_checkpoint(checkpoint, device), model, optimizer, schedule, generator)

    weights = {v.SM_SMAP: config.satellite_weight}
    mean, std = target
    started, last_report = time.monotonic() - progress.seconds, 0.0
    last_checkpoint = time.monotonic()
    model.train()
    for epoch in range(progress.epoch, config.epochs):
        sums: dict[str, torch.Tensor] = {}
        counts: dict[str, int] = {}
        for update in range(updates):
            batches = windows.draw(config.batch, generator)
            terms = {n: masked_rmse(mean + std * y, b.y_BT) for n, (y, b) in _predict(model, batches).items()}
            loss = two_teacher_loss(terms, weights)
            if loss is not None:
                optimizer.zero_grad(set_to_none=True)
                # In units of the target's spread, so that one limit on the gradient serves every data set.
                (loss / std).backward()
                if config.clip_norm:
                    torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
                optimizer.step()
            schedule.step()
            for name, term in terms.items():
                if term is not None:
                    sums[name] = sums.get(name, torch.zeros((), device=device)) + term.detach()
                    counts[name] = counts.get(name, 0) + 1

            if cancelled():
                raise CancelledError(
                    f"Cancelled in epoch {epoch + 1} of {config.epochs}; the last checkpoint is kept."
                )
            now, last = time.monotonic(), update == updates - 1
            if last or now - last_report >= REPORT_SECONDS:
                losses = {n: float(s) / counts[n] for n, s in sums.items()}
                _check_finite(losses, batches, epoch, update)
                done = (epoch * updates + update + 1) / (config.epochs * updates)
                seconds = now - started
                # Every epoch is told once it is whole; in between, only that work goes on.
                report(
                    {
                        "epoch": epoch + last, "epochs": config.epochs, "updates": epoch * updates + update + 1,
                        "losses": losses if last else {}, "learning_rate": optimizer.param_groups[0]["lr"],
                        "done": done, "seconds": seconds, "seconds_left": seconds * (1 - done) / done,
                    }
                )  # fmt: skip
                last_report = now

        progress = Progress(epoch + 1, time.monotonic() - started)
        if epoch + 1 == config.epochs or time.monotonic() - last_checkpoint > CHECKPOINT_SECONDS:
            save_checkpoint(checkpoint, model, optimizer, schedule, generator, progress)
            last_checkpoint = time.monotonic()
    return model.eval()


def updates_per_epoch(windows: TrainingWindows, config: TrainingConfig) -> int:
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


def _predict(model: Model, batches: dict[str, Batch]) -> dict[str, tuple[torch.Tensor, Batch]]:
    """Run all streams through the network in one pass: one mask of dropped weights, one matrix product."""
    x_BTF = torch.cat([b.x_BTF for b in batches.values()])
    c_BA = torch.cat([b.c_BA for b in batches.values()])
    parts = model(x_BTF, c_BA).split([len(b.x_BTF) for b in batches.values()])
    return dict(zip(batches, zip(parts, batches.values(), strict=True), strict=True))


def _optimizer(model: Model, config: TrainingConfig) -> torch.optim.Optimizer:
    if config.optimizer == "adadelta":
        return torch.optim.Adadelta(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
    return torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)


def _schedule(
    optimizer: torch.optim.Optimizer, config: TrainingConfig, updates: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if config.schedule == "constant":
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: _rise_and_fall(k / max(updates, 1)))


def _rise_and_fall(done: float) -> float:
    """Factor of the learning rate: linear rise over the first tenth, then half a cosine down to 1 %."""
    rise = 0.1
    if done < rise:
        return 0.05 + 0.95 * done / rise
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min((done - rise) / (1 - rise), 1.0)))


def _check_finite(losses: dict[str, float], batches: dict[str, Batch], epoch: int, update: int) -> None:
    for name, loss in losses.items():
        if not math.isfinite(loss):
            batch = batches[name]
            raise TrainingError(
                f"The loss against {name} is {loss} in epoch {epoch + 1}, update {update + 1} (last batch: sites at positions "
                f"{sorted(set(batch.site_B.tolist()))[:10]}). Lower training.learning_rate or check these sites; "
                "the last checkpoint is kept."
            )
