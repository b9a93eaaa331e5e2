"""NASA POWER through a loopback server: values, units, faults, resuming, and no request made twice."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import gsm3core.download.manifest as manifest
import gsm3core.download.point_series as point_series
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.download.fetch import RetryPolicy
from gsm3core.download.points import pull_points, service_url
from gsm3core.errors import CancelledError, DatasetError
from gsm3core.readers.points import Points
from gsm3core.readers.power import PowerReader, meteorology_centres, power_cells
from support.point_server import serve
from support.power_server import PowerService, value

POWER = source_entry("power")
QUICK = RetryPolicy(timeout=0.4, attempts=3, backoff=0.01, max_bytes=1 << 22)
DAYS = Period(start=dt.date(2015, 12, 30), end=dt.date(2016, 1, 2))
# Two places 3 km apart in one cell, one in another.
PLACES = Points(
    np.array(["kabete", "kikuyu", "eldoret"]),
    np.array([-1.30, -1.31, 0.52]),
    np.array([36.74, 36.71, 35.27]),
)


@pytest.fixture
def service() -> Iterator[PowerService]:
    with serve(PowerService()) as service:
        yield service


def pull(service: PowerService, root: Path, variables=("air_temperature",), points=PLACES, **options):
    options = {"period": DAYS, "policy": QUICK} | options
    return pull_points(POWER, points, root, variables=variables, url=service.url, **options)


def read(root: Path, variables=("air_temperature",), points=PLACES, period=DAYS):
    return PowerReader().open(root, points, period, variables)


def test_values_are_those_served(service: PowerService, tmp_path: Path) -> None:
    names = [x.ours for x in POWER.variables]
    pull(service, tmp_path, names)
    ds = read(tmp_path, names)
    assert dict(ds.sizes) == {"time": 4, "site": 3} and ds.attrs["time_step"] == 86_400
    cells = power_cells(PLACES)
    for k, (lat, lon) in enumerate(cells):
        for t, stamp in enumerate(ds.time.values):
            day = stamp.astype("datetime64[D]").item()
            served = {x.ours: value(x.theirs[0], day, lat, lon) for x in POWER.variables}
            at = {n: float(ds[n][t, k]) for n in names}
            assert at["air_temperature"] == pytest.approx(served["air_temperature"] + 273.15, rel=1e-6)
            assert at["precipitation"] == pytest.approx(served["precipitation"], rel=1e-6)
            assert at["specific_humidity"] == pytest.approx(served["specific_humidity"] / 1000, rel=1e-6)
            assert at["relative_humidity"] == pytest.approx(served["relative_humidity"] / 100, rel=1e-6)
            assert at["surface_pressure"] == pytest.approx(served["surface_pressure"] * 1000, rel=1e-6)
            # 1 MJ a day is 1e6 J in 86400 s.
            assert at["shortwave_down"] == pytest.approx(served["shortwave_down"] * 1e6 / 86_400, rel=1e-6)
            assert at["longwave_down"] == pytest.approx(served["longwave_down"], rel=1e-6)
    assert ds.air_temperature.attrs["units"] == "K"
    assert json.loads(ds.air_temperature.attrs["screening"])["kept"] == 8, "two cells"


def test_sites_in_the_same_cells_share_a_request(service: PowerService, tmp_path: Path) -> None:
    pull(service, tmp_path)
    assert len(service.requests) == 2
    ds = read(tmp_path)
    np.testing.assert_array_equal(
        ds.air_temperature.sel(site="kabete"), ds.air_temperature.sel(site="kikuyu")
    )
    assert [float(x) for x in ds.cell_lat] == [-1.5, -1.5, 0.5]
    assert [float(x) for x in ds.cell_lon] == [36.875, 36.875, 35.0]
    assert "time-standard=UTC" in service.requests[0] and "community=AG" in service.requests[0]


def test_requests_lie_in_the_cells_of_their_sites() -> None:
    """MERRA-2: centres at multiples of 0.5 and 0.625 degrees; CERES: cells between whole degrees."""
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(-90, 90, 500), rng.uniform(-180, 180, 500)
    lat[:4], lon[:4] = (90, -90, 0.0, 45.25), (180, -180, 179.9, -0.3125)
    points = Points(np.arange(500).astype(str), lat, lon)
    where = Points(points.site, *map(np.array, zip(*power_cells(points), strict=True)))
    for mine, theirs in zip(meteorology_centres(points), meteorology_centres(where), strict=True):
        np.testing.assert_allclose(mine, theirs)
    inside = np.abs(lat) < 90
    np.testing.assert_array_equal(np.floor(lat[inside]), np.floor(where.lat[inside]))
    np.testing.assert_array_equal(np.floor((lon + 180) % 360), np.floor((where.lon + 180) % 360))
    # Far from the borders of both grids, so that no rounding of the service changes the cell.
    for degrees, width, offset in (
        (where.lat, 0.5, 0.25),
        (where.lat, 1, 0),
        (where.lon, 0.625, 0.1875),
        (where.lon, 1, 0),
    ):
        share = (degrees - offset) / width
        assert np.abs(share - np.round(share)).min() * width > 0.02


def test_whole_years_are_requested_once(service: PowerService, tmp_path: Path) -> None:
    pull(service, tmp_path)
    assert "start=20150101&end=20161231" in service.requests[0], "two years in one request"
    pull(service, tmp_path)
    pull(service, tmp_path, period=Period(start=dt.date(2015, 1, 1), end=dt.date(2016, 12, 31)))
    assert len(service.requests) == 2
    pull(service, tmp_path, period=Period(start=dt.date(2016, 1, 1), end=dt.date(2017, 1, 5)))
    assert len(service.requests) == 4 and "start=20170101&end=20171231" in service.requests[-1]
    pull(service, tmp_path, ["air_temperature", "precipitation"])
    assert len(service.requests) == 6, "another variable"
    pull(service, tmp_path, ["precipitation"])
    assert len(service.requests) == 6, "it is in the files of both"
    assert set(read(tmp_path, ["precipitation"]).data_vars) == {"precipitation"}


def test_long_periods_are_split(service: PowerService, tmp_path: Path) -> None:
    one = Points(*(a[:1] for a in (PLACES.site, PLACES.lat, PLACES.lon)))
    period = Period(start=dt.date(1981, 1, 1), end=dt.date(2020, 12, 31))
    pull(service, tmp_path, points=one, period=period)
    assert len(service.requests) == 2
    assert len(read(tmp_path, points=one, period=period).time) == 14_610


def test_manifest_lists_files_with_checksums(service: PowerService, tmp_path: Path) -> None:
    result = pull(service, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert sorted(x["path"] for x in lines) == sorted(result.new) and result.requests == 2
    for line in lines:
        assert line["sha256"] == hashlib.sha256((tmp_path / line["path"]).read_bytes()).hexdigest()
        assert line["variables"] == ["T2M"] and line["url"].startswith(service.url)


@pytest.mark.parametrize("fault", ["500", "503", "429", "stall", "truncate", "short", "html"])
def test_transient_faults_are_retried(service: PowerService, tmp_path: Path, fault: str) -> None:
    service.faults = [fault, fault]
    result = pull(service, tmp_path, policy=RetryPolicy(timeout=0.4, attempts=4, backoff=0.01))
    assert result.retries >= 2 and len(result.new) == 2
    assert not list(tmp_path.glob("*.part"))
    assert read(tmp_path).air_temperature.notnull().all()


def test_retry_after_is_respected(service: PowerService, tmp_path: Path) -> None:
    one = Points(*(a[:1] for a in (PLACES.site, PLACES.lat, PLACES.lon)))
    service.faults = ["429 after"]
    pull(service, tmp_path, points=one)
    assert service.times[1] - service.times[0] >= 0.95


def test_interval_between_requests(service: PowerService, tmp_path: Path) -> None:
    lat = np.linspace(-40, 40, 6)
    points = Points(np.arange(6).astype(str), lat, lat)
    pull(service, tmp_path, points=points, policy=RetryPolicy(interval=0.08))
    assert len(service.times) == 6 and np.diff(sorted(service.times)).min() > 0.06


def test_the_services_own_words_are_shown(service: PowerService, tmp_path: Path) -> None:
    """HTTP 422 with messages: no retry, no advice about the address."""
    del service.units["T2M"]
    with pytest.raises(DatasetError, match=r"HTTP 422 .*T2M is not a valid parameter") as caught:
        pull(service, tmp_path)
    assert len(service.requests) == 2 and "Check the address" not in str(caught.value)


def test_an_error_with_status_200_is_no_file(service: PowerService, tmp_path: Path) -> None:
    service.faults = [(200, {"header": "failed", "messages": ["database offline"]})] * 6
    with pytest.raises(DatasetError, match=r"(?s)2 of 2 files.*database offline"):
        pull(service, tmp_path)
    assert not list(tmp_path.glob("power_*"))


def test_a_limit_stops_all_requests(service: PowerService, tmp_path: Path) -> None:
    """After the refusal of the day's quota no other place is tried, and a rerun requests the rest only."""
    lat = np.linspace(-40, 40, 12)
    points = Points(np.arange(12).astype(str), lat, lat)
    refused = (429, {"messages": ["Daily limit of requests exceeded"]})
    service.faults = ["", "", *[refused] * 20]
    with pytest.raises(
        DatasetError, match=r"(?s)10 of 12 files.*Daily limit of requests.*rerun the command later"
    ):
        pull(service, tmp_path, points=points, policy=RetryPolicy(jobs=1, backoff=0.01))
    assert len(service.requests) == 3
    service.faults = []
    result = pull(service, tmp_path, points=points)
    assert len(service.requests) == 13 and len(result.new) == 10 and len(result.kept) == 2


