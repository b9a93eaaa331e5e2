"""What an epoch has cost and given: mean losses, speed, memory."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass, field
from types import ModuleType

import torch

from gsm3core.training.objective import Terms

resource: ModuleType | None = None
with contextlib.suppress(ImportError):
    import resource


@dataclass(slots=True)
class Meter:
    """Sums on the device, read when an epoch is over.

    Parameters
    ----------
    days
        Sample-days in one update: windows of all streams times their length.
    """

    days: int
    _sums: dict[str, torch.Tensor] = field(default_factory=dict)
    _done: int = 0
    _since: float = field(default_factory=time.monotonic)

    def add(self, terms: Terms) -> None:
        """Add one update; a stream without a target in it does not count."""
        self._done += 1
        for name, taught in terms.taught.items():
            self._add(f"n {name}", taught.float())
            self._add(f"rmse {name}", terms.rmse[name])
            if name in terms.nll:
                self._add(f"nll {name}", terms.nll[name])

    def _add(self, key: str, value: torch.Tensor) -> None:
        self._sums[key] = self._sums[key] + value if key in self._sums else value

    def mean(self, what: str) -> dict[str, float]:
        """Return the mean by stream of ``rmse`` (m3 m-3) or ``nll`` (nats per day) since the last reset."""
        found = {}
        for key, total in self._sums.items():
            kind, _, name = key.partition(" ")
            if kind == what and (n := float(self._sums[f"n {name}"])):
                found[name] = float(total) / n
        return found

    def speed(self) -> float:
        """Return sample-days per second since this was last asked."""
        now = time.monotonic()
        speed = self._done * self.days / max(now - self._since, 1e-9)
        self._done, self._since = 0, now
        return speed

    def reset(self) -> None:
        """Begin an epoch."""
        self._sums = {}


def memory(device: torch.device) -> dict[str, float]:
    """Return the most memory that the process, and the device's allocator, have held so far, in MB.

    Where the system does not count it (Windows), nothing is said of the process.
    """
    found = {}
    if resource:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # Linux counts in kB, macOS in bytes.
        found["memory_mb"] = round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)
    if device.type == "cuda":
        found["device_memory_mb"] = round(torch.cuda.max_memory_allocated(device) / 1e6, 1)
    return found
