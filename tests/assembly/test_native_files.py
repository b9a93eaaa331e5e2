"""Assembly of the producers' files against values read directly from them."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import netcdf_file

from gsm3core.assembly.assemble import assemble
from gsm3core.assembly.recipe import Recipe
from gsm3core.errors import DatasetError
from gsm3core.schema import open_dataset

pytestmark = pytest.mark.real_data
ARCHIVE = "ismn/Data_seperate_files_20170810_20180809"


@pytest.fixture
def native(real_data: Path) -> Path:
    return real_data / "native"


def gldas_recipe(native: Path, **changes: object) -> Recipe:
    return Recipe.model_validate({
        "sites": {"kind": "ismn", "path": native / ARCHIVE},
        "period": {"start": "2015-12-30", "end": "2016-01-02"},
        "products": ["gldas-noah025"],
        "sources": {"gldas-noah025": {"path": native / "gldas"}},
    } | changes)  # fmt: skip


def test_ismn_with_gldas(native: Path, tmp_path: Path) -> None:
    """One day has seven of eight steps, enough for a mean; the days around it have none."""
    made = assemble(gldas_recipe(native), tmp_path / "d.zarr")
    ds = open_dataset(made.dataset).load()
    assert ds.site.values.tolist() == ["FR_Aqui_fraye"]
    lat, lon = float(ds.lat[0]), float(ds.lon[0])
    expected = []
    for path in sorted((native / "gldas").glob("*A20160101*")):
        with h5py.File(path) as raw:
            row, column = (np.argmin(abs(raw[n][:] - x)) for n, x in (("lat", lat), ("lon", lon)))
            expected.append(raw["SoilMoi0_10cm_inst"][0, row, column])
    assert len(expected) == 7
    found = ds.sm_product.sel(product="GLDAS-Noah", site="FR_Aqui_fraye").values
    np.testing.assert_allclose(found, [np.nan, np.nan, np.mean(expected) / 100, np.nan], rtol=1e-6)
    stm = next((native / ARCHIVE).rglob("*fraye_sm_*.stm")).read_text().splitlines()
    good = [float(w[-3]) for w in map(str.split, stm) if w[0] == "2016/01/01" and w[-2] == "G"]
    assert float(ds.sm_insitu.sel(time="2016-01-01")[0]) == pytest.approx(np.mean(good), abs=1e-6)
    history = json.loads(ds.attrs["history"])
    days = {"2015/12/30", "2015/12/31", "2016/01/01", "2016/01/02"}
    rows = [w for w in map(str.split, stm) if w[0] in days and w[-2] == "G"]
    assert history[1]["rows_used"] == len(rows), "rows of the period, not of the whole record"
    step = next(s for s in history if s.get("source") == "gldas-noah025")
    assert step["variables"]["GLDAS-Noah"]["lacking"] == "2015-12-30 to 2015-12-31, 2016-01-02"


def test_ismn_with_era5(native: Path, tmp_path: Path) -> None:
    """A download of two time steps, unpacked with scipy."""
    path = native / "era5" / "era5_example_downloaded_raw.nc"
    archive = native / "ismn" / "zip_archives" / "multinetwork" / "header_values" / "Data_header_values.zip"
    recipe = Recipe.model_validate({
        "sites": {"kind": "ismn", "path": archive, "flags": ["G", "U"]},
        "period": {"start": "2009-12-31", "end": "2010-01-01"},
        "products": ["era5"], "sources": {"era5": {"path": path, "minimum": 0.08}},
    })  # fmt: skip
    ds = open_dataset(assemble(recipe, tmp_path / "d.zarr").dataset).load()
    with netcdf_file(path, mmap=False) as raw:
        packed = raw.variables["swvl1"]
        soil = packed.data.astype(float) * packed.scale_factor + packed.add_offset
        lat, lon = raw.variables["latitude"].data, raw.variables["longitude"].data
    for k in range(ds.sizes["site"]):
        row, column = np.argmin(abs(lat - float(ds.lat[k]))), np.argmin(abs(lon - float(ds.lon[k]) % 360))
        assert float(ds.sm_product[0, k, 1]) == pytest.approx(soil[:, row, column].mean(), abs=1e-6)


def test_missing_variables_are_named(native: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"gldas-noah025 .*: air_temperature has no value at any site .*Tair_f_inst"
    ):
        assemble(
            gldas_recipe(native, products=[], forcings=["gldas-noah025:air_temperature"]), tmp_path / "d.zarr"
        )
    assert not (tmp_path / "d.zarr").exists()
