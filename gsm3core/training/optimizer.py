"""Optimiser and learning rate schedule."""

from __future__ import annotations

import math

import torch

from gsm3core.config import TrainingConfig

_Schedule = torch.optim.lr_scheduler.LRScheduler


def make_optimizer(model: torch.nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Return the configured optimiser of a network's weights.

    Notes
    -----
    With ``config.cuda_graph`` everything an update reads and writes is on the device, the learning rate too: the
    schedule writes into its tensor. In fp16 AdamW is fused: only that variant skips an update with a non-finite
    gradient on the device, without synchronisation.
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
    """Return the learning rate schedule over a number of updates."""
    if config.schedule == "constant":
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: _rise_and_fall(k / max(updates, 1)))


def _rise_and_fall(done: float) -> float:
    """Return the learning rate factor: linear rise over the first tenth, then half a cosine down to 1 %."""
    rise = 0.1
    if done < rise:
        return 0.05 + 0.95 * done / rise
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min((done - rise) / (1 - rise), 1.0)))
