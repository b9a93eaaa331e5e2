"""SMAP L3, from synthetic files in the layout of SPL3SMP_E and the producer's L2 retrievals.

No granule of SPL3SMP_E was available. Groups, names, types, fill values and flags follow the product's user guide
(doi:10.5067/4DQ54OUIJ9DL) and agree with the L2 passive files of the same processor.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.geography.grids import cell_centres
from gsm3core.readers.smap_l3 import SmapL3Reader

FILL = -9999.0


def granule(
    folder: Path,
    day: str,
    values: dict[str, tuple[np.ndarray, np.ndarray]],
    *,
    name: str = "SMAP_L3_SM_P_E_{}_R18290_001.h5",
) -> Path:
    """Write AM and PM groups of soil moisture and flag, in compressed chunks like the producer's."""
    path = folder / name.format(day)
    with h5py.File(path, "w") as file:
        for overpass, (moisture, flag) in values.items():
            tail = "" if overpass == "AM" else "_pm"
            group = file.create_group(f"Soil_Moisture_Retrieval_Data_{overpass}")
            options = {"chunks": (203, 241), "compression": "gzip", "compression_opts": 1}
            sm = group.create_dataset(
                f"soil_moisture{tail}", data=moisture.astype(np.float32), fillvalue=FILL, **options
            )
            sm.attrs.update(
                {
                    "_FillValue": np.float32(FILL),
                    "units": np.bytes_("cm**3/cm**3"),
                    "valid_min": np.float32(0.02),
                    "valid_max": np.float32(0.5),
                }
            )
            bits = group.create_dataset(
                f"retrieval_qual_flag{tail}", data=flag.astype(np.uint16), fillvalue=65534, **options
            )
            bits.attrs["_FillValue"] = np.uint16(65534)
            classes = group.create_dataset(f"landcover_class{tail}", shape=(4, 4, 3), dtype=np.uint8)
            classes.attrs["_FillValue"] = np.uint8(254)
    return path  # fmt: skip


