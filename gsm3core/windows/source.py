"""The interface of training window sources."""

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
        Site and first day of each window (positions in the dataset).
    """

    x_BTF: torch.Tensor
    c_BA: torch.Tensor
    y_BT: torch.Tensor
    site_B: torch.Tensor
    start_B: torch.Tensor


class WindowSource(Protocol):
    """Source of a fold's training windows: memory or disk."""

    @property
    def streams(self) -> dict[str, Stream]:
        """Streams by target name; targets without any training value are left out."""
        ...

    @property
    def site_ids(self) -> NDArray[np.str_]:
        """Labels of the dataset's sites."""
        ...

    @property
    def days(self) -> NDArray[np.datetime64]:
        """Labels of the dataset's days."""
        ...

    @property
    def device(self) -> torch.device:
        """Device of the batches."""
        ...

    def generator(self, seed: int) -> torch.Generator:
        """Return the random generator for :meth:`epoch`."""
        ...

    def epoch(self, batch: int, updates: int, generator: torch.Generator) -> Iterator[dict[str, Batch]]:
        """Yield one batch of every stream for each update, all of equal size and independent.

        Afterwards the generator has advanced by exactly these draws, so that a checkpoint between two epochs resumes
        with the same numbers.
        """
        ...
