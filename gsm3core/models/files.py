"""Safe loading of tensor files."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from gsm3core.errors import RunError

# The unpickler raises different errors for different invalid bytes.
_UNREADABLE = (RuntimeError, EOFError, pickle.UnpicklingError, OSError, LookupError, ValueError)


def load_tensors(path: Path, device: torch.device, *, remedy: str) -> dict[str, Any]:
    """Read tensors and plain values without executing code.

    Parameters
    ----------
    path
        Written by ``torch.save``.
    remedy
        The end of the error message: what to do if the file cannot be read.

    Raises
    ------
    RunError
        If the file is invalid or truncated.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except _UNREADABLE as error:
        first = (str(error).splitlines() or [""])[0]
        raise RunError(f"{path} cannot be read: {type(error).__name__} {first}. {remedy}") from error
    return state
