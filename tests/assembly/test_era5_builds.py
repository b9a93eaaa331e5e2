"""Datasets from ERA5 files as they arrive: several boxes, missing months, daily statistics, monthly means, ERA5-Land."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from gsm3core.assembly.assemble import assemble
from gsm3core.assembly.recipe import Recipe
from gsm3core.errors import ConfigError, DatasetError
from support.era5_files import RAIN, START, ends, hourly_rain, since_midnight, write_cds

HOURS = pd.date_range(START, periods=72, freq="h")
DAILY = pd.date_range(START, periods=3, freq="D")
AIR = np.full(72, 290.0)


def build(root: Path, lines: str = "a,50.25,9.25", **recipe: object) -> xr.Dataset:
    (root / "places.csv").write_text(f"site,lat,lon\n{lines}\n")
    source = "era5-land" if "era5-land" in str(recipe) else "era5"
    given = {
        "sites": {"kind": "table", "path": root / "places.csv"},
        "period": {"start": "2024-06-01", "end": "2024-06-03"},
        "sources": {source: {"path": root / "era5"}},
    }
    out = assemble(Recipe.model_validate(given | recipe), root / "o.nc", overwrite=True).dataset
    with xr.open_dataset(out) as ds:
        return ds.load()


def notes(ds: xr.Dataset) -> str:
    return " | ".join(n for step in json.loads(ds.attrs["history"]) for n in step.get("notes", []))


def test_each_site_is_read_from_its_box(tmp_path: Path) -> None:
    write_cds(tmp_path / "era5" / "eu.nc", {"t2m": AIR}, HOURS)
    write_cds(tmp_path / "era5" / "us.nc", {"t2m": AIR + 10}, HOURS, south=39.0, west=-97.0)
    write_cds(tmp_path / "era5" / "point.nc", {"t2m": AIR + 20}, HOURS, n=1, south=-1.25, west=36.75)
    ds = build(tmp_path, "eu,50.25,9.25\nus,39.25,-96.75\nke,-1.3,36.8", forcings=["era5:air_temperature"])
    np.testing.assert_allclose(ds.air_temperature, [[290] * 3, [300] * 3, [310] * 3])


def test_a_box_without_the_last_day(tmp_path: Path) -> None:
    """The other box has that day, but not for the sites of this one."""
    write_cds(tmp_path / "era5" / "eu.nc", {"t2m": AIR}, HOURS)
    write_cds(tmp_path / "era5" / "us.nc", {"t2m": AIR[:48]}, HOURS[:48], south=39.0, west=-97.0)
    sites = {"lines": "eu,50.25,9.25\nus,39.25,-96.75", "forcings": ["era5:air_temperature"]}
    with pytest.raises(DatasetError, match=r"air_temperature lacks 1 of the 3 days .*2024-06-03"):
        build(tmp_path, **sites)  # type: ignore[arg-type]
    ds = build(tmp_path, gaps="allow", **sites)  # type: ignore[arg-type]
    assert ds.air_temperature.isnull().values.tolist() == [[False] * 3, [False, False, True]]


@pytest.mark.parametrize(
    "names", ["air_temperature,precipitation", "precipitation,air_temperature", "precipitation"]
)
def test_a_month_of_one_variable_is_missing(tmp_path: Path, names: str) -> None:
    """The same answer whatever variables are read together."""
    days = pd.date_range("2024-06-30", periods=48, freq="h")
    write_cds(tmp_path / "era5" / "06" / "instant.nc", {"t2m": AIR[:24]}, days[:24])
    write_cds(tmp_path / "era5" / "06" / "accum.nc", {"tp": hourly_rain(1)}, days[:24] + pd.Timedelta("1h"))
    write_cds(tmp_path / "era5" / "07" / "instant.nc", {"t2m": AIR[:24]}, days[24:])
    recipe = {"period": {"start": "2024-06-30", "end": "2024-07-01"}, "forcings": [f"era5:{names}"]}
    with pytest.raises(
        DatasetError, match="precipitation lacks 1 of the 2 days of 2024-06-30 to 2024-07-01: 2024-07-01"
    ):
        build(tmp_path, **recipe)  # type: ignore[arg-type]
    ds = build(tmp_path, gaps="allow", **recipe)  # type: ignore[arg-type]
    np.testing.assert_allclose(ds.precipitation, [[RAIN[0], np.nan]], rtol=1e-4)


def test_daily_mean_and_maximum_files(tmp_path: Path) -> None:
    for statistic, value in (("mean", 290.0), ("max", 297.0)):
        write_cds(
            tmp_path / "era5" / f"2m_temperature_0_daily-{statistic}.nc", {"t2m": np.full(3, value)}, DAILY
        )
    ds = build(tmp_path, forcings=["era5:air_temperature,air_temperature@max"])
    np.testing.assert_allclose(ds.air_temperature, [[290] * 3])
    np.testing.assert_allclose(ds.air_temperature_max, [[297] * 3])
    assert "daily statistics (mean)" in notes(ds) and "daily statistics (max)" in notes(ds)
    with pytest.raises(DatasetError, match=r"not daily min; ask for air_temperature@"):
        build(tmp_path, forcings=["era5:air_temperature@min"])


def test_hourly_files_serve_every_statistic(tmp_path: Path) -> None:
    air = AIR + np.tile(np.arange(24), 3)
    write_cds(tmp_path / "era5" / "a.nc", {"t2m": air}, HOURS)
    ds = build(tmp_path, forcings=["era5:air_temperature,air_temperature@max,air_temperature@min"])
    for name, expected in (
        ("air_temperature", 301.5),
        ("air_temperature_max", 313),
        ("air_temperature_min", 290),
    ):
        np.testing.assert_allclose(ds[name], [[expected] * 3])


def test_monthly_means_are_for_attributes(tmp_path: Path) -> None:
    months = pd.date_range("2024-01-01", periods=4, freq="MS")
    write_cds(tmp_path / "era5" / "monthly.nc", {"tp": np.full(4, 0.003), "t2m": np.full(4, 285.0)}, months)
    recipe = {"period": {"start": "2024-01-01", "end": "2024-04-30"}}
    ds = build(tmp_path, attributes=["era5:precipitation,air_temperature"], **recipe)  # type: ignore[arg-type]
    np.testing.assert_allclose(ds.mean_precipitation, [3.0], rtol=1e-6)
    np.testing.assert_allclose(ds.mean_air_temperature, [285.0])
    assert "monthly means of daily totals" in notes(ds)
    for gaps in ("refuse", "allow"):
        with pytest.raises((DatasetError, ConfigError), match="precipitation has one value a month"):
            build(tmp_path, forcings=["era5:precipitation"], gaps=gaps, **recipe)  # type: ignore[arg-type]


def test_six_hourly_files_are_named(tmp_path: Path) -> None:
    write_cds(tmp_path / "era5" / "a.nc", {"t2m": AIR[::6]}, HOURS[::6])
    with pytest.raises(DatasetError, match=r"air_temperature lacks 3 of the 3 days|has no value") as caught:
        build(tmp_path, forcings=["era5:air_temperature"])
    assert "4 of 24 steps a day (00, 06, 12, 18 UTC)" in str(caught.value)


def test_advice_for_era5_land_works(tmp_path: Path) -> None:
    write_cds(
        tmp_path / "era5" / "data_0.nc", {"t2m": AIR, "tp": since_midnight(hourly_rain())}, ends(), 0.1, n=5
    )
    with pytest.raises(DatasetError, match="Use era5-land:air_temperature,precipitation and --source"):
        build(tmp_path, "a,50.2,9.2", forcings=["era5:air_temperature,precipitation"])
    ds = build(tmp_path, "a,50.2,9.2", forcings=["era5-land:air_temperature,precipitation"])
    np.testing.assert_allclose(ds.precipitation, [RAIN[:3]], rtol=1e-4)
    assert (
        "ERA5-Land" in ds.precipitation.attrs["source"]
        and "10.5194/essd-13-4349-2021" in ds.attrs["references"]
    )
    unchecked = {"era5": {"path": tmp_path / "era5", "options": {"check_product": False}}}
    ds = build(tmp_path, "a,50.2,9.2", forcings=["era5:precipitation"], sources=unchecked)
    np.testing.assert_allclose(ds.precipitation, [RAIN[:3]], rtol=1e-4)


def test_damaged_file_is_named_and_left_out(tmp_path: Path) -> None:
    path = write_cds(tmp_path / "era5" / "a.nc", {"t2m": AIR[:48]}, HOURS[:48])
    (tmp_path / "era5" / "b.nc").write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DatasetError, match=r"lacks 1 of the 3 days .*Not read: b\.nc: .*truncated"):
        build(tmp_path, forcings=["era5:air_temperature"])
    ds = build(tmp_path, forcings=["era5:air_temperature"], gaps="allow")
    np.testing.assert_allclose(ds.air_temperature, [[290, 290, np.nan]])
    assert "not read: b.nc" in notes(ds)


def test_points_of_a_table(tmp_path: Path) -> None:
    """The CDS's time series of two places in one CSV: each site is read from its cell."""
    parts = [
        pd.DataFrame({"valid_time": ends(), "tp": hourly_rain() * k, "latitude": lat, "longitude": lon})
        for lat, lon, k in ((50.25, 9.25, 1), (-1.25, 36.75, 2))
    ]
    (tmp_path / "era5").mkdir()
    pd.concat(parts).to_csv(tmp_path / "era5" / "series.csv", index=False)
    ds = build(tmp_path, "de,50.2,9.2\nke,-1.3,36.8", forcings=["era5:precipitation"])
    np.testing.assert_allclose(ds.precipitation, [RAIN[:3], 2 * np.array(RAIN[:3])], rtol=1e-4)
