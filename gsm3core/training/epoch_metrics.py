"""Mean losses, training speed and peak memory of an epoch."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

import psutil
import torch

from gsm3core.training.objective import Terms


@dataclass(slots=True)
class EpochMetrics:
    """Running sums on the device, read once per epoch.

    Parameters
    ----------
    days
        Sample-days per update: windows of all streams times their length.
    """

    days: int
    _sums: dict[str, torch.Tensor] = field(default_factory=dict)
    _done: int = 0
    _since: float = field(default_factory=time.monotonic)

    def add(self, terms: Terms) -> None:
        """Add one update; streams without a target in the batch are skipped."""
        self._done += 1
        for name, has_target in terms.has_target.items():
            self._add(f"n {name}", has_target.float())
            self._add(f"rmse {name}", terms.rmse[name])
            if name in terms.nll:
                self._add(f"nll {name}", terms.nll[name])

    def _add(self, key: str, value: torch.Tensor) -> None:
        self._sums[key] = self._sums[key] + value if key in self._sums else value

    def mean(self, what: str) -> dict[str, float]:
        """Return the mean of ``rmse`` (m3 m-3) or ``nll`` (nats per day) by stream since the last reset."""
        found = {}
        for key, total in self._sums.items():
            kind, _, name = key.partition(" ")
            if kind == what and (n := float(self._sums[f"n {name}"])):
                found[name] = float(total) / n
        return found

    def speed(self) -> float:
        """Return sample-days per second since the last call."""
        now = time.monotonic()
        speed = self._done * self.days / max(now - self._since, 1e-9)
        self._done, self._since = 0, now
        return speed

    def reset(self) -> None:
        """Reset the sums at the start of an epoch."""
        self._sums = {}


def peak_memory(device: torch.device) -> dict[str, float]:
    """Return the peak memory of this process and of the device's allocator so far, in MB."""
    found = {"memory_mb": round(_peak_rss() / 1e6, 1)}
    if device.type == "cuda":
        found["device_memory_mb"] = round(torch.cuda.max_memory_allocated(device) / 1e6, 1)
    return found


def _peak_rss() -> int:
    """Peak resident memory of this process, bytes."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # does not exist on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # macOS counts bytes, Linux KiB
