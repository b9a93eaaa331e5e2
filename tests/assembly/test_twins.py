"""Stations of two datasets, sites of one place, and cells that rounding makes uncertain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from gsm3core.assembly.insitu import build_insitu, notes_of
from gsm3core.assembly.site_checks import check_sites
from gsm3core.assembly.sites import join
from gsm3core.assembly.twins import drop_duplicates, find_twins
from gsm3core.cli.main import app
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.geography.grids import cell_of
from gsm3core.geography.places import decimals_of, shares_in_other_cells
from gsm3core.schema import open_dataset, save_dataset
from support.ismn_archive import Sensor, write_archive
from support.small_world import make_dataset

KM = 1 / 111.2  # degrees of latitude


def stations(
    ds: xr.Dataset, prefix: str = "", *, names: list[str] | None = None, move_km: float = 0.0
) -> xr.Dataset:
    """The small world as measured stations, with other ids, and moved to the north."""
    n = ds.sizes["site"]
    out = ds.assign_coords(
        site=[f"{prefix}{s}" for s in ds.site.values],
        station=("site", names or [f"{prefix}station {i}" for i in range(n)]),
        lat=("site", ds.lat.values + move_km * KM),
    )
    out.attrs = {k: x for k, x in ds.attrs.items() if k != "simulated"}
    return out


@pytest.fixture
def world() -> xr.Dataset:
    return make_dataset(n_sites=6, n_days=200)


def noisy(ds: xr.Dataset, sd: float) -> xr.Dataset:
    noise = np.random.default_rng(1).normal(0, sd, ds.sm_insitu.shape)
    return ds.assign(
        sm_insitu=(ds.sm_insitu + noise).clip(0, 1).astype(np.float32).assign_attrs(ds.sm_insitu.attrs)
    )


def test_one_station_under_two_names_is_found_by_its_record(world: xr.Dataset) -> None:
    a, b = stations(world, "A"), noisy(stations(world, "B", move_km=0.5), 0.002)
    table = find_twins(a, b)
    assert len(table) == 6 and table["same_station"].all()
    np.testing.assert_allclose(table["km"], 0.5, atol=0.01)
    expected = np.corrcoef(*(x.sm_insitu.isel(site=0).to_series().dropna() for x in (a, b)))[0, 1]
    assert table["correlation"][0] == pytest.approx(expected, abs=1e-3)


def test_neighbours_with_other_records_are_not_one_station(world: xr.Dataset) -> None:
    other = stations(make_dataset(n_sites=6, n_days=200, seed=5), "B", move_km=0.5)
    table = find_twins(stations(world, "A"), other)
    assert len(table) == 6 and not table["same_station"].any()
    kept, step, _ = drop_duplicates([stations(world, "A"), other])
    assert [ds.sizes["site"] for ds in kept] == [6, 6] and step["neighbours"] == 6


@pytest.mark.parametrize(("first", "second", "same"), [
    ("Monahans-6-ENE", "TX Monahans 6 ENE", True), ("Barrow_4_ENE", "AK Barrow 4 ENE", True), ("Hill", "Hill 2", False),
    ("node 414", "node 415", False), ("FRAYE", "fraye", True),
])  # fmt: skip
def test_names_of_two_sources_agree(world: xr.Dataset, first: str, second: str, same: bool) -> None:
    """With unlike records only the name can tell."""
    a = stations(world, "A", names=[first] * 6).isel(site=[0])
    b = stations(make_dataset(n_sites=6, n_days=200, seed=5), "B", names=[second] * 6).isel(site=[0])
    assert find_twins(a, b)["same_station"].tolist() == [same]


def test_far_stations_of_one_name_need_equal_records(world: xr.Dataset) -> None:
    names = ["Hill"] * 6
    a, b = stations(world, "A", names=names), stations(world, "B", names=names, move_km=8)
    assert find_twins(a, b)["same_station"].sum() == 6
    other = stations(make_dataset(n_sites=6, n_days=200, seed=5), "B", names=names, move_km=8)
    assert find_twins(a, other).empty


def test_sensors_at_other_depths_are_no_duplicates(world: xr.Dataset) -> None:
    a, b = (
        stations(world, p, names=["Hill"] * 6).assign_coords(depth=("site", np.full(6, d)))
        for p, d in (("A", 0.05), ("B", 0.2))
    )
    assert not find_twins(a, b)["same_station"].any()


@pytest.mark.parametrize(("rule", "left"), [("first", ["A"]), ("second", ["B"]), ("keep", ["A", "B"])])
def test_join_counts_a_station_once(world: xr.Dataset, rule: str, left: list[str]) -> None:
    a, b = stations(world, "A"), noisy(stations(world, "B", move_km=0.5), 0.002)
    lonely = stations(world, "L", move_km=400).isel(site=[0])
    b = xr.concat([b, lonely], "site")
    joined = join(a, b, duplicates=rule)  # type: ignore[arg-type]
    names = [str(s) for s in joined.site.values]
    assert {n[0] for n in names} == {*left, "L"} and len(names) == 6 * len(left) + 1
    step = json.loads(joined.attrs["history"])[-1]
    assert step["twins"]["same_station"] == 6 and step["twins"]["dropped"] == (0 if rule == "keep" else 6)
    (note,) = step["notes"]
    assert note.startswith("6 station(s) are in two datasets") and f"duplicates = {rule}" in note


def test_join_where_every_station_is_in_both(world: xr.Dataset) -> None:
    joined = join(stations(world, "A"), stations(world, "B"))
    np.testing.assert_array_equal(joined.sm_insitu.values, world.sm_insitu.values)


def test_days_that_are_lost_are_counted(world: xr.Dataset) -> None:
    a, b = stations(world, "A").isel(time=slice(0, 120)), stations(world, "B")
    joined = join(a, b)
    lost = int(world.sm_insitu.isel(time=slice(120, None)).notnull().sum())
    assert json.loads(joined.attrs["history"])[-1]["twins"]["days_only_in_dropped"] == lost
    assert f"{lost:,} days are only in the records left out" in notes_of(joined)[-1]


def test_rules_are_checked(world: xr.Dataset) -> None:
    a, b = stations(world, "A"), stations(world, "B")
    with pytest.raises(
        DatasetError,
        match=r"6 station\(s\) are in several datasets: AS000 and BS000 \(0 km\).*--duplicates first",
    ):
        join(a, b, duplicates="error")
    with pytest.raises(ConfigError, match="unknown rule for duplicates 'frist'"):
        join(a, b, duplicates="frist")  # type: ignore[arg-type]
    simulated = join(world, make_dataset(6, 200).assign_coords(site=[f"T{i}" for i in range(6)]))
    assert simulated.sizes["site"] == 12, "simulated sites are no stations"


def test_join_command_says_what_it_chose(world: xr.Dataset, tmp_path: Path) -> None:
    for name in "AB":
        save_dataset(stations(world, name), tmp_path / f"{name}.nc")
    command = [
        "data",
        "join",
        str(tmp_path / "A.nc"),
        str(tmp_path / "B.nc"),
        "--out",
        str(tmp_path / "j.nc"),
    ]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "6 station(s) are in two datasets" in done.output and "AS000 instead of BS000" in done.output
    assert open_dataset(tmp_path / "j.nc").sizes["site"] == 6
    refused = CliRunner().invoke(app, [*command, "--overwrite", "--duplicates", "error"])
    assert refused.exit_code != 0
    second = CliRunner().invoke(app, [*command, "--overwrite", "--duplicates", "second"])
    assert second.exit_code == 0, second.output
    assert str(open_dataset(tmp_path / "j.nc").site.values[0]) == "BS000"


def test_close_stations_are_reported_at_build(tmp_path: Path) -> None:
    near = [
        Sensor(days=60), Sensor(station="Hill-East", lon="16.40700", days=60, level=0.1),
        Sensor(station="Far", lat="47.00000", days=60),
    ]  # fmt: skip
    ds, table = build_insitu("ismn", write_archive(tmp_path, near))
    column = table.set_index("station")["sites_within_1_km"]
    assert column["Hill"] == "TESTNET_Hill-East (0.52 km, R 1.00)" and column["Far"] == ""
    assert any("1 pair(s) of sites are within 1 km of each other" in n for n in notes_of(ds))


def test_builds_from_two_archives_on_the_command_line(tmp_path: Path) -> None:
    for name, first in (("a", "2017-01-01"), ("b", "2018-01-01")):
        write_archive(tmp_path / name, [Sensor(first=first, days=40)])
    out = tmp_path / "x.nc"
    done = CliRunner().invoke(
        app,
        [
            "data",
            "build",
            "ismn",
            "--from",
            str(tmp_path / "a"),
            "--from",
            str(tmp_path / "b"),
            "--out",
            str(out),
        ],
    )
    assert done.exit_code == 0, done.output
    assert int(open_dataset(out).sm_insitu.notnull().sum()) == 80
    assert "read as one record" in done.output
    both = [f"--in-situ=ismn={tmp_path / name}" for name in "ab"]
    made = CliRunner().invoke(app, ["data", "build", "stations", *both, "--out", str(tmp_path / "y.nc")])
    assert made.exit_code == 0, made.output
    assert int(open_dataset(tmp_path / "y.nc").sm_insitu.notnull().sum()) == 80


def test_decimals_are_those_of_the_shortest_text() -> None:
    assert decimals_of([36.12, -97.0, 48.50000, 0.1234]).tolist() == [2, 0, 1, 4]
    assert decimals_of(np.array([36.12, 36.125], np.float32)).tolist() == [2, 3]


def test_cells_are_uncertain_exactly_where_rounding_can_change_them() -> None:
    """Against 400 positions that round to the same two decimals."""
    rng = np.random.default_rng(2)
    lat, lon = rng.uniform(-60, 70, 300).round(2), rng.uniform(-180, 180, 300).round(2)
    two = np.maximum(decimals_of(lat), decimals_of(lon)) == 2
    lat, lon = lat[two], lon[two]
    found = shares_in_other_cells(lat, lon, "M09")
    d = rng.uniform(-0.005, 0.005, (2, 400, 1))
    d[:, :4] = 0.00499999 * np.array([[-1, -1, 1, 1], [-1, 1, -1, 1]])[..., None]
    changes = (cell_of(lat + d[0], lon + d[1], "M09") != cell_of(lat, lon, "M09")).any(axis=0)
    np.testing.assert_array_equal(found > 0, changes)
    assert 0.1 < changes.mean() < 0.4
    other = (cell_of(lat + d[0, 4:], lon + d[1, 4:], "M09") != cell_of(lat, lon, "M09")).mean(axis=0)
    np.testing.assert_allclose(found, other, atol=0.1)
    assert found.mean() == pytest.approx(other.mean(), abs=0.005)
    assert not shares_in_other_cells(lat + 1e-4, lon, "M09").any(), "more decimals"


def test_sites_with_uncertain_cells_are_reported(tmp_path: Path) -> None:
    lat, lon = 31.62, -102.81
    ds = xr.Dataset(
        coords={"site": ["a", "b"], "lat": ("site", [lat, 31.6212]), "lon": ("site", [lon, -102.8134])}
    )
    table, notes = check_sites(
        ds, pd.DataFrame({"site": ["a", "b", "c"], "outcome": ["used", "used", "refused"]})
    )
    assert table["cell_uncertain"].tolist() == [True, False, None]
    assert table["sites_within_1_km"].tolist() == ["b (0.35 km)", "a (0.35 km)", ""]
    assert (
        notes[0].startswith("1 of 2 sites have coordinates with at most two decimals") and "(a;" in notes[0]
    )


@pytest.mark.real_data
def test_join_of_the_stations_from_the_field(real_data: Path) -> None:
    root = real_data / "field" / "join-01-same-stations"
    if not root.is_dir():
        pytest.skip(f"no inputs from the field at {root}")
    noaa, ismn = build_insitu("uscrn-daily", root / "u")[0], build_insitu("ismn", root / "ismn")[0]
    kept, step, table = drop_duplicates([ismn, noaa])
    assert [ds.sizes["site"] for ds in kept] == [2, 0] and table["same_station"].all()
    assert step["dropped"] == 2


def test_an_added_network_that_is_there_already_is_reported(world: xr.Dataset, tmp_path: Path) -> None:
    measured = stations(world, "A")
    save_dataset(measured, tmp_path / "d.nc")
    frame = (
        measured.sm_insitu.isel(site=[0])
        .to_dataframe()
        .dropna()
        .reset_index()[["site", "time", "sm_insitu", "lat", "lon"]]
    )
    frame.rename(columns={"sm_insitu": "value"}).assign(units="m3 m-3").to_csv(
        tmp_path / "mine.csv", index=False
    )
    command = [
        "data",
        "add-network",
        str(tmp_path / "d.nc"),
        str(tmp_path / "mine.csv"),
        "--name",
        "MINE",
        "--out",
        str(tmp_path / "e.nc"),
    ]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "1 station(s) are in two datasets and kept twice" in done.output
    assert "kept twice" in notes_of(open_dataset(tmp_path / "e.nc"))[-1]


def test_a_month_without_rain_makes_no_twins() -> None:
    """Two probes 300 m apart that dry out together: R is 0.99, their levels are not those of one probe."""
    days = pd.date_range("2015-06-01", periods=45)
    drying = np.exp(-np.arange(45) / 12)
    one, other = (
        xr.Dataset(
            {"sm_insitu": (("site", "time"), values[None].astype(np.float32))},
            coords={"site": [name], "time": days, "lat": ("site", [lat]), "lon": ("site", [36.8])},
        )
        for name, lat, values in (
            ("mine", -1.2, 0.1 + 0.2 * drying),
            ("theirs", -1.2027, 0.18 + 0.12 * drying),
        )
    )
    (pair,) = find_twins(one, other).to_dict("records")
    assert pair["correlation"] > 0.99 and pair["km"] < 0.31 and not pair["same_station"]
    assert find_twins(one, other.assign(sm_insitu=other.sm_insitu.copy(data=one.sm_insitu + 0.002)))[
        "same_station"
    ].all()
