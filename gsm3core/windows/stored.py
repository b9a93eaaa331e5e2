"""Training windows from a Zarr store, prefetched by one thread: for forcings larger than memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
import zarr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import Scaler
from gsm3core.windows.source import Batch
from gsm3core.windows.streams import Stream, training_streams

# Batches read in advance; it bounds the memory used.
PREFETCH = 3
_SITES_AT_ONCE = 256
_WindowStarts = dict[str, tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, slots=True)
class StoredWindows:
    """A fold's training data, with the scaled forcings in a Zarr store of one chunk per site.

    Parameters
    ----------
    inputs
        Zarr array ``(site, time, forcing)`` of scaled forcings.
    c_SA, streams, site_ids, days
        As in :class:`gsm3core.windows.resident.TrainingWindows`, in memory: they are much smaller than the forcings.
    device
        Device of the batches.
    """

    inputs: Any
    c_SA: torch.Tensor
    streams: dict[str, Stream]
    site_ids: NDArray[np.str_]
    days: NDArray[np.datetime64]
    device: torch.device

    def generator(self, seed: int) -> torch.Generator:
        """Return a generator on the CPU, where the windows are sampled."""
        return torch.Generator().manual_seed(seed)

    def epoch(self, batch: int, updates: int, generator: torch.Generator) -> Iterator[dict[str, Batch]]:
        """Yield one batch of every stream for each update; the same as from memory for the same generator.

        Windows are sampled in order; only reading is prefetched, and never beyond the epoch.
        """
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="windows") as reader:
            pending: deque[Future[dict[str, Batch]]] = deque()
            for _ in range(updates):
                chosen = {name: stream.choose(batch, generator) for name, stream in self.streams.items()}
                pending.append(reader.submit(self._read, chosen))
                if len(pending) > PREFETCH:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _read(self, chosen: _WindowStarts) -> dict[str, Batch]:
        batches = {}
        for name, (site_B, start_B) in chosen.items():
            stream = self.streams[name]
            sites, row_B = np.unique(site_B.numpy(), return_inverse=True)
            x_STF = self.inputs.oindex[sites]
            x_BTF = torch.from_numpy(x_STF[row_B[:, None], stream.days(start_B).numpy()])
            y_BT = stream.targets(site_B, start_B)
            parts = (x_BTF, self.c_SA[site_B], y_BT, site_B, start_B)
            batches[name] = Batch(*(part.to(self.device) for part in parts))
        return batches


def stored_windows(
    ds: xr.Dataset,
    fold: Fold,
    scaler: Scaler,
    store: Path,
    *,
    targets: list[str],
    window: int,
    warmup: int,
    device: torch.device,
) -> StoredWindows:
    """Write a fold's scaled forcings to a Zarr store in blocks of sites, and load the rest into memory.

    Parameters
    ----------
    ds, fold, scaler, targets, window, warmup
        As for :func:`gsm3core.windows.training_windows`.
    store
        Folder of the Zarr store, overwritten. It is as large as the forcings and may be deleted after training.
    device
        Device of the batches.

    Raises
    ------
    TrainingError
        If the window is longer than the dataset, or no target has a value to train on.
    """
    cpu = torch.device("cpu")
    streams = training_streams(ds, fold, scaler, targets=targets, window=window, warmup=warmup, device=cpu)
    shape = (ds.sizes[v.SITE], ds.sizes[v.TIME], scaler.n_forcings)
    inputs = zarr.create_array(
        store, shape=shape, chunks=(1, *shape[1:]), dtype="float32", compressors=None, overwrite=True
    )
    for first in range(0, shape[0], _SITES_AT_ONCE):
        block = slice(first, first + _SITES_AT_ONCE)
        inputs[block] = scaler.scale_forcings(ds.isel({v.SITE: block}))
    return StoredWindows(
        inputs,
        torch.as_tensor(scaler.scale_attributes(ds)),
        streams,
        ds[v.SITE].values.astype(str),
        ds[v.TIME].values.astype("datetime64[D]"),
        device,
    )
