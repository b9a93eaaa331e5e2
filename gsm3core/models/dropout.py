"""Dropout of activations, with masks that a processor makes quickly."""

from __future__ import annotations

import torch
from torch import nn

_LEVELS = 1 << 16


class Dropout(nn.Module):
    """What ``torch.nn.Dropout`` does: zeroes each value with probability ``p`` and scales the rest by 1 / (1 - p).

    Parameters
    ----------
    p
        Probability; on a CPU the nearest multiple of 2^-16, and the scale is that of the multiple.

    Notes
    -----
    On a CPU torch draws every value of a mask by itself (``bernoulli_``), which took 5 to 10 % of a training step.
    Here one 64-bit draw decides four values, from the same generator: other masks than torch's, of the same distribution.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Return ``h`` with a fresh mask; unchanged in evaluation."""
        if not (self.training and self.p):
            return h
        if h.device.type != "cpu":
            return nn.functional.dropout(h, self.p)
        dropped = min(round(self.p * _LEVELS), _LEVELS - 1)
        draws = torch.empty(-(-h.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
        levels = draws.view(torch.int16)[: h.numel()].view(h.shape)
        kept = levels >= dropped - _LEVELS // 2
        scale = torch.tensor(_LEVELS / (_LEVELS - dropped), dtype=h.dtype)
        return h * torch.where(kept, scale, torch.zeros_like(scale))
