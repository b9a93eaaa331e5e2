"""Holm's correction, signed ranks and win shares against worked cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gsm3core.statistics.hypothesis_tests import holm, wilcoxon_p, win_share


def test_holm_by_hand() -> None:
    # Sorted 0.005 (x4), 0.01 (x3), 0.03 (x2), 0.04 (x1, but not below the previous one).
    np.testing.assert_allclose(holm([0.01, 0.04, np.nan, 0.03, 0.005]), [0.03, 0.06, np.nan, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_raw_and_bonferroni(p: list[float]) -> None:
    corrected = holm(p)
    assert (corrected >= np.array(p) - 1e-15).all()
    assert (corrected <= np.minimum(np.array(p) * len(p), 1) + 1e-15).all()


def test_holm_controls_the_family_error_rate() -> None:
    """15 true null hypotheses, 4,000 times: at least one rejection at 5 % in at most 5 % of the families."""
    p = np.random.default_rng(0).random((4000, 15))
    families = np.mean([(holm(row) < 0.05).any() for row in p])
    assert families <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


def test_wilcoxon_equals_scipy_with_rounding_as_ties() -> None:
    d = np.random.default_rng(1).normal(0.2, 1, 80)
    assert wilcoxon_p(d) == pytest.approx(stats.wilcoxon(d, method="asymptotic").pvalue)
    assert wilcoxon_p(d[:12]) == pytest.approx(stats.wilcoxon(d[:12], method="exact").pvalue)
    assert wilcoxon_p(np.full(100, 1e-8)) == 1.0
    assert np.isnan(wilcoxon_p([np.nan]))


def test_win_share_counts_ties_half() -> None:
    assert win_share([1, 2, 3, 4, np.nan], [2, 2, 1, 5, 1]) == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    assert np.isnan(win_share([np.nan], [1.0]))
