"""USCRN downloads from a loopback server that stalls, truncates, answers 404 and 500, and changes its files."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from gsm3core.assembly.insitu import build_insitu
from gsm3core.assembly.sites import build
from gsm3core.download.fetch import RetryPolicy
from gsm3core.download.manifest import check_path
from gsm3core.download.uscrn import parse_years, pull_uscrn
from gsm3core.errors import CancelledError, DatasetError
from gsm3core.schema import open_dataset
from support.uscrn_server import ROOT, Site, daily_file, daily_line, network, serve

QUICK = RetryPolicy(timeout=0.3, attempts=4, backoff=0.01, max_bytes=1 << 20)
TX = "CRND0103-2020-TX_Monahans_6_ENE.txt"


@pytest.fixture
def site():
    with serve(network()) as site:
        yield site


def pull(site: Site, folder: Path, **options):
    return pull_uscrn([2019, 2020], folder, url=site.url, **({"policy": QUICK} | options))


def served(site: Site) -> dict[str, bytes]:
    return {p.rpartition("/")[2]: b for p, b in site.files.items() if "CRND" in p or "stations" in p}


def on_disk(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.suffix in (".txt", ".tsv")}


def test_files_are_checksummed_and_downloaded_once(site: Site, tmp_path: Path) -> None:
    first = pull(site, tmp_path)
    assert len(first.fetched.new) == 9 and on_disk(tmp_path) == served(site)
    manifest = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert {m["path"]: m["sha256"] for m in manifest} == {
        str(p.relative_to(tmp_path)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in tmp_path.rglob("*") if p.suffix in (".txt", ".tsv")
    }  # fmt: skip
    before = len(site.requests)
    again = pull(site, tmp_path)
    assert len(again.fetched.kept) == 9 and len(site.requests) == before + 2  # the two listings alone
    assert all(headers["User-Agent"].startswith("gsm3 ") for _, headers in site.requests)
    assert site.most_active <= QUICK.jobs


def test_parallel_connections_are_limited(site: Site, tmp_path: Path) -> None:
    site.faults = {".txt": ["slow"] * 8}
    pull(site, tmp_path, policy=RetryPolicy(jobs=2, timeout=2, max_bytes=1 << 20))
    assert site.most_active <= 2


@pytest.mark.parametrize("fault", ["500", "503", "429", "truncate", "stall", "error page"])
def test_transient_faults_are_retried(site: Site, tmp_path: Path, fault: str) -> None:
    site.faults = {TX: [fault, fault]}
    pulled = pull(site, tmp_path)
    assert pulled.fetched.retries >= 2
    assert on_disk(tmp_path) == served(site)
    assert not list(tmp_path.rglob("*.part*"))


def test_retry_after_is_respected(site: Site, tmp_path: Path) -> None:
    site.faults = {TX: ["429"]}
    begun = time.monotonic()
    pull(site, tmp_path)
    assert time.monotonic() - begun > 1.0, "the server sends Retry-After: 1; the backoff alone is 0.01 s"


def test_a_truncated_file_is_downloaded_from_its_start(site: Site, tmp_path: Path) -> None:
    site.faults = {TX: ["truncate"]}
    assert pull(site, tmp_path).fetched.retries == 1
    assert len(site.requests_for(TX)) == 2
    assert not any("Range" in headers for headers in site.requests_for(TX))
    assert on_disk(tmp_path) == served(site)


def test_a_file_changed_between_attempts_is_never_mixed(site: Site, tmp_path: Path) -> None:
    site.faults = {TX: ["truncate", "500", "500", "500", "500"]}
    with pytest.raises(
        DatasetError, match=r"1 of 9 files could not be downloaded.*\n.*HTTP 500 .* \(4 attempts\)"
    ):
        pull(site, tmp_path)
    assert not list((tmp_path / "2020").glob(f"{TX}*")), "complete or absent"
    site.faults, site.files[f"{ROOT}/daily01/2020/{TX}"] = (
        {},
        daily_file("03047", 2020, 31.62, -102.81, seed=99),
    )
    assert pull(site, tmp_path).fetched.new == [f"2020/{TX}"]
    assert on_disk(tmp_path) == served(site)


def test_a_part_left_by_a_kill_is_overwritten(site: Site, tmp_path: Path) -> None:
    part = tmp_path / "2020" / f"{TX}.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * (1 << 18))
    assert len(pull(site, tmp_path).fetched.new) == 9
    assert not part.exists() and on_disk(tmp_path) == served(site)


def test_a_pull_is_cancelled_between_files(site: Site, tmp_path: Path) -> None:
    def cancel(done: int, total: int, count: int, path: str) -> None:
        assert (done, total) == (1, 9) and count > 0 and path
        raise CancelledError("cancelled")

    site.faults = {".txt": ["slow"] * 9}
    with pytest.raises(CancelledError):
        pull(site, tmp_path, on_progress=cancel, policy=RetryPolicy(jobs=1))
    assert 1 <= len(on_disk(tmp_path)) < 9
    assert len(pull(site, tmp_path).fetched.available) == 9


def test_listed_but_missing_files_are_reported(site: Site, tmp_path: Path) -> None:
    site.faults = {TX: ["404"], "stations.tsv": ["404"]}
    pulled = pull(site, tmp_path)
    assert sorted(pulled.fetched.missing) == [f"2020/{TX}", "stations.tsv"]
    assert pulled.step["not_on_server"] == [f"2020/{TX}", "stations.tsv"]
    ds, _ = build_insitu("uscrn-daily", tmp_path, pulled=pulled.step)
    assert "elevation" not in ds
    assert int(ds.sm_insitu.sel(site="USCRN|TX_Monahans_6_ENE").notnull().sum()) == 365


def test_a_refused_file_is_named_and_the_others_kept(site: Site, tmp_path: Path) -> None:
    site.faults = {TX: ["403"]}
    with pytest.raises(
        DatasetError,
        match=rf"1 of 9 files .*Fix this and rerun the command:\n  - http.*/2020/{TX}: HTTP 403 Forbidden",
    ):
        pull(site, tmp_path)
    assert len(on_disk(tmp_path)) == 8
    assert pull(site, tmp_path).fetched.new == [f"2020/{TX}"]


def test_local_and_remote_changes_are_detected(site: Site, tmp_path: Path) -> None:
    pull(site, tmp_path)
    (tmp_path / "2020" / TX).write_bytes(b"somebody edited this\n")
    assert pull(site, tmp_path).fetched.replaced == [f"2020/{TX}"]
    other = "CRND0103-2019-NM_Mills_6_WSW.txt"
    site.files[f"{ROOT}/daily01/2019/{other}"] = daily_file("53104", 2019, 36.07, -104.35, seed=77)
    assert not pull(site, tmp_path).fetched.replaced
    refreshed = pull(site, tmp_path, refresh=True)
    assert refreshed.fetched.replaced == [f"2019/{other}"] and len(refreshed.fetched.kept) == 8
    assert on_disk(tmp_path) == served(site)


def test_a_year_that_was_not_over_is_requested_again(site: Site, tmp_path: Path) -> None:
    pull_uscrn([2020], tmp_path, url=site.url)
    manifest = tmp_path / "manifest.jsonl"
    lines = [json.loads(t) for t in manifest.read_text().splitlines()]
    open_year = next(x["path"] for x in lines if x["path"].startswith("2020/"))
    for line in lines:
        if line["path"] == open_year:
            line["fetched"] = "2020-12-30T00:00:00Z"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    site.requests.clear()
    pull_uscrn([2020], tmp_path, url=site.url)
    assert [p.rpartition("/")[2] for p, _ in site.requests if p.endswith(".txt")] == [open_year[5:]]


def test_a_truncated_manifest_loses_one_entry(site: Site, tmp_path: Path) -> None:
    pull(site, tmp_path)
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    assert len(pull(site, tmp_path).fetched.new) == 1
    assert len(pull(site, tmp_path).fetched.kept) == 9


def test_errors_name_address_years_and_stations(site: Site, tmp_path: Path) -> None:
    for call, message in (
        (lambda: pull_uscrn([2031], tmp_path, url=site.url, policy=QUICK), r"2031/: HTTP 404 Not Found\. Check the address"),
        (lambda: pull(site, tmp_path, stations="^ZZ_"), "no station of 2019 to 2020 matches"),
        (lambda: pull(site, tmp_path, stations="("), "invalid regular expression"),
        (lambda: pull_uscrn([2020], tmp_path, url="ftp://x", policy=QUICK), "invalid address 'ftp://x'"),
        (lambda: pull_uscrn([2020], tmp_path, url="http://127.0.0.1:9", policy=QUICK), "no connection to the server"),
        (lambda: pull(site, tmp_path, policy=RetryPolicy(max_bytes=1000, attempts=1)), "has more than 1,000 bytes"),
        (lambda: parse_years("2020-2015"), "the last year is before the first"),
        (lambda: parse_years("all"), "expected 2015-2020"),
        (lambda: parse_years("1980"), "USCRN has no data of 1980"),
        (lambda: RetryPolicy(jobs=99), "1 to 16"),
    ):  # fmt: skip
        with pytest.raises(DatasetError, match=message):
            call()
    assert parse_years("2018, 2015-2016") == [2015, 2016, 2018]


def test_links_out_of_the_folder_are_ignored(site: Site, tmp_path: Path) -> None:
    page = (
        f'<a href="../../{TX}">x</a><a href="%2e%2e/evil.txt">y</a><a href="CRND0103-2020-../../x.txt">z</a>'
    )
    site.files[f"{ROOT}/daily01/2020/"] = page.encode()
    site.listing = lambda path: site.files.get(path)  # type: ignore[method-assign]
    pull_uscrn([2020], tmp_path / "in", url=site.url, policy=QUICK)
    assert set(on_disk(tmp_path)) == {TX, "stations.tsv"} and (tmp_path / "in" / "2020" / TX).is_file()


@pytest.mark.parametrize(
    "path", ["", ".", "/a.txt", "//a.txt", "../a.txt", "a/../../b.txt", "a\\b.txt", "C:a.txt"]
)
def test_paths_out_of_the_folder_are_refused(path: str) -> None:
    check_path("2020/a.txt")
    with pytest.raises(DatasetError, match="invalid path"):
        check_path(path)


def test_a_full_disk_is_reported_and_loses_nothing(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def full(self: Path, mode: str = "r", *args, **kwargs):
        if self.name == f"{TX}.part" and mode == "wb":
            raise OSError(28, "No space left on device")
        return real(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(DatasetError, match=r"cannot write to .*: No space left on device\. Free disk space"):
        pull(site, tmp_path)
    monkeypatch.undo()
    pull(site, tmp_path)
    assert on_disk(tmp_path) == served(site)


def test_a_killed_pull_skips_intact_files(site: Site, tmp_path: Path) -> None:
    site.faults = {".txt": ["slow"] * 8, "_ENE.txt": ["stall", "stall"]}
    command = [
        sys.executable, "-m", "gsm3core", "data", "pull", "uscrn", "--years", "2019-2020", "--url", site.url,
        "--into", str(tmp_path / "in"), "--out", str(tmp_path / "us.zarr"), "--jobs", "1", "--timeout", "5",
    ]  # fmt: skip
    env = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    first = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 30
    manifest = tmp_path / "in" / "manifest.jsonl"
    while not (manifest.exists() and manifest.read_text().count("\n") >= 2) and time.time() < deadline:
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    finished = [json.loads(line)["path"] for line in manifest.read_text().splitlines() if line.endswith("}")]
    assert 2 <= len(finished) < 9 and not (tmp_path / "us.zarr").exists()
    site.faults = {}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 stations used, 1 excluded" in done.stdout and "no soil moisture at 5 cm" in done.stdout
    assert on_disk(tmp_path / "in") == served(site)
    assert all(len(site.requests_for(path)) == 1 for path in finished)
    ds = open_dataset(tmp_path / "us.zarr")
    assert dict(ds.sizes) == {"site": 3, "time": 730}
    assert [s["step"] for s in json.loads(ds.attrs["history"])] == ["pull", "build", "read uscrn-daily"]
    assert (tmp_path / "us.stations.csv").read_text().count("\n") == 5


def test_values_are_converted_as_by_hand(tmp_path: Path) -> None:
    """Every converted value against one computed by hand from its line."""
    lines = [
        daily_line("03047", "20200101", 31.62, -102.81, sm=0.036, p=0.0, tavg=6.1, tmax=14.1, tmin=-2.2, solar=3.62, savg=4.2,
                   rh=54.3, ts5=7.0),
        daily_line("03047", "20200103", 31.62, -102.81, p=1.4, sm=1.5, tavg=99.9),
        "03047 20200104 cut",
        daily_line("03047", "20200103", 31.62, -102.81, p=1.6),
    ]  # fmt: skip
    (tmp_path / TX).write_text("\n".join(lines))
    (tmp_path / "stations.tsv").write_text("WBAN\tELEVATION\n03047\t2724\n")
    ds, table = build_insitu("uscrn-daily", tmp_path)
    day = ds.isel(site=0, time=0)
    expected = {
        "sm_insitu": 0.036, "precipitation": 0.0, "air_temperature": 279.25, "air_temperature_max": 287.25,
        "air_temperature_min": 270.95, "shortwave_down": 41.898, "surface_temperature": 277.35,
        "relative_humidity": 0.543, "soil_temperature": 280.15, "elevation": 830.2752,
    }  # fmt: skip
    for name, value in expected.items():
        assert float(ds[name].isel(site=0, **({} if name == "elevation" else {"time": 0}))) == pytest.approx(
            value, rel=1e-5
        ), name
    assert str(ds.time.values[-1])[:10] == "2020-01-03" and ds.sizes["time"] == 3
    assert np.isnan(ds.sm_insitu.values[0, 1:]).all()  # a day without a line, and a missing value
    assert float(ds.precipitation.isel(site=0, time=2)) == pytest.approx(
        1.6
    )  # the later line of a day counts
    assert (
        float(day.lat) == 31.62
        and float(day.lon) == -102.81
        and str(day.station.values) == "TX Monahans 6 ENE"
    )
    (read,) = [s for s in json.loads(ds.attrs["history"]) if s["step"] == "read uscrn-daily"]
    assert (read["rows_read"], read["rows_used"]) == (4, 2)
    assert read["rows_refused"] == {"duplicate day": 1, "line without 28 readable fields": 1}
    assert "1 damaged lines" in table["note"][0]
    assert "local standard time" in ds.precipitation.attrs["comment"]


@pytest.mark.real_data
def test_real_data_survive_the_round_trip(real_data: Path, tmp_path: Path) -> None:
    """Every fifth of the 87 stations of 2020, written in the published layout, served, pulled and built, is unchanged."""
    expected = build("uscrn", real_data / "uscrn2020_87.nc")
    with xr.open_dataset(real_data / "uscrn2020_87.nc", engine="h5netcdf") as raw:
        raw = raw.load()
    columns = {
        "sm": "sm", "p": "precip", "tavg": "t2m_mean", "tmax": "t2m_max", "tmin": "t2m_min", "solar": "swdown",
        "savg": "lst", "rh": "rh", "ts5": "ts5",
    }  # fmt: skip
    days = [str(t)[:10].replace("-", "") for t in raw.time.values]
    files = {}
    for k, station in list(enumerate(raw.station.values.astype(str)))[::5]:
        values = {ours: raw[theirs].values[k] for ours, theirs in columns.items()}
        files[f"{ROOT}/daily01/2020/CRND0103-2020-{station}.txt"] = "\n".join(
            daily_line(
                f"{k:05d}", day, float(raw.lat[k]), float(raw.lon[k]),
                **{n: float(x[t]) for n, x in values.items() if np.isfinite(x[t])},
            ) for t, day in enumerate(days)
        ).encode()  # fmt: skip
    with serve(files) as site:
        pulled = pull_uscrn([2020], tmp_path, url=site.url, policy=QUICK)
    ds, table = build_insitu("uscrn-daily", tmp_path, period=pulled.period, pulled=pulled.step)
    assert (table["outcome"] == "used").sum() == 18
    expected = expected.sel(site=ds.site)
    for name in ds.data_vars:
        np.testing.assert_allclose(ds[name], expected[name], rtol=1e-5, atol=2e-4, err_msg=str(name))
    assert list(ds.region.values) == list(expected.region.values)
