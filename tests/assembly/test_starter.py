"""The starter dataset from loopback servers, interrupted and resumed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from gsm3core.assembly.starter import pull_starter, recent_years, starter_recipe
from gsm3core.cli.main import app
from gsm3core.errors import ConfigError
from gsm3core.schema import open_dataset
from support import power_server, starter_world

YEARS = (2019, 2020)
USCRN, SCAN = starter_world.places(2), starter_world.places(2, first=2)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[starter_world.StarterServers]:
    with starter_world.serve(tmp_path_factory.mktemp("served"), YEARS, USCRN, SCAN) as found:
        yield found


class _StoppedError(Exception):
    pass


def test_interrupted_in_every_stage_and_resumed(
    servers: starter_world.StarterServers, tmp_path: Path
) -> None:
    """Nothing is requested twice, and the dataset is that of the planted values."""
    out, root = tmp_path / "starter.zarr", tmp_path / "sources"
    stages: list[str] = []

    def progress(stop: str) -> object:
        def report(stage: str, done: int, total: int) -> None:
            stages.append(stage)
            if stage == stop and done:
                raise _StoppedError

        return report

    before = sum(servers.requests().values())
    for stop in ("uscrn-daily: download", "scan: download", "power: download", "copernicus-dem: download"):
        with pytest.raises(_StoppedError):
            pull_starter(out, YEARS, urls=servers.urls, root=root, progress=progress(stop))  # type: ignore[arg-type]
        assert not out.exists()
    made = pull_starter(out, YEARS, urls=servers.urls, root=root, progress=progress(""))  # type: ignore[arg-type]
    received = servers.requests()
    assert sum(received.values()) > before
    assert received["power"] == 4
    data = [path for path, _ in servers.awdb.requests if "/data" in path]
    assert len(data) == len(set(data)) == 4
    files = [path for path, _ in servers.uscrn.requests if path.endswith(".txt")]
    assert len(files) == len(set(files)) == 4
    ds = open_dataset(out)
    assert ds.sizes["site"] == 4 and ds.sizes["time"] == 731
    assert sorted(set(ds.network.values)) == ["SCAN", "USCRN"]
    for place in (*USCRN, *SCAN):
        row = int(np.argmin(np.hypot(ds.lat.values - place.lat, ds.lon.values - place.lon)))
        planted = [starter_world.soil_moisture(place, day) for day in ds.time.values]
        np.testing.assert_allclose(ds.sm_insitu[row, 1:-1], planted[1:-1], atol=6e-4)
    row = 0
    entries = [json.loads(line) for line in (root / "power" / "manifest.jsonl").read_text().splitlines()]
    assert len(entries) == 4
    days = pd.DatetimeIndex(ds.time.values)
    lat, lon = (float(ds[n][row]) for n in ("lat", "lon"))
    centre = (round(lat / 0.5) * 0.5, round(lon / 0.625) * 0.625)
    rain = [power_server.value("PRECTOTCORR", day.date(), *centre) for day in days]
    np.testing.assert_allclose(ds.precipitation[row], rain, rtol=1e-5)
    assert {"slope", "sand", "clay", "bulk_density"} <= set(ds.data_vars)
    east, _ = starter_world.to_soil_metres(ds.lon, ds.lat)
    np.testing.assert_allclose(ds["sand"], starter_world.soil(east, "sand") / 1000, atol=1.5e-3)
    steps = json.loads(ds.attrs["history"])
    assert [s["step"] for s in steps][:2] == ["pull", "pull"]
    assert made.downloads["power"].requests == 0 or len(made.downloads["power"].kept) == 4
    table = pd.read_csv(tmp_path / "starter.stations.csv")
    assert (table["outcome"] == "used").sum() == 4


def test_command(servers: starter_world.StarterServers, tmp_path: Path) -> None:
    """The command with one network and one attribute; a second call without the servers' files changes nothing."""
    out = tmp_path / "one.zarr"
    arguments = [
        "data", "pull", "starter", "--years", "2020", "--network", "uscrn", "--attribute", "koppen-geiger",
        "--root", str(tmp_path / "s"), "--out", str(out), "--url", f"uscrn={servers.urls['uscrn-daily']}", "--url",
        f"power={servers.urls['power']}",
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "Downloads" in result.output and "power" in result.output
    assert open_dataset(out).sizes["site"] == 2
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code != 0 and "--overwrite" in str(again.output) + str(again.exception)
    for wrong, message in (
        (["--days", "2020-01-01:2020-02-01"], "starter does not use"),
        (["--years", "2018,2020"], "gaps"),
        (["--network", "nothing"], "unknown network"),
        (["--url", "power=ftp://x"], "invalid --url"),
        (["--url", "mswep=http://127.0.0.1:9"], "not used"),
    ):
        result = CliRunner().invoke(
            app, ["data", "pull", "starter", "--out", str(tmp_path / "x.zarr"), *wrong]
        )
        assert result.exit_code != 0 and message in result.output + str(result.exception)


def test_the_current_year_ends_yesterday(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its remaining days would be refused after all stations have been downloaded."""

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return dt.datetime(2021, 3, 5, 12, tzinfo=tz)

    monkeypatch.setattr("gsm3core.assembly.starter.dt.datetime", Clock)
    period = starter_recipe([2020, 2021]).period
    assert period is not None and (str(period.start), str(period.end)) == ("2020-01-01", "2021-03-04")
    with pytest.raises(ConfigError, match="2022 has no complete day; expected years up to 2021"):
        starter_recipe([2022])


def test_default_years_are_complete() -> None:
    assert recent_years(dt.date(2026, 11, 27)) == [2023, 2024, 2025]
    assert recent_years(dt.date(2026, 1, 1)) == [2023, 2024, 2025]
    with pytest.raises(ConfigError, match="gaps"):
        pull_starter(Path("x.zarr"), [2018, 2020])
