"""Where the folds of a run are trained: on which devices, how many at once, and what each may use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gsm3core.baselines import BASELINES
from gsm3core.config import ExperimentConfig

# Of a GPU's memory; the rest is for each process's context and libraries, which torch does not count.
SHARED_OUT = 0.9
# A step of a small network keeps no more than one processor busy, but every process holds the dataset.
_MOST_BY_ITSELF, _BYTES_EACH = 4, 4e9
# Where Linux says what a container may use (https://docs.kernel.org/admin-guide/cgroup-v2.html).
_CONTAINER = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class DeviceSlot:
    """Where one fold at a time is trained.

    Parameters
    ----------
    device
        Name of one device.
    memory_share
        Of a GPU's memory, the part that torch may take here; 1 for no limit.
    threads
        For the processor; ``None`` for as many as torch takes.
    """

    device: str
    memory_share: float = 1.0
    threads: int | None = None


def device_slots(config: ExperimentConfig, folds: int) -> list[DeviceSlot]:
    """Return the places of a run, never more than it has folds, the devices in turn.

    Parameters
    ----------
    config
        ``training.device`` names one device or several; ``training.folds_at_once`` says how many folds share one; on a
        CPU ``auto`` is as many as it has processors, with 4 GB of memory for each, and at most four.
    folds
        Of the whole run, done or not: a run that is gone on with has the places, and the threads, that it had.

    Raises
    ------
    ConfigError
        If a device is named twice, or torch cannot use it.
    """
    training = config.training
    devices = ["cpu"] if config.model.name in BASELINES else _devices(training.device)
    at_once = training.folds_at_once if training.folds_at_once != "auto" else _by_itself(devices, folds)
    names = (devices * at_once)[: max(folds, 1)]
    if len(names) == 1:
        return [DeviceSlot(names[0])]
    threads = max(1, _processors() // len(names))
    return [DeviceSlot(name, _share(names.count(name)), threads) for name in names]


def _by_itself(devices: list[str], folds: int) -> int:
    """How many folds share a device where the user leaves it open; always the same on one machine."""
    if folds == 1 or not _is_processor(devices[0]):
        return 1
    return max(1, min(_processors(), _MOST_BY_ITSELF, int(_memory() / _BYTES_EACH)))


def _memory() -> float:
    """Bytes of memory: the machine's, or less where a container may have less."""
    has = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0.0
    limits = [_words(_CONTAINER / name) for name in ("memory.max", "memory/memory.limit_in_bytes")]
    return min([has, *(float(words[0]) for words in limits if words and words[0].isdigit())])


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _is_processor(device: str) -> bool:
    if device != "auto":
        return device == "cpu"
    from gsm3core.models.device import device_named

    return device_named(device).type == "cpu"


def _share(sharing: int) -> float:
    return 1.0 if sharing == 1 else SHARED_OUT / sharing


def _devices(name: str) -> list[str]:
    if "," not in name and name != "cuda:all":
        return [name]
    # Only now, as torch takes seconds to load.
    from gsm3core.models.device import devices_named

    return devices_named(name)


def _processors() -> int:
    """How many threads the user allows, or how many processors the system gives this process."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if given.isdigit() and int(given):
        return int(given)
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = _words(_CONTAINER / "cpu.max")  # microseconds of each period, or "max"
    return (
        max(1, min(here, int(share[0]) // int(share[1]))) if len(share) == 2 and share[0].isdigit() else here
    )
