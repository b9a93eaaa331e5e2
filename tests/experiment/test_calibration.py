"""Calibration of the predictive standard deviation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gsm3core import open_dataset, run_experiment
from gsm3core.config import ExperimentConfig
from gsm3core.experiment import execute
from gsm3core.experiment.calibration import fit_std_factor
from gsm3core.prediction import predict_dataset
from gsm3core.schema import save_dataset
from support.small_world import TINY, make_dataset


@pytest.mark.parametrize("known_factor", [0.5, 1.0, 3.0])
def test_a_known_factor_is_recovered_and_intervals_cover(known_factor: float) -> None:
    rng = np.random.default_rng(0)
    mean = rng.uniform(0.25, 0.45, (40, 300))
    std = rng.uniform(0.01, 0.03, mean.shape)
    observed = mean + known_factor * std * rng.normal(size=mean.shape)
    observed[rng.random(mean.shape) < 0.3] = np.nan
    observed[3] = np.nan
    factor = fit_std_factor(mean, std, observed)
    # 8,000 values: a standard deviation is known to 1 / sqrt(2 n), 0.8 %.
    assert factor == pytest.approx(known_factor, rel=0.03)
    inside = np.abs(observed - mean) < 1.645 * factor * std
    assert inside[np.isfinite(observed)].mean() == pytest.approx(0.9, abs=0.015)


@pytest.mark.parametrize("known_factor", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("location", [0.0, 0.05, 0.95])
def test_a_known_factor_is_recovered_with_mass_on_a_bound(location: float, known_factor: float) -> None:
    """Truth: a normal distribution clipped to 0 to 1, of which mean and std / factor are given."""
    rng = np.random.default_rng(1)
    locations = location + np.linspace(-0.03, 0.03, 40)
    many = np.clip(rng.normal(locations[:, None], 0.05, (40, 200_000)), 0, 1)
    shape = (40, 600)
    mean = np.broadcast_to(many.mean(1)[:, None], shape)
    std = np.broadcast_to(many.std(1)[:, None] / known_factor, shape)
    observed = np.clip(rng.normal(locations[:, None], 0.05, shape), 0, 1)
    assert fit_std_factor(mean, std, observed) == pytest.approx(known_factor, rel=0.03)


def test_without_observations_the_factor_is_1() -> None:
    assert fit_std_factor(np.full((2, 3), 0.2), np.full((2, 3), 0.02), np.full((2, 3), np.nan)) == 1.0


def test_the_factor_is_applied_once_also_after_a_resume(tmp_path: Path) -> None:
    world = save_dataset(make_dataset(), tmp_path / "world.zarr")
    values: dict[str, Any] = {"data": {"dataset": str(world)}, "scores": TINY["scores"]}
    values["holdout"] = {"name": "random_spatial", "folds": 2, "only_folds": ["fold_1"]}
    values["model"] = {**TINY["model"], "head": "gaussian"}
    values["training"] = {**TINY["training"], "members": 2, "validation_share": 0.3}
    run = run_experiment(ExperimentConfig.from_mapping(values), out=tmp_path / "runs")
    files, whole = run.fold("fold_1"), run.predictions()
    factor = files.std_factor
    assert factor != 1.0
    tested = whole.fold.values == "fold_1"
    again = predict_dataset(run, open_dataset(world))
    np.testing.assert_allclose(again.sm_predicted_std[tested], whole.sm_predicted_std[tested], atol=1e-6)
    files.write_std_factor(1.0)
    plain = predict_dataset(run, open_dataset(world))
    np.testing.assert_allclose(factor * plain.sm_predicted_std, again.sm_predicted_std, rtol=1e-5)
    np.testing.assert_array_equal(plain.sm_predicted, again.sm_predicted)

    files.write_std_factor(factor)
    files.predictions.unlink()
    execute(run)
    assert files.std_factor == factor
    np.testing.assert_array_equal(run.predictions().sm_predicted_std, whole.sm_predicted_std)
