"""A loss that is not a number: the first update that gave it, and the windows it came from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch

from gsm3core.errors import TrainingError
from gsm3core.training.objective import Terms
from gsm3core.windows import Batch, WindowSource

_SHOWN = 5
_ADVICE = "Lower training.learning_rate or check these sites; the last checkpoint is kept."


@dataclass(slots=True)
class NonFiniteLossMonitor:
    """Remembers the first update whose loss is not finite, without making the processor wait for the device.

    Every update leaves its windows here until one fails; those are then kept. :meth:`check` looks: on a CPU at
    every update, on a GPU when there is something to report anyway.
    """

    found: torch.Tensor | None = None
    _kept: dict[str, torch.Tensor] = field(default_factory=dict)

    def watch(self, update: int, terms: Terms, batches: dict[str, Batch]) -> None:
        """Note one update.

        Parameters
        ----------
        update
            Its number since the start of training.
        terms, batches
            Its loss and windows.
        """
        failed = ~torch.isfinite(terms.loss.detach())
        current = {"update": torch.full_like(failed, update, dtype=torch.long)}
        for name, batch in batches.items():
            current[f"{name} rmse"] = terms.rmse[name]
            current[f"{name} broken"] = terms.broken_B[name]
            current[f"{name} site"] = batch.site_B
            current[f"{name} start"] = batch.start_B
        if self.found is None:
            self.found, self._kept = failed, current
            return
        self._kept = {key: torch.where(self.found, self._kept[key], now) for key, now in current.items()}
        self.found = self.found | failed

    def check(self, windows: WindowSource, updates: int) -> None:
        """Stop if an update has failed.

        Parameters
        ----------
        windows
            Names the sites and days.
        updates
            Per epoch.

        Raises
        ------
        TrainingError
            Naming the epoch, the update, the stream, and the sites and days of the windows.
        """
        if self.found is None or not bool(self.found):
            return
        epoch, update = divmod(int(self._kept["update"]), updates)
        # A stream that is itself broken comes before one that only shares the network with it.
        names = sorted(windows.streams, key=lambda n: math.isfinite(float(self._kept[f"{n} rmse"])))
        name = names[0]
        broken = self._kept[f"{name} broken"].cpu()
        total = len(broken)
        chosen = broken if bool(broken.any()) else torch.ones_like(broken)
        shown = _windows(
            windows, name, self._kept[f"{name} site"][chosen], self._kept[f"{name} start"][chosen]
        )
        if bool(chosen.all()):
            what = (
                f"All {total} windows of the batch are affected, so look at the learning rate first: {shown}."
            )
        else:
            what = f"It comes from {int(chosen.sum())} of {total} windows: {shown}."
        loss = float(self._kept[f"{name} rmse"])
        raise TrainingError(
            f"The loss against {name} is {loss} in epoch {epoch + 1}, update {update + 1}. {what} {_ADVICE}"
        )


def check_divergence(losses: dict[str, float], epoch: int) -> None:
    """Stop if the mean error of an epoch is larger than all the water a soil can hold.

    Raises
    ------
    TrainingError
        If a term is above 1 m3 m-3; knowing nothing but the mean gives about 0.1.
    """
    for name, loss in losses.items():
        if not loss <= 1.0:
            raise TrainingError(
                f"The RMSE against {name} is {loss:.3g} m3 m-3 over epoch {epoch + 1}, more than a soil can hold: training "
                "diverges. Lower training.learning_rate or set training.clip_norm; the last checkpoint is kept."
            )


def _windows(windows: WindowSource, stream: str, site: torch.Tensor, start: torch.Tensor) -> str:
    days = windows.days
    length = windows.streams[stream].window
    texts = [
        f"site {windows.site_ids[s]!s} {np.datetime_as_string(days[t])} to {np.datetime_as_string(days[t + length - 1])}"
        for s, t in zip(site.tolist(), start.tolist(), strict=True)
    ]
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return "; ".join(texts[:_SHOWN]) + more
