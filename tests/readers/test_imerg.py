"""GPM IMERG: half-hourly files of both versions against h5py; synthetic daily files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from gsm3core.errors import DatasetError
from gsm3core.readers.imerg import ImergReader


@pytest.fixture(scope="module")
def folder(real_data: Path) -> Path:
    return real_data / "native" / "imerg" / "RS"


def raw_rain(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with h5py.File(path) as raw:
        name = "precipitation" if "precipitation" in raw["Grid"] else "precipitationCal"
        return raw["Grid"][name][0], raw["Grid/lat"][:], raw["Grid/lon"][:]


@pytest.mark.real_data
@pytest.mark.parametrize("version", ["V6", "V7"])
def test_values_and_time_of_both_versions(folder: Path, version: str) -> None:
    path = next((folder / version).rglob("*.HDF5"))
    ds = ImergReader().open(path)
    rain, lat, lon = raw_rain(path)
    assert list(ds.time.values) == [np.datetime64("2000-06-01T00:00")]
    np.testing.assert_allclose(ds.lat, lat)
    np.testing.assert_allclose(ds.lon, lon)
    # The file stores (lon, lat) and mm per hour.
    expected = np.where(rain == np.float32(-9999.9), np.nan, rain * 24).T
    np.testing.assert_allclose(ds.precipitation[0], expected)
    counts = json.loads(ds.precipitation.attrs["screening"])
    assert counts["read"] == 100
    assert counts["fill"] == int((rain == np.float32(-9999.9)).sum())
    assert ds.attrs["time_step"] == 1800


@pytest.mark.real_data
def test_precipitation_is_scaled_and_transposed(folder: Path, tmp_path: Path) -> None:
    """The sample files have no rain: known values are written into a copy."""
    source = next((folder / "V7").rglob("*.HDF5"))
    path = tmp_path / source.name
    shutil.copyfile(source, path)
    path.chmod(0o644)
    rng = np.random.default_rng(1)
    rain = rng.gamma(0.5, 2.0, (1, 10, 10)).astype(np.float32)
    with h5py.File(path, "r+") as copy:
        copy["Grid/precipitation"][:] = rain
        copy["Grid/precipitationQualityIndex"][:] = np.where(rain > 1, 0.9, 0.2)
    ds = ImergReader().open(path)
    np.testing.assert_allclose(ds.precipitation[0], rain[0].T * 24, rtol=1e-6)
    strict = ImergReader(min_quality=0.5).open(path)
    np.testing.assert_array_equal(strict.precipitation[0].notnull(), rain[0].T > 1)
    assert json.loads(strict.precipitation.attrs["screening"])["quality_below_0.5"] == int((rain <= 1).sum())


@pytest.mark.real_data
def test_later_version_is_read_if_both_exist(folder: Path) -> None:
    ds = ImergReader().open(folder)
    assert ds.attrs["product_version"] == "V07A"
    rain, _, _ = raw_rain(next((folder / "V7").rglob("*.HDF5")))
    np.testing.assert_allclose(ds.precipitation[0], np.where(rain < 0, np.nan, rain * 24).T)


@pytest.mark.real_data
def test_renamed_file(folder: Path, tmp_path: Path) -> None:
    source = next((folder / "V6").rglob("*.HDF5"))
    path = tmp_path / source.name.replace("20000601-S000000", "20000601-S003000")
    path.write_bytes(source.read_bytes())
    with pytest.raises(
        DatasetError, match=r"2000-06-01 00:30:00 by the file name but 2000-06-01 00:00:00 in the file"
    ):
        ImergReader().open(path)


def daily_file(
    folder: Path, day: str, rain: np.ndarray, *, version: str = "V07B", units: str = "mm/day"
) -> Path:
    """Write a file in the layout of GPM_3IMERGDF: (time, lon, lat), the day at 00 UTC, calendar "julian"."""
    name = "precipitation" if version > "V07" else "precipitationCal"
    ds = xr.Dataset(
        {name: (("time", "lon", "lat"), rain, {"units": units, "_FillValue": np.float32(-9999.9)})},
        coords={
            "time": ("time", [int(np.datetime64(day).astype(int))],
                     {"units": "days since 1970-01-01 00:00:00", "calendar": "julian"}),
            "lon": ("lon", np.float32([-179.95, -0.05, 0.05]), {"units": "degrees_east"}),
            "lat": ("lat", np.float32([-0.05, 0.05]), {"units": "degrees_north"}),
        },
    )  # fmt: skip
    path = folder / f"3B-DAY.MS.MRG.3IMERG.{day.replace('-', '')}-S000000-E235959.{version}.nc4"
    ds.to_netcdf(path, engine="h5netcdf")
    return path


def test_daily_files(tmp_path: Path) -> None:
    """Synthetic files in the producer's published layout."""
    rain = np.arange(6, dtype=np.float32).reshape(1, 3, 2)
    daily_file(tmp_path, "2019-06-01", rain)
    daily_file(tmp_path, "2019-06-02", rain * 2, version="V06", units="mm")
    ds = ImergReader().open(tmp_path)
    np.testing.assert_array_equal(ds.time, np.array(["2019-06-01", "2019-06-02"], "M8[ns]"))
    np.testing.assert_array_equal(ds.precipitation.sel(time="2019-06-01"), rain[0].T)
    np.testing.assert_array_equal(ds.precipitation.sel(time="2019-06-02"), 2 * rain[0].T)
    assert ds.attrs["time_step"] == 86400
    assert ds.attrs["product_version"] == "V06, V07B"


@pytest.mark.real_data
def test_daily_and_half_hourly_files_are_not_mixed(folder: Path, tmp_path: Path) -> None:
    daily_file(tmp_path, "2000-06-01", np.zeros((1, 3, 2), np.float32))
    source = next((folder / "V7").rglob("*.HDF5"))
    (tmp_path / source.name).write_bytes(source.read_bytes())
    with pytest.raises(DatasetError, match=r"of the same precipitation"):
        ImergReader().open(tmp_path)
