"""Training windows in memory: all data on the device, a batch is one gather."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import Scaler
from gsm3core.windows.source import Batch
from gsm3core.windows.streams import Stream, training_streams


@dataclass(frozen=True, slots=True)
class TrainingWindows:
    """A fold's training data, resident on the device; a batch is one gather.

    Parameters
    ----------
    x_STF, c_SA
        Scaled inputs of all sites.
    streams, site_ids, days
        As in :class:`gsm3core.windows.source.WindowSource`.
    """

    x_STF: torch.Tensor
    c_SA: torch.Tensor
    streams: dict[str, Stream]
    site_ids: NDArray[np.str_]
    days: NDArray[np.datetime64]

    @property
    def device(self) -> torch.device:
        """Device of the data."""
        return self.x_STF.device

    def generator(self, seed: int) -> torch.Generator:
        """Return a generator on the device, so that sampling needs no transfer."""
        return torch.Generator(self.device).manual_seed(seed)

    def epoch(self, batch: int, updates: int, generator: torch.Generator) -> Iterator[dict[str, Batch]]:
        """Yield one batch of every stream for each update."""
        for _ in range(updates):
            yield self.draw(batch, generator)

    def draw(self, batch: int, generator: torch.Generator) -> dict[str, Batch]:
        """Draw one batch of every stream."""
        return {name: self._draw(stream, batch, generator) for name, stream in self.streams.items()}

    def _draw(self, stream: Stream, batch: int, generator: torch.Generator) -> Batch:
        site_B, start_B = stream.choose(batch, generator)
        x_BTF = self.x_STF[site_B[:, None], stream.days(start_B)]
        return Batch(x_BTF, self.c_SA[site_B], stream.targets(site_B, start_B), site_B, start_B)


def training_windows(
    ds: xr.Dataset,
    fold: Fold,
    scaler: Scaler,
    *,
    targets: list[str],
    window: int,
    warmup: int,
    device: torch.device,
) -> TrainingWindows:
    """Put a fold's training data on the device.

    Parameters
    ----------
    scaler
        Fitted on the same fold.
    targets
        Names of the training targets.
    window, warmup
        Days.

    Raises
    ------
    TrainingError
        If the window is longer than the dataset, or no target has a value to train on.
    """
    return TrainingWindows(
        torch.as_tensor(scaler.scale_forcings(ds), device=device),
        torch.as_tensor(scaler.scale_attributes(ds), device=device),
        training_streams(ds, fold, scaler, targets=targets, window=window, warmup=warmup, device=device),
        ds[v.SITE].values.astype(str),
        ds[v.TIME].values.astype("datetime64[D]"),
    )
