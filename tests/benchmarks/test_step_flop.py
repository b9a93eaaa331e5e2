"""The operations that the speed benchmark counts, against torch's own counter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.training_step import lstm_flop, ours, plain

B, T, F, A, H = 8, 12, 5, 3, 16


@contextmanager
def unfused() -> Iterator[None]:
    """Without oneDNN; ``torch.backends.mkldnn.flags`` warns of settings that only other devices have."""
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(True)


@pytest.mark.parametrize("dropout_on", ["weights", "outputs"])
def test_the_count_is_that_of_torch(dropout_on: str) -> None:
    """Without the fused LSTM, whose operations it does not know, the counter sees every matrix product."""
    steps = {
        lstm_flop(B, T, F, A, H): ours(B, T, F, A, H, dropout_on=dropout_on, precision="fp32"),
        lstm_flop(B, T, F + A, 0, H): plain(B, T, F, A, H),
    }
    for expected, step in steps.items():
        with unfused(), FlopCounterMode(display=False) as counter:
            step()
        # The state before the first day is zero, and data: its weights' gradient counts, its own does not.
        state = 2 * B * H * 4 * H
        assert counter.get_total_flops() in (expected, expected - state)


def test_without_an_input_layer_there_is_one_lstm_less_the_gradient_of_its_input() -> None:
    lstm = torch.nn.LSTM(F + A, H, batch_first=True)
    last = torch.nn.Linear(H, 1)
    with unfused(), FlopCounterMode(display=False) as counter:
        last(lstm(torch.randn(B, T, F + A))[0]).sum().backward()
    expected = lstm_flop(B, T, F, A, H, input_layer=False)
    assert counter.get_total_flops() in (expected, expected - 2 * B * H * 4 * H)
