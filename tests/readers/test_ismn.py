"""ISMN archives: networks' files against direct parsing and the ``ismn`` package; faulty synthetic archives."""

from __future__ import annotations

import json
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gsm3core.assembly.insitu import build_insitu, write_station_table
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers import make_reader
from gsm3core.readers.ismn.reader import read_ismn
from gsm3core.readers.ismn.sensor_choice import SensorChoice
from gsm3core.readers.ismn.stm import read_stm

CEOP = "Data_seperate_files_20170810_20180809"
HEADER = "Data_seperate_files_header_20170810_20180809"
FRAYE = (
    f"{CEOP}/FR_Aqui/fraye/FR-Aqui_FR-Aqui_fraye_sm_0.050000_0.050000_ThetaProbe-ML2X_19500101_20210131.stm"
)
COSMOS = "COSMOS/{0}/COSMOS_COSMOS_{0}_sm_0.000000_0.{1}0000_Cosmic-ray-Probe_20170810_20180809.stm"
DEEP = SensorChoice(depth=0.1, tolerance=0.05)


@pytest.fixture(scope="module")
def native(real_data: Path) -> Path:
    folder = real_data / "native" / "ismn"
    if not folder.is_dir():
        pytest.skip(f"no ISMN test archives at {folder}")
    return folder


def daily_means(path: Path, flag: str = "G", min_hours: int = 6) -> dict[str, float]:
    """Return daily means parsed with str.split; in both layouts the last fields are value, flag, flag."""
    hours: dict[str, dict[str, float]] = defaultdict(dict)
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) >= 5 and words[0][:1].isdigit() and words[-2] == flag:
            hours[words[0]].setdefault(words[1], float(words[-3]))
    return {d: sum(h.values()) / len(h) for d, h in hours.items() if len({t[:2] for t in h}) >= min_hours}


@pytest.mark.real_data
@pytest.mark.parametrize(("archive", "site", "file"), [
    (CEOP, "FR_Aqui_fraye", FRAYE),
    (CEOP, "COSMOS_ARM-1", f"{CEOP}/{COSMOS.format('ARM-1', 19)}"),
    (HEADER, "COSMOS_ARM-1", f"{HEADER}/{COSMOS.format('ARM-1', 19)}"),
    (HEADER, "COSMOS_Barrow-ARM", f"{HEADER}/{COSMOS.format('Barrow-ARM', 21)}"),
])  # fmt: skip
def test_every_day_of_the_files(native: Path, archive: str, site: str, file: str) -> None:
    ds, _ = read_ismn(native / archive, choice=DEEP)
    expected = daily_means(native / file)
    record = ds.sm_insitu.sel(site=site).dropna("time")
    assert {str(t)[:10].replace("-", "/") for t in record.time.values} == set(expected)
    np.testing.assert_allclose(record, [expected[d] for d in sorted(expected)], rtol=1e-6)


@pytest.mark.real_data
def test_station_fraye_in_detail(native: Path) -> None:
    """2013-08-13 has 14 good hours from 10:00 to 23:00; the first three are 0.0345, 0.0787 and 0.0789."""
    ds, table = read_ismn(native / CEOP)
    one = ds.isel(site=0)
    lines = [w for w in ((native / FRAYE).read_text().splitlines()) if w.startswith("2013/08/13 ")]
    assert [w.split()[12] for w in lines[:3]] == ["0.0345", "0.0787", "0.0789"] and len(lines) == 14
    assert float(one.sm_insitu[0]) == pytest.approx(sum(float(w.split()[12]) for w in lines) / 14)
    assert (float(one.lat), float(one.lon), float(one.elevation)) == (44.467, -0.7269, pytest.approx(52.42))
    # Static variables (CSV): 87 % sand, 9 % silt, 4 % clay in 0-0.30 m, class 70, Cfb.
    assert [float(one[n]) for n in ("sand", "silt", "clay", "saturation")] == pytest.approx(
        [0.87, 0.09, 0.04, 0.49]
    )
    assert int(one.land_cover_cci) == 70 and int(one.climate) == 3 and int(one.koppen_geiger) == 15
    assert (str(one.network.values), str(one.station.values), float(one.depth)) == ("FR_Aqui", "fraye", 0.05)
    refused = table.set_index("site")["note"]
    assert refused["COSMOS_COSMOS_ARM-1"] == "not near 0.05 m: sensors at 0-0.19 m"


