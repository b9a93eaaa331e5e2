"""ERA5 or ERA5-Land: a file is recognised by its cells, its accumulations and its names, read right or refused by name."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.era5.accumulation import accumulation_of
from gsm3core.readers.era5.reader import Era5LandReader, Era5Reader
from support.era5_files import (
    RAIN,
    daily_means,
    ends,
    hourly_rain,
    hourly_sun,
    since_midnight,
    write_cds,
)

DAYS = Period(start=dt.date(2024, 6, 1), end=dt.date(2024, 6, 3))
HOURLY = {"tp": hourly_rain(), "ssrd": hourly_sun()}
TOTALS = {name: since_midnight(x) for name, x in HOURLY.items()}
AIR = np.full(72, 290.0)


def notes(ds: object) -> str:
    return " | ".join(json.loads(ds.attrs.get("notes", "[]")))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("cell", "n", "south"),
    [(0.1, 3, 50.0), (0.1, 2, 50.0), (0.1, 1, 50.2), (0.25, 3, 50.0), (0.1, 1, 50.0), (0.5, 3, 50.0)],
    ids=["3x3", "2x2", "1 cell", "regridded", "1 cell of both grids", "half degree"],
)
def test_era5_land_in_the_folder_of_era5(tmp_path: Path, cell: float, n: int, south: float) -> None:
    write_cds(tmp_path / "data_0.nc", {"t2m": AIR, **TOTALS}, ends(), cell, n=n, south=south)
    with pytest.raises(
        DatasetError, match=r"data_0\.nc is ERA5-Land .*not ERA5\. Use era5-land:air_temperature,precip"
    ) as caught:
        Era5Reader(["air_temperature", "precipitation"]).open(tmp_path, DAYS)
    assert f"--source era5-land={tmp_path}" in str(caught.value)
    ds = Era5LandReader(["air_temperature", "precipitation", "shortwave_down"]).open(tmp_path, DAYS)
    assert daily_means(ds, "precipitation") == pytest.approx(RAIN[:3], rel=1e-4)
    assert daily_means(ds, "shortwave_down") == pytest.approx([250] * 3, rel=1e-4)
    np.testing.assert_allclose(ds.precipitation[:, 0, 0], HOURLY["tp"] * 24000, atol=1e-3)
    assert "precipitation, shortwave_down: totals since 00 UTC" in notes(ds)
    assert "ERA5-Land" in ds.precipitation.attrs["source"]


def test_instantaneous_values_of_era5_land(tmp_path: Path) -> None:
    write_cds(tmp_path / "a.nc", {"t2m": AIR}, ends(), 0.1)
    with pytest.raises(DatasetError, match=r"is ERA5-Land \(cells of 0\.1 degree\), not ERA5"):
        Era5Reader().open(tmp_path)
    write_cds(tmp_path / "a.nc", {"t2m": AIR}, ends(), 0.1, n=1, south=50.2, west=9.7)
    with pytest.raises(
        DatasetError, match=r"a single cell at 50\.2, 9\.7, a multiple of 0\.1 degree and not of 0\.25"
    ):
        Era5Reader().open(tmp_path)


def test_other_files_of_the_same_cells_tell_the_product(tmp_path: Path) -> None:
    """Regridded ERA5-Land: only the accumulations show what the temperatures are."""
    write_cds(tmp_path / "instant.nc", {"t2m": AIR}, ends())
    write_cds(tmp_path / "accum.nc", {"tp": TOTALS["tp"]}, ends())
    with pytest.raises(
        DatasetError, match=r"instant\.nc is ERA5-Land \(tp accumulates from 00 UTC, cells of 0\.25"
    ):
        Era5Reader(["air_temperature"]).open(tmp_path)
    assert (
        daily_means(Era5LandReader(["air_temperature"]).open(tmp_path, DAYS), "air_temperature") == [290] * 3
    )


@pytest.mark.parametrize("cell", [0.25, 0.5, 1.0])
def test_era5_in_the_folder_of_era5_land(tmp_path: Path, cell: float) -> None:
    write_cds(tmp_path / "a.nc", {"t2m": AIR, **HOURLY}, ends(), cell)
    with pytest.raises(
        DatasetError, match=r"a\.nc is ERA5 \(cells of .*not ERA5-Land\. Use era5:precipitation"
    ):
        Era5LandReader(["precipitation"]).open(tmp_path)
    ds = Era5Reader().open(tmp_path, DAYS)
    assert daily_means(ds, "precipitation") == pytest.approx(RAIN[:3], rel=1e-4)
    assert daily_means(ds, "shortwave_down") == pytest.approx([250] * 3, rel=1e-4)


def test_mixed_folder_reads_its_own_product(tmp_path: Path) -> None:
    write_cds(tmp_path / "a_land.nc", {"t2m": AIR + 9, **TOTALS}, ends(), 0.1)
    write_cds(tmp_path / "b.nc", {"t2m": AIR, "tp": HOURLY["tp"]}, ends())
    ds = Era5Reader(["air_temperature", "precipitation"]).open(tmp_path, DAYS)
    assert daily_means(ds, "air_temperature") == [290] * 3
    assert daily_means(ds, "precipitation") == pytest.approx(RAIN[:3], rel=1e-4)
    assert "not read: a_land.nc: ERA5-Land" in notes(ds)
    with pytest.raises(DatasetError, match=r"a_land\.nc is ERA5-Land .*Use era5-land:shortwave_down and"):
        Era5Reader(["air_temperature", "shortwave_down"]).open(tmp_path, DAYS)


def test_hourly_amounts_of_the_time_series_of_era5_land(tmp_path: Path) -> None:
    """The CDS's time series of ERA5-Land are taken apart already (https://confluence.ecmwf.int/x/Dg32Hw)."""
    write_cds(tmp_path / "a.nc", {"t2m": AIR, **HOURLY}, ends(), 0.1, n=1, south=50.2)
    ds = Era5LandReader().open(tmp_path, DAYS)
    assert daily_means(ds, "precipitation") == pytest.approx(RAIN[:3], rel=1e-4)
    assert "precipitation, shortwave_down: hourly amounts" in notes(ds)
    assert "ERA5-Land has a cell there" in notes(Era5Reader(["precipitation"]).open(tmp_path))
    (tmp_path / "a.nc").rename(tmp_path / "reanalysis-era5-land-timeseries-a.nc")
    with pytest.raises(DatasetError, match="is ERA5-Land"):
        Era5Reader(["precipitation"]).open(tmp_path)


