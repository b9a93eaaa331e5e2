"""SMOS L3: the producer's files (netCDF classic), read with scipy, against the reader."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.io import netcdf_file

from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.smos_l3 import SmosL3Reader

NAME = "SM_OPER_MIR_CLF31{}_{}T000000_{}T235959_300_002_7.DBL.nc"


@pytest.fixture(scope="module")
def folder(real_data: Path) -> Path:
    return real_data / "native" / "smos"


def unpack(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return stored * scale_factor + add_offset (-32768 is missing), latitudes and longitudes."""
    with netcdf_file(path, mmap=False) as raw:
        packed = raw.variables["Soil_Moisture"]
        values = packed.data.astype(float) * packed.scale_factor + packed.add_offset
        values[packed.data == -32768] = np.nan
        return values, raw.variables["lat"].data.astype(float), raw.variables["lon"].data.astype(float)


@pytest.mark.real_data
def test_every_value_of_three_days(folder: Path) -> None:
    ds = SmosL3Reader().open(folder)
    days = ["2015-05-06", "2015-05-07", "2015-05-08"]
    np.testing.assert_array_equal(ds.time, np.array(days, "M8[ns]"))
    files = sorted(folder.rglob("*.nc"))
    kept = 0
    for k, path in enumerate(files):
        values, lat, lon = unpack(path)
        order = np.argsort(lat)
        np.testing.assert_allclose(ds.sm_product[k], values[order], atol=1e-6)
        np.testing.assert_allclose(ds.lon, lon)
        kept += int((~np.isnan(values)).sum())
    counts = json.loads(ds.sm_product.attrs["screening"])
    assert counts == {
        "read": 3 * 101 * 151,
        "fill": 3 * 101 * 151 - kept,
        "outside_valid_range": 0,
        "kept": kept,
    }
    assert "Rfi_Prob, Soil_Moisture_Dqx" in ds.sm_product.attrs["screening_not_applied"]
    assert "units" not in ds.attrs
    assert ds.sm_product.attrs["units"] == "m3 m-3"


@pytest.mark.real_data
def test_one_day_and_missing_days(folder: Path) -> None:
    day = dt.date(2015, 5, 7)
    assert SmosL3Reader().open(folder, Period(start=day, end=day)).sizes["time"] == 1
    with pytest.raises(DatasetError, match=r"no file in .* covers 2016-01-01"):
        SmosL3Reader().open(folder, Period(start=dt.date(2016, 1, 1), end=dt.date(2016, 2, 1)))
    with pytest.raises(DatasetError, match=r"has 3 files of SMOS.*none of the orbit D"):
        SmosL3Reader(orbit="D").open(folder)


@pytest.mark.real_data
def test_renamed_file(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / NAME.format("A", "20150601", "20150601")
    path.write_bytes(next(folder.rglob("*20150507T000000*")).read_bytes())
    with pytest.raises(
        DatasetError, match=r"2015-06-01 by the file name but 2015-05-07 by Mean_Acq_Time_Days"
    ):
        SmosL3Reader().open(tmp_path)


def test_interference_and_uncertainty_are_screened(tmp_path: Path) -> None:
    """A synthetic file in the producer's layout, with the flags that the sample files lack."""
    sm = np.array([[0.1, 0.2, 0.3], [0.4, np.nan, 1.4]], np.float32)
    rfi = np.array([[0.0, 0.5, 0.0], [0.2, 0.0, 0.0]], np.float32)
    dqx = np.array([[0.01, 0.5, 0.2], [0.06, 0.0, 0.0]], np.float32)
    ds = xr.Dataset(
        {
            "Soil_Moisture": (("lat", "lon"), sm, {"units": "m3.m-3"}),
            "Rfi_Prob": (("lat", "lon"), rfi),
            "Soil_Moisture_Dqx": (("lat", "lon"), dqx),
        },
        coords={"lat": [10.0, -10.0], "lon": [-20.0, 0.0, 20.0]},
    )
    ds.to_netcdf(tmp_path / NAME.format("D", "20160101", "20160101"), engine="h5netcdf")
    out = SmosL3Reader(orbit="D").open(tmp_path)
    np.testing.assert_allclose(out.sm_product[0], [[0.4, np.nan, np.nan], [0.1, np.nan, np.nan]], rtol=1e-6)
    counts = json.loads(out.sm_product.attrs["screening"])
    assert counts == {
        "read": 6, "fill": 1, "Rfi_Prob_above_0.2": 1, "Soil_Moisture_Dqx_above_0.06": 1, "outside_valid_range": 1, "kept": 2,
    }  # fmt: skip
    assert "screening_not_applied" not in out.sm_product.attrs
