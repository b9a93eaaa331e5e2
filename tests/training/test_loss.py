"""The loss against its formula, and the field's known mistakes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import gappy_pairs

from gsm3core.training.loss import masked_rmse, two_teacher_loss


@given(gappy_pairs(min_days=1))
def test_rmse_over_valid_targets(pair: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, observed = np.nan_to_num(pair[0], nan=0.3), pair[1]
    found = masked_rmse(torch.tensor(predicted), torch.tensor(observed))
    valid = np.isfinite(observed)
    if not valid.any():
        assert found is None
    else:
        expected = np.sqrt(np.mean((predicted[valid] - observed[valid]) ** 2))
        assert float(found) == pytest.approx(expected, abs=1e-8)  # type: ignore[arg-type]


def test_no_hidden_factor() -> None:
    assert float(masked_rmse(torch.full((5,), 0.3), torch.full((5,), 0.2))) == pytest.approx(0.1)  # type: ignore[arg-type]


def test_gradient_is_finite_where_the_error_is_zero_and_where_targets_are_missing() -> None:
    y = torch.full((4,), 0.2, requires_grad=True)
    loss = masked_rmse(y, torch.tensor([0.2, 0.2, float("nan"), 0.2]))
    assert loss is not None
    loss.backward()
    assert y.grad is not None
    assert torch.isfinite(y.grad).all()


def test_gradient_is_the_analytic_one() -> None:
    y = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64, requires_grad=True)
    observed = torch.tensor([0.2, float("nan"), 0.6], dtype=torch.float64)
    loss = masked_rmse(y, observed)
    assert loss is not None
    loss.backward()
    rmse = np.sqrt((0.1**2 + 0.3**2) / 2)
    np.testing.assert_allclose(y.grad, [-0.1 / (2 * rmse), 0, 0.3 / (2 * rmse)], rtol=1e-10)


def test_two_teachers_are_summed_and_an_empty_one_is_dropped() -> None:
    a, b = torch.tensor(0.1), torch.tensor(0.04)
    assert float(two_teacher_loss({"sm_insitu": a, "sm_smap": b}, {})) == pytest.approx(0.14)  # type: ignore[arg-type]
    assert float(two_teacher_loss({"sm_insitu": a, "sm_smap": b}, {"sm_smap": 0.5})) == pytest.approx(0.12)  # type: ignore[arg-type]
    assert float(two_teacher_loss({"sm_insitu": a, "sm_smap": None}, {})) == pytest.approx(0.1)  # type: ignore[arg-type]
    assert two_teacher_loss({"sm_insitu": None}, {}) is None
