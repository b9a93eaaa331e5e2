"""Finding files: what is here, what is in a period, what is asked for and not there."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers import make_grid_reader
from gsm3core.readers.availability import presence, source_folder
from gsm3core.readers.files import find_granules, open_granule


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")


def test_presence_says_what_is_here_and_what_is_missing(tmp_path: Path) -> None:
    touch(tmp_path, "mswep/Daily/2015091.nc", "mswep/Daily/2015092.nc", "mswep/readme.txt", "imerg/wrong.nc")
    there = presence("mswep", tmp_path)
    assert (there.here, there.files, there.bytes, there.missing) == (True, 2, 10, "")
    assert (
        presence("imerg", tmp_path).missing
        == "no file like 3B-HHR.MS.MRG.3IMERG.20000601-S000000-E002959.0000.V07A.HDF5"
    )
    assert presence("era5", tmp_path).missing == f"no folder {tmp_path / 'era5'}"
    with pytest.raises(DatasetError, match=r"source 'mswp' is not in the catalogue. Did you mean 'mswep'"):
        presence("mswp", tmp_path)


def test_a_source_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "archive/gpm/3B-HHR.MS.MRG.3IMERG.20000601-S000000-E002959.0000.V07A.HDF5")
    places = tmp_path / "sources" / "sources.yaml"
    touch(tmp_path, "sources/sources.yaml")
    places.write_text(f"imerg: {tmp_path / 'archive'}\n")
    monkeypatch.setenv("GSM3_SOURCES", str(tmp_path / "sources"))
    assert presence("imerg").files == 1
    assert source_folder("era5") == tmp_path / "sources" / "era5"
    places.write_text("imrg: x\n")
    with pytest.raises(DatasetError, match=r"names 'imrg'. Did you mean 'imerg'"):
        presence("imerg")
    for broken in ("- a\n", "imerg: 3\n", "imerg: [\n"):
        places.write_text(broken)
        with pytest.raises(DatasetError, match=r"sources\.yaml (must map|is not valid YAML)"):
            presence("imerg")


def test_the_newest_version_is_taken_wherever_it_lies(tmp_path: Path) -> None:
    """By the file's name, not by the folder's."""
    name = "3B-HHR.MS.MRG.3IMERG.20000601-S000000-E002959.0000.{}.HDF5"
    touch(tmp_path, f"a/{name.format('V07A')}", f"b/{name.format('V06B')}")
    assert [g.parts["version"] for g in find_granules(source_entry("imerg"), tmp_path)] == ["V07A"]


def test_a_period_takes_files_that_may_hold_it(tmp_path: Path) -> None:
    entry = source_entry("mswep")
    touch(tmp_path, *(f"2015{d:03d}.nc" for d in range(90, 96)))

    def days(first: int, last: int) -> list[str]:
        period = Period(start=dt.date(2015, 4, first), end=dt.date(2015, 4, last))
        return [g.path.stem for g in find_granules(entry, tmp_path, period)]

    assert days(1, 2) == ["2015091", "2015092"]
    assert days(5, 30) == ["2015095"]
    with pytest.raises(
        DatasetError,
        match=r"No file in .* 2015-04-06 to 2015-04-30; mswep is there from 2015-03-31 to 2015-04-05",
    ):
        days(6, 30)


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    entry = source_entry("mswep")
    with pytest.raises(
        DatasetError, match=r"nowhere does not exist; expected a folder of MSWEP .* like 2015091.00.nc"
    ):
        find_granules(entry, tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"holds no file of MSWEP.*found an empty folder"):
        find_granules(entry, tmp_path)
    touch(tmp_path, "a.nc", "b.nc")
    with pytest.raises(DatasetError, match=r"expected names like 2015091\.00\.nc, found a\.nc, b\.nc"):
        find_granules(entry, tmp_path)


def test_a_folder_or_nothing_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot be read"):
        open_granule(tmp_path, "x")
    touch(tmp_path, "x.nc")
    with pytest.raises(DatasetError, match=r"x.nc is neither netCDF nor HDF5 .rain."):
        open_granule(tmp_path / "x.nc", "rain")


def test_an_unknown_reader_or_one_of_sites() -> None:
    with pytest.raises(DatasetError, match=r"gridded reader 'erra5' is not known. Did you mean 'era5'"):
        make_grid_reader("erra5")
