"""ERA5 or ERA5-Land where little speaks: dry and dark files, single cells, few hours of a day."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.era5.accumulation import accumulation_of
from gsm3core.readers.era5.reader import Era5LandReader, Era5Reader
from support.era5_files import daily_means, ends, hourly_rain, hourly_sun, since_midnight, write_cds

DAYS = 30
MONTH = Period(start=dt.date(2024, 6, 1), end=dt.date(2024, 6, DAYS))
THREE = Period(start=dt.date(2024, 6, 1), end=dt.date(2024, 6, 3))
WET = 4  # the only day with rain, and none that a sample of the first, middle and last day has


def one_wet_day() -> np.ndarray:
    rain = np.zeros((DAYS, 24))
    rain[WET] = hourly_rain(1)
    return rain.ravel()


def test_noise_of_packing_on_dry_days_is_no_rain(tmp_path: Path) -> None:
    """Totals of a dry month that wobble by the noise of packing are still totals: not ten times the rain."""
    noise = np.random.default_rng(0).uniform(0, 2e-9, 24 * DAYS)
    write_cds(tmp_path / "a.nc", {"tp": since_midnight(one_wet_day()) + noise}, ends(DAYS), 0.1)
    ds = Era5LandReader(["precipitation"]).open(tmp_path, MONTH)
    expected = np.zeros(DAYS)
    expected[WET] = 3.0
    assert daily_means(ds, "precipitation") == pytest.approx(expected, abs=0.01)


def test_noise_alone_shows_no_accumulation() -> None:
    days, hours = np.repeat([0, 1, 2], 24), np.tile(np.arange(1, 25), 3)
    noise = np.abs(np.random.default_rng(1).standard_normal((72, 4)))
    assert accumulation_of(1e-7 * noise, days, hours, 0.83, steady=False) is None
    assert accumulation_of(2.0 * noise, days, hours, 5.4e6, steady=True) is None  # J m-2: polar night


def test_one_wet_day_of_a_single_cell_tells_the_product(tmp_path: Path) -> None:
    """At 50 N, 9 E, on both grids, one day of rain in a month is all that there is."""
    write_cds(tmp_path / "a.nc", {"tp": since_midnight(one_wet_day())}, ends(DAYS), 0.1, n=1)
    with pytest.raises(DatasetError, match=r"is ERA5-Land \(tp accumulates from 00 UTC"):
        Era5Reader(["precipitation"]).open(tmp_path, MONTH)
    write_cds(tmp_path / "a.nc", {"tp": one_wet_day()}, ends(DAYS), 0.25, n=1)
    found = daily_means(Era5Reader(["precipitation"]).open(tmp_path, MONTH), "precipitation")
    assert found[WET] == pytest.approx(3.0, rel=1e-4) and sum(found) == pytest.approx(3.0, rel=1e-4)


def test_morning_hours_of_radiation_are_no_total(tmp_path: Path) -> None:
    """Six-hourly radiation at Hawaii grows from 06 to 24 UTC every day: few hours, but not ERA5-Land."""
    sun = np.roll(hourly_sun(3), 10)
    some = np.arange(5, 72, 6)
    assert (np.diff(sun[some].reshape(3, 4), axis=1) >= 0).all()
    write_cds(tmp_path / "a.nc", {"ssrd": sun[some]}, ends(3)[some])
    ds = Era5Reader(["shortwave_down"]).open(tmp_path)
    assert "4 of 24 steps a day" in ds.attrs["notes"]
    assert "ERA5-Land" not in ds.attrs["notes"]


def test_single_cell_of_era5_at_a_place_with_one_decimal(tmp_path: Path) -> None:
    """The CDS cuts ERA5 at the asked area: 48.3 N, 16.4 E is a multiple of 0.1 degree, but the rain is hourly."""
    values = {"t2m": np.full(72, 290.0), "tp": hourly_rain(3)}
    write_cds(tmp_path / "a.nc", values, ends(3), n=1, south=48.3, west=16.4)
    ds = Era5Reader(["air_temperature", "precipitation"]).open(tmp_path, THREE)
    assert daily_means(ds, "precipitation") == pytest.approx([3.0, 8.0, 1.5], rel=1e-4)
    assert "a single cell at 48.3, 16.4, read as ERA5: its amounts are hourly" in ds.attrs["notes"]
    values["tp"] = since_midnight(values["tp"])
    write_cds(tmp_path / "a.nc", values, ends(3), n=1, south=48.3, west=16.4)
    with pytest.raises(DatasetError, match="is ERA5-Land"):
        Era5Reader(["air_temperature"]).open(tmp_path)


@pytest.mark.parametrize("clock", ["11:30", "12:00", "12:30"])
def test_daily_sums_of_cdo_are_labelled_in_the_middle_of_the_day(tmp_path: Path, clock: str) -> None:
    """``cdo daysum`` of hours labelled 00 to 23, or 01 to 24 (https://code.mpimet.mpg.de/projects/cdo)."""
    times = pd.DatetimeIndex([f"2024-06-0{k} {clock}" for k in (1, 2, 3)])
    sums = hourly_rain(3).reshape(3, 24).sum(1)
    write_cds(tmp_path / "a.nc", {"tp": sums}, times, history="cdo daysum in.nc a.nc")
    ds = Era5Reader(["precipitation"]).open(tmp_path)
    assert daily_means(ds, "precipitation") == pytest.approx([3.0, 8.0, 1.5], rel=1e-4)
