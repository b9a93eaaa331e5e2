"""Export of a run's events as TensorBoard scalars: one folder per fold and member, one point per epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gsm3core.errors import GSM3Error, RunError
from gsm3core.run import Run

_TAGS = {
    "loss": "loss/sum", "loss_insitu": "loss/insitu", "loss_smap": "loss/smap", "nll_insitu": "nll/insitu",
    "nll_smap": "nll/smap", "validation_R": "validation/R", "validation_RMSE": "validation/RMSE",
    "learning_rate": "learning_rate", "sample_days_per_second": "speed/sample_days_per_second",
    "memory_mb": "memory/process_mb", "device_memory_mb": "memory/device_mb",
}  # fmt: skip


def export_tensorboard(run: Run, folder: str | Path) -> Path:
    """Write the losses, validation scores and speed of a run's epochs so far, for TensorBoard.

    Parameters
    ----------
    folder
        A subfolder with the run's id is created in it; it must not exist.

    Returns
    -------
    Path
        ``folder/<run id>``, for ``tensorboard --logdir``.

    Raises
    ------
    GSM3Error
        If TensorBoard is not installed, or the folder exists.
    RunError
        If the run has not finished an epoch.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise GSM3Error("TensorBoard is not installed: pip install tensorboard.") from error
    epochs = [e for e in run.events() if e["event"] == "progress" and "loss" in e]
    if not epochs:
        raise RunError(f"Run {run.id} has not finished an epoch yet (state: {run.state}).")
    out = Path(folder) / run.id
    if out.exists():
        raise GSM3Error(f"{out} exists already. Choose another folder.")
    networks: dict[Path, list[dict[str, Any]]] = {}
    for event in epochs:
        networks.setdefault(_folder(out, event), []).append(event)
    for subfolder, events in networks.items():
        with SummaryWriter(str(subfolder)) as writer:
            for event in events:
                for key, tag in _TAGS.items():
                    if event.get(key) is not None:
                        writer.add_scalar(tag, event[key], event["updates"], walltime=event["time"])
    return out


def _folder(out: Path, event: dict[str, Any]) -> Path:
    fold = out / str(event["fold"])
    return fold / f"member_{event['member'] + 1}" if event.get("members", 1) > 1 else fold
