"""A USCRN station is what has one WBAN number, whatever its files are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gsm3core.assembly.insitu import build_insitu, notes_of
from gsm3core.readers.uscrn_daily import read_uscrn_daily


def line(wban: str, day: np.datetime64, lat: float, lon: float, sm: float) -> str:
    """One line of 28 fields (CRND0103)."""
    fields = [
        wban, str(day).replace("-", ""), "2.622", f"{lon:.2f}", f"{lat:.2f}", *["15.0"] * 4, "1.0", "12.00", "C",
        *["10.0"] * 3, *["50.0"] * 3, *[f"{sm:.3f}"] * 3, *["-99.000"] * 2, *["10.0"] * 3, *["-9999.0"] * 2,
    ]  # fmt: skip
    assert len(fields) == 28
    return " ".join(fields)


def write_year(
    folder: Path, name: str, year: int, wban: str = "27516", *, at: tuple[float, float] = (71.32, -156.61),
    sm: float = 0.3, days: int = 60, then: tuple[float, float] | None = None,
) -> None:  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    dates = np.datetime64(f"{year}-01-01") + np.arange(days)
    places = [at if then is None or k < days // 2 else then for k in range(days)]
    rows = [
        line(wban, d, *p, sm + 0.001 * (k % 7)) for k, (d, p) in enumerate(zip(dates, places, strict=True))
    ]
    (folder / f"CRND0103-{year}-{name}.txt").write_text("\n".join(rows) + "\n")


OLD, NEW = "AK_Barrow_4_ENE", "AK_Utqiagvik_formerly_Barrow_4_ENE"


def test_a_renamed_station_is_one(tmp_path: Path) -> None:
    for year, name in ((2015, OLD), (2016, OLD), (2016, NEW), (2017, NEW)):
        write_year(tmp_path, name, year)
    ds, table = build_insitu("uscrn-daily", tmp_path)
    assert list(ds.site.values) == [f"USCRN|{NEW}"]
    assert int(ds.sm_insitu.notnull().sum()) == 180
    assert (table["rows_read"][0], table["rows_used"][0], table["wban"][0]) == (240, 180, "27516")
    (note,) = [n for n in notes_of(ds) if "WBAN" in n]
    assert f"{OLD} and {NEW}" in note and "duplicate days differ" not in table["note"][0]


def test_of_days_that_differ_the_latest_file_counts(tmp_path: Path) -> None:
    write_year(tmp_path / "old", OLD, 2016, sm=0.1)
    write_year(tmp_path / "old", OLD, 2015, sm=0.1)
    write_year(tmp_path / "new", NEW, 2016, sm=0.3, days=70)
    ds, table = read_uscrn_daily([tmp_path / "old", tmp_path / "new"])
    assert float(ds.sm_insitu.sel(time="2016-01-01").item()) == pytest.approx(0.3)
    assert float(ds.sm_insitu.sel(time="2015-01-01").item()) == pytest.approx(0.1)
    assert "60 duplicate days differ" in table["note"][0]


def test_of_equal_files_the_last_folder_or_copy_counts(tmp_path: Path) -> None:
    write_year(tmp_path / "b", OLD, 2016, sm=0.1)
    write_year(tmp_path / "a", OLD, 2016, sm=0.3)
    ds, _ = read_uscrn_daily([tmp_path / "b", tmp_path / "a"])
    assert float(ds.sm_insitu.isel(time=0).item()) == pytest.approx(0.3)
    write_year(tmp_path / "b", f"{OLD} (1)", 2016, sm=0.4)
    ds, _ = read_uscrn_daily(tmp_path / "b")
    assert float(ds.sm_insitu.isel(time=0).item()) == pytest.approx(0.4)


def test_several_folders_are_one_source(tmp_path: Path) -> None:
    write_year(tmp_path / "a", OLD, 2015)
    write_year(tmp_path / "b", OLD, 2016)
    ds, _ = build_insitu("uscrn-daily", [tmp_path / "a", tmp_path / "b"])
    assert int(ds.sm_insitu.notnull().sum()) == 120


def test_one_number_at_two_far_places_is_two_sites(tmp_path: Path) -> None:
    write_year(tmp_path, "TX_Alpha_1_N", 2015, at=(30.0, -100.0), sm=0.1)
    write_year(tmp_path, "TX_Beta_2_S", 2015, at=(33.0, -100.0), sm=0.3)
    ds, table = build_insitu("uscrn-daily", tmp_path)
    assert list(ds.site.values) == ["USCRN|TX_Alpha_1_N_30.000_-100.000", "USCRN|TX_Beta_2_S_33.000_-100.000"]
    assert float(ds.sm_insitu.isel(site=0).mean()) < 0.11 < float(ds.sm_insitu.isel(site=1).mean())
    assert all("WBAN 27516 has 2 places, each a site" in n for n in table["note"])
    assert any("more than 5 km apart: each is a site" in n for n in notes_of(ds))


def test_a_station_that_moved_far_within_a_year_is_two_sites(tmp_path: Path) -> None:
    write_year(tmp_path, OLD, 2015, then=(71.62, -156.61))
    ds, _ = build_insitu("uscrn-daily", tmp_path)
    assert list(ds.lat.values) == [71.32, 71.62] and (ds.sm_insitu.notnull().sum("time") == 30).all()


def test_a_short_move_is_said_and_rounding_is_none(tmp_path: Path) -> None:
    write_year(tmp_path, OLD, 2015, at=(71.32, -156.61))
    write_year(tmp_path, OLD, 2016, at=(71.33, -156.61))
    write_year(tmp_path / "x", "TX_A_1_N", 2015, "00001", at=(30.00, -100.0))
    write_year(tmp_path / "x", "TX_A_1_N", 2016, "00001", at=(30.03, -100.0))
    ds, table = build_insitu("uscrn-daily", tmp_path)
    notes = table.set_index("station")["note"]
    assert "moved" not in notes[OLD] and "moved 3.3 km from 30, -100 to 30.03, -100" in notes["TX_A_1_N"]
    assert any("1 station(s) moved by less than 5 km" in n for n in notes_of(ds))


def test_a_file_without_lines_belongs_to_its_station(tmp_path: Path) -> None:
    write_year(tmp_path, OLD, 2015)
    (tmp_path / f"CRND0103-2016-{OLD}.txt").write_text("27516 cut\n")
    _, table = build_insitu("uscrn-daily", tmp_path)
    assert len(table) == 1 and "1 damaged lines" in table["note"][0]
    assert (table["rows_read"][0], table["rows_used"][0]) == (61, 60)


def test_copies_and_other_files_are_not_lost(tmp_path: Path) -> None:
    write_year(tmp_path, OLD, 2015)
    write_year(tmp_path, f"{OLD} (1)", 2016)
    (tmp_path / "CRNH0203-2015-AK_Barrow_4_ENE.txt").write_text("an hourly file")
    ds, table = build_insitu("uscrn-daily", tmp_path)
    assert int(ds.sm_insitu.notnull().sum()) == 120 and len(table) == 1
    assert any("1 file(s) are not named like" in n and "CRNH0203" in n for n in notes_of(ds))


@pytest.mark.real_data
def test_the_renamed_station_from_the_field(real_data: Path) -> None:
    root = real_data / "field" / "uscrn-01-renamed" / "u"
    if not root.is_dir():
        pytest.skip(f"no inputs from the field at {root}")
    ds, _ = build_insitu("uscrn-daily", root)
    assert ds.sizes["site"] == 1 and int(ds.sm_insitu.notnull().sum()) == 365 + 366 + 365
    assert [str(t)[:10] for t in ds.time.values[[0, -1]]] == ["2015-01-01", "2017-12-31"]
