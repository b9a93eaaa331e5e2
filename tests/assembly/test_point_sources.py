"""Datasets built with values at points: the whole command against loopback services with planted values."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from gsm3core.assembly.point_sources import merge_periods
from gsm3core.cli import app
from gsm3core.config import Period
from gsm3core.errors import GSM3Error
from gsm3core.files import fingerprint
from gsm3core.geography.grids import distance_km
from gsm3core.readers.points import Points
from gsm3core.readers.power import power_cells
from gsm3core.schema import open_dataset
from support.open_meteo_server import OpenMeteoService, hourly
from support.point_server import serve
from support.power_server import PowerService, value

# The first two share the cells of POWER.
PLACES = {"kabete": (-1.3, 36.74), "kikuyu": (-1.31, 36.71), "eldoret": (0.52, 35.27)}
DAYS = "2015-12-01:2016-01-31"


@pytest.fixture
def power() -> Iterator[PowerService]:
    with serve(PowerService()) as service:
        yield service


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lines = [f"{name},{lat},{lon}" for name, (lat, lon) in PLACES.items()]
    (tmp_path / "sites.csv").write_text("\n".join(["site,lat,lon", *lines]) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GSM3_SOURCES", str(tmp_path / "src"))
    return tmp_path


def build(*options: str, days: str = DAYS, out: str = "my.nc") -> str:
    command = ["data", "build", "table", "--from", "sites.csv", "--days", days, "--out", out, *options]
    done = CliRunner().invoke(app, command, env={"COLUMNS": "250", "NO_COLOR": "1"})
    if isinstance(done.exception, GSM3Error):
        return f"Error: {done.exception}"
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.output


def opened(out: str = "my.nc") -> xr.Dataset:
    with open_dataset(out) as ds:
        return ds.load()


def step_of(ds: xr.Dataset, source: str) -> dict:
    return next(s for s in json.loads(ds.attrs["history"]) if s.get("source") == source)


def test_values_and_provenance_of_power(power: PowerService, folder: Path) -> None:
    output = build(
        "--forcing", "power:air_temperature,precipitation,shortwave_down", "--attribute", "power:surface_pressure",
        "--url", f"power={power.url}",
    )  # fmt: skip
    assert "acknowledgement" in output and "power: 2 requests" in output
    ds = opened()
    points = Points(np.array(list(PLACES)), *map(np.array, zip(*PLACES.values(), strict=True)))
    days = [dt.date(2015, 12, 1) + dt.timedelta(days=k) for k in range(62)]
    for (lat, lon), site in zip(power_cells(points), PLACES, strict=True):
        at = ds.sel(site=site)
        np.testing.assert_allclose(
            at.air_temperature, [value("T2M", d, lat, lon) + 273.15 for d in days], rtol=1e-6
        )
        np.testing.assert_allclose(
            at.precipitation, [value("PRECTOTCORR", d, lat, lon) for d in days], rtol=1e-6
        )
        sun = [value("ALLSKY_SFC_SW_DWN", d, lat, lon) / 0.0864 for d in days]
        np.testing.assert_allclose(at.shortwave_down, sun, rtol=1e-6)
        pressure = 1000 * np.mean([value("PS", d, lat, lon) for d in days])
        assert float(at.mean_surface_pressure) == pytest.approx(pressure, rel=1e-6)
    assert ds.precipitation.attrs["standard_name"] == "lwe_precipitation_rate"

    step = step_of(ds, "power")
    assert (step["files"], step["requests"], step["service"]) == (2, 2, power.url)
    lat, lon = PLACES["eldoret"]
    with Path("my.stations.csv").open() as table:
        km = {row["site"]: row["km_to_power"] for row in csv.DictReader(table)}
    # The cell of MERRA-2 around Eldoret has its centre at 0.5 N, 35.0 E.
    assert float(km["eldoret"]) == pytest.approx(float(distance_km(lat, lon, 0.5, 35.0)), abs=1e-3)
    with Path("my.inputs.csv").open() as table:
        inputs = {row["file"]: row["sha256"] for row in csv.DictReader(table)}
    files = list((folder / "src" / "power").glob("power_*.json"))
    assert inputs == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    assert step["variables"]["precipitation"]["days_lacking"] == 0
    assert "acknowledgement" in ds.attrs["license"] and "POWER" in ds.attrs["references"]


def test_a_second_build_requests_nothing(power: PowerService, folder: Path) -> None:
    url, out = ("--url", f"power={power.url}"), "my.zarr"
    build("--forcing", "power:air_temperature", *url, out=out)
    before = fingerprint(Path(out))
    output = build("--forcing", "power:air_temperature", *url, "--overwrite", out=out)
    assert len(power.requests) == 2 and "power: 0 requests" in output
    assert fingerprint(Path(out)) == before
    build("--forcing", "power:air_temperature", "--offline", "--overwrite", out=out)
    assert len(power.requests) == 2 and fingerprint(Path(out)) == before
    message = build(
        "--forcing", "power:air_temperature", "--offline", "--overwrite", days="2016-12-01:2017-01-31"
    )
    assert "lacks 31 of the 62 days of 2016-12-01 to 2017-01-31: 2017-01-01 to 2017-01-31" in message


def test_offline_names_what_is_missing(power: PowerService, folder: Path) -> None:
    message = build("--forcing", "power:air_temperature", "--offline")
    assert message.startswith("Error: power (") and "no file for 3 sites (eldoret, kabete, kikuyu)" in message
    assert "Rerun without --offline" in message and not power.requests
    build("--forcing", "power:air_temperature", "--url", f"power={power.url}")  # the advice
    sites = Path("sites.csv")
    sites.write_text(sites.read_text() + "lodwar,3.12,35.61\n")
    message = build("--forcing", "power:air_temperature", "--offline", "--overwrite")
    assert "no file for 1 sites (lodwar)" in message and "--allow-gaps" in message
    build("--forcing", "power:air_temperature", "--offline", "--overwrite", "--allow-gaps")
    ds = opened()
    assert ds.air_temperature.isnull().all("time").values.tolist() == [False, False, False, True]
    assert step_of(ds, "power")["sites_without_files"] == ["lodwar"]


def test_a_failed_place_does_not_stop_the_others(power: PowerService, folder: Path) -> None:
    """Without --allow-gaps the failure is an error and the other file is kept; with it, the site is missing and named."""
    power.refused = {35.15625}
    url = ("--url", f"power={power.url}")
    message = build("--forcing", "power:air_temperature", *url)
    assert "1 of 2 files could not be downloaded; the others are kept" in message
    assert "no values at this place" in message
    assert len(list((folder / "src" / "power").glob("power_*.json"))) == 1
    output = build("--forcing", "power:air_temperature", *url, "--allow-gaps")
    assert "power: no file for 1 sites, whose values are missing: eldoret" in output
    assert "outside its grid" not in output
    ds = opened()
    assert ds.air_temperature.isnull().all("time").values.tolist() == [False, False, True]
    assert step_of(ds, "power")["sites_without_files"] == ["eldoret"]


def test_recent_fill_values_are_counted(power: PowerService, folder: Path) -> None:
    power.missing = {dt.date(2016, 1, 30), dt.date(2016, 1, 31)}
    output = build("--forcing", "power:air_temperature", "--url", f"power={power.url}")
    assert "power: air_temperature: the service has no value for 3% of the requested time steps" in output
    counts = step_of(opened(), "power")["variables"]["air_temperature"]
    assert (counts["present"], counts["missing"], counts["screening"]["fill"]) == (180, 6, 4)


def test_days_before_a_variable_begins_are_named(power: PowerService, folder: Path) -> None:
    power.missing = {dt.date(1983, 1, 1) + dt.timedelta(days=k) for k in range(365)}
    message = build(
        "--forcing", "power:shortwave_down", "--url", f"power={power.url}", days="1983-01-01:1983-01-31"
    )
    assert "The service has no value there for these days (CERES; from 1984-01-01" in message


def test_hours_of_open_meteo_become_utc_days(folder: Path) -> None:
    with serve(OpenMeteoService()) as service:
        url = ("--url", f"open-meteo-era5={service.url}")
        forcing = "open-meteo-era5:air_temperature,air_temperature@max,precipitation,shortwave_down"
        output = build(
            "--forcing", forcing, "--product", "open-meteo-era5", *url, days="2019-12-30:2019-12-31"
        )
    assert "NON-COMMERCIAL" in output and "open-meteo-era5: 2 requests" in output
    ds = opened()
    at, cell = ds.sel(site="kabete"), (-1.25, 36.75)
    hours = [dt.datetime(2019, 12, 31, h) for h in range(24)]
    air = [hourly("temperature_2m", h, *cell) + 273.15 for h in hours]
    assert float(at.air_temperature[1]) == pytest.approx(np.mean(air), rel=1e-6)
    assert float(at.air_temperature_max[1]) == pytest.approx(max(air), rel=1e-6)
    # The hour that ends at 0 h of 1 January is the only one with rain; its amount is that of the day.
    rain = hourly("precipitation", dt.datetime(2020, 1, 1), *cell)
    assert float(at.precipitation[1]) == pytest.approx(rain, rel=1e-6)
    sun = [hourly("shortwave_radiation", dt.datetime(2019, 12, 31, h), *cell) for h in range(1, 24)]
    assert float(at.shortwave_down[1]) == pytest.approx(sum(sun) / 24, rel=1e-6)
    assert float(at.sm_product[0, 1]) == pytest.approx(0.2 + 0.001 * 11.5, rel=1e-5)
    assert "non-commercial" in ds.attrs["license"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--forcing", "power", "--url", "power"], "invalid --url 'power'; expected SOURCE=URL"),
        (["--forcing", "power", "--url", "power=x"], "invalid --url 'power=x'; expected SOURCE=URL"),
        (
            ["--forcing", "power", "--url", "power=http://x", "--url", "power=http://y"],
            "two addresses for 'power'",
        ),
        (["--forcing", "power", "--url", "pover=http://x"], "settings for 'pover'.*Did you mean 'power'"),
        (
            ["--forcing", "power", "--method", "power=bilinear"],
            "power gives values at points, without a grid: remove",
        ),
        (["--attribute", "hwsd", "--url", "hwsd=http://x"], "hwsd is read from files: remove its --url"),
        (["--forcing", "power:air_temperatur"], "power has no variable 'air_temperatur'"),
    ],
)
def test_options_are_checked(folder: Path, options: list[str], message: str) -> None:
    assert re.search(message, build(*options), re.DOTALL), build(*options)


def test_a_recipe_may_name_another_address(power: PowerService, folder: Path) -> None:
    recipe = f"""
