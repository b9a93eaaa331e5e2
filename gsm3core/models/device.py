"""Selection of the compute device."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gsm3core.errors import ConfigError, TrainingError


def resolve_devices(name: str) -> list[str]:
    """Return the names of several devices, each checked by :func:`resolve_device`.

    Parameters
    ----------
    name
        A list such as ``cuda:0,cuda:1``, or ``cuda:all`` for every GPU that torch can use.

    Raises
    ------
    ConfigError
        If a device is named twice, or torch cannot use it.
    """
    if name == "cuda:all":
        count = torch.cuda.device_count()
        if not count:
            raise ConfigError("device is 'cuda:all', but torch finds no CUDA device. Use 'auto' or 'cpu'.")
        return [f"cuda:{number}" for number in range(count)]
    names = name.split(",")
    for one in names:
        resolve_device(one)
        if names.count(one) > 1:
            raise ConfigError(
                f"device {name!r} names {one} twice. To train several folds on one device, set training.folds_at_once."
            )
    return names


def resolve_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is a GPU if there is one, else the CPU.

    Parameters
    ----------
    name
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    ConfigError
        If the name is not one of these, or torch cannot use the device.

    Notes
    -----
    Disables TF32 (10 bits of mantissa) in cuDNN's LSTM, where it is on by default; for matrix products torch has it
    off already. Predictions and scores are computed in fp32.
    """
    torch.backends.cudnn.allow_tf32 = False
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ConfigError(f"device {name!r} is not known. Expected 'auto', 'cpu', 'cuda' or 'cuda:N'.")
    number = int(name.partition(":")[2] or 0)
    if name != "cpu" and number >= torch.cuda.device_count():
        raise ConfigError(
            f"device is {name!r}, but torch finds {torch.cuda.device_count()} CUDA device(s). Use 'auto' or 'cpu'."
        )
    return torch.device(name)


def limit_gpu_memory(device: torch.device, share: float) -> None:
    """Limit this process to a share of a GPU's memory; no effect on a CPU."""
    if device.type == "cuda" and share < 1:
        # "cuda" without a number is the current device, which torch expects as None here.
        torch.cuda.set_per_process_memory_fraction(share, None if device.index is None else device)


@contextmanager
def explain_out_of_memory(device: torch.device) -> Iterator[None]:
    """Turn an out-of-memory error of the block into one that says what to do.

    Raises
    ------
    TrainingError
        Instead of ``torch.OutOfMemoryError``.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"{device} is out of memory: {str(error).splitlines()[0]} Lower training.folds_at_once or training.batch, or "
            "set training.inputs = 'disk'."
        ) from error
