"""Paired differences on planted scores, and the real-data table on runs of a small dataset."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from benchmarks import paired_seeds, real_calibration, real_table
from gsm3core import ExperimentConfig, Run, run_experiment
from gsm3core.schema import save_dataset
from support.small_world import TINY, make_dataset


def planted(
    rng: np.random.Generator, gain: float, *, seeds: int = 5, sites: int = 60, seed_noise: float = 0.01
) -> tuple[list[xr.Dataset], list[xr.Dataset]]:
    """Scores of runs with and without a change that raises every score by ``gain``, plus noise per seed."""
    site = rng.normal(0.8, 0.05, sites)
    sides = []
    for lift in (gain, 0.0):
        side = []
        for _ in range(seeds):
            values = site + lift + rng.normal(0, seed_noise) + rng.normal(0, 0.005, sites)
            side.append(xr.Dataset(dict.fromkeys(paired_seeds.METRICS, ("site", values))))
        sides.append(side)
    return sides[0], sides[1]


def ends(text: str) -> tuple[float, float]:
    low, high = re.fullmatch(r"([+-][\d.]+) to ([+-][\d.]+)", text).groups()
    return float(low), float(high)


def test_planted_difference_is_estimated() -> None:
    found = paired_seeds.paired_medians(*planted(np.random.default_rng(0), 0.05)).loc["R"]
    # Standard error of the difference of two means of five runs with a seed noise of 0.01: 0.0063.
    assert found["difference"] == pytest.approx(0.05, abs=4 * 0.0063)
    for column in ("over sites and seeds", "over seeds"):
        low, high = ends(found[column])
        assert 0 < low < found["difference"] < high
    assert found["seeds"] == 5 and found["sites"] == 60


def test_intervals_cover_zero_without_a_difference() -> None:
    rng = np.random.default_rng(1)
    inside = {"over sites and seeds": 0, "over seeds": 0}
    worlds = 150
    for k in range(worlds):
        found = paired_seeds.paired_medians(*planted(rng, 0.0), replicates=400, seed=k).loc["R"]
        for column in inside:
            low, high = ends(found[column])
            inside[column] += low <= 0 <= high
    # Student's t of five differences is exact; resampling of sites can only widen it.
    for covered in inside.values():
        assert covered / worlds > 0.95 - 4 * np.sqrt(0.05 * 0.95 / worlds)


def test_runs_are_paired_by_seed_and_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gsm3core.baselines.gradient_boosting.TREES", 20)
    save_dataset(make_dataset(10, 400), tmp_path / "world.nc")
    base = ExperimentConfig.from_mapping(TINY).replace("data", dataset=str(tmp_path / "world.nc"))
    base = base.replace("model", name="gradient_boosting").replace("holdout", folds=2)
    configs = [base.replace("training", seed=seed) for seed in (0, 1)]
    both = [real_table.cached_run(c, tmp_path) for c in configs]
    assert real_table.cached_run(configs[0], tmp_path).id == both[0].id
    alone = [run_experiment(c.replace("data", targets=("sm_insitu",)), out=tmp_path) for c in configs]
    found = paired_seeds.paired_difference(alone, both[::-1]).loc["RMSE"]
    expected = np.mean([_median_rmse(a) - _median_rmse(b) for a, b in zip(alone, both, strict=True)])
    assert found["difference"] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(SystemExit, match="not paired by seed"):
        paired_seeds.paired_difference(alone, both[:1])


def test_ensemble_members_match_runs_of_their_seeds(tmp_path: Path) -> None:
    save_dataset(make_dataset(10, 400), tmp_path / "world.nc")
    base = ExperimentConfig.from_mapping(TINY).replace("data", dataset=str(tmp_path / "world.nc"))
    base = base.replace("holdout", folds=2)
    ensemble = run_experiment(base.replace("training", members=2, seed=3), out=tmp_path)
    found = dict(paired_seeds.scores_by_seed(ensemble, "sm_insitu"))
    assert sorted(found) == [3, 4]
    for seed, scores in found.items():
        alone = run_experiment(base.replace("training", seed=seed), out=tmp_path)
        expected = alone.scores("sm_insitu").sel(product="GSM3 LSTM")
        np.testing.assert_allclose(scores["RMSE"], expected["RMSE"], rtol=1e-5)


def _median_rmse(run: Run) -> float:
    return float(run.scores("sm_insitu")["RMSE"].sel(product="Gradient boosting").median())


def test_climatology_record_excludes_test_data(tmp_path: Path) -> None:
    """Values encode site and day, which identifies the source of every value in the record."""
    ds = make_dataset(10, 400)
    save_dataset(ds, tmp_path / "world.nc")
    base = ExperimentConfig.from_mapping(TINY).replace("data", dataset=str(tmp_path / "world.nc"))
    base = base.replace("model", name="climatology").replace("holdout", folds=2)
    spatial = run_experiment(base, out=tmp_path)
    numbered = ds["sm_insitu"].copy(data=np.arange(4000.0).reshape(10, 400))
    every_day = xr.ones_like(ds["time"], dtype=bool)
    record = real_calibration.training_record(spatial, numbered, every_day)
    fold = spatial.predictions()["fold"].values
    for site in range(10):
        from_sites = np.unique(record.values[site] // 400).astype(int)
        assert set(fold[from_sites]) == set(fold) - {fold[site]}
    periods = {
        "train": {"start": "2015-04-01", "end": "2015-12-31"},
        "test": {"start": "2016-01-01", "end": "2016-04-30"},
    }
    temporal = run_experiment(base.replace("holdout", name="temporal", **periods), out=tmp_path)
    tested = temporal.predictions()["in_test"].any("site")
    own = real_calibration.training_record(temporal, numbered, tested)
    assert bool(own.where(tested).isnull().all()) and bool(own.where(~tested, 0).notnull().all())
    assert real_calibration.calibration_table({"a": temporal}, ds["sm_insitu"], tested).empty


def test_calibration_of_a_known_std(tmp_path: Path) -> None:
    """Observations are sampled from the predicted distribution of a run."""
    ds = make_dataset(10, 400)
    rng = np.random.default_rng(0)
    save_dataset(ds, tmp_path / "world.nc")
    base = ExperimentConfig.from_mapping(TINY).replace("data", dataset=str(tmp_path / "world.nc"))
    run = run_experiment(base.replace("model", name="climatology").replace("holdout", folds=2), out=tmp_path)
    predictions = run.predictions()
    predictions["sm_predicted"][:] = 0.3
    predictions["sm_predicted_std"] = (0 * predictions["sm_predicted"] + 0.05).assign_attrs(units="m3 m-3")
    run.write_predictions(predictions)
    observed = ds["sm_insitu"].copy(data=rng.normal(0.3, 0.05, ds["sm_insitu"].shape))
    table = real_calibration.calibration_table({"a": run}, observed, xr.ones_like(ds["time"], dtype=bool))
    assert table.loc["a", "sites"] == 10
    assert float(table.loc["a", "coverage 50%"]) == pytest.approx(0.5, abs=0.06)
    assert float(table.loc["a", "coverage 90%"]) == pytest.approx(0.9, abs=0.04)
    # The climatology has the same distribution: no skill.
    assert float(table.loc["a", "CRPSS"].split()[0]) == pytest.approx(0.0, abs=0.03)
