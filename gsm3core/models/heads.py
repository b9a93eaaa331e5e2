"""Output layers: how several targets share one network."""

from __future__ import annotations

import torch
from torch import nn


class SharedHead(nn.Linear):
    """One output for all targets: the paper's L = RMSE(y, y_s) + RMSE(y, y_in) has one y.

    Parameters
    ----------
    hidden, parameters
        Width of the LSTM, and parameters per day of the output's distribution.
    streams
        Not used.
    """

    def __init__(self, hidden: int, parameters: int, streams: tuple[str, ...]) -> None:
        super().__init__(hidden, parameters)

    def forward(self, h_BTH: torch.Tensor, stream: str = "") -> torch.Tensor:
        """Return ``(B, T, P)``."""
        return super().forward(h_BTH)


class SeparateHeads(nn.ModuleDict):
    """A separate output layer for each target: the LSTM is shared, the observation operator is not.

    A satellite measures the top centimetres of a cell of many kilometres, a probe a decilitre at 5 cm: two quantities,
    of which one network learns the common part (hard parameter sharing, Caruana 1997, doi:10.1023/A:1007379606734).
    """

    def __init__(self, hidden: int, parameters: int, streams: tuple[str, ...]) -> None:
        super().__init__({stream: nn.Linear(hidden, parameters) for stream in streams})

    def forward(self, h_BTH: torch.Tensor, stream: str) -> torch.Tensor:
        """Return ``(B, T, P)``."""
        return self[stream](h_BTH)


class AffineHead(nn.Module):
    """One series y for the first target and a + b y for every other: its own bias and dynamic range.

    The usual model of the representativeness difference between two records of soil moisture, as in triple
    collocation (Gruber et al. 2016, doi:10.1016/j.jag.2015.09.002). The parameters are a and b - 1, so that weight
    decay shrinks towards the paper's shared output. For a distribution, b scales its location alone and its scale
    parameter has its own shift.
    """

    def __init__(self, hidden: int, parameters: int, streams: tuple[str, ...]) -> None:
        super().__init__()
        self.base = nn.Linear(hidden, parameters)
        self.shift = nn.ParameterDict({s: nn.Parameter(torch.zeros(parameters)) for s in streams[1:]})
        self.stretch = nn.ParameterDict({s: nn.Parameter(torch.zeros(())) for s in streams[1:]})

    def forward(self, h_BTH: torch.Tensor, stream: str) -> torch.Tensor:
        """Return ``(B, T, P)``."""
        y_BTP = self.base(h_BTH)
        if stream not in self.shift:
            return y_BTP
        location_BT1, rest = y_BTP[..., :1], y_BTP[..., 1:]
        return torch.cat([(1 + self.stretch[stream]) * location_BT1, rest], dim=-1) + self.shift[stream]


HEADS = {"shared": SharedHead, "separate": SeparateHeads, "affine": AffineHead}
