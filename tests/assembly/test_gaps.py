"""Gaps are judged per variable, several folders are one archive, and what was lost is said."""

from __future__ import annotations

import json
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from gsm3core.assembly.assemble import assemble
from gsm3core.assembly.losses import losses_of
from gsm3core.assembly.recipe import Recipe, load_recipe
from gsm3core.errors import DatasetError
from gsm3core.schema import open_dataset
from support import planted_sources as planted
from support.planted_sources import DAYS

BOXES = {"eu": (50.25, 9.75), "us": (39.25, -96.75)}
DAYS_OF_BOXES = pd.date_range("2015-06-01", "2015-06-03")


def write_era5(
    path: Path,
    values: dict[str, float],
    *,
    lat: float = 50.0,
    lon: float = 10.0,
    days: pd.DatetimeIndex = DAYS,
    n: int = 3,
) -> None:
    """Hourly maps of 0.25 degrees around a place with one value each, as the CDS writes them; totals end at the label."""
    times = pd.date_range(days[0], days[-1] + pd.Timedelta(days=1), freq="h")
    units = {"t2m": "K", "tp": "m", "ssrd": "J m**-2"}
    data = {
        name: (
            ("valid_time", "latitude", "longitude"),
            np.full((len(times), n, n), x, np.float32),
            {"units": units[name]},
        )
        for name, x in values.items()
    }
    offsets = 0.25 * (np.arange(n) - n // 2)
    coords = {
        "valid_time": ("valid_time", (times - pd.Timestamp(0)) // pd.Timedelta("1s"), {"units": "seconds since 1970-01-01"}),
        "latitude": lat - offsets, "longitude": lon + offsets,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    xr.Dataset(data, coords).to_netcdf(path, engine="h5netcdf")


def build(folder: Path, forcings: list[str], days: pd.DatetimeIndex, **changes: Any) -> xr.Dataset:
    given = {
        "sites": {"kind": "table", "path": folder / "places.csv"}, "forcings": forcings,
        "period": {"start": f"{days[0]:%Y-%m-%d}", "end": f"{days[-1]:%Y-%m-%d}"},
    } | changes  # fmt: skip
    out = folder / f"d{len(list(folder.iterdir()))}.zarr"
    assemble(Recipe.model_validate(given), out, root=folder)
    return open_dataset(out).load()


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """29 June to 1 July with three variables, 29 to 31 July without precipitation, by month and kind as the CDS delivers them."""
    folder = tmp_path_factory.mktemp("months")
    (folder / "places.csv").write_text("site,lat,lon\nx,50,10\n")
    for month in (6, 7):
        days = pd.date_range(f"2015-{month:02d}-29", periods=3)
        write_era5(
            folder / f"era5/{month:02d}/data_stream-oper_stepType-instant.nc", {"t2m": 290.0}, days=days
        )
        totals = {"tp": 1e-3 / 24, "ssrd": 3.6e5} if month == 6 else {"ssrd": 3.6e5}
        write_era5(folder / f"era5/{month:02d}/data_stream-oper_stepType-accum.nc", totals, days=days)
    return folder


PERIOD = pd.date_range("2015-06-29", "2015-07-30")
VARIABLES = ("air_temperature", "precipitation", "shortwave_down")


@pytest.mark.parametrize("names", [c for n in (1, 2, 3) for c in combinations(VARIABLES, n)], ids="+".join)
def test_a_gap_is_the_same_whatever_is_read_with_it(months: Path, names: tuple[str, ...]) -> None:
    ds = build(months, [f"era5:{','.join(names)}"], PERIOD, gaps="allow")
    steps = {s.get("source"): s for s in json.loads(ds.attrs["history"])}
    found = {n: steps["era5"]["variables"][n]["days_lacking"] for n in names}
    assert found == {n: {"precipitation": 29}.get(n, 27) for n in names}
    if "precipitation" in names:
        assert np.isfinite(ds.precipitation.values[0]).tolist() == [True] * 3 + [False] * 29
    with pytest.raises(DatasetError) as error:
        build(months, [f"era5:{','.join(names)}"], PERIOD)
    for name in names:
        assert f"{name} lacks {found[name]} of the 32 days of 2015-06-29 to 2015-07-30" in str(error.value)


def test_all_sources_and_variables_are_named_at_once(months: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(months, tmp_path / "s"))
    (folder / "gldas-noah025").mkdir()
    planted.gldas(folder / "gldas-noah025", pd.date_range("2015-04-01", periods=1))
    with pytest.raises(DatasetError) as error:
        build(
            folder,
            ["era5:precipitation", "gldas-noah025:soil_temperature=lower"],
            PERIOD,
            products=["gldas-noah025"],
        )
    for part in (
        "3 variables lack values",
        "precipitation lacks 29 of the 32 days",
        "soil_temperature, for lower,",
        "sm_product, for GLDAS-Noah,",
    ):
        assert part in str(error.value)
    with pytest.raises(DatasetError) as error:
        build(
            tmp_path,
            ["era5:precipitation", "imerg:precipitation=rain"],
            PERIOD,
            sites={"kind": "grid", "box": [9, 49, 11, 51]},
        )
    assert "era5 is needed for" in str(error.value) and "imerg is needed for" in str(error.value)


def test_a_forcing_without_any_value_is_an_error_also_where_gaps_are_allowed(months: Path) -> None:
    days = pd.date_range("2015-07-29", "2015-07-30")
    for gaps in ("refuse", "allow"):
        with pytest.raises(
            DatasetError, match=r"(?s)precipitation.*(no value at any site|has no tp|no variable tp)"
        ):
            build(months, ["era5:precipitation,air_temperature"], days, gaps=gaps)


def test_the_rule_that_removed_everything_is_named(tmp_path: Path) -> None:
    (tmp_path / "places.csv").write_text("site,lat,lon\nx,50,10\n")
    write_era5(tmp_path / "era5/a.nc", {"t2m": 20.0, "tp": 1e-3})  # degrees Celsius under the name of kelvin
    with pytest.raises(DatasetError) as error:
        build(tmp_path, ["era5:air_temperature,precipitation"], DAYS)
    assert "air_temperature has no value at any site" in str(error.value)
    assert "values of its maps were removed" in str(error.value) and "by outside_valid_range (" in str(
        error.value
    )
    assert "found 20 to 20" in str(error.value)


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boxes")
    (folder / "places.csv").write_text(
        "site,lat,lon\n" + "".join(f"{n},{y},{x}\n" for n, (y, x) in BOXES.items())
    )
    for k, (name, (lat, lon)) in enumerate(BOXES.items()):
        write_era5(
            folder / f"era5_{name}/{name}.nc", {"t2m": 280.0 + 10 * k}, lat=lat, lon=lon, days=DAYS_OF_BOXES
        )
    return folder


def check_boxes(ds: xr.Dataset) -> None:
    np.testing.assert_allclose(ds.air_temperature.sel(site=list(BOXES)), [[280.0] * 3, [290.0] * 3])


def test_several_folders_of_a_source_are_one_archive(boxes: Path) -> None:
    both = [boxes / f"era5_{n}" for n in BOXES]
    for folders in (both, both[::-1]):
        check_boxes(
            build(boxes, ["era5:air_temperature"], DAYS_OF_BOXES, sources={"era5": {"path": folders}})
        )
    (boxes / "recipe.yaml").write_text(
        "sites: {kind: table, path: places.csv}\nforcings: [era5:air_temperature]\n"
        "period: {start: 2015-06-01, end: 2015-06-03}\nsources: {era5: {path: [era5_eu, era5_us]}}\n"
    )
    out = boxes / "of_recipe.zarr"
    assemble(load_recipe(boxes / "recipe.yaml"), out)
    ds = open_dataset(out).load()
    check_boxes(ds)
    step = next(s for s in json.loads(ds.attrs["history"]) if s.get("source") == "era5")
    assert step["files"] == 2 and step["sites_outside_the_grid"] == 0


def test_years_in_several_folders_are_one_archive(tmp_path: Path) -> None:
    (tmp_path / "places.csv").write_text("site,lat,lon\nx,50,10\n")
    for k, first in enumerate(("2015-12-30", "2016-01-01")):
        days = pd.date_range(first, periods=2)
        write_era5(tmp_path / f"y{k}/a{k}.nc", {"t2m": 280.0 + k}, days=days)
        with xr.open_dataset(tmp_path / f"y{k}/a{k}.nc", decode_times=False) as opened:
            ds = opened.load().isel(valid_time=slice(0, 48))
        ds.to_netcdf(tmp_path / f"y{k}/a{k}.nc", engine="h5netcdf")
    folders = [tmp_path / "y0", tmp_path / "y1"]
    ds = build(
        tmp_path,
        ["era5:air_temperature"],
        pd.date_range("2015-12-30", periods=4),
        sources={"era5": {"path": folders}},
    )
    np.testing.assert_allclose(ds.air_temperature[0], [280, 280, 281, 281])


def test_losses_are_said_after_a_build(boxes: Path) -> None:
    ds = build(boxes, ["era5:air_temperature"], pd.date_range("2015-06-01", "2015-06-09"), gaps="allow",
               sources={"era5": {"path": boxes / "era5_eu"}})  # fmt: skip
    lines = losses_of(json.loads(ds.attrs["history"]))
    assert "era5: sites outside its grid, without values: 1" in lines
    assert "era5: air_temperature: 6 days are missing: 2015-06-04 to 2015-06-09" in lines


def test_losses_name_sites_values_and_notes() -> None:
    history = [
        {"step": "site table", "notes": ["longitudes converted"]},
        {"step": "collocate", "source": "x", "notes": ["a note", "a note"], "sites_beyond_a_cell": 2, "cell_km": 11.12,
         "distance_km": {"median": 3.0, "largest": 40.0},
         "variables": {"rain": {"days_lacking": 0, "lacking": "", "sites_without_values": 1, "such_as": ["sea"],
                                "screening": {"read": 100, "fill": 20, "outside_valid_range": 40, "kept": 40,
                                              "found": [0.0, 9.0]}}}},
    ]  # fmt: skip
    assert losses_of(history) == [
        "longitudes converted", "x: a note", "x: sites farther than a cell (11.1 km) from the centre of theirs: 2, up to 40 km",
        "x: rain: sites without any value: 1 (sea)",
        "x: rain: 50% of the values of its maps are beyond the valid range and missing, 0 to 9",
    ]  # fmt: skip


def test_a_table_with_a_series_becomes_a_dataset(boxes: Path) -> None:
    rows = [
        f"eu;{d:%d.%m.%Y};{0.2 + 0.01 * k:.2f}".replace(".", ",").replace(",06,", ".06.")
        for k, d in enumerate(DAYS_OF_BOXES)
    ]
    (boxes / "series.csv").write_text(
        "Site;Date;VWC (m3/m3);Latitude;Longitude;depth [cm]\n" + "".join(f"{r};50,25;9,75;5\n" for r in rows)
        + "wrong;01.06.2015;0,2;95;9;5\n"
    )  # fmt: skip
    ds = build(boxes, ["era5:air_temperature"], DAYS_OF_BOXES, period=None, sites={"kind": "table", "path": boxes / "series.csv"},
               sources={"era5": {"path": boxes / "era5_eu"}})  # fmt: skip
    np.testing.assert_allclose(ds.sm_insitu, [[0.2, 0.21, 0.22]], rtol=1e-6)
    assert float(ds.depth[0]) == pytest.approx(0.05) and str(ds.network.values[0]) == "series"
    assert any(
        "site 'wrong' is refused: lat 95" in line for line in losses_of(json.loads(ds.attrs["history"]))
    )


def test_a_gap_error_names_the_files_that_were_not_read(tmp_path: Path) -> None:
    (tmp_path / "places.csv").write_text("site,lat,lon\nx,50,10\n")
    for k, first in enumerate(("2015-06-01", "2015-06-03")):
        write_era5(tmp_path / f"era5/part{k}.nc", {"t2m": 290.0}, days=pd.date_range(first, periods=1))
    damaged = tmp_path / "era5/part1.nc"
    damaged.write_bytes(damaged.read_bytes()[:4000])
    with pytest.raises(DatasetError, match=r"(?s)part1\.nc"):
        build(tmp_path, ["era5:air_temperature"], pd.date_range("2015-06-01", "2015-06-03"))