def blank(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return np.full(shape, FILL, np.float32), np.full(shape, 65534, np.uint16)


@pytest.fixture(scope="module")
def m09(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days at 9 km. Cells of a row: recommended, not recommended, not attempted, failed, wet, out of range."""
    folder = tmp_path_factory.mktemp("smap")
    for day, wetter in (("20150401", 0.0), ("20150402", 0.05)):
        am, am_flag = blank((1624, 3856))
        am[500, 100:106] = np.array([0.2, 0.3, FILL, 0.25, 0.6, 0.01]) + np.float32(wetter) * np.array(
            [1, 1, 0, 1, 1, 0]
        )
        am_flag[500, 100:106] = [0, 1, 7, 5, 8, 0]
        pm, pm_flag = blank((1624, 3856))
        pm[500, 100:102] = [0.4, 0.1]
        pm_flag[500, 100:102] = 0
        granule(folder, day, {"AM": (am, am_flag), "PM": (pm, pm_flag)})
    return folder


def test_morning_recommended_retrievals(m09: Path) -> None:
    ds = SmapL3Reader().open(m09)
    assert ds.sm_smap.dims == ("time", "y", "x")
    assert ds.attrs["grid"] == ds.sm_smap.attrs["grid"] == "M09"
    np.testing.assert_array_equal(ds.time, np.array(["2015-04-01", "2015-04-02"], "M8[ns]"))
    first = ds.sm_smap[0, 500, 100:106].values
    np.testing.assert_allclose(first, [0.2, np.nan, np.nan, np.nan, 0.6, np.nan], rtol=1e-6)
    counts = json.loads(ds.sm_smap.attrs["screening"])
    cells = 2 * 1624 * 3856
    # Missing retrievals count as fill, before any flag.
    assert counts == {
        "read": cells,
        "fill": cells - 10,
        "not_recommended": 4,
        "outside_valid_range": 2,
        "kept": 4,
    }


def test_attempted_retrievals_and_evening_overpass(m09: Path) -> None:
    day = Period(start=dt.date(2015, 4, 2), end=dt.date(2015, 4, 2))
    attempted = SmapL3Reader(screening="attempted").open(m09, day)
    np.testing.assert_allclose(
        attempted.sm_smap[0, 500, 100:106], [0.25, 0.35, np.nan, np.nan, 0.65, np.nan], rtol=1e-6
    )
    evening = SmapL3Reader("PM").open(m09, day)
    np.testing.assert_allclose(evening.sm_smap[0, 500, 100:103], [0.4, 0.1, np.nan], rtol=1e-6)
    assert evening.sm_smap.attrs["overpass"] == "PM"


def test_both_overpasses_are_averaged(m09: Path) -> None:
    ds = SmapL3Reader("both").open(m09, transform=lambda ds: ds.isel(y=slice(500, 501), x=slice(100, 106)))
    np.testing.assert_allclose(ds.sm_smap[0, 0, :5], [0.3, 0.1, np.nan, np.nan, 0.6], rtol=1e-6)
    assert set(json.loads(ds.sm_smap.attrs["screening"])) == {"AM", "PM"}


def test_transform_is_applied_day_by_day(m09: Path) -> None:
    seen = []
    ds = SmapL3Reader().open(
        m09, transform=lambda ds: seen.append(dict(ds.sizes)) or ds.isel(y=[500], x=[100])
    )
    assert seen == [{"time": 1, "y": 1624, "x": 3856}] * 2, "one day in memory at a time"
    np.testing.assert_allclose(ds.sm_smap.values.ravel(), [0.2, 0.25], rtol=1e-6)
    assert (ds.y.values, ds.x.values) == (500, 100)


def test_newest_release_of_a_day_is_read(tmp_path: Path) -> None:
    for release, value in (("R18290_002", 0.3), ("R18290_001", 0.2), ("R17000_003", 0.1)):
        sm, flag = blank((406, 964))
        sm[0, 0], flag[0, 0] = value, 0
        granule(tmp_path, "20150401", {"AM": (sm, flag)}, name=f"SMAP_L3_SM_P_{{}}_{release}.h5")
    ds = SmapL3Reader().open(tmp_path)
    assert ds.attrs["grid"] == "M36"
    assert ds.attrs["files"] == 1
    assert float(ds.sm_smap[0, 0, 0]) == pytest.approx(0.3)


def test_unsupported_layouts(tmp_path: Path) -> None:
    sm, flag = blank((50, 50))
    cut = granule(tmp_path, "20150401", {"AM": (np.pad(sm, 200), np.pad(flag, 200))})
    with pytest.raises(
        DatasetError, match=r"soil_moisture has shape \(450, 450\); expected .* 1624 x 3856 \(M09\)"
    ):
        SmapL3Reader().open(cut)
    with pytest.raises(DatasetError, match=r"has no variable soil_moisture or soil_moisture_pm"):
        SmapL3Reader("PM").open(cut)
    with h5py.File(cut, "r+") as file:
        del file["Soil_Moisture_Retrieval_Data_AM/retrieval_qual_flag"]
    with pytest.raises(DatasetError, match=r"lacks retrieval_qual_flag in Soil_Moisture_Retrieval_Data_AM"):
        SmapL3Reader().open(cut)


@pytest.mark.real_data
def test_l2_retrievals_are_in_their_cells(real_data: Path, tmp_path: Path) -> None:
    """An L2 half orbit, written to the 36 km map by its row and column, is read back cell by cell."""
    orbit = next((real_data / "native" / "smap_l2").rglob("*_02801_A_*.h5"))
    with h5py.File(orbit) as file:
        group = file["Soil_Moisture_Retrieval_Data"]
        row, column = group["EASE_row_index"][:], group["EASE_column_index"][:]
        moisture, flag = group["soil_moisture"][:], group["retrieval_qual_flag"][:]
        lat, lon = group["latitude"][:], group["longitude"][:]
        assert group["soil_moisture"].attrs["units"] == b"cm**3/cm**3"
        assert (
            group["retrieval_qual_flag"].attrs["flag_meanings"].split()[0]
            == b"Soil_moisture_retrieval_recommended"
        )
    sm, bits = blank((406, 964))
    sm[row, column], bits[row, column] = moisture, flag
    granule(tmp_path, "20150811", {"AM": (sm, bits)}, name="SMAP_L3_SM_P_{}_R18290_001.h5")
    ds = SmapL3Reader().open(tmp_path)
    good = (flag & 1 == 0) & (moisture != FILL)
    assert good.sum() > 500
    np.testing.assert_array_equal(ds.sm_smap[0].values[row[good], column[good]], moisture[good])
    assert int(ds.sm_smap.notnull().sum()) == good.sum()
    counts = json.loads(ds.sm_smap.attrs["screening"])
    assert counts["not_recommended"] == int(((flag & 1 == 1) & (moisture != FILL)).sum())
    # Computed cell centres equal the producer's.
    centre_lat, centre_lon = cell_centres("M36")
    np.testing.assert_allclose(centre_lat[row], lat, atol=2e-5)
    np.testing.assert_allclose(centre_lon[column], lon, atol=2e-5)
    with pytest.raises(
        DatasetError, match=r"has no file of SMAP enhanced L3.*1 file of SMAP L2.*SMAP_L2_SM_P_02801_A"
    ):
        SmapL3Reader().open(orbit)
