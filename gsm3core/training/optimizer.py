"""Optimiser and learning rate."""

from __future__ import annotations

import math

import torch

from gsm3core.config import TrainingConfig

_Schedule = torch.optim.lr_scheduler.LRScheduler


def make_optimizer(model: torch.nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Return the configured optimiser of a network's weights.

    Notes
    -----
    For a recorded step (``config.cuda_graph``) all that an update reads and writes is on the device, the learning rate
    too: a schedule then writes into it. With a scaled loss (fp16) AdamW is the fused one: it alone leaves an update
    out on the device, where it finds that a gradient is not finite. Any other would ask the device, and wait for it.
    """
    recorded = config.cuda_graph
    rate: float | torch.Tensor = config.learning_rate
    if recorded:
        rate = torch.tensor(rate, device=next(model.parameters()).device)
    if config.optimizer == "adadelta":
        return torch.optim.Adadelta(
            model.parameters(), lr=rate, weight_decay=config.weight_decay, capturable=recorded
        )
    return torch.optim.AdamW(
        model.parameters(),
        lr=rate,
        weight_decay=config.weight_decay,
        capturable=recorded,
        fused=True if recorded or config.precision == "fp16" else None,
    )


def make_schedule(optimizer: torch.optim.Optimizer, config: TrainingConfig, updates: int) -> _Schedule:
    """Return what sets the learning rate at each of so many updates."""
    if config.schedule == "constant":
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: _rise_and_fall(k / max(updates, 1)))


def _rise_and_fall(done: float) -> float:
    """Factor of the learning rate: linear rise over the first tenth, then half a cosine down to 1 %."""
    rise = 0.1
    if done < rise:
        return 0.05 + 0.95 * done / rise
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min((done - rise) / (1 - rise), 1.0)))
