"""Tensors in a file: read without running any code, and named when they cannot be."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from gsm3core.errors import RunError

# What the unpickler raises for bytes that are none of its own depends on the bytes.
_NOT_TENSORS = (RuntimeError, EOFError, pickle.UnpicklingError, OSError, LookupError, ValueError)


def load_tensors(path: Path, device: torch.device, *, remedy: str) -> dict[str, Any]:
    """Read tensors and plain values, never code.

    Parameters
    ----------
    path
        Written by ``torch.save``.
    device
        Where the tensors are put.
    remedy
        What to do if they cannot be read: the end of the message.

    Raises
    ------
    RunError
        If the file holds something else, or a part.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except _NOT_TENSORS as error:
        first = (str(error).splitlines() or [""])[0]
        raise RunError(f"{path} cannot be read: {type(error).__name__} {first}. {remedy}") from error
    return state
