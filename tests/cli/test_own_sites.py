"""Own probes in Kenya: one command from a table to a dataset, one to scores, from loopback servers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from gsm3core.cli.main import app
from gsm3core.schema import open_dataset
from support import point_server, raster_server, starter_world
from support.open_meteo_server import OpenMeteoService, hourly
from support.power_server import PowerService

PLACES = {
    "Kabete": (-1.2540, 36.7420), "Machakos": (-1.5177, 37.2634), "Embu": (-0.5396, 37.4596),
    "Kitale": (1.0157, 35.0062), "Makindu": (-2.2758, 37.8244),
}  # fmt: skip
DAYS = pd.date_range("2020-03-01", "2020-05-31")
HOURS = pd.to_timedelta(range(24), unit="h")


PRODUCT = float(np.mean([hourly("soil_moisture_0_to_7cm", h.to_pydatetime(), 0, 0) for h in DAYS[0] + HOURS]))
WETTING = 0.01 * np.sin(2 * np.pi * np.arange(len(DAYS)) / 7)  # what the product does not have


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The product's daily mean plus 0.02 m3 m-3 and a little for every place, and a wetting of its own."""
    rows = ["site,lat,lon,time,value,units"]
    for k, (name, (lat, lon)) in enumerate(PLACES.items()):
        for day, wetting in zip(DAYS, WETTING, strict=True):
            rows.append(
                f"{name},{lat},{lon},{day:%Y-%m-%d},{PRODUCT + 0.02 + 0.001 * k + wetting:.5f},m3 m-3"
            )
    path = tmp_path / "kenya.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_table_to_dataset_to_scores(table: Path, tmp_path: Path) -> None:
    places = [starter_world.Place(n, lat, lon, 0.2) for n, (lat, lon) in PLACES.items()]
    for place in places:
        starter_world.write_terrain(tmp_path / "dem", place)
    starter_world.write_soil(tmp_path / "soil", places)
    out = tmp_path / "kenya.zarr"
    with (
        point_server.serve(PowerService()) as power, point_server.serve(OpenMeteoService()) as meteo,
        raster_server.serve(tmp_path / "dem") as dem, raster_server.serve(tmp_path / "soil") as soil,
    ):  # fmt: skip
        command = [
            "data", "build", "table", "--from", str(table), "--forcing", "power", "--product", "open-meteo-era5-land",
            "--attribute", "copernicus-dem:elevation,slope", "--attribute", "soilgrids", "--attribute", "koppen-geiger",
            "--root", str(tmp_path / "sources"), "--out", str(out), "--url", f"power={power.url}", "--url",
            f"open-meteo-era5-land={meteo.url}", "--url", f"copernicus-dem={dem.url}", "--url", f"soilgrids={soil.url}",
        ]  # fmt: skip
        built = CliRunner().invoke(app, command)
        assert built.exit_code == 0, built.output + repr(built.exception)
        assert len(power.requests) == len(meteo.requests) == 5
    ds = open_dataset(out)
    assert sorted(ds.site.values) == sorted(PLACES) and ds.sizes["time"] == len(DAYS)
    assert float(ds.sm_insitu.notnull().mean()) == 1
    east, _ = starter_world.to_soil_metres(ds.lon, ds.lat)
    np.testing.assert_allclose(ds.sand, starter_world.soil(east, "sand") / 1000, atol=1.5e-3)
    assert {"air_temperature", "precipitation", "shortwave_down", "elevation", "slope", "climate"} <= set(
        ds.data_vars
    )
    scored = CliRunner().invoke(app, ["score", str(out), "--out", str(tmp_path / "scores.nc")])
    assert scored.exit_code == 0, scored.output + repr(scored.exception)
    scores = xr.open_dataset(tmp_path / "scores.nc").load()
    bias = scores["bias"].squeeze().to_series()
    for k, name in enumerate(PLACES):
        assert bias[name] == pytest.approx(-0.02 - 0.001 * k, abs=2e-5)
    np.testing.assert_allclose(scores["ubRMSE"], np.std(WETTING), atol=2e-5)
