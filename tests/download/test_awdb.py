"""SCAN and SNOTEL from a loopback server: planted values, UTC days, several sensors, flags, units, faults, resuming."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from gsm3core.assembly.insitu import build_insitu
from gsm3core.cli import app
from gsm3core.download.awdb import pull_awdb
from gsm3core.download.fetch import RetryPolicy
from gsm3core.errors import CancelledError, DatasetError
from gsm3core.readers.awdb import read_awdb
from gsm3core.readers.ismn.sensor_choice import SensorChoice
from gsm3core.schema import open_dataset
from support.awdb_server import AwdbSite, Post, Probe, network, planted, serve_awdb

QUICK = RetryPolicy(timeout=0.3, attempts=4, backoff=0.01, max_bytes=1 << 22)
AL, CA = "2057:AL:SCAN", "2221:CA:SCAN"


@pytest.fixture
def site():
    with serve_awdb(network()) as site:
        yield site


def pull(site: AwdbSite, folder: Path, years=(2020,), **options):
    return pull_awdb("scan", years, folder, url=site.url, **({"policy": QUICK} | options))


def record(posts: list[Post], folder: Path, **choice) -> tuple[xr.Dataset, dict[str, dict[str, object]]]:
    """Pull one year of some stations and read them; the table by triplet."""
    with serve_awdb(posts) as site:
        pull(site, folder)
    ds, table = read_awdb(folder, "scan", choice=SensorChoice(**choice))
    return ds, {row["triplet"]: row for row in table.to_dict("records")}


def test_utc_days_units_depth_and_elevation(site: AwdbSite, tmp_path: Path) -> None:
    pulled = pull(site, tmp_path)
    ds, table = build_insitu("scan", tmp_path, period=pulled.period, pulled=pulled.step)
    assert list(ds.site.values) == ["SCAN|2057_AL", "SCAN|2221_CA"]
    assert list(ds.station.values) == ["Aamu-Jtg", "Desert Center"] and set(ds.network.values) == {"SCAN"}
    np.testing.assert_allclose(ds.depth, 0.0508)
    np.testing.assert_allclose(ds.elevation, [860 * 0.3048, 540 * 0.3048], rtol=1e-6)
    # The value is the same in all hours of a UTC day: a wrong shift would mix two days.
    for k, days in enumerate(ds.sm_insitu.values):
        expected = [planted(t) / 100 for t in ds.time.values.astype("datetime64[h]")]
        found = np.isfinite(days)
        np.testing.assert_allclose(days[found], np.array(expected)[found], atol=1e-7)
        assert found.sum() == 21, f"{ds.site.values[k]}: 20 local days are 19 whole UTC days and parts of two"
    assert ds.time.values[0] == np.datetime64("2020-01-01") and ds.time.values[-1] == np.datetime64(
        "2020-01-21"
    )
    assert ds.sm_insitu.attrs["units"] == "m3 m-3"
    assert list(table["outcome"]) == ["used", "used", "refused"], "the last one has no time zone"
    history = json.loads(ds.attrs["history"])
    assert [s["step"] for s in history] == ["pull", "build", "read scan"]
    assert history[2]["hours_read"] == history[2]["hours_used"] + sum(history[2]["hours_refused"].values())


def test_each_station_year_is_requested_once_and_only_where_a_sensor_was(
    site: AwdbSite, tmp_path: Path
) -> None:
    pull(site, tmp_path, years=[2019, 2020])
    asked = site.asked()
    assert len(asked) == 2 and all("2020" in a for a in asked), (
        "no sensor in 2019, none near 5 cm or no clock elsewhere"
    )
    query = next(a for a in asked if CA in a)
    assert "beginDate=2019-12-31 16:00" in query and "endDate=2020-12-31 15:00" in query, (
        "the UTC year, on its clock"
    )
    assert "elements=SMS:-2:1,SMS:-2:2&" in next(a for a in asked if AL in a)
    assert "%3A" not in "".join(p for p, _ in site.requests)
    pull(site, tmp_path)
    assert len(site.asked()) == 2 and len(site.asked("/stations")) == 2
    pull(site, tmp_path, refresh=True)
    assert len(site.asked()) == 4


def test_a_year_that_was_not_over_is_requested_again(site: AwdbSite, tmp_path: Path) -> None:
    pull(site, tmp_path)
    manifest = tmp_path / "manifest.jsonl"
    lines = [json.loads(t) for t in manifest.read_text().splitlines()]
    for line in lines:
        if AL.replace(":", "_") in line["path"]:
            line["fetched"] = "2020-12-30T00:00:00Z"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    pull(site, tmp_path)
    assert [AL in a for a in site.asked()].count(True) == 2 and len(site.asked()) == 3


@pytest.mark.parametrize("fault", ["500", "429", "truncate", "stall", "error page", "json error"])
def test_transient_faults_are_retried(site: AwdbSite, tmp_path: Path, fault: str) -> None:
    site.error_body = b'{"status": 500, "message": "Unable to acquire JDBC Connection"}'
    site.faults = {AL: [fault, fault] if fault != "429" else [fault]}
    assert pull(site, tmp_path).fetched.retries >= 1
    assert not list(tmp_path.rglob("*.part"))
    ds, _ = read_awdb(tmp_path, "scan")
    assert ds.sizes["site"] == 2


def test_an_error_as_json_with_status_200_is_named_and_the_others_kept(
    site: AwdbSite, tmp_path: Path
) -> None:
    site.error_body = b'{"status": 400, "message": "Invalid element SMS:-2:9"}'
    site.faults = {AL: ["json error"] * 9}
    with pytest.raises(DatasetError, match=r"1 of 2 files .*\n.*2057:AL:SCAN.*'Invalid element SMS:-2:9'"):
        pull(site, tmp_path)
    before = len(site.asked())
    site.faults = {}
    assert pull(site, tmp_path).fetched.new == ["2020/2057_AL_SCAN.json"]
    assert len(site.asked()) == before + 1


def test_the_servers_explanation_of_a_refusal_is_shown(site: AwdbSite, tmp_path: Path) -> None:
    site.error_body = b'{"message": "beginDate must be before endDate"}'
    site.faults = {AL: ["400"] * 9}
    with pytest.raises(DatasetError, match=r"HTTP 400 .*beginDate must be before endDate"):
        pull(site, tmp_path)


def test_a_cancelled_pull_resumes(site: AwdbSite, tmp_path: Path) -> None:
    def cancel(done: int, total: int, count: int, path: str) -> None:
        assert (done, total) == (1, 2) and count > 0
        raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        pull(site, tmp_path, on_progress=cancel, policy=RetryPolicy(jobs=1))
    seen: list[tuple[int, int]] = []
    pull(site, tmp_path, on_progress=lambda done, total, count, path: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)] and len(site.asked()) <= 3
    assert read_awdb(tmp_path, "scan")[0].sizes["site"] == 2


def test_a_sensor_that_the_station_list_adds_is_requested(tmp_path: Path) -> None:
    with serve_awdb([Post(AL, "A", 34, -87, probes=[Probe(end="2020-01-05 23:00")])]) as site:
        pull(site, tmp_path)
        later = Probe(ordinal=2, begin="2020-01-06 00:00", end="2020-01-30 23:00")
        site.files.posts[0].probes.append(later)  # type: ignore[attr-defined]
        pull(site, tmp_path)
        pull(site, tmp_path)
    assert len(site.asked()) == 2
    ds, _ = read_awdb(tmp_path, "scan")
    assert ds.sizes["time"] >= 24, "the sensor with the most days"


def test_a_station_without_a_time_zone_is_named(tmp_path: Path) -> None:
    _, table = record([Post(AL, "A", 34, -87), Post(CA, "B", 36, -120, offset=None)], tmp_path)
    assert table[AL]["outcome"] == "used"
    assert table[CA]["outcome"] == "refused" and "no time zone" in str(table[CA]["note"])


def test_two_downloads_into_one_folder_wait_for_each_other(site: AwdbSite, tmp_path: Path) -> None:
    """Both would write the same files; before, one removed what the other was about to rename."""
    with ThreadPoolExecutor(2) as pool:
        pulls = [pool.submit(pull, site, tmp_path) for _ in range(2)]
        results = [p.result().fetched for p in pulls]
    data = [path for path, _ in site.requests if "/data" in path]
    assert len(data) == len(set(data))
    assert sorted(bool(r.new) for r in results) == [False, True]


def test_several_sensors(site: AwdbSite, tmp_path: Path) -> None:
    pull(site, tmp_path)
    ds, table = read_awdb(tmp_path, "scan")
    row = table.set_index("triplet").loc[AL]
    assert row["sensor"] == "SMS:-2:1"
    assert "not SMS:-2:2 (10 days)" in row["note"]
    mean, table = read_awdb(tmp_path, "scan", choice=SensorChoice(combine="mean"))
    assert table.set_index("triplet").loc[AL, "sensor"] == "SMS:-2:1, SMS:-2:2"
    first = {"site": "SCAN|2057_AL", "time": "2020-01-05"}
    np.testing.assert_allclose(mean.sm_insitu.sel(first) - ds.sm_insitu.sel(first), 0.025, atol=1e-7)


def test_the_nearest_depth_that_has_values_is_used(tmp_path: Path) -> None:
    shallow = Probe(depth=-2, value=lambda utc: None)
    posts = [
        Post("1:CO:SCAN", "A", 40, -105, probes=[Probe(depth=-1), Probe(depth=-2, value=lambda utc: 33.0)]),
        Post("2:CO:SCAN", "B", 41, -105, probes=[shallow, Probe(depth=-1)]),
    ]
    ds, rows = record(posts, tmp_path)
    assert rows["1:CO:SCAN"]["sensor"] == "SMS:-2:1" and rows["2:CO:SCAN"]["sensor"] == "SMS:-1:1"
    np.testing.assert_allclose(ds.depth, [0.0508, 0.0254])


def test_flags_and_impossible_values_are_counted(tmp_path: Path) -> None:
    hour = lambda utc: int(utc.astype("datetime64[h]").astype(int) % 24)  # noqa: E731
    flags = {0: "S", 1: "K", 2: "B", 3: "E", 4: "N", 5: "", 6: "v"}
    values = {7: -99.9, 8: 120.0, 9: "x", 10: float("nan")}
    probe = Probe(
        flag=lambda utc: flags.get(hour(utc), "V"),
        value=lambda utc: values.get(hour(utc), 90.0 if hour(utc) in (0, 1, 2) else 20.0),
        begin="2020-01-01 00:00", end="2020-01-03 23:00",
    )  # fmt: skip
    ds, rows = record([Post("1:CO:SCAN", "A", 40, -105, offset=0, probes=[probe])], tmp_path)
    np.testing.assert_allclose(ds.sm_insitu, 0.2, atol=1e-7)
    note = rows["1:CO:SCAN"]["note"]
    for part in ("3 flag S", "3 flag K", "3 flag B", "6 no value", "6 outside 0 to 100 %"):
        assert part in note, note
    assert rows["1:CO:SCAN"]["hours_read"] == 72 and rows["1:CO:SCAN"]["hours_used"] == 72 - 21


def test_days_with_few_hours_are_left_out_and_named(tmp_path: Path) -> None:
    """At offset -6 a local day from 0 to 23 h has its first four hours at 6 to 9 h UTC."""
    nights = Probe(value=lambda utc: 20.0 if 6 <= utc.astype(int) % 24 < 10 else None, end="2020-01-20 23:00")
    posts = [Post("1:CO:SCAN", "A", 40, -105, probes=[nights]), Post("2:CO:SCAN", "B", 41, -105)]
    ds, rows = record(posts, tmp_path)
    assert rows["1:CO:SCAN"]["outcome"] == "refused"
    assert "SMS:-2:1: 20 days with fewer than 6 good hours" in rows["1:CO:SCAN"]["note"]
    ds, _ = read_awdb(tmp_path, "scan", choice=SensorChoice(min_hours=4))
    assert int(ds.sm_insitu.sel(site="SCAN|1_CO").notnull().sum()) == 20


def test_stations_that_report_every_six_hours_are_used(tmp_path: Path) -> None:
    """SNOLite stations report every four to six hours."""
    six = Probe(value=lambda utc: planted(utc) if utc.astype(int) % 6 == 0 else None)
    ds, rows = record([Post("1:CO:SCAN", "A", 40, -105, probes=[six])], tmp_path)
    assert rows["1:CO:SCAN"]["hours_used"] == 80
    expected = [planted(t) / 100 for t in ds.time.values.astype("datetime64[h]")]
    np.testing.assert_allclose(ds.sm_insitu[0], expected, atol=1e-7)


def test_a_replaced_sensor_can_be_joined(tmp_path: Path) -> None:
    probes = [
        Probe(end="2020-01-08 17:00"),
        Probe(ordinal=2, begin="2020-01-08 18:00", value=lambda utc: planted(utc) + 5),
    ]
    ds, rows = record([Post("1:CO:SCAN", "A", 40, -105, probes=probes)], tmp_path)
    assert (
        "not SMS:-2:1 (8 days)" in rows["1:CO:SCAN"]["note"]
        and "(--combine join)" in rows["1:CO:SCAN"]["note"]
    )
    assert int(ds.sm_insitu.notnull().sum()) == 13
    joined, table = read_awdb(tmp_path, "scan", choice=SensorChoice(combine="join"))
    assert int(joined.sm_insitu.notnull().sum()) == 21 and "joined in time" in table["note"][0]


def test_many_hours_of_exactly_zero_are_named(tmp_path: Path) -> None:
    broken = Probe(value=lambda utc: 0.0 if utc < np.datetime64("2020-01-11") else 20.0)
    ds, rows = record(
        [Post("1:CO:SCAN", "A", 40, -105, probes=[broken]), Post("2:CO:SCAN", "B", 41, -105)], tmp_path
    )
    assert "SMS:-2:1: 49% of the hours are exactly 0 %, as of a broken sensor" in rows["1:CO:SCAN"]["note"]
    assert "exactly 0" not in rows["2:CO:SCAN"]["note"]
    (step,) = json.loads(ds.attrs["steps"])
    assert step["notes"][0].startswith("1 stations have many hours of exactly 0 %")


def test_other_units_are_refused_by_name_and_the_others_used(tmp_path: Path) -> None:
    posts = [Post("1:CO:SCAN", "A", 40, -105, probes=[Probe(units="in")]), Post("2:CO:SCAN", "B", 41, -105)]
    ds, rows = record(posts, tmp_path)
    assert list(ds.site.values) == ["SCAN|2_CO"]
    assert "SMS:-2:1 has units 'in'; expected 'pct'" in rows["1:CO:SCAN"]["note"]


def test_stations_of_other_networks_are_never_taken(tmp_path: Path) -> None:
    """The service ignores filters that it does not know and then lists every network."""
    with serve_awdb([*network(), Post("302:OR:SNTL", "Aneroid Lake #2", 45.21, -117.19)]) as site:
        pull(site, tmp_path)
        assert not any("SNTL" in a for a in site.asked())
        snotel = pull_awdb("snotel", [2020], tmp_path / "snotel", url=site.url, policy=QUICK)
        assert sorted(snotel.fetched.new) == ["2020/302_OR_SNTL.json", "stations.json"]
        ds, _ = build_insitu("snotel", tmp_path / "snotel")
        assert list(ds.site.values) == ["SNOTEL|302_OR"] and list(ds.network.values) == ["SNOTEL"]
    message = "no station of the network SCAN"
    with serve_awdb([Post("302:OR:SNTL", "A", 45, -117)]) as site, pytest.raises(DatasetError, match=message):
        pull(site, tmp_path / "other")


def test_a_station_year_that_is_not_there_or_damaged_is_named(site: AwdbSite, tmp_path: Path) -> None:
    for post in site.files.posts:  # type: ignore[attr-defined]
        post.probes[0].begin, post.probes[0].end = "2019-12-20 00:00", "2020-01-20 23:00"
    pull(site, tmp_path, years=[2019, 2020])
    (tmp_path / "2019" / "2057_AL_SCAN.json").unlink()
    (tmp_path / "2019" / "2221_CA_SCAN.json").write_text('[{"stationTriplet": "2221:CA:SC')
    ds, table = read_awdb(tmp_path, "scan")
    rows = table.set_index("triplet")["note"]
    assert "2019/2221_CA_SCAN.json: not complete JSON; download it again" in rows[CA]
    assert ds.sizes["site"] == 2
    (tmp_path / "2019" / "2221_CA_SCAN.json").unlink()
    pull(site, tmp_path, years=[2019], stations="2221")
    assert "not downloaded: 2019" in read_awdb(tmp_path, "scan")[1].set_index("triplet")["note"][AL]


def test_errors_say_what_to_do(site: AwdbSite, tmp_path: Path) -> None:
    pull(site, tmp_path / "scan")
    (tmp_path / "empty").mkdir()
    (tmp_path / "listed").mkdir()
    (tmp_path / "listed" / "stations.json").write_bytes((tmp_path / "scan" / "stations.json").read_bytes())
    for call, message in (
        (lambda: pull(site, tmp_path, stations=":ZZ:"), "none of 4 SCAN stations matches ':ZZ:'; triplets look like 2057:AL"),
        (lambda: pull(site, tmp_path, stations="("), "invalid regular expression"),
        (lambda: pull(site, tmp_path, years=[1999]), "has an hourly sensor near 5 cm in 1999"),
        (lambda: pull_awdb("scan", [2020], tmp_path, url="ftp://x"), "invalid address"),
        (lambda: read_awdb(tmp_path / "empty", "scan"), r"no stations\.json; expected a folder of `gsm3 data pull scan`"),
        (lambda: read_awdb(tmp_path / "listed", "scan"), r"no values of SCAN; .*gsm3 data pull scan --years 2020"),
        (lambda: read_awdb(tmp_path / "scan", "scan", choice=SensorChoice(depth=0.2)), "only the sensors near 0.05 m"),
    ):  # fmt: skip
        with pytest.raises(DatasetError, match=message):
            call()


def test_the_commands(site: AwdbSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner(env={"COLUMNS": "300"}).invoke
    which = ["--years", "2020", "--url", site.url, "--stations", ":(AL|CA):"]
    done = run(app, ["data", "pull", "scan", *which, "--out", "scan.zarr"])
    assert done.exit_code == 0, done.output
    assert "2 stations used, 1 excluded" in done.output and "no time zone" in done.output
    before = len(site.requests)
    build = ["data", "build", "scan", "--from", "data/sources/scan"]
    done = run(app, [*build, "--out", "again.zarr", "--combine", "mean"])
    assert done.exit_code == 0 and len(site.requests) == before, done.output
    done = run(app, [*build, "--days", "2020-01-03:2020-01-05", "--out", "days.zarr"])
    assert done.exit_code == 0, done.output
    a, b, c = (open_dataset(f"{n}.zarr") for n in ("scan", "again", "days"))
    assert a.sizes["time"] == 21 and c.sizes["time"] == 3
    first = {"site": "SCAN|2057_AL", "time": "2020-01-05"}
    assert float(b.sm_insitu.sel(first) - a.sm_insitu.sel(first)) == pytest.approx(0.025, abs=1e-6)
    assert float(c.sm_insitu.sel(first)) == pytest.approx(float(a.sm_insitu.sel(first)), abs=1e-7)