@pytest.mark.real_data
def test_zip_and_folder_are_equal(native: Path) -> None:
    zipped, table = read_ismn(native / "zip_archives" / "header" / f"{HEADER}.zip", choice=DEEP)
    folder, same = read_ismn(native / HEADER, choice=DEEP)
    assert zipped.identical(folder) and table.equals(same)
    ceop, _ = read_ismn(native / CEOP, choice=DEEP)
    shared = [s for s in folder.site.values if s in ceop.site.values]
    assert len(shared) == 2
    np.testing.assert_array_equal(
        ceop.sm_insitu.sel(site=shared, time=folder.time), folder.sm_insitu.sel(site=shared)
    )


@pytest.mark.real_data
def test_several_networks_with_raw_flags(native: Path) -> None:
    archive = native / "zip_archives" / "multinetwork" / "header_values" / "Data_header_values.zip"
    with pytest.raises(DatasetError, match=r"none of 8 station\(s\) can be used:\n.*with flag U"):
        read_ismn(archive)
    ds, table = read_ismn(archive, choice=SensorChoice(flags=("U",)))
    assert sorted(set(ds.network.values)) == ["MAQU", "SCAN", "SOILSCAPE"] and ds.sizes["site"] == 8
    scan = table[table["network"] == "SCAN"]
    assert set(scan["depth_m"]) == {0.0508} and (scan["rows_used"] < scan["rows_read"]).all()
    with zipfile.ZipFile(archive) as opened:
        (name,) = [n for n in opened.namelist() if "AAMU" in n and n.endswith(".stm")]
        lines = opened.read(name).decode().splitlines()[1:]
    day = "2010/06/15"
    good = [float(w[2]) for w in map(str.split, lines) if len(w) >= 4 and w[0] == day and w[3] == "U"]
    assert len(good) >= 6
    assert float(ds.sm_insitu.sel(site="SCAN_AAMU-jtg", time="2010-06-15")) == pytest.approx(
        np.mean(good), rel=1e-6
    )


@pytest.mark.real_data
@pytest.mark.filterwarnings("ignore")
def test_agrees_with_the_ismn_package(native: Path, tmp_path: Path) -> None:
    interface = pytest.importorskip(
        "ismn.interface", reason="the ismn package is the reference of this test only"
    )
    archive = interface.ISMN_Interface(native / CEOP, meta_path=tmp_path)
    frame = archive["FR_Aqui"]["fraye"][0].read_data()
    good = frame.loc[frame["soil_moisture_flag"] == "G", "soil_moisture"]
    daily = good.groupby(good.index.floor("D")).agg(["mean", "count"])
    daily = daily.loc[daily["count"] >= 6, "mean"]
    ds, _ = read_ismn(native / CEOP)
    ours = ds.sm_insitu.isel(site=0).dropna("time")
    np.testing.assert_array_equal(ours.time.values, daily.index.values.astype("datetime64[ns]"))
    np.testing.assert_allclose(ours, daily, rtol=1e-6)


@pytest.mark.real_data
def test_nothing_is_written_to_the_archive(native: Path, tmp_path: Path) -> None:
    copy = tmp_path / "archive" / "FR_Aqui" / "fraye"
    copy.mkdir(parents=True)
    (copy / Path(FRAYE).name).write_bytes((native / FRAYE).read_bytes())
    before = sorted(tmp_path.rglob("*"))
    make_reader("ismn").open(tmp_path / "archive")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.real_data
def test_dataset_with_provenance(native: Path, tmp_path: Path) -> None:
    ds, table = build_insitu("ismn", native / CEOP, period=Period(start="2015-01-01", end="2015-12-31"))  # type: ignore[arg-type]
    assert list(ds.region.values) == ["Europe"] and str(ds.time.values[0])[:4] == "2015"
    built, read = json.loads(ds.attrs["history"])
    assert built["entry"] == "ismn" and len(built["sha256"]) == 64
    assert read["rows_read"] == read["rows_used"] + sum(read["rows_refused"].values()) == 52045
    assert (read["stations_read"], read["stations_used"]) == (3, 1)
    path = write_station_table(table, tmp_path / "insitu.zarr")
    assert path.name == "insitu.stations.csv" and path.read_text().count("\n") == 4


# Synthetic archives in the same layouts.


def stm(
    rows: list[tuple[str, float | str, str]], *, ceop: bool = False, depth: float = 0.05, station: str = "one"
) -> bytes:
    metadata = f"NET        NET             {station}               50.00000    10.00000  300.00 {depth:7.2f} {depth:7.2f}"
    values = [(t, f"{x:8.4f}" if isinstance(x, float) else x, f) for t, x, f in rows]
    lines = (
        [f"{t} {t} {metadata} {x} {f} M" for t, x, f in values]
        if ceop
        else [f"{metadata} Probe", *(f"{t} {x} {f} M" for t, x, f in values)]
    )
    return ("\n".join(lines) + "\n").encode()


