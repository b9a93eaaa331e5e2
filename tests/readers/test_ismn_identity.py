"""One network, station, depth and sensor is one record, whatever files it lies in; places and probes are kept apart."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from gsm3core.errors import DatasetError
from gsm3core.readers.ismn.reader import read_ismn
from gsm3core.readers.ismn.sensor_choice import SensorChoice
from support.ismn_archive import Sensor, write_archive

YEAR1 = Sensor(days=50)
YEAR2 = Sensor(first="2018-01-01", days=50)


def days_of(ds: xr.Dataset) -> dict[str, int]:
    return {
        str(s): int(n) for s, n in zip(ds.site.values, ds.sm_insitu.notnull().sum("time").values, strict=True)
    }


def notes_of(ds: xr.Dataset) -> str:
    return "\n".join(json.loads(ds.attrs["steps"])[0]["notes"])


def note(table: pd.DataFrame, site: str) -> str:
    return str(table.set_index("site").loc[site, "note"])


def zip_of(*sensors: Sensor, **files: bytes) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as opened:
        for s in sensors:
            opened.writestr(s.name, s.text())
        for name, content in files.items():
            opened.writestr(name, content)
    return raw.getvalue()


def test_two_downloads_of_one_sensor_are_one_record(tmp_path: Path) -> None:
    ds, table = read_ismn(write_archive(tmp_path, [YEAR1, YEAR2]))
    assert days_of(ds) == {"TESTNET_Hill": 100}
    row = table.iloc[0]
    assert (row["days"], row["files"], row["sensors"], row["rows_used"]) == (100, 2, "CS655", 2400)
    assert "one record from 2 files" in row["note"] and "read as one record: 0 rows are repeated" in notes_of(
        ds
    )


def test_overlapping_downloads_count_each_row_once(tmp_path: Path) -> None:
    """The second download repeats 20 days: 19 as they were, and one corrected."""
    later = Sensor(first="2017-01-31", days=50)
    values = later.series.copy()
    values[:24] += 0.1
    later = later.with_(values=tuple(values))
    ds, table = read_ismn(write_archive(tmp_path, [YEAR1, later]))
    assert days_of(ds) == {"TESTNET_Hill": 80}
    assert "480 rows" not in notes_of(ds) and "456 rows are repeated, 24 differ" in notes_of(ds)
    assert "24 rows differ between them: the last file counts" in table["note"][0]
    corrected = float(ds.sm_insitu.sel(time="2017-01-31").item())
    assert corrected == pytest.approx(values[:24].round(4).mean(), abs=1e-6)
    assert (table["rows_read"][0], table["rows_used"][0]) == (2400, 1920)


def test_a_later_flag_replaces_an_earlier_value(tmp_path: Path) -> None:
    flagged = Sensor(first="2017-02-10", days=30, flag="D05")
    ds, _ = read_ismn(write_archive(tmp_path, [YEAR1, flagged]))
    assert days_of(ds) == {"TESTNET_Hill": 40}


@pytest.mark.parametrize("layout", ["folders", "header and CEOP", "copies", "browser copy"])
def test_the_same_file_twice_is_one_record(tmp_path: Path, layout: str) -> None:
    write_archive(tmp_path / "one", [YEAR1])
    other = YEAR1.with_(ceop=layout == "header and CEOP", days=50 if layout != "folders" else 49)
    write_archive(tmp_path / "two", [other])
    if layout == "browser copy":
        path = next((tmp_path / "two").rglob("*.stm"))
        path.rename(path.with_name(path.stem + " (1).stm"))
    ds, table = read_ismn(tmp_path)
    assert days_of(ds) == {"TESTNET_Hill": 50} and len(table) == 1
    assert table["rows_used"][0] == 1200


def test_names_with_and_without_hyphens_are_one_station(tmp_path: Path) -> None:
    one = Sensor(network="FR_Aqui", station="fraye")
    write_archive(tmp_path, [one])
    later = one.with_(first="2018-01-01", sensor="CS655 probe")
    path = tmp_path / "again" / later.name.replace("FR-Aqui", "FR_Aqui").replace("CS655 probe", "CS655_probe")
    path.parent.mkdir(parents=True)
    path.write_text(later.text().replace("CS655 probe", "CS655_probe"))
    third = later.with_(first="2019-01-01", sensor="CS655-probe")
    write_archive(tmp_path, [third])
    ds, table = read_ismn(tmp_path, choice=SensorChoice(combine="join"))
    assert days_of(ds) == {"FR_Aqui_fraye": 120}
    assert table["sensors"][0].count(";") == 1  # CS655, and CS655 probe under two spellings


def test_the_header_decides_which_station_a_file_is_of(tmp_path: Path) -> None:
    write_archive(tmp_path, [YEAR1])
    path = next(tmp_path.rglob("*.stm"))
    text = YEAR1.with_(station="Valley", lat="48.90000").text()
    path.with_name(path.name.replace("20170219", "20170220")).write_text(text)
    assert days_of(read_ismn(tmp_path)[0]) == {"TESTNET_Hill": 50, "TESTNET_Valley": 50}


def test_several_archives_are_one(tmp_path: Path) -> None:
    """Two zip files, a zip file in a folder, in a zip file and in a folder of zip files."""
    (tmp_path / "a.zip").write_bytes(zip_of(YEAR1))
    (tmp_path / "b.zip").write_bytes(zip_of(YEAR2, Sensor(station="Valley", lat="48.90000")))
    expected = {"TESTNET_Hill": 100, "TESTNET_Valley": 40}
    roots = [tmp_path / "a.zip", tmp_path / "b.zip"]
    both, _ = read_ismn(roots)
    assert days_of(both) == expected == days_of(read_ismn(roots[::-1])[0])
    assert days_of(read_ismn(tmp_path)[0]) == expected
    folder = write_archive(tmp_path / "mixed", [YEAR1])
    (folder / "rest.ZIP").write_bytes((tmp_path / "b.zip").read_bytes())
    assert days_of(read_ismn(folder)[0]) == expected
    nested = tmp_path / "nested" / "all.zip"
    nested.parent.mkdir()
    nested.write_bytes(zip_of(**{"a.zip": roots[0].read_bytes(), "Europe/b.zip": roots[1].read_bytes()}))
    assert days_of(read_ismn(nested)[0]) == expected
    assert read_ismn(nested)[0].sm_insitu.identical(both.sm_insitu)


def test_single_data_files_are_an_archive(tmp_path: Path) -> None:
    files = [write_archive(tmp_path, [one]) / one.name for one in (YEAR1, YEAR2)]
    assert days_of(read_ismn(files[0])[0]) == {"TESTNET_Hill": 50}
    assert days_of(read_ismn(files)[0]) == {"TESTNET_Hill": 100}


def test_a_damaged_zip_file_does_not_take_others_down(tmp_path: Path) -> None:
    (tmp_path / "good.zip").write_bytes(zip_of(YEAR1))
    (tmp_path / "cut.zip").write_bytes(zip_of(YEAR2)[:-40])
    (tmp_path / "evil.zip").write_bytes(zip_of(**{f"../{YEAR2.name}": b"x"}))
    ds, _ = read_ismn(tmp_path)
    assert days_of(ds) == {"TESTNET_Hill": 50}
    assert "cut.zip cannot be read as a zip file" in notes_of(ds) and "evil.zip: the path" in notes_of(ds)
    with pytest.raises(DatasetError, match=r"cut\.zip cannot be read as a zip file"):
        read_ismn([tmp_path / "good.zip", tmp_path / "cut.zip"])
    (tmp_path / "good.zip").unlink()
    with pytest.raises(DatasetError, match=r"has no ISMN data file(.|\n)*cut\.zip cannot be read"):
        read_ismn(tmp_path)


def test_files_that_macos_adds_are_ignored(tmp_path: Path) -> None:
    hidden = "__MACOSX/TESTNET/Hill/._" + YEAR1.name.rpartition("/")[2]
    (tmp_path / "a.zip").write_bytes(zip_of(YEAR1, **{hidden: b"\x00\x05\x16\x07"}))
    ds, table = read_ismn(tmp_path / "a.zip")
    assert days_of(ds) == {"TESTNET_Hill": 50} and len(table) == 1


REPLACED = [YEAR1.with_(sensor="Analog-A"), YEAR2.with_(sensor="Digital-B", days=45, level=0.25)]


@pytest.mark.parametrize(("combine", "days"), [("best", 50), ("mean", 95), ("join", 95)])
def test_a_replaced_sensor_is_a_choice(tmp_path: Path, combine: Any, days: int) -> None:
    ds, table = read_ismn(write_archive(tmp_path, REPLACED), choice=SensorChoice(combine=combine))
    assert days_of(ds) == {"TESTNET_Hill": days}
    assert table["days_if_joined"][0] == 95
    assert "1 station(s) have sensors that follow each other" in notes_of(ds)
    if combine == "best":
        assert "50 days are used, --combine join would use 95" in notes_of(ds)
    if combine == "join":
        assert "Analog-A (2017-01-01 to 2017-02-19), Digital-B (2018-01-01 to 2018-02-14)" in table["note"][0]
        assert "no common day, means differ by +0.05" in table["note"][0]


def test_join_uses_the_longer_record_where_both_have_days(tmp_path: Path) -> None:
    """Three common days of 30: the new probe follows; its level is stated, not changed."""
    old = Sensor(sensor="A", days=40, values=tuple(np.full(960, 0.2)))
    new = Sensor(sensor="B", first="2017-02-07", days=30, values=tuple(np.full(720, 0.26)))
    ds, table = read_ismn(write_archive(tmp_path, [old, new]), choice=SensorChoice(combine="join"))
    np.testing.assert_allclose(ds.sm_insitu.values[0], [0.2] * 40 + [0.26] * 27, atol=1e-6)
    assert "change of level +0.060 m3 m-3 on 3 common days" in table["note"][0]


def test_parallel_sensors_are_not_joined(tmp_path: Path) -> None:
    parallel = [YEAR1.with_(sensor="A"), YEAR1.with_(sensor="B", first="2017-01-11", level=0.3, days=45)]
    ds, table = read_ismn(write_archive(tmp_path, parallel), choice=SensorChoice(combine="join"))
    assert days_of(ds) == {"TESTNET_Hill": 50} and np.isnan(table["days_if_joined"][0])
    assert "follow each other" not in notes_of(ds)


@pytest.mark.parametrize("combine", ["best", "mean", "join"])
def test_one_sensor_under_two_names_is_one_record(tmp_path: Path, combine: Any) -> None:
    """The second download has the same values with another name of the sensor, and 20 more days."""
    one = [YEAR1.with_(sensor="ThetaProbe"), YEAR1.with_(sensor="ML2X", first="2017-01-21", days=50)]
    ds, table = read_ismn(write_archive(tmp_path, one), choice=SensorChoice(combine=combine))
    assert days_of(ds) == {"TESTNET_Hill": 70} and np.isnan(table["days_if_joined"][0])
    assert "have the same values: one sensor under 2 names" in table["note"][0]


@pytest.mark.parametrize("combine", ["best", "mean", "join"])
def test_sensors_at_two_places_are_two_sites(tmp_path: Path, combine: Any) -> None:
    moved = [YEAR1.with_(sensor="A"), YEAR2.with_(sensor="B", lat="48.50000", level=0.3)]
    ds, table = read_ismn(write_archive(tmp_path, moved), choice=SensorChoice(combine=combine))
    assert days_of(ds) == {"TESTNET_Hill_48.200_16.400": 50, "TESTNET_Hill_48.500_16.400": 50}
    assert list(ds.lat.values) == [48.2, 48.5] and list(ds.station.values) == ["Hill", "Hill"]
    assert "more than 1 km apart; each place is a site" in notes_of(ds)
    assert "sensors at 2 places, each a site" in table["note"][0]


def test_a_place_keeps_its_own_sensor_depth(tmp_path: Path) -> None:
    """The station moved and got a probe at 4 cm: the nearest depth is chosen at each place."""
    new = YEAR2.with_(lat="48.50000", top="0.04", bottom="0.04", depths="0.040000_0.040000")
    ds, _ = read_ismn(write_archive(tmp_path, [YEAR1, new]))
    depth = dict(zip(ds.lat.values.tolist(), ds.depth.values.round(3).tolist(), strict=True))
    assert depth == {48.2: 0.05, 48.5: 0.04} and set(days_of(ds).values()) == {50}


def test_small_differences_of_coordinates_are_one_place(tmp_path: Path) -> None:
    ds, table = read_ismn(write_archive(tmp_path, [YEAR1, YEAR2.with_(lat="48.20312", lon="16.40218")]))
    assert days_of(ds) == {"TESTNET_Hill": 100}
    assert (float(ds.lat.item()), float(ds.lon.item())) == (48.20312, 16.40218), "those with more decimals"
    assert "coordinates of its files differ by 0.38 km" in table["note"][0]


def test_corrected_coordinates_are_one_record(tmp_path: Path) -> None:
    """The same rows in two downloads, 33 km apart: the coordinates were corrected."""
    ds, table = read_ismn(write_archive(tmp_path, [YEAR1, YEAR1.with_(lat="48.50000", days=55)]))
    assert days_of(ds) == {"TESTNET_Hill": 55} and float(ds.lat.item()) == 48.5
    assert "corrected by 33.4 km" in table["note"][
        0
    ] and "differ by more than 1 km between files" in notes_of(ds)


def test_a_ceop_file_of_a_moved_station_has_one_place(tmp_path: Path) -> None:
    before, after = (
        YEAR1.with_(ceop=True, days=20),
        YEAR1.with_(ceop=True, first="2017-01-21", days=30, lat="48.50000"),
    )
    path = write_archive(tmp_path, [YEAR1.with_(ceop=True)]) / YEAR1.name
    path.write_text(before.text() + after.text())
    ds, table = read_ismn(tmp_path)
    assert days_of(ds) == {"TESTNET_Hill": 30} and float(ds.lat.item()) == 48.5
    assert "480 at an earlier place of the station" in table["note"][0]
    assert "the station moved by more than 1 km within a file" in notes_of(ds)


@pytest.mark.parametrize("ceop", [False, True])
@pytest.mark.parametrize(("text", "value"), [
    ("-9999.00", np.nan), ("NaN", np.nan), ("-999", np.nan), ("", np.nan), ("NULL", np.nan), ("99999", np.nan),
    ("200", 200.0), ("-12.5", -12.5), ("0", 0.0),
])  # fmt: skip
def test_odd_elevations(tmp_path: Path, text: str, value: float, ceop: bool) -> None:
    odd = Sensor(station="Odd", elevation=text, ceop=ceop, lat="49.00000", days=5)
    ds, _ = read_ismn(write_archive(tmp_path, [Sensor(days=5, ceop=ceop), odd]))
    elevation = dict(zip(ds.station.values.tolist(), ds.elevation.values.tolist(), strict=True))
    assert elevation["Hill"] == 200.0
    assert elevation["Odd"] == pytest.approx(value, nan_ok=True)
    np.testing.assert_array_equal(ds.lat.values, [48.2, 49.0])
    assert ("no elevation: 1 station(s), TESTNET_Odd" in notes_of(ds)) == np.isnan(value)


@pytest.mark.parametrize(("changes", "station"), [
    ({"station": "3.09"}, "3.09"), ({"station": "Barrow 4"}, "Barrow 4"), ({"lat": "48", "lon": "16"}, "Hill"),
    ({"top": "0", "bottom": "0.05", "depths": "0_0.05"}, "Hill"), ({"elevation": "1e3"}, None),
])  # fmt: skip
def test_odd_headers(tmp_path: Path, changes: dict[str, str], station: str | None) -> None:
    odd = Sensor(days=5, **changes)  # type: ignore[arg-type]
    ds, table = read_ismn(write_archive(tmp_path, [odd, Sensor(station="Other", days=5)]))
    assert ds.station.values.tolist() == sorted([*([station] if station else []), "Other"], key=str)
    if station is None:
        assert "starts with 'TESTNET TESTNET Hill" in note(table, "TESTNET_TESTNET_Hill")
    elif "lat" in changes:
        assert (ds.lat.values[0], ds.lon.values[0]) == (48.0, 16.0)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "utf-16", "crlf"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str) -> None:
    one = Sensor(station="Höhe", days=5)
    path = write_archive(tmp_path, [one]) / one.name
    text = one.text()
    path.write_bytes(text.replace("\n", "\r\n").encode() if encoding == "crlf" else text.encode(encoding))
    static = path.with_name("TESTNET_TESTNET_Höhe_static_variables.csv")
    static.write_bytes(b"\xef\xbb\xbfclay fraction;% weight;0.00;0.30;21.00;;HWSD\r\n")
    ds, _ = read_ismn(tmp_path)
    assert ds.station.values.tolist() == ["Höhe"] and days_of(ds) == {"TESTNET_Höhe": 5}
    assert float(ds.clay.item()) == pytest.approx(0.21)


@pytest.mark.parametrize(
    ("lat", "lon"), [("-9999.00", "-9999.00"), ("NaN", "NaN"), ("0.00000", "0.00000"), ("48.2", "-9999")]
)
def test_missing_coordinates_refuse_only_their_station(tmp_path: Path, lat: str, lon: str) -> None:
    lost = Sensor(station="Lost", lat=lat, lon=lon, days=5)
    ds, table = read_ismn(write_archive(tmp_path, [lost, Sensor(days=5)]))
    assert ds.station.values.tolist() == ["Hill"]
    assert "invalid coordinates" in " ".join(
        table["note"]
    ) and "no possible coordinates: 1 station(s)" in notes_of(ds)


def test_impossible_static_variables_are_missing(tmp_path: Path) -> None:
    path = write_archive(tmp_path, [Sensor(days=5)]) / Sensor(days=5).name
    static = path.with_name("TESTNET_TESTNET_Hill_static_variables.csv")
    static.write_text(
        "clay fraction;% weight;0.00;0.30;2100;;HWSD\nsand fraction;% weight;0.00;0.30;42;;HWSD\n"
    )
    ds, table = read_ismn(tmp_path)
    assert "clay" not in ds and float(ds.sand.item()) == pytest.approx(0.42)
    assert "clay is 21 in the static variables, which is impossible: missing" in table["note"][0]


@pytest.mark.parametrize(("depths", "hint"), [
    ("5.000000_5.000000", "if these are centimetres, rename the files with metres"),
    ("-0.050000_-0.050000", "rename the file with a positive depth"), ("5_5", "centimetres"),
])  # fmt: skip
def test_impossible_depths_are_refused_with_advice_that_works(tmp_path: Path, depths: str, hint: str) -> None:
    wrong = Sensor(station="Deep", depths=depths, days=5)
    write_archive(tmp_path, [wrong, Sensor(days=5)])
    ds, table = read_ismn(tmp_path)
    assert ds.station.values.tolist() == ["Hill"] and hint in note(table, "TESTNET_TESTNET_Deep")
    path = tmp_path / wrong.name
    path.rename(path.with_name(path.name.replace(depths, "0.050000_0.050000")))
    assert read_ismn(tmp_path)[0].station.values.tolist() == ["Deep", "Hill"]


@pytest.mark.parametrize(("step", "start", "days", "kept"), [
    (24, 12, 60, 60), (12, 0, 60, 60), (6, 0, 60, 60), (3, 0, 60, 60), (1, 0, 60, 60), (240, 0, 400, 40),
])  # fmt: skip
def test_hours_are_counted_in_the_steps_of_the_record(
    tmp_path: Path, step: int, start: int, days: int, kept: int
) -> None:
    coarse = Sensor(network="PBO_H2O", station="ab33", step=step, start_hour=start, days=days)
    ds, table = read_ismn(write_archive(tmp_path, [coarse, Sensor(days=5)]))
    assert days_of(ds) == {"PBO_H2O_ab33": kept, "TESTNET_Hill": 5}
    assert table["hours_between_values"].tolist() == [min(step, 24), 1]
    assert (f"have a value every {min(step, 24)} hours (PBO_H2O)" in notes_of(ds)) == (step > 1)


def test_hourly_days_with_few_hours_are_still_refused(tmp_path: Path) -> None:
    """An hourly record of which only one value a day is good is no daily network."""
    few = Sensor(station="Few", flag="D01", days=60)
    path = write_archive(tmp_path, [few, Sensor(days=5)]) / few.name
    path.write_text(
        "\n".join(r.replace("D01", "G") if " 12:00 " in r else r for r in few.text().splitlines())
    )
    ds, table = read_ismn(tmp_path)
    assert ds.station.values.tolist() == ["Hill"]
    assert "--min-hours below 6 keeps days with fewer hours" in note(table, "TESTNET_Few")
    loose, _ = read_ismn(tmp_path, choice=SensorChoice(min_hours=1))
    assert days_of(loose)["TESTNET_Few"] == 60, "the advice works"


def test_large_losses_are_in_the_summary(tmp_path: Path) -> None:
    lossy = Sensor(station="Lossy", days=10)
    lines = lossy.text().splitlines()
    path = write_archive(tmp_path, [lossy, Sensor(days=5)]) / lossy.name
    path.write_text("\n".join([*lines[:49], *(x.replace(" G ", " D01 ") for x in lines[49:])]))
    assert "1 used station(s) lose more than half of their rows, most to: 192 with flag D" in notes_of(
        read_ismn(tmp_path)[0]
    )


@pytest.mark.real_data
@pytest.mark.parametrize(("folder", "choice", "days"), [
    ("ismn-01-two-downloads/arch", {}, {"TESTNET_Hill": 730}),
    ("ismn-05-replaced-sensor/arch", {"combine": "join"}, {"TESTNET_Hill": 725}),
    ("ismn-06-moved/arch", {"combine": "mean"}, {"TESTNET_Hill_48.200_16.400": 365, "TESTNET_Hill_48.500_16.400": 365}),
    ("ismn-08-header-odd/arch", {}, {"TESTNET_A": 100, "TESTNET_B": 100, "TESTNET_C": 100}),
    ("ismn-08-header-odd/two", {}, {"TESTNET_A": 100, "TESTNET_B": 100}),
    ("ismn-09-daily-network/arch", {}, {"PBO_H2O_ab33": 100, "TESTNET_Hill": 100}),
])  # fmt: skip
def test_inputs_from_the_field(
    real_data: Path, folder: str, choice: dict[str, Any], days: dict[str, int]
) -> None:
    root = real_data / "field" / folder
    if not root.is_dir():
        pytest.skip(f"no inputs from the field at {root}")
    assert days_of(read_ismn(root, choice=SensorChoice(**choice))[0]) == days
