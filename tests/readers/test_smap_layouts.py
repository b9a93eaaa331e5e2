"""SMAP L3 as NSIDC's subsetter and AppEEARS reformat it, and the 36 km product among the files of 9 km."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from gsm3core.assembly.collocate import to_sites
from gsm3core.errors import DatasetError
from gsm3core.geography.grids import cell_centres
from gsm3core.readers.smap_l3 import SmapL3Reader
from support.grid_files import write

FILL = -9999.0
ROWS, COLUMNS = slice(300, 340), slice(900, 930)
SITE = (37.0, -94.5)


def maps(grid: str = "M09") -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return soil moisture (row and column can be read from it), flags, and the coordinates of each cell."""
    lat, lon = cell_centres(grid)
    lat, lon = lat[ROWS] if grid == "M09" else lat[75:85], lon[COLUMNS] if grid == "M09" else lon[225:232]
    moisture = np.float32(0.1 + 0.002 * np.arange(len(lat))[:, None] + 0.005 * np.arange(len(lon)))
    return moisture, np.zeros(moisture.shape, np.uint16), *np.broadcast_arrays(lat[:, None], lon[None, :])


def subset(path: Path, *, index: bool = True, coordinates: bool = True, holes: bool = True, grid: str = "M09",
           short_name: str = "SPL3SMP_E") -> Path:  # fmt: skip
    """Write a subset of the native grid; where there is no retrieval, everything is a fill value."""
    moisture, flag, lat, lon = (np.array(a) for a in maps(grid))
    first = (ROWS.start, COLUMNS.start) if grid == "M09" else (75, 225)
    row, column = (np.indices(moisture.shape)[k] + first[k] for k in (0, 1))
    empty = np.zeros(moisture.shape, bool)
    if holes:
        empty[1], empty[:, 2] = True, True
    with h5py.File(path, "w") as file:
        file.create_group("Metadata/DatasetIdentification").attrs["shortName"] = short_name
        group = file.create_group("Soil_Moisture_Retrieval_Data_AM")
        layers = {"soil_moisture": (moisture, FILL), "retrieval_qual_flag": (flag, 65534)}
        if index:
            layers |= {
                "EASE_row_index": (row.astype(np.uint16), 65534),
                "EASE_column_index": (column.astype(np.uint16), 65534),
            }
        if coordinates:
            layers |= {
                "latitude": (lat.astype(np.float32), FILL),
                "longitude": (lon.astype(np.float32), FILL),
            }
        for name, (values, fill) in layers.items():
            stored = np.where(empty, fill, values).astype(values.dtype)
            group[name] = stored
            group[name].attrs["_FillValue"] = stored.dtype.type(fill)
        group["soil_moisture"].attrs["units"] = np.bytes_("cm**3/cm**3")
    return path


def expected_at_site() -> float:
    moisture, _, lat, lon = maps()
    row = int(np.abs(lat[:, 0] - SITE[0]).argmin())
    column = int(np.abs(lon[0] - SITE[1]).argmin())
    return float(moisture[row, column])


def at_site(root: Path, **options: str) -> xr.Dataset:
    return SmapL3Reader(**options).open(root, transform=lambda a: to_sites(a, [SITE[0]], [SITE[1]]))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["_001.h5", "_001_HEGOUT.h5", "_001_HEGOUT.nc"])
@pytest.mark.parametrize("known", [{"index": True, "coordinates": False}, {"index": False}, {}])
def test_subsets_of_the_native_grid(tmp_path: Path, name: str, known: dict[str, bool]) -> None:
    subset(tmp_path / f"SMAP_L3_SM_P_E_20150401_R19240{name}", **known)
    ds = at_site(tmp_path)
    assert float(ds.sm_smap[0, 0]) == pytest.approx(expected_at_site())
    assert float(ds.distance_km[0]) < 7
    if known.get("index", True):
        whole = SmapL3Reader().open(tmp_path)
        assert whole.sm_smap.attrs["grid"] == "M09"
        assert (int(whole.y[0]), int(whole.x[0])) == (ROWS.start, COLUMNS.start)


def test_a_subset_without_places_is_refused(tmp_path: Path) -> None:
    path = subset(tmp_path / "SMAP_L3_SM_P_E_20150401_R19240_001_HEGOUT.h5", index=False, coordinates=False)
    with pytest.raises(
        DatasetError, match=r"shape \(40, 30\).*or a subset with EASE_row_index and EASE_column_index or lat"
    ):
        SmapL3Reader().open(path)