def hours(day: str, values: list[float], flag: str = "G") -> list[tuple[str, float | str, str]]:
    return [(f"{day} {h:02d}:00", x, flag) for h, x in enumerate(values)]


def add_sensor(
    root: Path, *, station: str = "one", sensor: str = "Probe", depth: float = 0.05, raw: bytes
) -> None:
    folder = root / "NET" / station
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"NET_NET_{station}_sm_{depth:.6f}_{depth:.6f}_{sensor}_20200101_20200131.stm").write_bytes(raw)


@pytest.mark.parametrize("ceop", [False, True])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_refused_rows_are_counted_by_reason(ceop: bool, ending: bytes) -> None:
    rows = [
        *hours("2020/01/01", [0.1] * 6), *hours("2020/01/02", [0.2] * 5), *hours("2020/01/03", [0.3] * 7, "D05"),
        *hours("2020/01/04", [1.2]), *hours("2020/01/05", [0.1, 0.3] * 3), ("2020/01/05 00:00", 0.9, "G"),
        ("2020/13/01 00:00", 0.1, "G"), ("2020/01/06 00:00", "M", "G"),
    ]  # fmt: skip
    header, series, counts = read_stm(stm(rows, ceop=ceop).replace(b"\n", ending) + b"2020/01\n")
    assert (header.network, header.station, header.lat, header.lon) == ("NET", "one", 50.0, 10.0)
    assert list(series.value) == pytest.approx([0.1, 0.2]) and list(series.hours) == [6, 6]
    assert list(np.array(series.day, "datetime64[D]").astype(str)) == ["2020-01-01", "2020-01-05"]
    assert counts.read == len(rows) + 1
    assert counts.refused == {
        "in days with fewer than 6 good hours": 5, "with flag D": 7, "outside 0-1 m3 m-3": 1, "duplicate time": 1,
        "unreadable line": 3,
    }  # fmt: skip


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 23), st.floats(-0.2, 1.2), st.sampled_from(["G", "U", "C01,D05"])),
        max_size=60,
    ),
    st.integers(1, 24), st.booleans(),
)  # fmt: skip
def test_all_rows_are_counted_and_means_are_correct(rows: list, min_hours: int, ceop: bool) -> None:
    text = [(f"2020/{1 + d // 28:02d}/{1 + d % 28:02d} {h:02d}:00", round(x, 4), f) for d, h, x, f in rows]
    if ceop and not text:
        return
    _, series, counts = read_stm(stm(text, ceop=ceop), min_hours=min_hours)
    kept: dict[str, dict[str, float]] = defaultdict(dict)
    for t, x, f in text:
        if f == "G" and 0 <= x <= 1:
            kept[t[:10]].setdefault(t[11:], x)
    expected = {d: h for d, h in sorted(kept.items()) if len(h) >= min_hours}
    assert counts.read == len(rows) == counts.used + sum(counts.refused.values())
    assert counts.used == sum(map(len, expected.values()))
    assert list(series.value) == pytest.approx(
        [np.mean(list(h.values())) for h in expected.values()], abs=1e-6
    )


def test_sensor_nearest_to_five_centimetres(tmp_path: Path) -> None:
    for depth in (0.02, 0.0508, 0.10, 0.20):
        add_sensor(tmp_path, depth=depth, raw=stm(hours("2020/01/01", [depth] * 24), depth=depth))
    add_sensor(
        tmp_path,
        station="shallow",
        depth=0.02,
        raw=stm(hours("2020/01/01", [0.3] * 24), depth=0.02, station="shallow"),
    )
    add_sensor(
        tmp_path,
        station="deep",
        depth=0.10,
        raw=stm(hours("2020/01/01", [0.3] * 24), depth=0.1, station="deep"),
    )
    add_sensor(
        tmp_path,
        station="flagged",
        depth=0.05,
        raw=stm(hours("2020/01/01", [0.3] * 24, "D01"), station="flagged"),
    )
    add_sensor(
        tmp_path, station="flagged", depth=0.03, raw=stm(hours("2020/01/01", [0.4] * 24), station="flagged")
    )
    ds, table = read_ismn(tmp_path)
    assert dict(zip(ds.station.values.tolist(), ds.depth.values.tolist(), strict=True)) == {
        "one": 0.0508,
        "shallow": 0.02,
        "flagged": 0.03,
    }
    assert ds.sm_insitu.values[:, 0] == pytest.approx([0.4, 0.0508, 0.3])
    notes = table.set_index("site")["note"]
    assert notes["NET_NET_deep"] == "not near 0.05 m: sensors at 0.1 m"
    assert (
        "not near 0.05 m: sensors at 0.1, 0.2 m" in notes["NET_one"]
        and "no day left of 24 rows (24 with flag D)" in notes["NET_flagged"]
    )
    wide, _ = read_ismn(tmp_path, choice=SensorChoice(depth=0.1, tolerance=0.0))
    assert "deep" in wide.station.values


