"""MODIS: synthetic files in the layouts of AppEEARS and h4toh5; HDF4 is refused."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.modis import ModisAlbedoReader, ModisLstReader, ModisNdviReader

DAYS = (np.array(["2015-04-01", "2015-04-02"], "M8[D]") - np.datetime64("2000-01-01")).astype(int)
COORDS = {
    "time": ("time", DAYS, {"units": "days since 2000-01-01 00:00:00", "calendar": "julian"}),
    "lat": [40.1, 40.0],
    "lon": [-100.0, -99.9],
}


def write(path: Path, variables: dict[str, tuple[np.ndarray, dict[str, object]]]) -> None:
    """Write the layout of AppEEARS: packed integers with scale and fill value, and quality flags."""
    ds = xr.Dataset({n: (("time", "lat", "lon"), x, a) for n, (x, a) in variables.items()}, coords=COORDS)
    ds.to_netcdf(path, engine="h5netcdf")


def test_albedo_scaled_and_screened(tmp_path: Path) -> None:
    stored = np.array([[[150, 200], [300, 32767]], [[160, 210], [310, 320]]], np.int16)
    packing = {
        "scale_factor": 0.001,
        "add_offset": 0.0,
        "_FillValue": np.int16(32767),
        "units": "reflectance, no units",
    }
    quality = np.array([[[0, 1], [2, 255]], [[0, 0], [0, 0]]], np.uint8)
    write(tmp_path / "MCD43A3.061_500m_aid0001.nc", {
        "Albedo_BSA_shortwave": (stored, packing), "Albedo_WSA_shortwave": (stored, packing),
        "BRDF_Albedo_Band_Mandatory_Quality_shortwave": (quality, {"_FillValue": np.uint8(255)}),
    })  # fmt: skip
    ds = ModisAlbedoReader().open(tmp_path)
    assert [str(t)[:10] for t in ds.time.values] == ["2015-04-01", "2015-04-02"], "the Gregorian calendar"
    np.testing.assert_allclose(ds.albedo_black_sky[0], [[np.nan, np.nan], [0.15, 0.2]], rtol=1e-5)
    assert json.loads(ds.albedo_white_sky.attrs["screening"]) == {
        "read": 8, "fill": 1, "low_quality": 1, "outside_valid_range": 0, "kept": 6,
    }  # fmt: skip
    best = ModisAlbedoReader(max_quality=0).open(
        tmp_path, Period(start=dt.date(2015, 4, 1), end=dt.date(2015, 4, 1))
    )
    assert int(best.albedo_black_sky.notnull().sum()) == 1


def test_surface_temperature_flags(tmp_path: Path) -> None:
    stored = np.array([[[15000, 15000], [15000, 0]], [[15000] * 2] * 2], np.uint16)
    packing = {"scale_factor": 0.02, "add_offset": 0.0, "_FillValue": np.uint16(0), "units": "K"}
    # bits 0-1: 0 good, 1 other, 2 cloud; bits 6-7: error up to 1, 2, 3, more than 3 K.
    day = np.array([[[0b0, 0b10000001], [0b11000001, 0b10]], [[0] * 2] * 2], np.uint8)
    write(tmp_path / "MYD11A1.061_1km_aid0001.nc", {
        "LST_Day_1km": (stored, packing), "QC_Day": (day, {}),
        "LST_Night_1km": (stored, packing), "QC_Night": (np.zeros_like(day), {}),
    })  # fmt: skip
    ds = ModisLstReader().open(tmp_path)
    np.testing.assert_allclose(ds.surface_temperature_day[0], [[np.nan, np.nan], [300, 300]], rtol=1e-6)
    assert int(ds.surface_temperature_night.notnull().sum()) == 7
    assert json.loads(ds.surface_temperature_day.attrs["screening"])["large_error"] == 1
    assert int(ModisLstReader(max_error=3).open(tmp_path).surface_temperature_day.notnull().sum()) == 7


def test_ndvi_is_divided_by_ten_thousand(tmp_path: Path) -> None:
    """The HDF-EOS scale_factor of 10000 divides; xarray would multiply."""
    stored = np.array([[5000, -3000, 8000, 1000]] * 2, np.int16)
    with h5py.File(tmp_path / "MOD13C2.A2015091.061.2021327005613.h5", "w") as file:
        group = file.create_group("MOD_Grid_monthly_CMG_VI/Data Fields")
        ndvi = group.create_dataset("CMG 0.05 Deg Monthly NDVI", data=stored)
        ndvi.attrs.update(
            {"scale_factor": 10000.0, "add_offset": 0.0, "_FillValue": np.int16(-3000), "units": "NDVI"}
        )
        group.create_dataset(
            "CMG 0.05 Deg Monthly pixel reliability", data=np.array([[0, 0, 3, 1], [0, 1, 2, 4]], np.int8)
        )
    ds = ModisNdviReader().open(tmp_path)
    # The file is stored from north to south.
    np.testing.assert_allclose(
        ds.ndvi[0], [[0.5, np.nan, np.nan, np.nan], [0.5, np.nan, np.nan, 0.1]], rtol=1e-6
    )
    assert str(ds.time.values[0])[:10] == "2015-04-01"
    np.testing.assert_allclose(ds.lat, [-45, 45])
    np.testing.assert_allclose(ds.lon, [-135, -45, 45, 135])
    counts = json.loads(ds.ndvi.attrs["screening"])
    assert counts == {"read": 8, "fill": 2, "unreliable": 3, "outside_valid_range": 0, "kept": 3}


def test_hdf4_files_give_advice(tmp_path: Path) -> None:
    name = "MYD11A1.A2015091.h10v05.061.2021327005613.hdf"
    (tmp_path / name).write_bytes(b"\x0e\x03\x13\x01" + b"0" * 100)
    with pytest.raises(DatasetError, match=r"1 HDF4-EOS files .MYD11A1.A2015091.h10v05.*AppEEARS"):
        ModisLstReader().open(tmp_path)
    with pytest.raises(DatasetError, match=r"is one of the HDF4-EOS files.*h4toh5"):
        ModisLstReader().open(tmp_path / name)
    disguised = tmp_path / "MOD13C2.A2015091.061.2021327005613.h5"
    disguised.write_bytes(b"\x0e\x03\x13\x01" + b"0" * 100)
    with pytest.raises(DatasetError, match=r"is HDF4; expected netCDF or HDF5.*h4toh5"):
        ModisNdviReader().open(disguised)