sites: {{kind: table, path: sites.csv}}
period: {{start: 2015-12-01, end: 2015-12-31}}
forcings: ["power:air_temperature"]
sources: {{power: {{url: "{power.url}", path: mine}}}}
"""
    Path("recipe.yaml").write_text(recipe)
    done = CliRunner().invoke(app, ["data", "build", "recipe.yaml", "--out", "my.nc"])
    assert done.exit_code == 0, done.output
    assert len(power.requests) == 2 and len(list((folder / "mine").glob("power_*.json"))) == 2


def test_a_killed_build_resumes(power: PowerService, folder: Path) -> None:
    """Killed during the download: complete files are not requested again, and the dataset is the same."""
    lines = [f"s{k},{lat:.2f},{3 * k - 60:.2f}" for k, lat in enumerate(np.linspace(-40, 40, 12))]
    Path("sites.csv").write_text("\n".join(["site,lat,lon", *lines]) + "\n")
    power.delay = 0.1
    command = [
        sys.executable, "-m", "gsm3core", "data", "build", "table", "--from", "sites.csv", "--days", DAYS, "--out", "my.nc",
        "--forcing", "power:air_temperature", "--url", f"power={power.url}",
    ]  # fmt: skip
    manifest = folder / "src" / "power" / "manifest.jsonl"
    first = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 30
    while not (manifest.exists() and manifest.read_text().count("\n") >= 3) and time.time() < deadline:
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    finished = [json.loads(x)["url"] for x in manifest.read_text().splitlines() if x.endswith("}")]
    assert 3 <= len(finished) < 12 and not Path("my.nc").exists()
    power.delay = 0.0
    build("--forcing", "power:air_temperature", "--url", f"power={power.url}")
    asked = [power.url.removesuffix("/api") + r for r in power.requests]
    assert all(asked.count(u) == 1 for u in finished) and len(set(asked)) == 12
    assert not list((folder / "src").rglob("*.part"))
    assert opened().air_temperature.notnull().all()


def test_consecutive_chunks_are_one_request() -> None:
    def days(first: str, last: str) -> Period:
        return Period.model_validate({"start": first, "end": last})

    chunks = [
        days("2016-01-01", "2016-12-31"),
        days("2015-03-01", "2015-12-31"),
        days("2018-01-01", "2018-02-01"),
    ]
    assert merge_periods(chunks) == [days("2015-03-01", "2016-12-31"), days("2018-01-01", "2018-02-01")]
    assert merge_periods([]) == []
