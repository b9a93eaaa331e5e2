"""Checkpoints: everything that continues a training run as if it had never stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from gsm3core.models.files import load_tensors


@dataclass(frozen=True, slots=True)
class Best:
    """The weights that did best at the held-back sites.

    Parameters
    ----------
    epoch
        After how many epochs.
    badness
        Their median score there, the lower the better: RMSE in m3 m-3, or 1 - R.
    weights
        The network's.
    """

    epoch: int
    badness: float
    weights: dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands.

    Parameters
    ----------
    epoch
        Epochs finished.
    seconds
        Time they took, over all starts.
    best
        ``None`` without held-back sites.
    """

    epoch: int = 0
    seconds: float = 0.0
    best: Best | None = None

    def waited(self, patience: int) -> bool:
        """Tell whether so many epochs have brought nothing better; never with a patience of 0."""
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
    """Write all that training is made of; the old checkpoint stays until the new one is whole.

    Parameters
    ----------
    path
        Where to.
    generator
        The sampler's; torch's global state (dropout) is kept too.
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
    beside = path.with_suffix(".part")
    torch.save(state, beside)
    beside.replace(path)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint.

    Raises
    ------
    RunError
        If the file is not a checkpoint.
    """
    return load_tensors(path, device, remedy="Delete it to train this network anew.")


def restore(
    state: dict[str, Any],
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    scaler: torch.amp.GradScaler,
    generator: torch.Generator,
) -> Progress:
    """Put a checkpoint's state back, random states included."""
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
    return Progress(state["epoch"], state["seconds"], Best(**best) if best else None)
