"""Checks for a non-finite or diverging loss, with the update, sites and days it comes from."""

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
    """Records the first update whose loss is not finite, without synchronising the device.

    :meth:`record` keeps the last update's windows until one fails. Only :meth:`check` synchronises: it is called after
    every update on a CPU, and when progress is reported on a GPU.
    """

    found: torch.Tensor | None = None
    _kept: dict[str, torch.Tensor] = field(default_factory=dict)

    def record(self, update: int, terms: Terms, batches: dict[str, Batch]) -> None:
        """Record one update.

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
            current[f"{name} non_finite"] = terms.non_finite_B[name]
            current[f"{name} site"] = batch.site_B
            current[f"{name} start"] = batch.start_B
        if self.found is None:
            self.found, self._kept = failed, current
            return
        self._kept = {key: torch.where(self.found, self._kept[key], now) for key, now in current.items()}
        self.found = self.found | failed

    def check(self, windows: WindowSource, updates: int) -> None:
        """Raise if the loss of an update was not finite.

        Parameters
        ----------
        windows
            For the labels of sites and days.
        updates
            Updates per epoch.

        Raises
        ------
        TrainingError
            Naming the epoch, the update, the stream, and the sites and days of the windows.
        """
        if self.found is None or not bool(self.found):
            return
        epoch, update = divmod(int(self._kept["update"]), updates)
        # First the stream that is itself not finite, not one that only shares the network with it.
        names = sorted(windows.streams, key=lambda n: math.isfinite(float(self._kept[f"{n} rmse"])))
        name = names[0]
        non_finite = self._kept[f"{name} non_finite"].cpu()
        total = len(non_finite)
        chosen = non_finite if bool(non_finite.any()) else torch.ones_like(non_finite)
        shown = _windows(
            windows, name, self._kept[f"{name} site"][chosen], self._kept[f"{name} start"][chosen]
        )
        if bool(chosen.all()):
            what = (
                f"All {total} windows of the batch are affected, so check the learning rate first: {shown}."
            )
        else:
            what = f"It comes from {int(chosen.sum())} of {total} windows: {shown}."
        loss = float(self._kept[f"{name} rmse"])
        raise TrainingError(
            f"The loss against {name} is {loss} in epoch {epoch + 1}, update {update + 1}. {what} {_ADVICE}"
        )


def check_divergence(losses: dict[str, float], epoch: int) -> None:
    """Raise if the mean RMSE of an epoch exceeds the physical range of soil moisture.

    Raises
    ------
    TrainingError
        If a term is above 1 m3 m-3; predicting the mean gives about 0.1.
    """
    for name, loss in losses.items():
        if not loss <= 1.0:
            raise TrainingError(
                f"The RMSE against {name} is {loss:.3g} m3 m-3 over epoch {epoch + 1}, above the physical maximum of 1: "
                "training diverges. Lower training.learning_rate or set training.clip_norm; the last checkpoint is kept."
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
