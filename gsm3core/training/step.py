"""One update of a network's weights, from a batch to its loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from gsm3core.models.base import Model
from gsm3core.training.objective import Terms
from gsm3core.windows import Batch

Objective = Callable[[Model, dict[str, Batch]], Terms]


@dataclass(frozen=True, slots=True)
class Step:
    """An update, carried out operation by operation; nothing in it reads a number back from the device.

    Parameters
    ----------
    model, optimizer
        What is moved.
    scaler
        Of the loss, in 16 bits of small range; else one that is not enabled, which does nothing.
    objective
        What is minimised: :func:`gsm3core.training.objective.evaluate` with all but model and batches given.
    clip_norm
        Largest norm of the gradient; 0 for no limit.
    """

    model: Model
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    objective: Objective
    clip_norm: float

    def __call__(self, batches: dict[str, Batch]) -> Terms:
        """Learn from one batch of every stream and return what its loss was before."""
        terms = self.objective(self.model, batches)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(terms.loss).backward()
        self.scaler.unscale_(self.optimizer)
        if self.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm, error_if_nonfinite=False)
        # A gradient that is not finite, at a scale that was too large, moves nothing; the scale is then halved.
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return terms


def make_scaler(precision: str, device: torch.device) -> torch.amp.GradScaler:
    """Return what keeps the gradients of fp16 above its smallest number; for other precisions it does nothing.

    Notes
    -----
    The loss is multiplied by a scale that is halved when a gradient overflows and doubled after 2,000 updates without
    one (Micikevicius et al. 2018, arXiv:1710.03740).
    """
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
