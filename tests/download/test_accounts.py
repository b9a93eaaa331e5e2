"""SMAP and ERA5: the errors without package or account, and the requests with both."""

from __future__ import annotations

import datetime as dt
import importlib.machinery
import os
import sys
import types
from pathlib import Path

import pytest

from gsm3core.config import Period
from gsm3core.download import accounts
from gsm3core.errors import DatasetError

MAY = Period(start=dt.date(2020, 4, 20), end=dt.date(2020, 5, 3))


@pytest.fixture(autouse=True)
def no_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without any account."""
    for name in [n for n in os.environ if n.startswith(("EARTHDATA_", "CDSAPI_")) or n == "NETRC"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def install(monkeypatch: pytest.MonkeyPatch, name: str, **content: object) -> None:
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__dict__.update(content)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize(("pull", "package", "extra"), [
    (accounts.pull_smap, "earthaccess", "earthdata"), (accounts.pull_era5, "cdsapi", "cds"),
])  # fmt: skip
def test_missing_package_is_named(
    pull, package: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "find_spec", lambda name: None)
    with pytest.raises(
        DatasetError, match=rf"'{package}', which is not installed: pip install 'gsm3\[{extra}\]'"
    ):
        pull(MAY, tmp_path)


def test_missing_account_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "earthaccess")
    install(monkeypatch, "cdsapi")
    with pytest.raises(
        DatasetError, match=r"needs an Earthdata account: register at https://urs.earthdata.nasa.gov"
    ):
        accounts.pull_smap(MAY, tmp_path)
    with pytest.raises(DatasetError, match=r"needs a Copernicus account: register at https://cds.climate"):
        accounts.pull_era5(MAY, tmp_path)


def test_smap_request_has_name_version_and_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    received: dict[str, object] = {}
    install(
        monkeypatch, "earthaccess", login=lambda strategy: received.update(strategy=strategy),
        search_data=lambda **query: received.update(query) or ["a granule"] * 14,
        download=lambda granules, folder: [f"{folder}/{g}" for g in granules],
    )  # fmt: skip
    (tmp_path / ".netrc").write_text("machine urs.earthdata.nasa.gov login someone password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    files = accounts.pull_smap(MAY, tmp_path / "smap", box=(-10.0, 40.0, 5.0, 45.0))
    assert set(files) == {tmp_path / "smap" / "a granule"}
    assert received == {
        "strategy": "netrc", "short_name": "SPL3SMP_E", "version": "005", "temporal": ("2020-04-20", "2020-05-03"),
        "bounding_box": (-10.0, 40.0, 5.0, 45.0),
    }  # fmt: skip
    install(monkeypatch, "earthaccess", login=lambda strategy: None, search_data=lambda **query: [])
    with pytest.raises(DatasetError, match="has no SPL3SMP_E 005 or 006 from 2020-04-20"):
        accounts.pull_smap(MAY, tmp_path)


def test_a_later_version_is_taken_where_it_has_more_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = {"005": 4, "006": 14}
    install(
        monkeypatch, "earthaccess", login=lambda strategy: None, download=lambda granules, folder: granules,
        search_data=lambda **query: [query["version"]] * days[query["version"]],
    )  # fmt: skip
    monkeypatch.setenv("EARTHDATA_TOKEN", "x")
    said: list[str] = []
    assert accounts.pull_smap(MAY, tmp_path, emit=said.append) == [Path("006")] * 14
    assert said == ["14 granules of SPL3SMP_E 006 for 14 days"]


def test_era5_months_are_requested_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[tuple[str, dict[str, object]]] = []

    class Client:
        def retrieve(self, dataset: str, request: dict[str, object], target: str) -> None:
            received.append((dataset, request))
            Path(target).write_bytes(b"netcdf")

    install(monkeypatch, "cdsapi", Client=Client)
    monkeypatch.setenv("CDSAPI_URL", "https://example.invalid")
    monkeypatch.setenv("CDSAPI_KEY", "x")
    files = accounts.pull_era5(MAY, tmp_path, box=(-10.0, 40.0, 5.0, 45.0))
    assert [f.name for f in files] == ["era5_2020_04_20-30.nc", "era5_2020_05_01-03.nc"] and all(
        f.is_file() for f in files
    )
    dataset, request = received[1]
    assert (
        dataset == "reanalysis-era5-single-levels"
        and request["day"] == ["01", "02", "03"]
        and len(request["time"]) == 24
    )  # type: ignore[arg-type]
    assert (request["year"], request["month"], request["area"]) == ("2020", "05", [45.0, -10.0, 40.0, 5.0])
    accounts.pull_era5(MAY, tmp_path)
    assert len(received) == 2

    class Rejects:
        def retrieve(self, *_: object) -> None:
            raise RuntimeError("403 required licences not accepted")

    install(monkeypatch, "cdsapi", Client=Rejects)
    with pytest.raises(
        DatasetError, match=r"download of era5_2021_01_01-01\.nc .* failed: 403 required licences"
    ):
        accounts.pull_era5(Period(start=dt.date(2021, 1, 1), end=dt.date(2021, 1, 1)), tmp_path)


def test_periods_and_bounding_boxes_are_parsed() -> None:
    assert accounts.parse_period("2015-2016", "") == Period(
        start=dt.date(2015, 1, 1), end=dt.date(2016, 12, 31)
    )
    assert accounts.parse_period("", "2020-04-20:2020-05-03") == MAY
    assert accounts.parse_box("") is None and accounts.parse_box("-10,40,5,45") == (-10.0, 40.0, 5.0, 45.0)
    for wrong in (("", "yesterday"), ("2016-2015", ""), ("2015", "2015-01-01")):
        with pytest.raises(DatasetError, match=r"invalid period|expected one of them"):
            accounts.parse_period(*wrong)
    for box in ("1,2,3", "5,40,-10,45", "a,b,c,d"):
        with pytest.raises(DatasetError, match="invalid bounding box"):
            accounts.parse_box(box)
