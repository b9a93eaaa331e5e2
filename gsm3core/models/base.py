"""What every network is: scaled inputs in, for every teacher the parameters of a scaled soil-moisture series out."""

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
        Names of the records that teach. The first is what the network predicts.
    hidden
        Width of its recurrent layer and of what goes into it.
    """

    def __init__(self, streams: tuple[str, ...], hidden: int) -> None:
        super().__init__()
        self.streams, self.hidden = streams, hidden

    @abstractmethod
    def features(
        self, x_BTF: torch.Tensor, c_BA: torch.Tensor, state: State | None
    ) -> tuple[torch.Tensor, State]:
        """Return what all teachers share ``(B, T, H)``, and the state after it."""

    @abstractmethod
    def output(self, h_BTH: torch.Tensor, stream: str) -> torch.Tensor:
        """Return the scaled output for one teacher ``(B, T, P)``."""

    def step(
        self, x_BTF: torch.Tensor, c_BA: torch.Tensor, state: State | None
    ) -> tuple[torch.Tensor, State]:
        """Return the prediction ``(B, T, P)`` and the state after it, so that a long record can be run in pieces."""
        h_BTH, state = self.features(x_BTF, c_BA, state)
        return self.output(h_BTH, self.streams[0]), state

    def forward(self, x_BTF: torch.Tensor, c_BA: torch.Tensor) -> torch.Tensor:
        """Return the scaled series ``(B, T)`` from a zero state, the location of its distribution."""
        return self.step(x_BTF, c_BA, None)[0][..., 0]
