"""ERA5: files of the CDS before 2024 against raw values; synthetic files in the layout since 2024."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.io import netcdf_file

from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.era5.reader import Era5Reader


@pytest.fixture(scope="module")
def folder(real_data: Path) -> Path:
    return real_data / "native" / "era5"


@pytest.mark.real_data
def test_packed_download(folder: Path) -> None:
    """A raw CDS download: 16-bit integers, longitudes 0-360, latitudes descending, noise over the sea."""
    path = folder / "era5_example_downloaded_raw.nc"
    ds = Era5Reader().open(path)
    with netcdf_file(path, mmap=False) as raw:

        def unpack(name: str) -> np.ndarray:
            packed = raw.variables[name]
            return packed.data.astype(float) * packed.scale_factor + packed.add_offset

        soil, land = unpack("swvl1"), unpack("lsm")
        lat, lon = raw.variables["latitude"].data, raw.variables["longitude"].data
    np.testing.assert_array_equal(ds.time, np.array(["2010-01-01T00", "2010-01-01T12"], "M8[ns]"))
    for place in ((48.25, 16.5), (40.0, -100.0), (-33.5, 147.0)):
        row, column = np.flatnonzero(lat == place[0])[0], np.flatnonzero(lon == place[1] % 360)[0]
        for step in (0, 1):
            found = float(ds.sm_product.isel(time=step).sel(lat=place[0], lon=place[1]))
            assert found == pytest.approx(soil[step, row, column], rel=1e-6)
    shift = np.r_[720:1440, 0:720]
    expected = np.where((land >= 0.5) & (soil >= -1e-4), np.maximum(soil, 0), np.nan)[:, ::-1][:, :, shift]
    np.testing.assert_allclose(ds.sm_product, expected, atol=1e-6)
    counts = json.loads(ds.sm_product.attrs["screening"])
    assert counts["not_land"] == int((land < 0.5).sum())
    assert counts["kept"] == int(np.isfinite(expected).sum())
    assert counts["read"] == sum(counts[k] for k in ("fill", "not_land", "outside_valid_range", "kept"))
    assert (np.diff(ds.lat) > 0).all()
    assert ds.lon.values[[0, -1]].tolist() == [-180.0, 179.75]


@pytest.mark.real_data
def test_single_steps_without_a_time_dimension(folder: Path, tmp_path: Path) -> None:
    for name in ("ERA5_AN_20100101_0000.nc", "ERA5_AN_20100101_1200.nc"):
        (tmp_path / name).symlink_to(folder / name)
    ds = Era5Reader(["sm_product"]).open(tmp_path)
    assert list(ds.time.values) == [np.datetime64("2010-01-01T00"), np.datetime64("2010-01-01T12")]
    with h5py.File(folder / "ERA5_AN_20100101_1200.nc") as raw:
        row = np.flatnonzero(raw["latitude"][:] == 48.25)[0]
        column = np.flatnonzero(raw["longitude"][:] == 16.5)[0]
        assert float(ds.sm_product.sel(time="2010-01-01T12", lat=48.25, lon=16.5)) == pytest.approx(
            float(raw["swvl1"][row, column])
        )


@pytest.mark.real_data
def test_same_time_step_in_two_files(folder: Path) -> None:
    """The single steps have the values of the download, but for its packing to 16 bits: they are read once."""
    ds = Era5Reader(["sm_product"]).open(folder)
    assert ds.sizes["time"] == 2
    assert "overlapping times not read" in ds.attrs["notes"]


@pytest.mark.real_data
def test_missing_variable_is_named(folder: Path) -> None:
    with pytest.raises(
        DatasetError,
        match=r"era5_example_downloaded_raw.nc has no t2m .air_temperature.; it has lsm, swvl1, swvl2 in 1 file\.",
    ):
        Era5Reader(["sm_product", "air_temperature"]).open(folder / "era5_example_downloaded_raw.nc")


def new_cds(path: Path, variables: dict[str, tuple[np.ndarray, str]], start: str = "2020-01-01T00") -> None:
    """Write a file in the layout of the CDS since September 2024: valid_time, scalar number, expver as text."""
    steps = len(next(iter(variables.values()))[0])
    seconds = (pd.date_range(start, periods=steps, freq="h") - pd.Timestamp("1970-01-01")) // pd.Timedelta(
        "1s"
    )
    ds = xr.Dataset(
        {n: (("valid_time", "latitude", "longitude"), x.astype(np.float32), {"units": u}) for n, (x, u) in variables.items()},
        coords={
            "valid_time": ("valid_time", seconds, {"units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian"}),
            "latitude": [1.0, 0.75],
            "longitude": [0.0, 179.75, 180.0, 359.75],
            "number": ((), 0),
            "expver": ("valid_time", np.array(["0001"] * (steps - 2) + ["0005"] * 2, dtype=object)),
        },
    )  # fmt: skip
    ds.to_netcdf(path, engine="h5netcdf")


def test_new_cds_layout_with_accumulations(tmp_path: Path) -> None:
    """Instantaneous and accumulated variables are in two files; an accumulation covers the hour before its label."""
    shape = (26, 2, 4)
    air = 280 + np.arange(26.0)[:, None, None] + np.zeros(shape)
    rain = np.zeros(shape)
    rain[0] = 0.001  # 23-24 h of the day before
    rain[24] = 0.002  # 23-24 h of the day
    rain[5, 0, 0] = -1e-7
    radiation = np.full(shape, 3.6e6)
    new_cds(tmp_path / "data_stream-oper_stepType-instant.nc", {"t2m": (air, "K")})
    new_cds(
        tmp_path / "data_stream-oper_stepType-accum.nc", {"tp": (rain, "m"), "ssrd": (radiation, "J m**-2")}
    )
    ds = Era5Reader().open(tmp_path)
    assert ds.time.values[[0, -1]].tolist() == [
        x.value for x in (pd.Timestamp("2019-12-31T23"), pd.Timestamp("2020-01-02T01"))
    ]
    assert float(ds.precipitation.sel(time="2019-12-31T23")[0, 0]) == pytest.approx(24.0)
    day = Period(start=dt.date(2020, 1, 1), end=dt.date(2020, 1, 1))
    one = Era5Reader(["air_temperature", "precipitation", "shortwave_down"]).open(tmp_path, day)
    assert one.sizes["time"] == 24
    assert one.notnull().all().to_array().all(), "each hour of the day has all variables"
    assert float(one.precipitation.mean("time").max()) == pytest.approx(2.0), "mm in the day"
    assert float(one.precipitation.min()) == 0.0, "packing noise below zero becomes zero"
    np.testing.assert_allclose(one.shortwave_down, 1000.0, rtol=1e-6)
    assert one.lon.values.tolist() == [-180.0, -0.25, 0.0, 179.75]
    assert one.lat.values.tolist() == [0.75, 1.0]
    assert ds.attrs["preliminary_steps"] == 4, "two hours in each of two files"
    assert one.attrs["preliminary_steps"] == 1, "of the day's steps: the last hour of the accumulations"


def test_old_layout_with_expver_as_a_dimension(tmp_path: Path) -> None:
    """The CDS before 2024 had final (1) and preliminary (5) data as a dimension, each missing where the other is valid."""
    final = np.full((3, 2, 2), np.nan, np.float32)
    final[:2] = 280
    early = np.full((3, 2, 2), np.nan, np.float32)
    early[2] = 290
    xr.Dataset(
        {"t2m": (("time", "expver", "latitude", "longitude"), np.stack([final, early], 1), {"units": "K"})},
        coords={
            "time": ("time", np.int32([0, 1, 2]), {"units": "hours since 1900-01-01 00:00:00.0", "calendar": "gregorian"}),
            "expver": [1, 5], "latitude": [1.0, 0.0], "longitude": [0.0, 1.0],
        },
    ).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")  # fmt: skip
    ds = Era5Reader().open(tmp_path)
    np.testing.assert_array_equal(ds.air_temperature[:, 0, 0], [280, 280, 290])
    assert ds.attrs["preliminary_steps"] == 1


def test_unsupported_formats_give_advice(tmp_path: Path) -> None:
    for head, expected in (
        (b"GRIB" + b"0" * 50, "is GRIB.*cfgrib.open_datasets"),
        (b"PK\x03\x04" + b"0" * 50, "is a zip archive.*Unpack it"),
        (b"<!DOCTYPE html>", "HTML.*login or error page"),
    ):
        path = tmp_path / "era5.nc"
        path.write_bytes(head)
        with pytest.raises(DatasetError, match=expected):
            Era5Reader().open(path)
