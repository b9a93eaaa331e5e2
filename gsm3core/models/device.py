"""Where a network runs."""

from __future__ import annotations

import re

import torch

from gsm3core.errors import ConfigError


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
    """
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
