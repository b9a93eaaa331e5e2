"""Training windows out of a Zarr store: for forcings larger than memory, read ahead by one thread."""

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

# Batches that are read before they are asked for: what bounds the memory.
AHEAD = 3
_SITES_AT_ONCE = 256
_Chosen = dict[str, tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True, slots=True)
class StoredWindows:
    """What a fold trains on, its scaled forcings in a store with one chunk a site.

    Parameters
    ----------
    inputs
        Zarr array ``(site, time, forcing)`` of scaled forcings.
    c_SA, streams, site_ids, days
        As in :class:`gsm3core.windows.resident.TrainingWindows`, in memory: they are smaller by the number of forcings.
    device
        Where the batches go.
    """

    inputs: Any
    c_SA: torch.Tensor
    streams: dict[str, Stream]
    site_ids: NDArray[np.str_]
    days: NDArray[np.datetime64]
    device: torch.device

    def generator(self, seed: int) -> torch.Generator:
        """Return a generator on the CPU, where the windows are chosen."""
        return torch.Generator().manual_seed(seed)

    def epoch(self, batch: int, updates: int, generator: torch.Generator) -> Iterator[dict[str, Batch]]:
        """Yield equal independent batches of every stream; the same as from memory for the same generator.

        Windows are chosen here, in order; only reading runs ahead, and never beyond the epoch.
        """
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="windows") as reader:
            pending: deque[Future[dict[str, Batch]]] = deque()
            for _ in range(updates):
                chosen = {name: stream.choose(batch, generator) for name, stream in self.streams.items()}
                pending.append(reader.submit(self._read, chosen))
                if len(pending) > AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _read(self, chosen: _Chosen) -> dict[str, Batch]:
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
    """Write a fold's scaled forcings to a store, a few hundred sites at a time, and put the rest into memory.

    Parameters
    ----------
    ds, fold, scaler, targets, window, warmup
        As for :func:`gsm3core.windows.training_windows`.
    store
        Folder of the Zarr store; what is there is replaced. It is as large as the forcings, and may be deleted after
        training.
    device
        Where the batches go.

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
        some = slice(first, first + _SITES_AT_ONCE)
        inputs[some] = scaler.scale_forcings(ds.isel({v.SITE: some}))
    return StoredWindows(
        inputs,
        torch.as_tensor(scaler.scale_attributes(ds)),
        streams,
        ds[v.SITE].values.astype(str),
        ds[v.TIME].values.astype("datetime64[D]"),
        device,
    )
