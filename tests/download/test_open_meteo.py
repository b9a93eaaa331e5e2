"""ERA5 and ERA5-Land of Open-Meteo's archive through a loopback server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.download.fetch import RetryPolicy
from gsm3core.download.open_meteo import call_weight
from gsm3core.download.points import pull_points
from gsm3core.errors import DatasetError
from gsm3core.readers import make_point_reader
from gsm3core.readers.points import Points
from support.open_meteo_server import OpenMeteoService, hourly
from support.point_server import serve

ERA5, LAND = source_entry("open-meteo-era5"), source_entry("open-meteo-era5-land")
QUICK = RetryPolicy(timeout=0.5, attempts=3, backoff=0.001)
DAYS = Period(start=dt.date(2019, 12, 30), end=dt.date(2019, 12, 31))
# The first two are in one cell of 0.25 degrees, and in two of 0.1 degrees.
PLACES = Points(np.array(["a", "b", "c"]), np.array([-1.28, -1.18, 40.01]), np.array([36.80, 36.71, -104.99]))


@pytest.fixture
def service() -> Iterator[OpenMeteoService]:
    with serve(OpenMeteoService()) as service:
        yield service


def pull(service: OpenMeteoService, root: Path, variables=("air_temperature",), entry=ERA5, **options):
    options = {"period": DAYS, "policy": QUICK} | options
    return pull_points(entry, PLACES, root, variables=variables, url=service.url, **options)


def read(root: Path, variables=("air_temperature",), entry=ERA5, period=DAYS):
    return make_point_reader(entry.reader).open(root, PLACES, period, variables)


def test_request_is_for_the_unadjusted_cell(service: OpenMeteoService, tmp_path: Path) -> None:
    pull(service, tmp_path)
    assert len(service.requests) == 2, "two cells"
    query = {k: v[0] for k, v in parse_qs(urlsplit(min(service.requests)).query).items()}
    wanted = {
        "models": "era5", "timezone": "GMT", "wind_speed_unit": "ms", "cell_selection": "nearest", "elevation": "nan",
        "start_date": "2019-01-01", "end_date": "2020-01-01", "latitude": "-1.25000", "longitude": "36.75000",
    }  # fmt: skip
    assert query.items() >= wanted.items()


def test_values_and_hours(service: OpenMeteoService, tmp_path: Path) -> None:
    names = ["air_temperature", "precipitation", "shortwave_down", "surface_pressure", "sm_product"]
    pull(service, tmp_path, names)
    ds = read(tmp_path, names).sel(site="a")
    assert ds.sizes["time"] == 48 and ds.attrs["time_step"] == 3600
    noon = dt.datetime(2019, 12, 30, 12)
    assert float(ds.air_temperature.sel(time=noon)) == pytest.approx(
        hourly("temperature_2m", noon, -1.25, 36.75) + 273.15, rel=1e-6
    )
    assert float(ds.surface_pressure.sel(time=noon)) == 86_200.0
    assert float(ds.sm_product.sel(time=noon)) == pytest.approx(0.212)
    # The mean of the hour before 13 h belongs to the hour that begins at 12 h.
    assert float(ds.shortwave_down.sel(time=noon)) == 1100.0
    # Rain of the hour before 0 h is that of the day before: here at 23 h, the last of the year included.
    rain = ds.precipitation.values
    wet = hourly("precipitation", dt.datetime(2020, 1, 1), -1.25, 36.75) * 24
    assert np.flatnonzero(rain).tolist() == [23, 47] and rain[47] == pytest.approx(wet, rel=1e-6)


def test_sites_and_centres_of_both_grids(service: OpenMeteoService, tmp_path: Path) -> None:
    pull(service, tmp_path / "a")
    found = read(tmp_path / "a")
    assert [float(x) for x in found.cell_lat] == [-1.25, -1.25, 40.0]
    pull(service, tmp_path / "b", entry=LAND)
    found = read(tmp_path / "b", entry=LAND)
    np.testing.assert_allclose(found.cell_lat, [-1.3, -1.2, 40.0])
    np.testing.assert_allclose(found.cell_lon, [36.8, 36.7, -105.0])
    assert "models=era5_land" in service.requests[-1]


def test_a_year_is_a_request(service: OpenMeteoService, tmp_path: Path) -> None:
    pull(service, tmp_path, period=Period(start=dt.date(2018, 6, 1), end=dt.date(2019, 2, 1)))
    assert len(service.requests) == 4
    pull(service, tmp_path)
    assert len(service.requests) == 4


@pytest.mark.parametrize("fault", ["500", "stall", "short", "html"])
def test_transient_faults_are_retried(service: OpenMeteoService, tmp_path: Path, fault: str) -> None:
    service.faults = [fault]
    assert pull(service, tmp_path).retries >= 1
    assert read(tmp_path).air_temperature.notnull().all()


def test_the_limit_of_a_minute_is_waited_for(service: OpenMeteoService, tmp_path: Path) -> None:
    reason = "Minutely API request limit exceeded. Please try again in one minute."
    service.faults = [(429, {"error": True, "reason": reason})]
    pull(service, tmp_path, policy=RetryPolicy(jobs=1, backoff=0.01, attempts=2))
    assert service.times[1] - service.times[0] >= 0.55, "60 times the backoff, a minute by default"


@pytest.mark.parametrize("limit", ["Hourly", "Daily"])
def test_longer_limits_end_the_download(service: OpenMeteoService, tmp_path: Path, limit: str) -> None:
    reason = f"{limit} API request limit exceeded. Please try again later."
    service.faults = [(429, {"error": True, "reason": reason})] * 9
    with pytest.raises(
        DatasetError, match=rf"{limit} API request limit exceeded(?s:.*)rerun the command later"
    ):
        pull(service, tmp_path, policy=RetryPolicy(jobs=1, backoff=0.01))
    assert len(service.requests) == 1


def test_refused_requests_give_the_reason(service: OpenMeteoService, tmp_path: Path) -> None:
    del service.units["temperature_2m"]
    with pytest.raises(DatasetError, match=r"HTTP 400 .*invalid String value temperature_2m"):
        pull(service, tmp_path)


def test_local_hours_and_other_cells_are_refused(service: OpenMeteoService, tmp_path: Path) -> None:
    service.offset = 10_800
    with pytest.raises(DatasetError, match=r"the hours are 10800 s from GMT; expected 0 s"):
        pull(service, tmp_path)
    service.offset, service.moved = 0, 0.2
    with pytest.raises(
        DatasetError, match=r"values are of the cell at -1.05, 36.75; expected that at -1.25, 36.75"
    ):
        pull(service, tmp_path)
    assert not list(tmp_path.glob("open-meteo*"))


def test_other_units_are_refused(service: OpenMeteoService, tmp_path: Path) -> None:
    service.units["precipitation"] = "inch"
    pull(service, tmp_path, ["precipitation"])
    with pytest.raises(DatasetError, match=r"'precipitation' has units 'inch'; expected 'mm'"):
        read(tmp_path, ["precipitation"])


def test_null_values_are_missing(service: OpenMeteoService, tmp_path: Path) -> None:
    pull(service, tmp_path, ["snow_depth"], entry=LAND)
    assert read(tmp_path, ["snow_depth"], entry=LAND).snow_depth.isnull().all()


def test_the_latest_days_are_within_the_allowed_range(service: OpenMeteoService, tmp_path: Path) -> None:
    """The extra day that ends the last hour must not lie in the future."""
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    period = Period(start=yesterday - dt.timedelta(days=3), end=yesterday)
    pull(service, tmp_path, period=period)
    assert read(tmp_path, period=period).sizes["time"] == 96


def test_weight_of_a_request() -> None:
    """Examples of the provider: 15 variables over two weeks are 1.5 calls, over four weeks 3."""
    assert (call_weight(15, 14), call_weight(15, 28), call_weight(3, 7)) == (1.5, 3.0, 1.0)