def test_several_sensors_at_one_depth(tmp_path: Path) -> None:
    add_sensor(
        tmp_path, sensor="A", raw=stm([*hours("2020/01/01", [0.1] * 24), *hours("2020/01/02", [0.1] * 24)])
    )
    add_sensor(
        tmp_path,
        sensor="B",
        raw=stm(
            [
                *hours("2020/01/02", [0.3] * 24),
                *hours("2020/01/03", [0.3] * 24),
                *hours("2020/01/04", [0.3] * 24),
            ]
        ),
    )
    best, table = read_ismn(tmp_path)
    np.testing.assert_allclose(best.sm_insitu.values[0], [0.3, 0.3, 0.3])
    assert table["sensors"][0] == "B" and "the most days (3), not A (2 days)" in table["note"][0]
    mean, table = read_ismn(tmp_path, choice=SensorChoice(combine="mean"))
    np.testing.assert_allclose(mean.sm_insitu.values[0], [0.1, 0.2, 0.3, 0.3])
    assert table["sensors"][0] == "A; B" and "mean of 2 sensors" in table["note"][0]


def test_damaged_files_exclude_only_their_sensor(tmp_path: Path) -> None:
    good = stm(hours("2020/01/01", [0.1] * 24))
    add_sensor(tmp_path, raw=good)
    add_sensor(tmp_path, station="empty", raw=b"")
    add_sensor(tmp_path, station="html", raw=b"<html>please log in</html>")
    lost = stm(hours("2020/01/01", [0.1] * 24), station="nowhere").replace(b"50.00000", b"95.00000")
    add_sensor(tmp_path, station="nowhere", raw=lost)
    (tmp_path / "NET" / "one" / "strange name.stm").write_bytes(good)
    add_sensor(tmp_path / "again", raw=good)
    ds, table = read_ismn(tmp_path)
    assert list(ds.site.values) == ["NET_one"]
    notes = table.set_index("site")["note"].to_dict()
    assert "is empty; expected" in notes["NET_NET_empty"] and "starts with '<html>" in notes["NET_NET_html"]
    assert "invalid coordinates, latitude 95" in notes["NET_NET_nowhere"]
    assert "a copy of a file was not read again" in notes["NET_one"]
    assert json.loads(ds.attrs["steps"])[0]["unrecognized_files"] == 1


def test_invalid_archives_are_named(tmp_path: Path) -> None:
    good = stm(hours("2020/01/01", [0.1] * 24))
    name = "NET/one/NET_NET_one_sm_0.050000_0.050000_Probe_20200101_20200131.stm"
    archives = {
        "parent.zip": {f"../{name}": good}, "absolute.zip": {f"/{name}": good}, "drive.zip": {f"C:\\{name}": good},
        "nothing.zip": {"Readme.txt": b"hello"}, "good.zip": {name: good},
    }  # fmt: skip
    for file, entries in archives.items():
        with zipfile.ZipFile(tmp_path / file, "w", zipfile.ZIP_DEFLATED) as opened:
            for path, raw in entries.items():
                opened.writestr(path, raw)
    (tmp_path / "cut.zip").write_bytes((tmp_path / "good.zip").read_bytes()[:-40])
    torn = bytearray((tmp_path / "good.zip").read_bytes())
    torn[120:140] = bytes(20)
    (tmp_path / "torn.zip").write_bytes(bytes(torn))
    (tmp_path / "folder").mkdir()
    for file, message in (
        ("parent.zip", "points outside of the archive"), ("absolute.zip", "points outside of the archive"),
        ("drive.zip", "points outside of the archive"), ("nothing.zip", "has no ISMN data file"),
        ("cut.zip", r"cannot be read as a zip file.*download it again"), ("torn.zip", r"none of 1 station\(s\) can be used"),
        ("folder", "has no ISMN data file"), ("missing.zip", "does not exist"),
    ):  # fmt: skip
        with pytest.raises(DatasetError, match=message):
            read_ismn(tmp_path / file)
    assert read_ismn(tmp_path / "good.zip")[0].sizes["site"] == 1
    with pytest.raises(DatasetError, match=r"no day left of 24 rows .24 outside the period."):
        read_ismn(tmp_path / "good.zip", Period(start="2021-01-01", end="2021-12-31"))  # type: ignore[arg-type]
    for wrong in ({"combine": "median"}, {"min_hours": 0}, {"depth": -1.0}):
        with pytest.raises(DatasetError):
            SensorChoice(**wrong)  # type: ignore[arg-type]
