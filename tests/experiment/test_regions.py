"""Regions of a run: counted in its events, shown by the commands, and kept while it runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from gsm3core import Run, run_experiment
from gsm3core.cli import app
from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError
from gsm3core.experiment import create_run, execute
from gsm3core.geography.site_coordinates import changed_regions, sites_by_region
from gsm3core.schema import open_dataset, save_dataset
from support.places import PLACES, dataset_at

TEXT = CliRunner(env={"COLUMNS": "400", "TERM": "dumb"})


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_dataset(dataset_at(n_days=400), tmp_path_factory.mktemp("places") / "places.zarr")


def experiment(dataset: Path, **holdout: object) -> ExperimentConfig:
    return ExperimentConfig.from_mapping(
        {
            "data": {"dataset": str(dataset)}, "model": {"name": "climatology"}, "scores": {"min_days": 20},
            "holdout": {"name": "cross_continental"} | holdout,
        }
    )  # fmt: skip


@pytest.mark.parametrize("outside", ["fold", "exclude"])
def test_a_run_counts_its_sites(places: Path, tmp_path: Path, outside: str) -> None:
    run = run_experiment(experiment(places, outside=outside), out=tmp_path)
    (started,) = [e for e in run.events() if e["event"] == "run_started"]
    division = started["division"]
    assert division["sites"] == {
        "CONUS": 6, "Europe": 2, "Africa_North": 2, "Alaska": 3, "Asia": 1, "Africa_South": 1, "Australia": 1, "Other": 12,
    }  # fmt: skip
    assert (division["regions"], division["outside"], division["buffer_km"]) == ("gsm3-paper", outside, 100.0)
    assert ("Other" in division["folds"]) == (outside == "fold")
    conus = division["folds"]["CONUS"]
    assert conus["test"] == 6
    assert conus["left_out"] == (
        {"within 100 km of the region": 2} if outside == "fold" else {"in no region": 12}
    )
    tested = run.predictions()["in_test"].any("time").values
    region = open_dataset(places).region.values
    np.testing.assert_array_equal(tested, (region != "Other") | (outside == "fold"))
    shown = TEXT.invoke(app, ["runs", "show", run.id, "--out", str(tmp_path)]).output
    what = "tested as a fold of their own, Other" if outside == "fold" else "neither training nor test sites"
    assert f"Sites in no region: 12, {what}." in shown
    assert "Regions: gsm3-paper. Sites: CONUS 6, Europe 2" in shown


def test_options_of_the_command(places: Path, tmp_path: Path) -> None:
    config = tmp_path / "experiment.toml"
    config.write_text(experiment(places).to_toml())
    options = ["--regions", "continents", "--buffer-km", "250", "--outside", "exclude"]
    result = TEXT.invoke(app, ["run", str(config), *options, "--out", str(tmp_path / "runs")])
    assert result.exit_code == 0, result.output
    run = Run.open(next((tmp_path / "runs").iterdir()))
    holdout = run.config.holdout
    assert (holdout.regions, holdout.buffer_km, holdout.outside) == ("continents", 250.0, "exclude")
    assert {f.folder.name for f in run.finished_folds()} == {
        "Africa", "Asia", "Central_America", "Europe", "North_America", "Oceania", "South_America",
    }  # fmt: skip


def test_a_run_keeps_its_file_of_regions(
    places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = [[[33, -5], [42, -5], [42, 5], [33, 5], [33, -5]]]
    feature = {
        "type": "Feature",
        "properties": {"name": "East Africa"},
        "geometry": {"type": "Polygon", "coordinates": ring},
    }
    file = tmp_path / "east.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    monkeypatch.chdir(tmp_path)
    run = create_run(experiment(places, regions="east.geojson"), tmp_path / "runs")
    assert Path(run.config.holdout.regions) == file
    execute(run)
    assert {f.folder.name for f in run.finished_folds()} == {"East Africa", "Other"}
    again = create_run(experiment(places, regions="east.geojson"), tmp_path / "runs")
    feature["properties"] = {"name": "Another name"}
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    os.utime(file)
    with pytest.raises(ConfigError, match=r"east.geojson, the regions of run .*, has changed \(SHA-256"):
        execute(again)
    file.unlink()
    with pytest.raises(ConfigError, match=r"east.geojson, the regions of run .*, is missing"):
        execute(again)


def test_describe_lists_the_sites_of_every_scheme(places: Path, tmp_path: Path) -> None:
    shown = " ".join(TEXT.invoke(app, ["data", "describe", str(places)]).output.split())
    assert "CONUS 6, Alaska 3, Africa_North 2, Europe 2, " in shown
    assert shown.count("Other 12") == 1
    assert "North_America 13, Africa 7, Central_America 2" in shown
    assert "Arid 10, Cold 9, Temperate 8, Tropical 1" in shown
    assert "Canada 4" in shown
    assert "Kenya 3" in shown
    counts = sites_by_region(open_dataset(places))
    assert all(sum(found.values()) == len(PLACES) for found in counts.values())
    assert "stored under other polygons" not in shown
    old = open_dataset(places).load()
    region = old.region.values.astype("<U16")
    region[[0, 11]] = "Other"  # Detroit and Juneau, as with earlier polygons
    path = save_dataset(old.assign_coords(region=("site", region)), tmp_path / "old.zarr")
    assert changed_regions(open_dataset(path)) == {
        "Detroit": "Other, now CONUS",
        "Juneau": "Other, now Alaska",
    }
    shown = " ".join(TEXT.invoke(app, ["data", "describe", str(path)]).output.split())
    assert (
        "2 sites were stored under other polygons: Detroit (Other, now CONUS), Juneau (Other, now Alaska)"
        in shown
    )
