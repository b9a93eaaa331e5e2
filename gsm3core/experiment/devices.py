"""Device slots of a run: on which devices folds are trained, how many at once, with what memory and threads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from gsm3core.baselines import BASELINES
from gsm3core.config import ExperimentConfig

# Of a GPU's memory; the rest is for each process's context and libraries, which torch does not count.
USABLE_GPU_SHARE = 0.9
# A step of a small network keeps no more than one CPU busy, but every process holds the dataset.
_MAX_AUTO_FOLDS, _BYTES_PER_FOLD = 4, 4e9
# Memory limits of a container (https://docs.kernel.org/admin-guide/cgroup-v2.html).
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class DeviceSlot:
    """Where one fold at a time is trained.

    Parameters
    ----------
    device
        Name of one device.
    memory_share
        Share of a GPU's memory that torch may allocate; 1 for no limit.
    threads
        CPU threads; ``None`` for torch's default.
    """

    device: str
    memory_share: float = 1.0
    threads: int | None = None


def device_slots(config: ExperimentConfig, folds: int) -> list[DeviceSlot]:
    """Return the device slots of a run, at most one per fold, the devices in turn.

    Parameters
    ----------
    config
        ``training.device`` names one device or several; ``training.folds_at_once`` is the number of folds per device.
        On a CPU ``auto`` means one fold per CPU and 4 GB of memory, at most four.
    folds
        Number of folds of the whole run, finished or not, so that a resumed run has the same slots and threads.

    Raises
    ------
    ConfigError
        If a device is named twice, or torch cannot use it.
    """
    training = config.training
    devices = ["cpu"] if config.model.name in BASELINES else _devices(training.device)
    at_once = training.folds_at_once
    if at_once == "auto":
        at_once = _auto_folds_at_once(devices, folds)
    names = (devices * at_once)[: max(folds, 1)]
    if len(names) == 1:
        return [DeviceSlot(names[0])]
    threads = max(1, _cpu_count() // len(names))
    return [DeviceSlot(name, _memory_share(names.count(name)), threads) for name in names]


def _auto_folds_at_once(devices: list[str], folds: int) -> int:
    """Number of folds per device for ``auto``; always the same on one machine."""
    if folds == 1 or not _is_cpu(devices[0]):
        return 1
    return max(1, min(_cpu_count(), _MAX_AUTO_FOLDS, int(_memory_bytes() / _BYTES_PER_FOLD)))


def _memory_bytes() -> float:
    """Memory of the machine, or of the container if that is less."""
    limits = [_read(_CGROUP / name) for name in ("memory.max", "memory/memory.limit_in_bytes")]
    return min([float(psutil.virtual_memory().total), *(float(x) for x in limits if x.isdigit())])


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _is_cpu(device: str) -> bool:
    if device != "auto":
        return device == "cpu"
    from gsm3core.models.device import resolve_device

    return resolve_device(device).type == "cpu"


def _memory_share(folds: int) -> float:
    return 1.0 if folds == 1 else USABLE_GPU_SHARE / folds


def _devices(name: str) -> list[str]:
    if "," not in name and name != "cuda:all":
        return [name]
    # Imported here, as torch takes seconds to load.
    from gsm3core.models.device import resolve_devices

    return resolve_devices(name)


def _cpu_count() -> int:
    """``OMP_NUM_THREADS`` where it is set, else the CPUs of this process (affinity and container limits respected)."""
    threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if threads.isdigit() and int(threads):
        return int(threads)
    import joblib

    return int(joblib.cpu_count(only_physical_cores=False))