def test_cancelled_downloads_resume(service: PowerService, tmp_path: Path) -> None:
    lat = np.linspace(-40, 40, 8)
    points = Points(np.arange(8).astype(str), lat, lat)

    def cancel(done: int, of: int, received: int, path: str) -> None:
        if done == 3:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        pull(service, tmp_path, points=points, on_progress=cancel, policy=RetryPolicy(jobs=1))
    before = len(service.requests)
    pull(service, tmp_path, points=points)
    assert before < 8 and len(set(service.requests)) == len(service.requests) == 8


def test_two_downloads_at_a_time_request_nothing_twice(service: PowerService, tmp_path: Path) -> None:
    service.delay = 0.05
    with ThreadPoolExecutor(2) as pool:
        results = [f.result() for f in [pool.submit(pull, service, tmp_path) for _ in range(2)]]
    assert len(service.requests) == 2 and sorted(len(r.new) for r in results) == [0, 2]


def test_a_folder_without_write_permission_is_read(
    service: PowerService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull(service, tmp_path)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gsm3core.download.manifest.FileLock", refuse)
    assert len(pull(service, tmp_path).kept) == 2 and len(service.requests) == 2


def test_a_changed_file_is_requested_again(service: PowerService, tmp_path: Path) -> None:
    pull(service, tmp_path)
    path = sorted(tmp_path.glob("power_*"))[0]
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(
        DatasetError, match=rf"{re.escape(path.name)} is not JSON .*Delete the file and rerun"
    ):
        read(tmp_path)
    result = pull(service, tmp_path)
    assert result.replaced == [path.name] and read(tmp_path).air_temperature.notnull().all()


def test_days_of_local_solar_time_are_refused(service: PowerService, tmp_path: Path) -> None:
    service.standard = "LST"
    with pytest.raises(DatasetError, match=r"time standard 'LST'; expected UTC"):
        pull(service, tmp_path)
    assert len(service.requests) == 2, "not repeated"


def test_other_units_are_converted_or_refused(service: PowerService, tmp_path: Path) -> None:
    service.units |= {"ALLSKY_SFC_SW_DWN": "kW-hr/m^2/day", "T2M": "F"}
    pull(service, tmp_path, ["shortwave_down", "air_temperature"])
    lat, lon = power_cells(PLACES)[0]
    served = value("ALLSKY_SFC_SW_DWN", DAYS.start, lat, lon)
    found = float(read(tmp_path, ["shortwave_down"]).shortwave_down[0, 0])
    # Out of the valid range here (18 kWh a day), so the value is screened and counted.
    assert served * 1000 / 24 > 600 and np.isnan(found)
    with pytest.raises(DatasetError, match=r"power_.*json: 'T2M' has units 'F'; expected 'C'"):
        read(tmp_path)


def test_fill_values_are_missing_and_counted(service: PowerService, tmp_path: Path) -> None:
    service.missing = {dt.date(2016, 1, 1)}
    pull(service, tmp_path)
    ds = read(tmp_path)
    assert ds.air_temperature.isnull().all("site").values.tolist() == [False, False, True, False]
    counts = json.loads(ds.air_temperature.attrs["screening"])
    assert (counts["read"], counts["fill"], counts["kept"]) == (8, 2, 6)


def test_a_site_without_a_file_is_named(service: PowerService, tmp_path: Path) -> None:
    one = Points(*(a[:1] for a in (PLACES.site, PLACES.lat, PLACES.lon)))
    pull(service, tmp_path, points=one)
    ds = read(tmp_path)
    assert ds.attrs["sites_without_files"] == ["eldoret"]
    assert ds.air_temperature.notnull().all("time").values.tolist() == [True, True, False]


def test_days_outside_the_source_are_named(service: PowerService, tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"power has values from 1981-01-01 to .*--days 1981-01-01:1981-03-01"
    ):
        pull(service, tmp_path, period=Period(start=dt.date(1980, 1, 1), end=dt.date(1981, 3, 1)))
    with pytest.raises(DatasetError, match=r"power has values from .*; the period is 2090"):
        pull(service, tmp_path, period=Period(start=dt.date(2090, 1, 1), end=dt.date(2090, 3, 1)))
    assert not service.requests


def test_recent_days_are_requested_again_on_another_day(
    service: PowerService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = dt.datetime.now(dt.UTC).date()
    period = Period(start=today - dt.timedelta(days=30), end=today - dt.timedelta(days=1))
    pull(service, tmp_path, period=period)
    first = len(service.requests)
    pull(service, tmp_path, period=period)
    assert len(service.requests) == first, "the same day"
    monkeypatch.setattr(point_series, "today", lambda: today + dt.timedelta(days=3))
    pull(service, tmp_path, period=period)
    assert len(service.requests) > first
    assert len(read(tmp_path, period=period).time) == 30


def test_a_year_downloaded_before_its_last_days_were_there_is_requested_again(
    service: PowerService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    period = Period(start=dt.date(2020, 12, 1), end=dt.date(2020, 12, 31))
    service.missing = {dt.date(2020, 12, d) for d in range(27, 32)}
    for day in (dt.date(2021, 1, 3), dt.date(2021, 2, 3), dt.date(2021, 2, 4)):
        monkeypatch.setattr(point_series, "today", lambda day=day: day)
        fetched = types.SimpleNamespace(gmtime=lambda: None, strftime=lambda *_, day=day: f"{day}T00:00:00Z")
        monkeypatch.setattr(manifest, "time", fetched)
        pull(service, tmp_path, period=period)
        service.missing = set()
    assert read(tmp_path, period=period).air_temperature.notnull().all()
    assert len(service.requests) == 4, "two cells, on two of the days"


def test_a_later_file_of_the_same_days_fills_what_was_missing(service: PowerService, tmp_path: Path) -> None:
    """Files of the same days and other variables are read in any order."""
    service.missing = {dt.date(2016, 1, 2)}
    pull(service, tmp_path / "early", ["air_temperature"])
    service.missing = set()
    for names in (["air_temperature", "precipitation"], ["air_temperature", "wind_speed"]):
        folder = tmp_path / names[1]
        pull(service, folder, names)
        for path in (tmp_path / "early").glob("power_*.json"):
            (folder / path.name).write_bytes(path.read_bytes())
        assert read(folder).air_temperature.notnull().all()


def test_addresses_are_checked() -> None:
    assert service_url(POWER) == "https://power.larc.nasa.gov/api/temporal/daily/point"
    with pytest.raises(DatasetError, match=r"invalid address 'ftp://x' of power; expected https"):
        service_url(POWER, "ftp://x")
