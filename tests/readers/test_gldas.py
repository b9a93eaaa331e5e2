"""GLDAS Noah: the producer's files, read with h5py, against the reader."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers import make_grid_reader
from gsm3core.readers.gldas_noah import GldasNoahReader

pytestmark = pytest.mark.real_data
NEW_YEAR = Period(start=dt.date(2016, 1, 1), end=dt.date(2016, 1, 1))


@pytest.fixture(scope="module")
def folder(real_data: Path) -> Path:
    return real_data / "native" / "gldas"


@pytest.fixture(scope="module")
def full(folder: Path) -> Path:
    return folder / "GLDAS_NOAH025_3H.A20150101.0000.021.nc4"


@pytest.fixture(scope="module")
def new_year(folder: Path) -> xr.Dataset:
    return GldasNoahReader().open(folder, NEW_YEAR)


def test_soil_moisture_of_every_cell(folder: Path, new_year: xr.Dataset) -> None:
    ds = new_year
    assert dict(ds.sizes) == {"time": 7, "lat": 600, "lon": 1440}
    assert list(ds.time.values) == list(pd.date_range("2016-01-01T03", periods=7, freq="3h"))
    for step, name in ((0, "0300"), (2, "0900"), (6, "2100")):
        with h5py.File(folder / f"GLDAS_NOAH025_3H.A20160101.{name}.021.nc4") as raw:
            water = raw["SoilMoi0_10cm_inst"][0]
            for lat, lon in ((40.125, -99.875), (-33.375, 147.125), (51.625, 10.375)):
                row, column = (np.argmin(abs(raw[n][:] - x)) for n, x in (("lat", lat), ("lon", lon)))
                found = float(ds.sm_product.isel(time=step).sel(lat=lat, lon=lon))
                # 1 kg m-2 is 1 mm, which is 0.01 m3 m-3 in a layer of 100 mm.
                assert found == pytest.approx(water[row, column] / 100, rel=1e-6)
            expected = np.where(water == -9999, np.nan, water / 100)
            np.testing.assert_allclose(ds.sm_product.isel(time=step), expected, rtol=1e-6)


def test_counts_add_up_and_units_are_stated(new_year: xr.Dataset) -> None:
    ds = new_year
    counts = json.loads(ds.sm_product.attrs["screening"])
    assert counts["read"] == 7 * 600 * 1440
    assert counts["read"] == counts["fill"] + counts["outside_valid_range"] + counts["kept"]
    assert counts["kept"] == int(ds.sm_product.notnull().sum())
    assert ds.sm_product.attrs["units"] == "m3 m-3"
    assert ds.sm_product.attrs["cell_methods"] == "time: point"
    assert str(ds["product"].values) == "GLDAS-Noah"
    assert ds.attrs["time_step"] == 10800


def test_means_are_labelled_at_the_interval_start(full: Path) -> None:
    """``*_tavg`` of 00 UTC is, by its time_bnds, the mean of 21-24 UTC of the previous day."""
    ds = make_grid_reader("gldas_noah", variables=["precipitation", "air_temperature"]).open(full)
    with h5py.File(full) as raw:
        epoch = pd.Timestamp("2000-01-01T03")
        start = epoch + pd.Timedelta(minutes=float(raw["time_bnds"][0, 0]))
        rain = raw["Rainf_f_tavg"][0]
        air = raw["Tair_f_inst"][0]
    assert start == pd.Timestamp("2014-12-31T21")
    rainy = ds.precipitation.sel(time=start)
    np.testing.assert_allclose(rainy, np.where(rain == -9999, np.nan, rain * 86400), rtol=1e-5)
    np.testing.assert_allclose(
        ds.air_temperature.sel(time="2015-01-01T00:00"), np.where(air == -9999, np.nan, air), rtol=1e-6
    )
    assert ds.precipitation.sel(time="2015-01-01T00:00").isnull().all()


def test_period_includes_intervals_labelled_after_it(full: Path) -> None:
    last_day = Period(start=dt.date(2014, 12, 31), end=dt.date(2014, 12, 31))
    ds = GldasNoahReader(["precipitation"]).open(full, last_day)
    assert list(ds.time.values) == [np.datetime64("2014-12-31T21")]
    with pytest.raises(DatasetError, match=r"no value of gldas-noah025 for 2014-12-31"):
        GldasNoahReader().open(full, last_day)


def test_missing_variables_and_days_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"no variable Tair_f_inst.*It has: SoilMoi0_10cm_inst, SoilMoi10_40cm_inst"
    ):
        GldasNoahReader(["air_temperature"]).open(folder, NEW_YEAR)
    with pytest.raises(DatasetError, match=r"no variable 'air_temprature'. Did you mean 'air_temperature'"):
        GldasNoahReader(["air_temprature"]).open(folder)
    period = Period(start=dt.date(2019, 1, 1), end=dt.date(2019, 1, 2))
    with pytest.raises(
        DatasetError,
        match=r"2019-01-01 to 2019-01-02; its files of gldas-noah025 cover 2015-01-01 to 2016-01-01",
    ):
        GldasNoahReader().open(folder, period)


def test_renamed_truncated_or_foreign_files(folder: Path, tmp_path: Path) -> None:
    source = folder / "GLDAS_NOAH025_3H.A20160101.0300.021.nc4"
    renamed = tmp_path / "a" / "GLDAS_NOAH025_3H.A20160102.0300.021.nc4"
    renamed.parent.mkdir()
    renamed.write_bytes(source.read_bytes())
    with pytest.raises(
        DatasetError, match=r"2016-01-02 03:00:00 by the file name but 2016-01-01 03:00:00 in the file"
    ):
        GldasNoahReader().open(renamed)
    for size in (0, 100, 700_000):
        short = tmp_path / str(size) / source.name
        short.parent.mkdir()
        short.write_bytes(source.read_bytes()[:size])
        with pytest.raises(
            DatasetError,
            match=r"GLDAS_NOAH025_3H.*(neither|truncated: it has \d+ of 1567650 bytes).*[dD]ownload it again",
        ):
            GldasNoahReader().open(short)
    with pytest.raises(DatasetError, match=r"has no file of GLDAS.*found 3B-HHR"):
        GldasNoahReader().open(folder.parent / "imerg")


def test_damaged_chunk_is_detected(folder: Path, tmp_path: Path) -> None:
    source = folder / "GLDAS_NOAH025_3H.A20160101.0300.021.nc4"
    damaged = tmp_path / source.name
    content = bytearray(source.read_bytes())
    with h5py.File(source) as raw:
        chunk = raw["SoilMoi0_10cm_inst"].id.get_chunk_info(0)
    content[chunk.byte_offset : chunk.byte_offset + 200] = b"\xff" * 200
    damaged.write_bytes(content)
    with pytest.raises(DatasetError, match=r"'SoilMoi0_10cm_inst' cannot be read.*damaged"):
        GldasNoahReader().open(damaged)


def test_other_units_are_refused(tmp_path: Path) -> None:
    """A synthetic file in the producer's layout with other units."""
    path = tmp_path / "GLDAS_NOAH025_3H.A20160101.0300.021.nc4"
    ds = xr.Dataset(
        {
            "SoilMoi0_10cm_inst": (
                ("time", "lat", "lon"),
                np.full((1, 2, 2), 20.0, np.float32),
                {"units": "m3 m-3"},
            )
        },
        coords={
            "time": ("time", [8415360.0 - 180], {"units": " minutes since 2000-01-01 06:00:00"}),
            "lat": [0.125, 0.375],
            "lon": [0.125, 0.375],
        },
    )
    ds.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(DatasetError, match=r"'SoilMoi0_10cm_inst' has units 'm3 m-3'; expected 'kg m-2'"):
        GldasNoahReader().open(path)
    swapped = tmp_path / "swapped" / path.name
    swapped.parent.mkdir()
    ds.assign_coords(lat=[100.0, 120.0]).to_netcdf(swapped, engine="h5netcdf")
    with pytest.raises(DatasetError, match=r"latitudes are 100 to 120.*Are lat and lon swapped"):
        GldasNoahReader().open(swapped)
