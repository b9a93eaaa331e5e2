"""Floating-point operations of the training benchmark against the counter of torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.training_step import gsm3_step, lstm_flop, plain_step

B, T, F, A, H = 8, 12, 5, 3, 16


@contextmanager
def without_onednn() -> Iterator[None]:
    """Disable oneDNN; ``torch.backends.mkldnn.flags`` warns about settings of other devices."""
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(True)


@pytest.mark.parametrize("dropout_on", ["weights", "outputs"])
def test_flop_count_matches_torch(dropout_on: str) -> None:
    """The counter does not support the fused LSTM, but sees every matrix product of the unfused one."""
    steps = {
        lstm_flop(B, T, F, A, H): gsm3_step(B, T, F, A, H, dropout_on=dropout_on, precision="fp32"),
        lstm_flop(B, T, F + A, 0, H): plain_step(B, T, F, A, H),
    }
    for expected, step in steps.items():
        with without_onednn(), FlopCounterMode(display=False) as counter:
            step()
        # torch may skip the gradient of the initial state, which is data.
        state = 2 * B * H * 4 * H
        assert counter.get_total_flops() in (expected, expected - state)


def test_flop_count_without_input_layer_matches_torch() -> None:
    lstm = torch.nn.LSTM(F + A, H, batch_first=True)
    last = torch.nn.Linear(H, 1)
    with without_onednn(), FlopCounterMode(display=False) as counter:
        last(lstm(torch.randn(B, T, F + A))[0]).sum().backward()
    expected = lstm_flop(B, T, F, A, H, input_layer=False)
    assert counter.get_total_flops() in (expected, expected - 2 * B * H * 4 * H)
