"""Checkpoints: the full training state, so that a resumed run gives the same numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from gsm3core.models.files import load_tensors


@dataclass(frozen=True, slots=True)
class BestWeights:
    """The weights with the lowest validation loss so far.

    Parameters
    ----------
    epoch
        Number of epochs trained.
    validation_loss
        Median over the validation sites: RMSE in m3 m-3, or 1 - R.
    weights
        The network's state dict.
    """

    epoch: int
    validation_loss: float
    weights: dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of training.

    Parameters
    ----------
    epoch
        Number of finished epochs.
    seconds
        Training time, summed over all resumed runs.
    best
        ``None`` without validation sites.
    """

    epoch: int = 0
    seconds: float = 0.0
    best: BestWeights | None = None

    def patience_exhausted(self, patience: int) -> bool:
        """Whether ``patience`` epochs have passed since the best one; never with a patience of 0."""
        return bool(patience and self.best and self.epoch - self.best.epoch >= patience)


def save_checkpoint(
    path: Path,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    scaler: torch.amp.GradScaler,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Write the training state atomically: the old checkpoint stays until the new one is complete.

    Parameters
    ----------
    generator
        The window sampler's; torch's global random state (dropout) is saved too.
    """
    state: dict[str, Any] = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": {k: x for k, x in schedule.state_dict().items() if not callable(x)},
        "scaler": scaler.state_dict(),
        "generator": generator.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "epoch": progress.epoch,
        "seconds": progress.seconds,
        "best": None if progress.best is None else asdict(progress.best),
    }
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint.

    Raises
    ------
    RunError
        If the file is not a checkpoint.
    """
    return load_tensors(path, device, remedy="Delete it to train this network from the start.")


def restore_checkpoint(
    state: dict[str, Any],
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    scaler: torch.amp.GradScaler,
    generator: torch.Generator,
) -> Progress:
    """Restore a checkpoint's state, random states included, and return its progress."""
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    if state.get("scaler"):
        scaler.load_state_dict(state["scaler"])
    generator.set_state(state["generator"].cpu())
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])
    best = state.get("best")
    if best and "badness" in best:  # the key of older checkpoints
        best["validation_loss"] = best.pop("badness")
    return Progress(state["epoch"], state["seconds"], BestWeights(**best) if best else None)