def test_geographic_grids_of_heg_and_appeears(tmp_path: Path) -> None:
    lat, lon = 38 - 0.1 * np.arange(20), -95.5 + 0.1 * np.arange(25)
    moisture = np.float32(0.1 + 0.01 * np.arange(20)[:, None] + 0.002 * np.arange(25))
    expected = float(moisture[10, 10])
    heg = tmp_path / "heg" / "SMAP_L3_SM_P_E_20150401_R16510_001_HEGOUT.nc"
    heg.parent.mkdir()
    latitude, longitude = np.broadcast_arrays(np.float32(lat)[:, None], np.float32(lon)[None, :])
    with h5py.File(heg, "w") as file:
        group = file.create_group("Soil_Moisture_Retrieval_Data_AM")
        for name, values in (("soil_moisture", moisture), ("latitude", latitude), ("longitude", longitude),
                             ("retrieval_qual_flag", np.zeros(moisture.shape, np.uint16))):  # fmt: skip
            group[name] = values
        group["soil_moisture"].attrs["units"] = np.bytes_("cm**3/cm**3")
    assert float(at_site(heg).sm_smap[0, 0]) == pytest.approx(expected)
    prefix = "Soil_Moisture_Retrieval_Data_AM_"
    days = np.array(["2015-04-01", "2015-04-02"], "M8[D]") - np.datetime64("2000-01-01")
    appeears = xr.Dataset(
        {
            f"{prefix}soil_moisture": (("time", "lat", "lon"), np.stack([moisture, moisture + 0.1]),
                                       {"units": "cm**3/cm**3", "_FillValue": np.float32(FILL)}),
            f"{prefix}retrieval_qual_flag": (("time", "lat", "lon"), np.zeros((2, 20, 25), np.uint16),
                                             {"_FillValue": np.uint16(65534)}),
        },
        coords={"time": ("time", days.astype(int), {"units": "days since 2000-01-01 00:00:00", "calendar": "julian"}),
                "lat": lat, "lon": lon},
    )  # fmt: skip
    write(appeears, tmp_path / "appeears" / "SPL3SMP_E.006_9km_aid0001.nc")
    ds = at_site(tmp_path / "appeears")
    np.testing.assert_allclose(ds.sm_smap[:, 0], [expected, expected + 0.1], rtol=1e-5)
    assert [str(t)[:10] for t in ds.time.values] == ["2015-04-01", "2015-04-02"]


def test_the_coarse_product_has_its_own_name(tmp_path: Path) -> None:
    coarse = tmp_path / "SMAP_L3_SM_P_20150401_R18290_001.h5"
    subset(coarse, grid="M36", short_name="SPL3SMP", holes=False)
    ds = at_site(tmp_path)
    assert "36 km (SPL3SMP)" in ds.sm_smap.attrs["source"]
    assert "the files are SPL3SMP of 36 km, not SPL3SMP_E of 9 km" in ds.attrs["notes"]
    # Renamed to the product of 9 km, its rows and longitudes still say 36 km.
    renamed = tmp_path / "renamed" / "SMAP_L3_SM_P_E_20150401_R18290_001.h5"
    renamed.parent.mkdir()
    shutil.copyfile(coarse, renamed)
    again = at_site(renamed)
    np.testing.assert_array_equal(again.sm_smap, ds.sm_smap)
    assert "36 km (SPL3SMP)" in again.sm_smap.attrs["source"]
    with pytest.raises(DatasetError, match=r"has files of SPL3SMP_E \(9 km, .* and of SPL3SMP \(36 km"):
        at_site(tmp_path)


def test_a_renamed_product_of_level_4(tmp_path: Path) -> None:
    path = subset(tmp_path / "SMAP_L3_SM_P_E_20150401_R18290_001.h5", short_name="SPL4SMGP")
    with pytest.raises(DatasetError, match=r"is SMAP L4 .*'short_name: SPL4SMGP'. Get SPL3SMP_E"):
        SmapL3Reader().open(path)


def test_days_without_one_overpass_are_missing(tmp_path: Path) -> None:
    """A file without the evening group is a day without evening values, not an error of the whole folder."""
    for day in ("20150401", "20150402"):
        subset(tmp_path / f"SMAP_L3_SM_P_E_{day}_R18290_001.h5")
    with h5py.File(tmp_path / "SMAP_L3_SM_P_E_20150402_R18290_001.h5", "r+") as file:
        evening = file.create_group("Soil_Moisture_Retrieval_Data_PM")
        for name, array in file["Soil_Moisture_Retrieval_Data_AM"].items():
            file.copy(array, evening, name=f"{name}_pm")
    ds = at_site(tmp_path, overpass="PM")
    assert [str(t)[:10] for t in ds.time.values] == ["2015-04-02"]
    assert "sm_smap: 1 of 2 files have no soil_moisture or soil_moisture_pm" in ds.attrs["notes"]
    both = at_site(tmp_path, overpass="both")
    assert both.sizes["time"] == 2 and bool(both.sm_smap.notnull().all())
