"""Validation sites: never used in training, never test sites."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gsm3core import open_dataset, predict, run_experiment, site_scores
from gsm3core.errors import ConfigError
from gsm3core.experiment.folds import folds_of, split_validation_sites
from gsm3core.schema import save_dataset
from support.configs import TEMPORAL, config
from support.small_world import make_dataset


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return save_dataset(make_dataset(), tmp_path / "world.zarr")


@pytest.mark.parametrize(
    "holdout", [TEMPORAL, {"name": "random_spatial", "folds": 3, "only_folds": ["fold_2"]}]
)
def test_validation_uses_no_test_values(tmp_path: Path, holdout: dict[str, Any]) -> None:
    """Replacing all test values changes neither predictions nor validation scores."""
    found = []
    honest = make_dataset(n_sites=16)
    tested: Any = None
    for name in ("honest", "spoiled"):
        ds = honest.copy(deep=True)
        if name == "spoiled":
            for target in ("sm_insitu", "sm_smap"):
                ds[target].values[np.where(tested)] = 0.9
        events: list[dict[str, Any]] = []
        run = run_experiment(
            config(
                save_dataset(ds, tmp_path / f"{name}.nc"), holdout, validation_share=0.25, patience=1, epochs=4
            ).replace("model", head="gaussian"),
            out=tmp_path / "runs", on_event=events.append,
        )  # fmt: skip
        scores = [(e["validation_R"], e["validation_RMSE"]) for e in events if "validation_R" in e]
        assert next(e for e in events if e["event"] == "fold_finished")["std_factor"] != 1.0
        found.append((run.predictions()[["sm_predicted", "sm_predicted_std"]].to_array().values, scores))
        tested = run.predictions().in_test.values
    assert found[0][1]
    assert found[0][1] == found[1][1]
    np.testing.assert_array_equal(found[0][0], found[1][0])


@pytest.mark.parametrize("score", ["R", "RMSE", "last"])
def test_validation_scores_equal_public_scores(world: Path, tmp_path: Path, score: str) -> None:
    """Compared with the public prediction and scores at the validation sites."""
    events: list[dict[str, Any]] = []
    settings = config(world, TEMPORAL, validation_share=0.3, epochs=3, validation_score=score)
    run = run_experiment(settings, out=tmp_path / "runs", on_event=events.append)
    ds = open_dataset(world).load()
    fold = folds_of(ds, settings)[0]
    training, validation = split_validation_sites(ds, fold, ["sm_insitu", "sm_smap"], 0.3, 0)
    assert (
        validation.sum() == next(e for e in events if e["event"] == "fold_started")["validation_sites"] == 4
    )
    assert not (training.train_sites & validation).any()
    epochs = [e for e in events if "validation_RMSE" in e]
    by_score = [
        {"R": -e["validation_R"], "RMSE": e["validation_RMSE"], "last": -e["epoch"]}[score] for e in epochs
    ]
    best = epochs[int(np.argmin(by_score))]
    assert epochs[-1].get("best_epoch", 3) == best["epoch"]
    days = {"site": validation, "time": fold.train_days}
    scores = site_scores(predict(run, ds).isel(days), ds.sm_insitu.isel(days), min_days=2)
    assert best["validation_RMSE"] == pytest.approx(float(scores.RMSE.median()), abs=2e-6)
    assert best["validation_R"] == pytest.approx(float(scores.R.median()), abs=2e-6)


def test_no_target_comes_from_a_validation_cell(tmp_path: Path) -> None:
    ds = make_dataset(n_sites=12)
    # Pairs of sites in one cell; the second of each pair has only satellite data.
    lat, lon = np.repeat(np.arange(6) * 2.0 + 30, 2), np.full(12, -100.0)
    ds = ds.assign_coords(lat=("site", lat + np.tile([0, 0.001], 6)), lon=("site", lon))
    ds["sm_insitu"].values[1::2] = np.nan
    fold = folds_of(ds, config(tmp_path / "x", TEMPORAL))[0]
    training, validation = split_validation_sites(ds, fold, ["sm_insitu", "sm_smap"], 0.34, 5)
    assert validation.sum() == 2
    removed = ~training.train_sites
    np.testing.assert_array_equal(removed[0::2], removed[1::2])
    np.testing.assert_array_equal(removed[0::2], validation[0::2])
    np.testing.assert_array_equal(training.test_sites, fold.test_sites)
    ds["sm_insitu"].values[2:] = np.nan
    with pytest.raises(ConfigError, match=r"fold temporal has 1 satellite cell\(s\) with sm_insitu"):
        split_validation_sites(ds, fold, ["sm_insitu"], 0.3, 0)
