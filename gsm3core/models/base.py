"""The interface of all networks: from scaled inputs to the scaled soil-moisture distribution of each target."""

from __future__ import annotations

from abc import abstractmethod

import torch

State = tuple[torch.Tensor, torch.Tensor]


class Model(torch.nn.Module):
    """A network that simulates soil moisture from forcings and attributes alone.

    Shape suffixes: B batch, T time, F forcing, A attribute, H hidden, P parameter of the output's distribution
    (:mod:`gsm3core.models.distribution`).

    Parameters
    ----------
    streams
        Names of the training targets. The first is what the network predicts.
    hidden
        Width of the recurrent layer and of its input.
    """

    def __init__(self, streams: tuple[str, ...], hidden: int) -> None:
        super().__init__()
        self.streams, self.hidden = streams, hidden

    @abstractmethod
    def features(
        self, x_BTF: torch.Tensor, c_BA: torch.Tensor, state: State | None
    ) -> tuple[torch.Tensor, State]:
        """Return the features shared by all targets ``(B, T, H)``, and the final state."""

    @abstractmethod
    def output(self, h_BTH: torch.Tensor, stream: str) -> torch.Tensor:
        """Return the scaled output for one target ``(B, T, P)``."""

    def step(
        self, x_BTF: torch.Tensor, c_BA: torch.Tensor, state: State | None
    ) -> tuple[torch.Tensor, State]:
        """Return the prediction ``(B, T, P)`` and the final state, so that a long record can be run in pieces."""
        h_BTH, state = self.features(x_BTF, c_BA, state)
        return self.output(h_BTH, self.streams[0]), state

    def forward(self, x_BTF: torch.Tensor, c_BA: torch.Tensor) -> torch.Tensor:
        """Return the location of the scaled distribution ``(B, T)``, starting from a zero state."""
        return self.step(x_BTF, c_BA, None)[0][..., 0]
