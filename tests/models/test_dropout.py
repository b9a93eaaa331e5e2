"""Dropout with custom masks: their distribution, scale and gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from gsm3core.models.dropout import Dropout


def dropped(p: float, shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return Dropout(p)(torch.ones(shape))


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_the_number_of_dropped_values_is_binomial(p: float) -> None:
    h = dropped(p, (365, 16, 64))
    count = int((h == 0).sum())
    assert stats.binomtest(count, h.numel(), p).pvalue > 1e-4
    torch.testing.assert_close(h[h != 0].unique(), torch.tensor([1 / (1 - p)]), rtol=1e-4, atol=0)


def test_dropped_values_are_independent() -> None:
    """Four values share one 64-bit draw; values at any distance are dropped independently."""
    kept = (dropped(0.3, (400_000,)) != 0).numpy()
    for distance in (1, 2, 3, 4, 8, 64):
        pairs = np.histogram2d(kept[:-distance], kept[distance:], bins=2)[0]
        assert stats.chi2_contingency(pairs).pvalue > 1e-4, distance
    by_place = np.stack([np.bincount(kept[k::4], minlength=2) for k in range(4)])
    assert stats.chi2_contingency(by_place).pvalue > 1e-4


def test_the_gradient_has_the_same_mask() -> None:
    h = torch.randn(7, 5, 3, requires_grad=True)
    y = Dropout(0.5)(h)
    y.backward(torch.full_like(y, 3.0))
    kept = y.detach() != 0
    assert 0 < kept.sum() < h.numel()
    torch.testing.assert_close(h.grad, torch.where(kept, 6.0, 0.0))
    torch.testing.assert_close(y.detach(), torch.where(kept, 2 * h.detach(), 0.0))


def test_masks_are_seeded_and_new_for_each_call() -> None:
    torch.testing.assert_close(dropped(0.5, (6, 7)), dropped(0.5, (6, 7)), rtol=0, atol=0)
    torch.manual_seed(0)
    drop, ones = Dropout(0.5), torch.ones(6, 7)
    assert not torch.equal(drop(ones), drop(ones))


def test_dropout_is_off_in_evaluation_and_at_zero() -> None:
    h = torch.randn(4, 4)
    assert Dropout(0.5).eval()(h) is h
    assert Dropout(0.0)(h) is h
    assert Dropout(0.5)(h.bfloat16()).dtype == torch.bfloat16
