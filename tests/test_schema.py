"""The SiteDataset contract: valid datasets are accepted, and errors name each violation."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from gsm3core import open_dataset
from gsm3core.errors import DatasetError, DatasetWarning
from gsm3core.files import fingerprint
from gsm3core.schema import (
    attribute_names,
    check_dataset,
    forcing_names,
    products,
    save_dataset,
    target_names,
)
from support.small_world import make_dataset


@pytest.mark.parametrize("suffix", [".zarr", ".nc"])
def test_saved_datasets_are_opened_identical(dataset: xr.Dataset, tmp_path: Path, suffix: str) -> None:
    path = save_dataset(dataset, tmp_path / f"world{suffix}")
    again = open_dataset(path).load()
    xr.testing.assert_identical(again.drop_encoding(), dataset)
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "no temporary file remains"


def test_roles_follow_from_dimensions(dataset: xr.Dataset) -> None:
    assert forcing_names(dataset) == ["air_temperature", "precipitation"]
    assert attribute_names(dataset) == ["clay", "elevation", "land_cover"]
    assert target_names(dataset) == ["sm_insitu", "sm_smap"]
    assert list(products(dataset)) == ["SMAP"]


def _without_units(ds: xr.Dataset) -> xr.Dataset:
    del ds["precipitation"].attrs["units"]
    return ds


def _with_days(ds: xr.Dataset, days: list[int]) -> xr.Dataset:
    return ds.isel(time=days)


def _percent(ds: xr.Dataset) -> xr.Dataset:
    return ds.assign(sm_insitu=(ds.sm_insitu * 100).assign_attrs(ds.sm_insitu.attrs))


def _celsius(ds: xr.Dataset) -> xr.Dataset:
    return ds.assign(air_temperature=(ds.air_temperature - 273.15).assign_attrs(ds.air_temperature.attrs))


def _infinite(ds: xr.Dataset) -> xr.Dataset:
    ds["clay"][3] = np.inf
    return ds


def _twice(ds: xr.Dataset) -> xr.Dataset:
    return ds.assign_coords(site=["S000", "S000", *ds.site.values[2:]])


def _no_source(ds: xr.Dataset) -> xr.Dataset:
    del ds.attrs["source"], ds["clay"].attrs["source"]
    return ds


VIOLATIONS: list[tuple[str, Callable[[xr.Dataset], xr.Dataset], str]] = [
    (
        "missing unit",
        _without_units,
        r"1 variable has no units: precipitation \(expected 'mm d-1'\); set the attribute",
    ),
    (
        "hole",
        lambda ds: _with_days(ds, [*range(10), *range(13, 40)]),
        r"gaps in time: 3 day\(s\) between 2015-04-10 and 2015-04-14",
    ),
    ("day twice", lambda ds: _with_days(ds, [0, 1, 1, 2]), r"duplicate time 2015-04-02"),
    ("backwards", lambda ds: _with_days(ds, [2, 1, 0]), r"goes backwards: 2015-04-03 to 2015-04-02"),
    (
        "hour",
        lambda ds: ds.assign_coords(time=ds.time + np.timedelta64(6, "h")),
        r"2015-04-01 06:00:00 is not a UTC day",
    ),
    ("site twice", _twice, r"duplicate site id 'S000'; site ids must be unique"),
    (
        "percent",
        _percent,
        r"above the valid range: sm_insitu \([\d.]+ m3 m-3; at most 1\)\. Soil moisture looks like percent",
    ),
    (
        "percent stated",
        lambda ds: ds.assign(sm_smap=ds.sm_smap.assign_attrs(units="%")),
        r"1 variable has wrong units: sm_smap \('%'; expected 'm3 m-3'\).*percent",
    ),
    ("celsius", _celsius, r"below the valid range: air_temperature \(.* K; at least 170\)"),
    ("infinite", _infinite, r"1 variable has infinite values: clay"),
    ("latitude", lambda ds: ds.assign_coords(lat=ds.lat + 90), r"'lat' is 130.0 at site 'S000' and \d+ more"),
    (
        "longitude",
        lambda ds: ds.assign_coords(lon=("site", np.full(12, np.nan))),
        r"'lon' is nan at site 'S000'",
    ),
    (
        "region",
        lambda ds: ds.assign_coords(region=("site", ["Europ"] * 12)),
        r"unknown region 'Europ'. Did you mean 'Europe'",
    ),
    ("no region", lambda ds: ds.drop_vars("region"), r"coordinate 'region' \(site\) is missing"),
    (
        "no target",
        lambda ds: ds.drop_vars(["sm_insitu", "sm_smap"]),
        r"no training target; expected 'sm_insitu' or 'sm_smap'",
    ),
    ("no time", lambda ds: ds.rename(time="date"), r"dimension 'time' is missing; found \['date', 'site'\]"),
    ("empty", lambda ds: ds.isel(site=[]), r"dimension 'site' is empty"),
    ("numbers as days", lambda ds: ds.assign_coords(time=np.arange(400)), r"'time' has type int64"),
    (
        "shape",
        lambda ds: ds.assign(x=("time", np.zeros(400))),
        r"1 variable has invalid dimensions: x \('time',\)",
    ),
    ("no source", _no_source, r"1 variable has no source: clay"),
    (
        "unknown coordinate",
        lambda ds: ds.assign_coords(statoin=ds.station),
        r"unknown coordinates: statoin. Did you mean 'station'",
    ),
]


@pytest.mark.parametrize(("change", "message"), [x[1:] for x in VIOLATIONS], ids=[x[0] for x in VIOLATIONS])
def test_each_violation_is_named(
    dataset: xr.Dataset, change: Callable[[xr.Dataset], xr.Dataset], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        check_dataset(change(dataset))


def test_all_violations_are_listed_at_once(dataset: xr.Dataset) -> None:
    with pytest.raises(DatasetError) as error:
        check_dataset(_percent(_without_units(_twice(dataset))))
    assert str(error.value).count("\n  - ") == 3


def test_violations_of_one_kind_are_one_line(dataset: xr.Dataset) -> None:
    for array in dataset.data_vars.values():
        del array.attrs["units"], array.attrs["source"]
    del dataset.attrs["source"]
    with pytest.raises(DatasetError) as error:
        check_dataset(dataset)
    _, units, source = str(error.value).split("\n")
    assert units.startswith(
        "  - 7 variables have no units: air_temperature (expected 'K'), clay (expected '1')"
    )
    assert "7 variables have no source" in source and "land_cover" in source


def _without_licence(ds: xr.Dataset) -> xr.Dataset:
    ds.attrs.pop("license")
    return ds


def test_a_missing_licence_is_one_warning(dataset: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "world.nc"
    message = r"world\.nc: 7 variables have no licence: air_temperature, .*, sm_smap; set the attribute `license` on them"
    check_dataset(_without_licence(dataset))
    for use in (lambda: save_dataset(dataset, path), lambda: open_dataset(path)):
        with pytest.warns(DatasetWarning, match=message) as caught:
            use()
        assert len(caught) == 1 and caught[0].filename == __file__
    for name in list(dataset.data_vars)[1:]:
        dataset[name].attrs["license"] = "CC0-1.0"
    with pytest.warns(DatasetWarning, match="1 variable has no licence: precipitation; set"):
        save_dataset(dataset, path, overwrite=True)


def test_the_command_prints_the_warning_as_one_line(dataset: xr.Dataset, tmp_path: Path) -> None:
    with pytest.warns(DatasetWarning):
        path = save_dataset(_without_licence(dataset), tmp_path / "world.zarr")
    command = [sys.executable, "-m", "gsm3core", "data", "describe", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"Warning: {path}: 7 variables have no licence: air_temperature, clay, ")


def test_an_invalid_dataset_is_refused_with_its_path(dataset: xr.Dataset, tmp_path: Path) -> None:
    _without_units(dataset).to_netcdf(tmp_path / "bad.nc", engine="h5netcdf")
    with pytest.raises(DatasetError, match=r"bad\.nc is not a valid SiteDataset"):
        open_dataset(tmp_path / "bad.nc")


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.nc").write_text("hello")
    (tmp_path / "folder.zarr").mkdir()
    for name, message in (
        ("text.nc", "cannot be read as netCDF-4"),
        ("folder.zarr", "cannot be read as Zarr"),
        ("none.nc", "does not exist"),
    ):
        with pytest.raises(DatasetError, match=message):
            open_dataset(tmp_path / name)


def test_datasets_are_overwritten_only_on_request(dataset: xr.Dataset, tmp_path: Path) -> None:
    path = save_dataset(dataset, tmp_path / "world.zarr")
    before = fingerprint(path)
    with pytest.raises(DatasetError, match="exists"):
        save_dataset(make_dataset(seed=1), path)
    with pytest.raises(DatasetError, match="has no units"):
        save_dataset(_without_units(make_dataset(seed=1)), path, overwrite=True)
    assert fingerprint(path) == before
    save_dataset(make_dataset(seed=1), path, overwrite=True)
    assert fingerprint(path) != before
    with pytest.raises(DatasetError, match=r"\.csv"):
        save_dataset(dataset, tmp_path / "world.csv")


def test_a_long_gap_is_counted_as_by_pandas(dataset: xr.Dataset) -> None:
    kept = dataset.isel(time=[0, 1, 399])
    missing = pd.date_range("2015-04-01", periods=400).difference(pd.DatetimeIndex(kept.time.values))
    with pytest.raises(DatasetError, match=rf"{len(missing)} day\(s\) between"):
        check_dataset(kept)
