"""Every metric against other libraries or its definition, on random series with gaps."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.metric_parity import largest_differences
from gsm3core.errors import DatasetError
from gsm3core.metrics import PAIRED_METRICS, metrics_named


def test_metrics_match_other_libraries() -> None:
    table = largest_differences(100)
    assert set(table.metric) == set(PAIRED_METRICS)
    assert (table.unmatched == 0).all(), "only one of two libraries has a score"
    # Rounding of sums of 400 values; NSE divides by a variance that can be a thousandth of the error.
    assert (table.largest < 1e-11).all(), table.to_string()


@pytest.mark.slow
def test_metrics_match_other_libraries_on_1000_series() -> None:
    table = largest_differences(1000)
    assert (table.unmatched == 0).all()
    assert (table.largest < 1e-11).all(), table.to_string()


def test_unknown_metric_raises_with_suggestion() -> None:
    with pytest.raises(DatasetError, match=r"unknown metric 'rmse'\. Did you mean 'RMSE'"):
        metrics_named(["rmse"])


def test_loss_is_lower_for_better_products() -> None:
    assert PAIRED_METRICS["R"].loss(np.array(0.9)) < PAIRED_METRICS["R"].loss(np.array(0.2))
    assert PAIRED_METRICS["RMSE"].loss(np.array(0.02)) < PAIRED_METRICS["RMSE"].loss(np.array(0.05))
    assert PAIRED_METRICS["bias"].loss(np.array(-0.02)) < PAIRED_METRICS["bias"].loss(np.array(0.05))
    assert PAIRED_METRICS["KGE_beta"].loss(np.array(0.9)) < PAIRED_METRICS["KGE_beta"].loss(np.array(1.3))
