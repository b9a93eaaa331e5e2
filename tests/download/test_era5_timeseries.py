"""ERA5 at points from a fake of the package cdsapi, which answers as the Climate Data Store does: zip archives of netCDF."""

from __future__ import annotations

import datetime as dt
import importlib.machinery
import io
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from gsm3core.catalog import source_entry
from gsm3core.cli import app
from gsm3core.config import Period
from gsm3core.download.era5_timeseries import REQUEST_NAMES
from gsm3core.download.fetch import IncompleteDownloadError
from gsm3core.download.points import pull_points
from gsm3core.errors import CancelledError, DatasetError
from gsm3core.readers.era5_timeseries import Era5TimeseriesReader, era5_cells
from gsm3core.readers.points import Points
from gsm3core.schema import open_dataset

ENTRY = source_entry("era5-timeseries")
DAYS = Period(start=dt.date(2015, 1, 1), end=dt.date(2015, 1, 3))
POINTS = Points(np.array(["a", "b", "c"]), np.array([-1.30, -1.20, 40.0]), np.array([36.80, 36.70, -105.0]))
UNITS = {
    "t2m": "K",
    "sp": "Pa",
    "tp": "m",
    "ssrd": "J m**-2",
    "strd": "J m**-2",
    "u10": "m s**-1",
    "v10": "m s**-1",
    "skt": "K",
}


def series(
    names: list[str],
    lat: float,
    lon: float,
    first: str,
    last: str,
    *,
    time: str = "valid_time",
    dims: bool = False,
):
    """Hours of one grid point; rain of 1 mm falls in the last hour of each UTC day, so its label is 0 h of the next."""
    hours = pd.date_range(first, pd.Timestamp(last) + pd.Timedelta(hours=23), freq="h", unit="ns")
    values = {
        "t2m": 280 + hours.day_of_year.to_numpy(), "tp": np.where(hours.hour == 0, 0.001, 0.0),
        "ssrd": np.full(len(hours), 3600 * 200.0),
    }  # fmt: skip
    arrays = {
        n: (time, values.get(n, np.full(len(hours), 300.0)).astype(np.float32), {"units": UNITS[n]})
        for n in names
    }
    ds = xr.Dataset(arrays, coords={time: hours.to_numpy(), "latitude": lat, "longitude": lon})
    return ds.expand_dims(["latitude", "longitude"]) if dims else ds


