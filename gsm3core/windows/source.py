"""Where training windows come from, whatever holds the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from gsm3core.windows.streams import Stream


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of one stream.

    Parameters
    ----------
    x_BTF, c_BA
        Scaled forcings and attributes.
    y_BT
        Target, m3 m-3; NaN where there is none.
    site_B, start_B
        Which site each window is from, and its first day (positions in the dataset).
    """

    x_BTF: torch.Tensor
    c_BA: torch.Tensor
    y_BT: torch.Tensor
    site_B: torch.Tensor
    start_B: torch.Tensor


class WindowSource(Protocol):
    """Where a fold's training windows come from: memory, or a disk."""

    @property
    def streams(self) -> dict[str, Stream]:
        """Target name -> stream; a target without any training value is not in it."""
        ...

    @property
    def site_ids(self) -> NDArray[np.str_]:
        """Labels of the dataset's sites, to name a window by."""
        ...

    @property
    def days(self) -> NDArray[np.datetime64]:
        """Labels of the dataset's days."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the batches are."""
        ...

    def generator(self, seed: int) -> torch.Generator:
        """Return the source of randomness that :meth:`epoch` draws from."""
        ...

    def epoch(self, batch: int, updates: int, generator: torch.Generator) -> Iterator[dict[str, Batch]]:
        """Yield equal independent batches of every stream, as often as an epoch has updates.

        After the last one the generator stands where so many draws have moved it, so that a checkpoint between two
        epochs continues exactly.
        """
        ...