def test_check_of_the_product_can_be_left_out(tmp_path: Path) -> None:
    """ERA5 ordered on cells of 0.1 degree, as the error's advice says."""
    write_cds(tmp_path / "a.nc", {"t2m": AIR, "tp": HOURLY["tp"]}, ends(), 0.1)
    with pytest.raises(DatasetError, match=r"options: \{check_product: false\} of the source era5"):
        Era5Reader(["precipitation"]).open(tmp_path)
    ds = Era5Reader(["precipitation"], check_product=False).open(tmp_path, DAYS)
    assert daily_means(ds, "precipitation") == pytest.approx(RAIN[:3], rel=1e-4)


def test_names_and_attributes_tell_the_product(tmp_path: Path) -> None:
    """A cell of both grids without accumulations: the name or the attributes say what it is."""
    write_cds(tmp_path / "reanalysis-era5-land_2024.nc", {"t2m": AIR}, ends(), n=1)
    with pytest.raises(DatasetError, match=r"is ERA5-Land .it says 'era5-land'"):
        Era5Reader().open(tmp_path)
    other = tmp_path / "other"
    write_cds(other / "a.nc", {"t2m": AIR}, ends(), n=1, history="cdsapi reanalysis-era5-land")
    with pytest.raises(DatasetError, match="is ERA5-Land"):
        Era5Reader().open(other)
    neither = tmp_path / "neither"
    write_cds(neither / "era5_land_sea_mask.nc", {"t2m": AIR}, ends(), n=1)
    assert daily_means(Era5Reader().open(neither, DAYS), "air_temperature") == [290] * 3


def test_totals_across_files_and_days(tmp_path: Path) -> None:
    """A month's file starts at 00 UTC: that total belongs to the day before, less the file before's at 23 UTC."""
    rain, times = TOTALS["tp"], ends()
    second = times >= pd.Timestamp("2024-06-02T00")
    write_cds(tmp_path / "b_june.nc", {"tp": rain[~second]}, times[~second], 0.1)
    write_cds(tmp_path / "a_july.nc", {"tp": rain[second]}, times[second], 0.1)
    ds = Era5LandReader().open(tmp_path, DAYS)
    np.testing.assert_allclose(ds.precipitation[:, 0, 0], HOURLY["tp"] * 24000, atol=1e-3)
    one = Period(start=dt.date(2024, 6, 1), end=dt.date(2024, 6, 1))
    ds = Era5LandReader().open(tmp_path, one)
    assert daily_means(ds, "precipitation") == pytest.approx([RAIN[0]], rel=1e-4)
    assert len(ds.attrs["inputs"]) == 2


