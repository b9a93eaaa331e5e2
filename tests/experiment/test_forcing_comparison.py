"""One run per alternative forcing: configurations, table, resumption and failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from gsm3core import Run, compare_products, open_dataset
from gsm3core.cli.main import app
from gsm3core.config import ExperimentConfig
from gsm3core.errors import CancelledError, ConfigError
from gsm3core.experiment import compare_forcings
from gsm3core.experiment.forcing_comparison import alternative_configs, parse_alternatives
from gsm3core.schema import precipitation_names, save_dataset
from support.configs import config
from support.small_world import make_dataset

RAIN = ["precipitation", "precipitation_imerg", "precipitation_era5"]
SPATIAL = {"name": "random_spatial", "folds": 2}


def three_rains() -> xr.Dataset:
    """Soil moisture follows ``precipitation``; the other two are the same rain with multiplicative noise."""
    ds = make_dataset(16)
    rng = np.random.default_rng(5)
    for name, sigma in zip(RAIN[1:], (0.8, 2.0), strict=True):
        factor = rng.lognormal(-(sigma**2) / 2, sigma, ds["precipitation"].shape)
        ds[name] = (ds["precipitation"] * factor).clip(0, 1000).astype(np.float32)
        ds[name].attrs = dict(ds["precipitation"].attrs)
    return ds


@pytest.fixture
def world(tmp_path: Path) -> Path:
    return save_dataset(three_rains(), tmp_path / "world.nc")


def bucket(world: Path) -> ExperimentConfig:
    return config(world, SPATIAL).replace("model", name="api_bucket")


def test_each_run_has_one_of_the_alternatives(world: Path) -> None:
    ds = open_dataset(world)
    assert set(precipitation_names(ds)) == set(RAIN)
    made = alternative_configs(bucket(world), ds, "precipitation", RAIN)
    for name in RAIN:
        assert set(made[name].data.forcings or ()) == {name, "air_temperature"}
        assert made[name].title == f"precipitation: {name}"
    two = alternative_configs(bucket(world), ds, "rain", RAIN[1:])
    assert set(two["precipitation_era5"].data.forcings or ()) == {"precipitation_era5", "air_temperature"}
    given = bucket(world).replace("data", forcings=["precipitation", "air_temperature"])
    assert set(alternative_configs(given, ds, "x", RAIN)[RAIN[2]].data.forcings or ()) == {
        RAIN[2],
        "air_temperature",
    }
    other = alternative_configs(bucket(world), ds, "x", ["air_temperature", "precipitation"])
    assert set(other["air_temperature"].data.forcings or ()) == {"air_temperature", *RAIN[1:]}
    with pytest.raises(
        ConfigError, match=r"no forcing 'precipitation_imrg'. Did you mean 'precipitation_imerg'"
    ):
        alternative_configs(bucket(world), ds, "rain", ["precipitation_imrg", "precipitation"])


def test_the_table_is_that_of_common_sites_and_days(world: Path, tmp_path: Path) -> None:
    started: list[Any] = []
    found = compare_forcings(
        bucket(world), "precipitation", RAIN, out=tmp_path / "runs",
        on_started=lambda *one: started.append(one[:3]),
    )  # fmt: skip
    assert started == [(n, k, 3) for k, n in enumerate(RAIN, 1)]
    assert list(found.runs) == RAIN and not found.failures
    table = found.table().set_index(["forcing", "metric"])
    series = xr.concat(
        [r.predictions()["sm_predicted"].reset_coords(drop=True) for r in found.runs.values()],
        dim=pd.Index(RAIN, name="product"),
    ).assign_attrs(units="m3 m-3")
    ds = open_dataset(world).load()
    expected = compare_products(series, ds["sm_insitu"], min_days=20).sel(sample="same_sample")
    for name in RAIN:
        for metric in ("R", "bias", "RMSE", "ubRMSE"):
            one = expected.sel(product=name, metric=metric)
            row = table.loc[(name, metric)]
            assert row["median"] == pytest.approx(float(one["median"]))
            assert (row["lower"], row["upper"]) == pytest.approx((float(one["lower"]), float(one["upper"])))
            assert row["sites"] == 16
    # Planted: the better the rain, the better the run.
    r = [table.loc[(n, "R"), "median"] for n in RAIN]
    assert r[0] > r[1] > r[2]
    assert table.loc[(RAIN[2], "R"), "difference"] == pytest.approx(r[2] - r[0], abs=1e-9)
    assert table.loc[(RAIN[2], "R"), "difference_upper"] < 0


def test_finished_runs_are_not_repeated(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    first = compare_forcings(bucket(world), "precipitation", RAIN[:2], out=out)
    reused: list[Any] = []
    again = compare_forcings(
        bucket(world), "precipitation", RAIN[:2], out=out, on_started=lambda *one: reused.append(one[3])
    )
    assert (
        [r.id for r in again.runs.values()] == [r.id for r in first.runs.values()] == [r.id for r in reused]
    )
    assert len(list(out.iterdir())) == 2
    pd.testing.assert_frame_equal(first.table(), again.table())
    other = compare_forcings(bucket(world).replace("training", seed=7), "precipitation", RAIN[:2], out=out)
    assert not {r.id for r in other.runs.values()} & {r.id for r in first.runs.values()}


def test_an_interrupted_call_resumes(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    started: list[str] = []
    with pytest.raises(CancelledError):
        compare_forcings(
            bucket(world), "precipitation", RAIN, out=out,
            on_started=lambda name, *_: started.append(name), cancelled=lambda: len(started) == 2,
        )  # fmt: skip
    states = {r.title.rsplit(" ")[-1]: r.state for r in map(Run.open, sorted(out.iterdir()))}
    assert states == {RAIN[0]: "finished", RAIN[1]: "cancelled"}
    found = compare_forcings(bucket(world), "precipitation", RAIN, out=out)
    assert list(found.runs) == RAIN and len(list(out.iterdir())) == 3


def test_a_failed_run_does_not_end_the_others(tmp_path: Path) -> None:
    ds = three_rains().rename({RAIN[2]: "gauge"})
    ds["gauge"].attrs |= {"units": "inch d-1", "standard_name": "lwe_precipitation_rate"}
    world = save_dataset(ds, tmp_path / "odd.nc")
    found = compare_forcings(bucket(world), "precipitation", ["gauge", *RAIN[:2]], out=tmp_path / "runs")
    assert list(found.runs) == RAIN[:2]
    assert "inch d-1" in found.failures["gauge"]
    assert set(found.table()["forcing"]) == set(RAIN[:2])


def test_one_command_prints_and_writes_the_table(world: Path, tmp_path: Path) -> None:
    toml, csv = tmp_path / "bucket.toml", tmp_path / "table.csv"
    toml.write_text(bucket(world).to_toml())
    command = ["run", str(toml), "--compare-forcing", f"precipitation={','.join(RAIN)}", "--out", str(tmp_path / "runs"),
               "--comparison", str(csv)]  # fmt: skip
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, found.output
    table = pd.read_csv(csv)
    assert list(dict.fromkeys(table["forcing"])) == RAIN
    for row in table.query("metric == 'R'").itertuples():
        assert f"{row.median:.3f}" in found.output
    assert "share" in found.output and "(2 of 3)" in found.output
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0 and again.output.count("finished before") == 3


def test_a_table_that_cannot_be_written_is_refused_before_the_first_run(world: Path, tmp_path: Path) -> None:
    toml = tmp_path / "bucket.toml"
    toml.write_text(bucket(world).to_toml())
    for csv in (tmp_path / "table.txt", tmp_path / "missing" / "table.csv", tmp_path):
        command = ["run", str(toml), "--compare-forcing", f"precipitation={','.join(RAIN)}", "--out", str(tmp_path / "runs"),
                   "--comparison", str(csv)]  # fmt: skip
        found = CliRunner().invoke(app, command)
        assert "expected the name of a .csv file" in str(found.exception)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("text", ["precipitation", "precipitation=", "p=a", "p=a,a", "=a,b"])
def test_alternatives_need_a_label_and_two_names(text: str) -> None:
    with pytest.raises(ConfigError, match="at least two different forcings"):
        parse_alternatives(text)
