"""The loss against its formulas, with common mistakes of masked losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsm3core.training.loss import masked_centred_rmse, masked_nll, masked_rmse, multitask_loss
from support.strategies import gappy_pairs


@given(gappy_pairs(min_days=1))
def test_rmse_over_valid_targets(pair: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, observed = np.nan_to_num(pair[0], nan=0.3), pair[1]
    found = masked_rmse(torch.tensor(predicted), torch.tensor(observed))
    valid = np.isfinite(observed)
    expected = np.sqrt(np.mean((predicted[valid] - observed[valid]) ** 2)) if valid.any() else 0.0
    assert float(found) == pytest.approx(expected, abs=1e-8)


def test_rmse_has_no_hidden_factor() -> None:
    assert float(masked_rmse(torch.full((5,), 0.3), torch.full((5,), 0.2))) == pytest.approx(0.1)


def test_gradient_is_finite_at_zero_error_and_missing_targets() -> None:
    y = torch.full((4,), 0.2, requires_grad=True)
    loss = masked_rmse(y, torch.tensor([0.2, 0.2, float("nan"), 0.2]))
    loss.backward()
    assert y.grad is not None
    assert torch.isfinite(y.grad).all()


def test_gradient_matches_the_analytic_one() -> None:
    y = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64, requires_grad=True)
    observed = torch.tensor([0.2, float("nan"), 0.6], dtype=torch.float64)
    loss = masked_rmse(y, observed)
    loss.backward()
    rmse = np.sqrt((0.1**2 + 0.3**2) / 2)
    np.testing.assert_allclose(y.grad, [-0.1 / (2 * rmse), 0, 0.3 / (2 * rmse)], rtol=1e-10)


@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from([0.0, 0.5, 0.95]))
def test_centred_rmse_ignores_the_mean_error_of_windows(seed: int, windows: int, missing: float) -> None:
    """Against numpy by window; a constant offset of a window has no effect, as in ubRMSE."""
    rng = np.random.default_rng(seed)
    predicted, observed = rng.uniform(0, 0.6, (2, windows, 40))
    observed[rng.random(observed.shape) < missing] = np.nan
    found = float(masked_centred_rmse(torch.tensor(predicted), torch.tensor(observed)))
    left = [error - error.mean() for row in predicted - observed if (error := row[np.isfinite(row)]).size]
    expected = np.sqrt(np.mean(np.concatenate(left) ** 2)) if left else 0.0
    assert found == pytest.approx(expected, abs=1e-8)
    shifted = torch.tensor(predicted + rng.normal(0, 0.2, (windows, 1)))
    assert float(masked_centred_rmse(shifted, torch.tensor(observed))) == pytest.approx(found, abs=1e-8)


def test_centred_rmse_gradient_is_correct_and_finite() -> None:
    observed = torch.tensor([[0.2, math.nan, 0.6, 0.3], [math.nan] * 4], dtype=torch.float64)
    y = torch.tensor([[0.1, 0.5, 0.9, 0.2], [0.3] * 4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda y: masked_centred_rmse(y, observed), y)
    exact = torch.full((2, 4), 0.2, requires_grad=True)
    masked_centred_rmse(exact, torch.full((2, 4), 0.1)).backward()
    assert exact.grad is not None
    np.testing.assert_allclose(exact.grad, 0, atol=1e-6)


def test_two_targets_are_summed_and_an_empty_one_is_skipped() -> None:
    a, b = torch.tensor(0.1), torch.tensor(0.04)
    assert float(multitask_loss({"sm_insitu": a, "sm_smap": b}, {})) == pytest.approx(0.14)
    assert float(multitask_loss({"sm_insitu": a, "sm_smap": b}, {"sm_smap": 0.5})) == pytest.approx(0.12)
    y = torch.tensor([0.1, 0.3], requires_grad=True)
    empty = masked_rmse(y, torch.full((2,), float("nan")))
    loss = multitask_loss({"sm_insitu": masked_rmse(y, torch.tensor([0.2, 0.3])), "sm_smap": empty}, {})
    loss.backward()
    assert loss.item() == pytest.approx(0.1 / math.sqrt(2))
    np.testing.assert_allclose(y.grad, [-1 / math.sqrt(2), 0], atol=1e-6)


NAN = float("nan")
# Zero error, gaps, no target at all, mixed.
TARGETS = [[0.2, 0.2, 0.2], [0.2, NAN, 0.5], [NAN, NAN, NAN], [0.0, 1.0, 0.3]]


@pytest.mark.parametrize("insitu", TARGETS)
@pytest.mark.parametrize("smap", TARGETS)
def test_loss_gradients_match_finite_differences(insitu: list[float], smap: list[float]) -> None:
    """In double precision; at exactly zero error the subgradient is 0."""
    y = torch.full((3,), 0.2, dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([0.05, 0.1, 0.02], dtype=torch.float64, requires_grad=True)
    observed = {"a": torch.tensor(insitu, dtype=torch.float64), "b": torch.tensor(smap, dtype=torch.float64)}

    def rmse(y: torch.Tensor) -> torch.Tensor:
        return multitask_loss({n: masked_rmse(y, o) for n, o in observed.items()}, {"b": 0.7})

    def nll(y: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return multitask_loss({n: masked_nll(y, scale, o) for n, o in observed.items()}, {"b": 0.7})

    assert torch.autograd.gradcheck(rmse, (y,))
    assert torch.autograd.gradcheck(nll, (y, scale))


@given(gappy_pairs(min_days=1), st.floats(0.005, 0.3))
def test_likelihood_matches_the_censored_normal(pair: tuple[np.ndarray, np.ndarray], scale: float) -> None:
    location, observed = np.nan_to_num(pair[0], nan=0.3), np.clip(pair[1], 0, 1)
    found = masked_nll(
        torch.tensor(location),
        torch.full((len(location),), scale, dtype=torch.float64),
        torch.tensor(observed),
    )
    known = scipy.stats.norm(location, scale)
    each = np.where(
        observed <= 0, known.logcdf(0), np.where(observed >= 1, known.logsf(1), known.logpdf(observed))
    )
    valid = np.isfinite(observed)
    assert float(found) == pytest.approx(-each[valid].mean() if valid.any() else 0.0, rel=1e-6, abs=1e-9)