@pytest.mark.parametrize("every", [3, 6, 24])
def test_totals_of_a_few_hours_a_day(tmp_path: Path, every: int) -> None:
    """Each total covers the hours since the one before; the one at 00 UTC alone is that of the whole day before."""
    chosen = slice(every - 1, None, every)
    write_cds(tmp_path / "a.nc", {name: x[chosen] for name, x in TOTALS.items()}, ends()[chosen], 0.1)
    ds = Era5LandReader().open(tmp_path, DAYS)
    assert ds.sizes["time"] == 72
    assert daily_means(ds, "precipitation") == pytest.approx(RAIN[:3], rel=1e-4)
    assert daily_means(ds, "shortwave_down") == pytest.approx([250] * 3, rel=1e-4)


def test_totals_without_the_first_or_last_hours(tmp_path: Path) -> None:
    write_cds(tmp_path / "a.nc", {"tp": TOTALS["tp"][4:-1]}, ends()[4:-1], 0.1)
    ds = Era5LandReader().open(tmp_path, DAYS)
    assert ds.sizes["time"] == 71
    assert daily_means(ds, "precipitation")[:2] == pytest.approx(RAIN[:2], rel=1e-4)
    hours = ends().hour != 0
    write_cds(tmp_path / "a.nc", {"tp": TOTALS["tp"][hours]}, ends()[hours], 0.1)
    assert "precipitation: totals end at 23 UTC of each day" in notes(Era5LandReader().open(tmp_path, DAYS))
    first = ends().hour == 1
    write_cds(tmp_path / "a.nc", {"tp": TOTALS["tp"][first]}, ends()[first], 0.1)
    ds = Era5LandReader().open(tmp_path, DAYS)
    assert ds.sizes["time"] == 3, "an hour a day, not a day"
    assert "totals end at 01 UTC" in notes(ds)


def test_packing_keeps_the_total_of_the_day(tmp_path: Path) -> None:
    noisy = TOTALS["tp"].copy()
    noisy[10::24] -= 4e-6
    noisy[20::24] += 4e-6
    write_cds(tmp_path / "a.nc", {"tp": noisy}, ends(), 0.1)
    ds = Era5LandReader().open(tmp_path, DAYS)
    assert daily_means(ds, "precipitation") == pytest.approx(RAIN[:3], rel=1e-4)
    assert float(ds.precipitation.min()) >= 0


def test_file_that_joins_hours_and_totals(tmp_path: Path) -> None:
    mixed = np.r_[TOTALS["ssrd"][:48], HOURLY["ssrd"][48:]]
    write_cds(tmp_path / "a.nc", {"ssrd": mixed}, ends(), 0.1)
    with pytest.raises(DatasetError, match=r"a\.nc: ssrd on 2024-06-03 falls after .* UTC by"):
        Era5LandReader(check_product=False).open(tmp_path)


def test_accumulations_that_cannot_be_told() -> None:
    """No rain, constant rain and rain in the last hour alone show nothing."""
    days, hours = np.repeat([0, 1], 24), np.tile(np.arange(1, 25), 2)
    last = np.zeros((48, 1))
    last[[23, 47]] = 0.01
    for values in (np.zeros((48, 1)), np.full((48, 1), 0.001), last, np.full((48, 1), np.nan)):
        assert accumulation_of(values, days, hours, 1.0, steady=False) is None
    assert accumulation_of(np.full((2, 4), 2e7), days[:2], np.array([24, 24]), 5.4e6, steady=True) == "day"
    assert (
        accumulation_of(np.full((2, 4), 2e7), np.array([0, 1]), np.array([24, 24]), 5.4e6, steady=True)
        == "total"
    )
    for name, largest in (("tp", 0.8), ("ssrd", 5.4e6)):
        assert accumulation_of(TOTALS[name][:48, None], days, hours, largest, steady=name == "ssrd") == "day"
        assert accumulation_of(HOURLY[name][:48, None], days, hours, largest, steady=name == "ssrd") == "hour"
