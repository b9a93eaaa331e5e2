"""Intervals of ERA5 files: hours, a few hours a day, daily statistics and monthly means are distinguished and named."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.era5.reader import Era5LandReader, Era5Reader
from support.era5_files import RAIN, START, daily_means, ends, hourly_rain, hourly_sun, write_cds

DAYS = Period(start=dt.date(2024, 6, 1), end=dt.date(2024, 6, 3))
DAILY = pd.date_range(START, periods=3, freq="D")
AIR = np.array([290.0, 291, 292])
METRES = np.array(RAIN[:3]) / 1000
MONTHS = pd.date_range("2024-01-01", periods=4, freq="MS")
QUARTER = Period(start=dt.date(2024, 1, 10), end=dt.date(2024, 3, 5))


def notes(ds: xr.Dataset) -> str:
    return " | ".join(json.loads(ds.attrs.get("notes", "[]")))


@pytest.mark.parametrize("name", ["2m_temperature_0_daily-{}.nc", "2m_temperature_stream-oper_daily-{}.nc"])
@pytest.mark.parametrize("statistic", ["mean", "max", "min"])
def test_daily_statistics_of_the_cds(tmp_path: Path, name: str, statistic: str) -> None:
    write_cds(tmp_path / name.format(statistic), {"t2m": AIR}, DAILY)
    ds = Era5Reader(["air_temperature"], statistic=statistic).open(tmp_path, DAYS)
    assert ds.sizes["time"] == 72
    assert daily_means(ds, "air_temperature") == pytest.approx(AIR)
    assert f"air_temperature: daily statistics ({statistic}) of the files" in notes(ds)
    other = "max" if statistic == "mean" else "mean"
    with pytest.raises(
        DatasetError, match=rf"daily statistics \({statistic}\) of t2m, not daily {other}; ask for air_temp"
    ):
        Era5Reader(["air_temperature"], statistic=other).open(tmp_path, DAYS)


def test_daily_sums_and_means_of_accumulations(tmp_path: Path) -> None:
    """The CDS shifts accumulations by an hour itself: its daily sum is that of the hours of the UTC day."""
    write_cds(tmp_path / "s" / "total_precipitation_0_daily-sum.nc", {"tp": METRES}, DAILY)
    sums = Era5Reader().open(tmp_path / "s", DAYS)
    assert daily_means(sums, "precipitation") == pytest.approx(RAIN[:3], rel=1e-5)
    assert "frequency 1_hourly" in notes(sums)
    write_cds(tmp_path / "m" / "total_precipitation_0_daily-mean.nc", {"tp": METRES / 24}, DAILY)
    assert daily_means(Era5Reader().open(tmp_path / "m", DAYS), "precipitation") == pytest.approx(
        RAIN[:3], rel=1e-5
    )
    write_cds(tmp_path / "x" / "total_precipitation_0_daily-max.nc", {"tp": METRES}, DAILY)
    with pytest.raises(
        DatasetError, match=r"daily statistics \(max\) of tp, not daily mean; ask for precipitation@max"
    ):
        Era5Reader().open(tmp_path / "x", DAYS)
    write_cds(tmp_path / "t" / "2m_temperature_0_daily-sum.nc", {"t2m": AIR * 24}, DAILY)
    with pytest.raises(DatasetError, match=r"daily statistics \(sum\) of t2m, not daily mean\."):
        Era5Reader().open(tmp_path / "t", DAYS)


@pytest.mark.parametrize(
    "attrs",
    [{"history": "Sat Nov 01 2025: cdo daymean hourly.nc daily.nc"}, {"comment": "daily_mean of ERA5"}],
)
@pytest.mark.parametrize("hour", [0, 12])
def test_daily_means_by_their_attributes(tmp_path: Path, attrs: dict[str, str], hour: int) -> None:
    write_cds(tmp_path / "a.nc", {"t2m": AIR}, DAILY + pd.Timedelta(hours=hour), **attrs)
    assert daily_means(Era5Reader().open(tmp_path, DAYS), "air_temperature") == pytest.approx(AIR)


def test_one_value_a_day_of_unknown_kind(tmp_path: Path) -> None:
    write_cds(tmp_path / "a.nc", {"t2m": AIR}, DAILY)
    ds = Era5Reader().open(tmp_path, DAYS)
    assert ds.sizes["time"] == 3
    assert "air_temperature: one value a day, at 00 UTC: 1 of 24 steps" in notes(ds)
    (tmp_path / "a.nc").rename(tmp_path / "a_daily-mean.nc")
    assert daily_means(Era5Reader().open(tmp_path, DAYS), "air_temperature") == pytest.approx(AIR)


@pytest.mark.parametrize(
    ("every", "shown"), [(6, "4 of 24 steps a day (00, 06, 12, 18 UTC)"), (3, "8 of 24 steps a day")]
)
def test_subsets_of_the_hours(tmp_path: Path, every: int, shown: str) -> None:
    """An accumulation of one hour stays one: it is never taken for the whole step."""
    write_cds(tmp_path / "a.nc", {"tp": hourly_rain()[every - 1 :: every]}, ends()[every - 1 :: every])
    ds = Era5Reader().open(tmp_path, DAYS)
    assert shown in notes(ds)
    assert ds.sizes["time"] == 72 // every
    np.testing.assert_allclose(
        ds.precipitation[:, 0, 0], hourly_rain()[every - 1 :: every] * 24000, atol=1e-3
    )


def test_monthly_means(tmp_path: Path) -> None:
    """Accumulations are per day, and labelled at 06 UTC in files of the CDS since 2024."""
    rain = np.array([1.0, 2, 3, 4]) / 1000
    later = MONTHS + pd.Timedelta("6h")
    write_cds(
        tmp_path / "data_stream-moda_stepType-avgua.nc", {"t2m": np.array([280.0, 281, 282, 283])}, MONTHS
    )
    write_cds(tmp_path / "data_stream-moda_stepType-avgad.nc", {"tp": rain, "ssrd": rain * 8.64e9}, later)
    ds = Era5Reader().open(tmp_path, QUARTER)
    daily = ds.mean(["lat", "lon"]).resample(time="1D").mean()
    assert daily.sizes["time"] == 56
    month = daily.time.dt.month.values
    np.testing.assert_allclose(daily.precipitation, month, rtol=1e-5)
    np.testing.assert_allclose(daily.shortwave_down, month * 100, rtol=1e-5)
    np.testing.assert_allclose(daily.air_temperature, 279 + month, rtol=1e-5)
    assert all(ds[n].attrs["interval"] == "P1M" for n in ds.data_vars)
    assert "precipitation, shortwave_down: monthly means of daily totals (per day)" in notes(ds)
    with pytest.raises(DatasetError, match="monthly means of t2m, not daily max"):
        Era5Reader(["air_temperature"], statistic="max").open(tmp_path, QUARTER)


def test_a_file_for_each_month(tmp_path: Path) -> None:
    """A single step shows nothing; a step on the first day of each of several months does."""
    for k, month in enumerate(MONTHS):
        write_cds(
            tmp_path / f"era5_{month:%Y_%m}.nc", {"tp": np.array([(k + 1) / 1000])}, pd.DatetimeIndex([month])
        )
    ds = Era5Reader().open(tmp_path, QUARTER)
    daily = ds.precipitation.mean(["lat", "lon"]).resample(time="1D").mean()
    np.testing.assert_allclose(daily, daily.time.dt.month, rtol=1e-5)
    assert ds.precipitation.attrs["interval"] == "P1M"


def test_finer_values_are_read_before_coarser_ones(tmp_path: Path) -> None:
    hours = pd.date_range(START, periods=72, freq="h")
    write_cds(tmp_path / "a.nc", {"t2m": np.full(72, 285.0)}, hours)
    write_cds(tmp_path / "b_daily-mean.nc", {"t2m": AIR}, DAILY)
    write_cds(
        tmp_path / "c_stream-moda_stepType-avgua.nc",
        {"t2m": AIR[:2]},
        pd.date_range("2024-06", periods=2, freq="MS"),
    )
    ds = Era5Reader().open(tmp_path, DAYS)
    assert daily_means(ds, "air_temperature") == [285.0] * 3
    assert "interval" not in ds.air_temperature.attrs
    for name in (
        "b_daily-mean.nc: daily statistics",
        "avgua.nc: monthly means of air_temperature, which other files",
    ):
        assert name in notes(ds)


@pytest.mark.parametrize(
    ("name", "attrs", "found"),
    [
        ("data_stream-mnth_stepType-avgua.nc", {}, "a monthly mean by hour of the day"),
        ("2m_temperature_stream-enda_daily-mean.nc", {}, "of the ensemble"),
        ("a.nc", {"product_type": "ensemble_spread"}, "of the ensemble"),
        ("a_daily-mean.nc", {"time_zone": "utc+05:00"}, "daily statistics of days of utc.05:00, not of UTC"),
    ],
)
def test_other_products_are_named(tmp_path: Path, name: str, attrs: dict[str, str], found: str) -> None:
    write_cds(tmp_path / name, {"t2m": AIR}, DAILY, **attrs)
    with pytest.raises(DatasetError, match=rf"{name}: {found}"):
        Era5Reader(["air_temperature"]).open(tmp_path)


def test_daily_statistics_of_era5_land(tmp_path: Path) -> None:
    write_cds(tmp_path / "2m_temperature_0_daily-mean.nc", {"t2m": AIR}, DAILY, 0.1)
    assert daily_means(Era5LandReader().open(tmp_path, DAYS), "air_temperature") == pytest.approx(AIR)


def test_monthly_means_of_era5_land(tmp_path: Path) -> None:
    """Accumulations are per day here too."""
    write_cds(tmp_path / "data_stream-moda_stepType-avgad.nc", {"tp": np.full(4, 0.002)}, MONTHS, 0.1)
    ds = Era5LandReader().open(tmp_path, QUARTER)
    np.testing.assert_allclose(ds.precipitation, 2.0, rtol=1e-5)


def test_radiation_of_an_hour_and_of_a_day(tmp_path: Path) -> None:
    """A total of a day cannot be the radiation of an hour; of which day, only its producer knows."""
    write_cds(tmp_path / "a.nc", {"ssrd": np.full(3, 250 * 86400.0)}, DAILY)
    with pytest.raises(
        DatasetError,
        match=r"a\.nc: ssrd has one value a day, too large for an hour: a daily sum .*_daily-sum",
    ):
        Era5Reader(["shortwave_down"]).open(tmp_path)
    (tmp_path / "a.nc").rename(tmp_path / "a_daily-sum.nc")
    assert daily_means(Era5Reader().open(tmp_path, DAYS), "shortwave_down") == pytest.approx([250] * 3)
    (tmp_path / "a_daily-sum.nc").unlink()
    write_cds(tmp_path / "a.nc", {"ssrd": np.full(3, 250 * 86400.0)}, DAILY + pd.Timedelta("1D"), 0.1)
    land = Era5LandReader().open(tmp_path, DAYS)
    assert daily_means(land, "shortwave_down") == pytest.approx([250] * 3)
    assert "shortwave_down: one total a day" in notes(land)
    write_cds(tmp_path / "a.nc", {"ssrd": hourly_sun()}, ends())
    assert daily_means(Era5Reader().open(tmp_path, DAYS), "shortwave_down") == pytest.approx(
        [250] * 3, rel=1e-4
    )


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_repeated_steps_of_small_and_large_maps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: int
) -> None:
    """Large maps are repeated one step at a time, without copies; the result is the same."""
    monkeypatch.setattr("gsm3core.readers.grid_parts._SMALL", limit)
    write_cds(tmp_path / "a_daily-mean.nc", {"t2m": AIR}, DAILY)
    ds = Era5Reader().open(tmp_path, DAYS)
    np.testing.assert_array_equal(ds.air_temperature[:, 0, 0], np.repeat(AIR, 24))
    assert (np.diff(ds.time) == np.timedelta64(1, "h")).all()
