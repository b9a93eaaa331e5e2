"""Areas in one folder or several, cells of other sizes, variables that some files lack, and values outside the range."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gsm3core.assembly.collocate import to_sites
from gsm3core.catalog import source_entry
from gsm3core.errors import DatasetError
from gsm3core.readers.gldas_noah import GldasNoahReader
from gsm3core.readers.granules import VariableMissingError
from gsm3core.readers.imerg import ImergReader
from gsm3core.readers.screening import describe_screening
from support.grid_files import AT_PLACE, FIELD, GLDAS_NAME, IMERG_NAME, LAT, gldas, imerg_daily, write

SITES = ([10.24, -29.76, 55.0], [20.16, 20.16, 0.0])


def two_boxes(root: Path) -> list[Path]:
    """Write a box in the north and one 40 degrees further south, on two days each, in two folders."""
    for day in ("2020-06-01", "2020-06-02"):
        name = IMERG_NAME.replace("20200601", day.replace("-", "")) + ".SUB.nc4"
        write(imerg_daily(day), root / "north" / name)
        write(imerg_daily(day, FIELD + 100, LAT - 40), root / "south" / name)
    return [root / "north", root / "south"]


@pytest.mark.parametrize("separate", [True, False])
def test_each_site_from_the_box_that_contains_it(tmp_path: Path, separate: bool) -> None:
    folders = two_boxes(tmp_path)
    ds = ImergReader().open(folders if separate else tmp_path, transform=lambda a: to_sites(a, *SITES))
    expected = [AT_PLACE, AT_PLACE + 100, np.nan]
    np.testing.assert_allclose(ds.precipitation.transpose("time", "site"), [expected, expected])
    np.testing.assert_array_equal(np.isnan(ds.distance_km), [False, False, True])
    assert float(ds.distance_km.max()) < 3
    with pytest.raises(
        DatasetError, match=r"has another grid .*-29.95 to -29.65 and 20.05 to 20.25, not 10.05 to"
    ):
        ImergReader().open(folders)


@pytest.mark.parametrize("first", ["a", "c"])
def test_overlapping_areas_are_as_one(tmp_path: Path, first: str) -> None:
    """Interpolated at the border of one area, inside the other, whichever is read first."""
    lat = np.float32(np.arange(10.05, 12, 0.1))
    field = np.float32(20 + 10 * lat[:, None] + np.float32([0, 1, 2]))
    write(imerg_daily(field=field, lat=lat), tmp_path / "whole" / IMERG_NAME)
    write(imerg_daily(field=field[:10], lat=lat[:10]), tmp_path / "parts" / first / IMERG_NAME)
    write(imerg_daily(field=field[6:], lat=lat[6:]), tmp_path / "parts" / "b" / IMERG_NAME)
    places = [10.99, 10.97, 10.93, 10.66, 10.62], [20.12, 20.16, 20.12, 20.12, 20.12]
    one, several = (
        ImergReader().open(tmp_path / name, transform=lambda a: to_sites(a, *places, method="bilinear"))
        for name in ("whole", "parts")
    )
    np.testing.assert_allclose(several.precipitation, one.precipitation, rtol=1e-6)
    np.testing.assert_allclose(several.distance_km, one.distance_km, atol=0.01)


def test_a_box_that_ends_is_followed_by_the_other(tmp_path: Path) -> None:
    """Overlapping areas of different days: the site keeps a value on every day."""
    write(imerg_daily(), tmp_path / IMERG_NAME)
    second = imerg_daily("2020-06-02").isel(lat=slice(1, None))
    write(second, tmp_path / IMERG_NAME.replace("20200601", "20200602"))
    ds = ImergReader().open(tmp_path, transform=lambda a: to_sites(a, *SITES))
    np.testing.assert_allclose(ds.precipitation[:, 0], [AT_PLACE, AT_PLACE])


def test_a_variable_that_some_files_lack(tmp_path: Path) -> None:
    write(gldas(), tmp_path / GLDAS_NAME)
    later = gldas("2016-01-01T06:00").drop_vars("SoilTMP0_10cm_inst")
    write(later, tmp_path / GLDAS_NAME.replace("0300", "0600"))
    names = ["sm_product", "soil_temperature"]
    write(gldas(water=FIELD + 280).assign_coords(time=gldas().time), tmp_path / GLDAS_NAME)
    ds = GldasNoahReader(names).open(tmp_path)
    assert ds.sizes["time"] == 2
    assert int(ds.soil_temperature.notnull().any(["lat", "lon"]).sum()) == 1
    assert "soil_temperature: 1 of 2 files have no SoilTMP0_10cm_inst, such as GLDAS" in ds.attrs["notes"]
    only = tmp_path / GLDAS_NAME.replace("0300", "0600")
    without = GldasNoahReader(names).open(only)
    assert "soil_temperature" not in without
    assert "soil_temperature: no file has SoilTMP0_10cm_inst" in without.attrs["notes"]
    with pytest.raises(
        VariableMissingError, match=r"has no variable SoilTMP0_10cm_inst .*It has: SoilMoi0_10cm_inst"
    ):
        GldasNoahReader(["soil_temperature"]).open(only)


def test_cells_of_another_size_are_said(tmp_path: Path) -> None:
    coarse = imerg_daily().assign_coords(lat=("lat", [10.5, 11.5, 12.5, 13.5], {"units": "degrees_north"}))
    notes = json.loads(ImergReader().open(write(coarse, tmp_path / "a" / IMERG_NAME)).attrs["notes"])
    assert notes == ["cells of 1 degrees, not of 0.1 degrees as imerg has: resampled, or another product"]
    corners = imerg_daily().assign_coords(
        lat=("lat", np.float32([10.0, 10.1, 10.2, 10.3]), {"units": "degrees_north"})
    )
    (note,) = json.loads(ImergReader().open(write(corners, tmp_path / "b" / IMERG_NAME)).attrs["notes"])
    assert note.startswith("cell centres are 0.5 cells from those of imerg")
    assert "notes" not in ImergReader().open(write(imerg_daily(), tmp_path / "c" / IMERG_NAME)).attrs


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        ({"source": "Catchment LSM (CLSM-F2.5)"}, "GLDAS CLSM"),
        ({"source": "VIC4.1.2"}, "GLDAS VIC"),
        ({"DX": np.float32(1.0)}, "GLDAS Noah of 1 degree"),
        ({"title": "GLDAS2.1 LIS land surface model output monthly mean"}, "GLDAS Noah, monthly means"),
    ],
)
def test_renamed_products_are_recognised(tmp_path: Path, attributes: dict[str, object], found: str) -> None:
    path = write(gldas().assign_attrs(attributes), tmp_path / GLDAS_NAME)
    with pytest.raises(
        DatasetError, match=rf"is {found}.*, not GLDAS Noah land surface model, 3-hourly.*attributes have"
    ):
        GldasNoahReader().open(path)


def test_most_values_outside_the_range_are_described(tmp_path: Path) -> None:
    """Millimetres in the units of kg m-2 of another layer would lose every value without a word."""
    ds = GldasNoahReader().open(write(gldas(water=FIELD * 1000 + 2000), tmp_path / GLDAS_NAME))
    record = json.loads(ds.sm_product.attrs["screening"])
    assert record["kept"] == 0 and record["found"] == [30.0, 350.0]
    text = describe_screening(source_entry("gldas-noah025").variable("sm_product"), record)
    assert text == (
        "sm_product: all of the 12 values are outside the valid range of 0 to 1 m3 m-3; the files have 30 to 350. Their units, "
        "scaling or accumulation are not those of the catalogue"
    )
    fine = GldasNoahReader().open(write(gldas(), tmp_path / "b" / GLDAS_NAME))
    kept = json.loads(fine.sm_product.attrs["screening"])
    assert "found" not in kept
    assert describe_screening(source_entry("gldas-noah025").variable("sm_product"), kept) == ""
