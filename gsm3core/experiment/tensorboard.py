"""A run's events as TensorBoard scalars: one folder for every fold and member, one point for every epoch."""

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
    """Write what a run has told of its training, so that TensorBoard shows it.

    Parameters
    ----------
    run
        Finished or not; what it tells later is not followed.
    folder
        The run's own folder is made in it, and must not exist.

    Returns
    -------
    Path
        ``folder/<run id>``, for ``tensorboard --logdir``.

    Raises
    ------
    GSM3Error
        If TensorBoard is not installed, or the folder exists.
    RunError
        If the run has finished no epoch yet.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise GSM3Error("TensorBoard is not installed: pip install tensorboard.") from error
    epochs = [e for e in run.events() if e["event"] == "progress" and "loss" in e]
    if not epochs:
        raise RunError(f"Run {run.id} has told of no epoch yet (it is {run.state}).")
    out = Path(folder) / run.id
    if out.exists():
        raise GSM3Error(f"{out} exists. Choose another folder.")
    networks: dict[Path, list[dict[str, Any]]] = {}
    for event in epochs:
        networks.setdefault(_folder(out, event), []).append(event)
    for place, events in networks.items():
        with SummaryWriter(str(place)) as writer:
            for event in events:
                for key, tag in _TAGS.items():
                    if event.get(key) is not None:
                        writer.add_scalar(tag, event[key], event["updates"], walltime=event["time"])
    return out


def _folder(out: Path, event: dict[str, Any]) -> Path:
    fold = out / str(event["fold"])
    return fold / f"member_{event['member'] + 1}" if event.get("members", 1) > 1 else fold
