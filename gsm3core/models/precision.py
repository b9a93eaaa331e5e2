"""Matrix products in 16 bits where the processor has them, checked against 32 bits by a test."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from gsm3core.errors import ConfigError

_CPU_FLAGS = ("avx512_bf16", "amx_bf16")
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_precision(wanted: str, device: torch.device) -> str:
    """Return ``fp32``, ``bf16`` or ``fp16``.

    Parameters
    ----------
    wanted
        One of these, or ``auto``: bf16 where the processor multiplies in it, not where it only imitates it. Never fp16,
        whose range of numbers is so small that the loss must be scaled.
    device
        Where the network runs.

    Raises
    ------
    ConfigError
        If it is fp16 without a GPU: no processor runs an LSTM in it.
    """
    if wanted == "fp16" and device.type != "cuda":
        raise ConfigError(
            f"training.precision is 'fp16', but the network runs on {device}: only a GPU has it. Use 'bf16' or 'fp32'."
        )
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "fp32"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a network's forward pass runs; losses and weights stay in 32 bits."""
    if precision in _DTYPES:
        return torch.autocast(device.type, dtype=_DTYPES[precision])
    return nullcontext()


def _cpu_has_bf16() -> bool:
    """Tell whether the processor says so itself; where it cannot be asked this way (not Linux), it has not."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return False
    return any(flag in info.read_text(encoding="utf-8", errors="replace") for flag in _CPU_FLAGS)