class Store:
    """The Climate Data Store: requests, and what it answers."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self.change: Any = lambda ds: [ds]
        self.archive = True
        self.options: dict[str, Any] = {}

    def retrieve(self, dataset: str, request: dict[str, Any], target: str) -> None:
        assert dataset == "reanalysis-era5-single-levels-timeseries" and request["data_format"] == "netcdf"
        self.requests.append(request)
        if self.errors and (error := self.errors.pop(0)):
            raise RuntimeError(error)
        short = {long: name for name, long in REQUEST_NAMES.items()}
        (dates,) = request["date"]
        where = request["location"]
        names, place = [short[n] for n in request["variable"]], (where["latitude"], where["longitude"])
        ds = series(names, *place, *dates.split("/"), **self.options)
        members = []
        for one in self.change(ds):
            buffer = io.BytesIO()
            one.to_netcdf(buffer, engine="h5netcdf")
            members.append(buffer.getvalue())
        if not self.archive:
            Path(target).write_bytes(members[0])
            return
        with zipfile.ZipFile(target, "w") as archive:
            for k, content in enumerate(members):
                archive.writestr(f"reanalysis-era5-single-levels-timeseries-sfc{k}.nc", content)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store()
    module = types.ModuleType("cdsapi")
    module.__spec__ = importlib.machinery.ModuleSpec("cdsapi", None)
    module.Client = lambda **_: store  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cdsapi", module)
    monkeypatch.setenv("CDSAPI_URL", "https://example.invalid")
    monkeypatch.setenv("CDSAPI_KEY", "x")
    return store


def pull(
    root: Path,
    variables=("air_temperature", "precipitation"),
    points: Points = POINTS,
    period: Period = DAYS,
    **options,
):
    return pull_points(ENTRY, points, root, period=period, variables=variables, **options)


def read(root: Path, points: Points = POINTS, variables=("air_temperature", "precipitation")) -> xr.Dataset:
    return Era5TimeseriesReader().open(root, points, DAYS, variables)


def test_sites_in_one_cell_share_a_request_for_whole_years(store: Store, tmp_path: Path) -> None:
    assert era5_cells(POINTS) == [(-1.25, 36.75), (-1.25, 36.75), (40.0, -105.0)]
    made = pull(tmp_path)
    assert len(made.new) == len(store.requests) == 2
    assert store.requests[0]["date"] == ["2015-01-01/2016-01-01"]
    assert store.requests[0]["location"] == {"longitude": 36.75, "latitude": -1.25}
    assert sorted(store.requests[0]["variable"]) == ["2m_temperature", "total_precipitation"]
    assert len(pull(tmp_path).kept) == 2 and len(store.requests) == 2
    pull(tmp_path, ["air_temperature"])
    assert len(store.requests) == 2, "these files have it"
    pull(tmp_path, ["surface_pressure"], period=Period(start=dt.date(2014, 12, 30), end=dt.date(2015, 1, 2)))
    assert len(store.requests) == 4 and store.requests[3]["date"] == ["2014-01-01/2016-01-01"]


@pytest.mark.parametrize("form", ["archive", "plain", "time", "dimensions", "two members"])
def test_planted_values_of_every_form(store: Store, tmp_path: Path, form: str) -> None:
    store.archive = form != "plain"
    store.options = {"time": "time"} if form == "time" else {"dims": True} if form == "dimensions" else {}
    if form == "two members":
        store.change = lambda ds: [ds[["t2m"]], ds[["tp"]]]
    pull(tmp_path)
    ds = read(tmp_path)
    assert ds.sizes == {"time": 72, "site": 3}
    np.testing.assert_allclose(ds.air_temperature.isel(site=0).resample(time="1D").mean(), [281, 282, 283])
    rain = ds.precipitation.isel(site=0)
    wet = rain.time.values[rain.values > 0]
    assert list(wet.astype("datetime64[h]")) == [np.datetime64(f"2015-01-0{d}T23") for d in (1, 2, 3)]
    np.testing.assert_allclose(rain.resample(time="1D").mean(), 1.0, rtol=1e-6)
    np.testing.assert_allclose([ds.cell_lat, ds.cell_lon], [[-1.25, -1.25, 40.0], [36.75, 36.75, -105.0]])


def test_the_last_hour_of_a_year_is_in_its_file(store: Store, tmp_path: Path) -> None:
    """Its rain has the label 0 h of 1 January."""
    days = Period(start=dt.date(2015, 12, 30), end=dt.date(2015, 12, 31))
    pull(tmp_path, period=days)
    ds = Era5TimeseriesReader().open(tmp_path, POINTS, days, ["precipitation"])
    np.testing.assert_allclose(
        ds.precipitation.isel(site=0).resample(time="1D").sum(), [24.0, 24.0], rtol=1e-6
    )


def test_the_first_year_begins_with_the_data_set(store: Store, tmp_path: Path) -> None:
    days = Period(start=dt.date(1940, 1, 2), end=dt.date(1940, 1, 5))
    pull(tmp_path, period=days)
    pull(tmp_path, period=days)
    assert [r["date"] for r in store.requests] == [["1940-01-02/1941-01-01"]] * 2


def test_failures_are_named_and_the_others_kept(store: Store, tmp_path: Path) -> None:
    store.errors = ["403 required licences not accepted"]
    with pytest.raises(
        IncompleteDownloadError,
        match=r"(?s)1 of 2 series .*the others are kept.*answers: 403 required licences",
    ):
        pull(tmp_path)
    assert len(list(tmp_path.glob("*.zip"))) == 1 and not list(tmp_path.glob("*.part"))
    assert len(pull(tmp_path).new) == 1
    far = Points(np.array(list("abcde")), np.arange(5.0), np.zeros(5))
    store.errors = ["down"] * 9
    before = len(store.requests)
    with pytest.raises(IncompleteDownloadError, match="Stopped after 3 failures one after the other"):
        pull(tmp_path, points=far)
    assert len(store.requests) == before + 3


@pytest.mark.parametrize(("change", "message"), [
    (lambda ds: [ds.isel({"valid_time": slice(0, -24)})], r"8760 of 8784 hours for 2015-01-01 to 2016-01-01"),
    (lambda ds: [ds[["t2m"]]], r"delivered no tp"),
    (lambda ds: [ds.assign_coords(latitude=10.0)], r"values are of the grid point 10, .*expected"),
    (lambda ds: [ds.drop_vars("latitude")], r"has no single latitude"),
    (lambda ds: [ds.rename({"valid_time": "step"})], r"has no dimension valid_time or time; it has: step"),
    (lambda ds: [ds.expand_dims(number=[0, 1])], r"has the dimension number \(2\)"),
])  # fmt: skip
def test_other_content_is_never_stored(store: Store, tmp_path: Path, change: Any, message: str) -> None:
    store.change = change
    with pytest.raises(IncompleteDownloadError, match=message):
        pull(tmp_path)
    assert not [p for p in tmp_path.iterdir() if p.suffix in (".zip", ".nc", ".part")]


def test_other_units_are_refused(store: Store, tmp_path: Path) -> None:
    store.change = lambda ds: [ds.assign(tp=ds.tp.assign_attrs(units="mm"))]
    pull(tmp_path)
    with pytest.raises(DatasetError, match="'mm'"):
        read(tmp_path)


def test_a_cancelled_pull_resumes(store: Store, tmp_path: Path) -> None:
    def cancel(done: int, total: int, count: int, name: str) -> None:
        assert (done, total) == (1, 2) and count > 0
        raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        pull(tmp_path, on_progress=cancel)
    made = pull(tmp_path)
    assert len(made.new) == len(made.kept) == 1 and len(store.requests) == 2


def test_variables_that_are_not_offered_and_days_are_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="era5-timeseries has no variable 'soil_temperature'"):
        pull(tmp_path, ["soil_temperature"])
    future = Period(start=dt.date(2015, 1, 1), end=dt.datetime.now(dt.UTC).date())
    with pytest.raises(DatasetError, match=r"has values from 1940-01-02 to 20"):
        pull(tmp_path, period=future)


def test_the_commands(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sites.csv").write_text("site,lat,lon\nkenya,-1.3,36.8\n")
    run = CliRunner(env={"COLUMNS": "200"}).invoke
    done = run(app, ["data", "pull", "era5", "--at", "sites.csv", "--days", "2015-01-01:2015-01-03"])
    assert done.exit_code == 0 and "1 files downloaded" in done.output, done.output
    assert len(store.requests) == 1 and len(store.requests[0]["variable"]) == 8
    done = run(app, ["data", "build", "table", "--from", "sites.csv", "--days", "2015-01-01:2015-01-03", "--out", "d.zarr",
                     "--forcing", "era5-timeseries:precipitation,shortwave_down,air_temperature"])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert len(store.requests) == 1
    ds = open_dataset("d.zarr")
    np.testing.assert_allclose(ds.precipitation, 1.0, rtol=1e-5)
    np.testing.assert_allclose(ds.air_temperature, [[281, 282, 283]])
    np.testing.assert_allclose(ds.shortwave_down, 200.0, rtol=1e-5)
