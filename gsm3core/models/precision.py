"""Numerical precision of the forward pass."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from gsm3core.errors import ConfigError

_CPU_FLAGS = ("avx512_bf16", "amx_bf16")
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_precision(requested: str, device: torch.device) -> str:
    """Return ``fp32``, ``bf16`` or ``fp16``.

    Parameters
    ----------
    wanted
        One of these, or ``auto``: bf16 where the hardware supports it natively, else fp32. Never fp16, whose small
        range requires a scaled loss.

    Raises
    ------
    ConfigError
        If fp16 is requested without a GPU.
    """
    if requested == "fp16" and device.type != "cuda":
        raise ConfigError(
            f"training.precision is 'fp16', but the network runs on {device}: fp16 needs a GPU. Use 'bf16' or 'fp32'."
        )
    if requested != "auto":
        return requested
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "fp32"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the autocast context of the forward pass; losses and weights stay in 32 bits."""
    if precision in _DTYPES:
        return torch.autocast(device.type, dtype=_DTYPES[precision])
    return nullcontext()


def _cpu_has_bf16() -> bool:
    """Whether /proc/cpuinfo lists native bf16; False where that file does not exist (not Linux)."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return False
    return any(flag in info.read_text(encoding="utf-8", errors="replace") for flag in _CPU_FLAGS)
