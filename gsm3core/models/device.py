"""Where a network runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gsm3core.errors import ConfigError, TrainingError


def devices_named(name: str) -> list[str]:
    """Return the names of several devices, each checked by :func:`device_named`.

    Parameters
    ----------
    name
        ``cuda:0,cuda:1`` (any number of them), or ``cuda:all`` for every one that torch can use here.

    Raises
    ------
    ConfigError
        If one is named twice, or torch cannot use it.
    """
    if name == "cuda:all":
        count = torch.cuda.device_count()
        if not count:
            raise ConfigError(
                "device is 'cuda:all', but torch can use no CUDA device here. Use 'auto' or 'cpu'."
            )
        return [f"cuda:{number}" for number in range(count)]
    names = name.split(",")
    for one in names:
        device_named(one)
        if names.count(one) > 1:
            raise ConfigError(
                f"device {name!r} names {one} twice. To train folds on one device at once, set training.folds_at_once."
            )
    return names


def device_named(name: str) -> torch.device:
    """Return the device of a name; ``auto`` takes a GPU where there is one.

    Parameters
    ----------
    name
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    ConfigError
        If it is no such name, or torch cannot use it.

    Notes
    -----
    cuDNN's LSTM would compute 32 bits in TF32, with 10 bits of mantissa, unless it is told not to; for matrix products
    torch has it off already. Here fp32 is the reference, and what predictions and scores are computed in.
    """
    torch.backends.cudnn.allow_tf32 = False
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ConfigError(f"device {name!r} is not known. Expected 'auto', 'cpu', 'cuda' or 'cuda:N'.")
    number = int(name.partition(":")[2] or 0)
    if name != "cpu" and number >= torch.cuda.device_count():
        raise ConfigError(
            f"device is {name!r}, but torch can use {torch.cuda.device_count()} CUDA device(s) here. Use 'auto' or 'cpu'."
        )
    return torch.device(name)


def bound_memory(device: torch.device, share: float) -> None:
    """Let torch take no more than a share of a GPU's memory in this process; on a CPU there is no such limit."""
    if device.type == "cuda" and share < 1:
        # "cuda" is the current device, which this function wants to be told as none.
        torch.cuda.set_per_process_memory_fraction(share, None if device.index is None else device)


@contextmanager
def memory_explained(device: torch.device) -> Iterator[None]:
    """Say what to do if the block finds no memory on a GPU.

    Raises
    ------
    TrainingError
        In place of torch's error.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"{device} has no memory left: {str(error).splitlines()[0]} Lower training.folds_at_once or training.batch, or "
            "set training.inputs = 'disk'."
        ) from error
