"""What every network is: scaled inputs in, one scaled soil-moisture series out."""

from __future__ import annotations

from abc import abstractmethod

import torch

State = tuple[torch.Tensor, torch.Tensor]


class Model(torch.nn.Module):
    """A network that simulates soil moisture from forcings and attributes alone.

    Shape suffixes: B batch, T time, F forcing, A attribute, H hidden.
    """

    @abstractmethod
    def forward(self, x_BTF: torch.Tensor, c_BA: torch.Tensor) -> torch.Tensor:
        """Return the scaled series ``(B, T)`` from a zero state."""

    @abstractmethod
    def step(
        self, x_BTF: torch.Tensor, c_BA: torch.Tensor, state: State | None
    ) -> tuple[torch.Tensor, State]:
        """Return the scaled series and the state after it, so that a long record can be run in pieces."""
