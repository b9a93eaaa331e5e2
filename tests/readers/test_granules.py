"""Finding granules by source and period, and the availability of sources."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers import make_grid_reader
from gsm3core.readers.availability import check_availability, source_folder
from gsm3core.readers.file_listing import listed_once
from gsm3core.readers.granules import candidate_files, find_granules, matching_files, open_granule


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")


def test_availability_of_sources(tmp_path: Path) -> None:
    touch(tmp_path, "mswep/Daily/2015091.nc", "mswep/Daily/2015092.nc", "mswep/readme.txt", "imerg/wrong.nc")
    found = check_availability("mswep", tmp_path)
    assert (found.available, found.files, found.bytes, found.missing) == (True, 2, 10, "")
    assert (
        check_availability("imerg", tmp_path).missing
        == "no file like 3B-HHR.MS.MRG.3IMERG.20000601-S000000-E002959.0000.V07A.HDF5"
    )
    assert check_availability("era5", tmp_path).missing == f"no folder {tmp_path / 'era5'}"
    with pytest.raises(DatasetError, match=r"unknown source name 'mswp'. Did you mean 'mswep'"):
        check_availability("mswp", tmp_path)


def test_source_folders_from_sources_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "archive/gpm/3B-HHR.MS.MRG.3IMERG.20000601-S000000-E002959.0000.V07A.HDF5")
    mapping = tmp_path / "sources" / "sources.yaml"
    touch(tmp_path, "sources/sources.yaml")
    mapping.write_text(f"imerg: {tmp_path / 'archive'}\n")
    monkeypatch.setenv("GSM3_SOURCES", str(tmp_path / "sources"))
    assert check_availability("imerg").files == 1
    assert source_folder("era5") == tmp_path / "sources" / "era5"
    mapping.write_text("imrg: x\n")
    with pytest.raises(DatasetError, match=r"unknown source 'imrg'. Did you mean 'imerg'"):
        check_availability("imerg")
    for broken in ("- a\n", "imerg: 3\n", "imerg: [\n"):
        mapping.write_text(broken)
        with pytest.raises(DatasetError, match=r"sources\.yaml (must map|is not valid YAML)"):
            check_availability("imerg")


def test_newest_version_is_used_in_any_folder(tmp_path: Path) -> None:
    """The version in the file name decides, not the folder."""
    name = "3B-HHR.MS.MRG.3IMERG.20000601-S000000-E002959.0000.{}.HDF5"
    touch(tmp_path, f"a/{name.format('V07A')}", f"b/{name.format('V06B')}")
    assert [g.parts["version"] for g in find_granules(source_entry("imerg"), tmp_path)] == ["V07A"]


def test_files_of_a_period(tmp_path: Path) -> None:
    entry = source_entry("mswep")
    touch(tmp_path, *(f"2015{d:03d}.nc" for d in range(90, 96)))

    def days(first: int, last: int) -> list[str]:
        period = Period(start=dt.date(2015, 4, first), end=dt.date(2015, 4, last))
        return [g.path.stem for g in find_granules(entry, tmp_path, period)]

    assert days(1, 2) == ["2015091", "2015092"]
    assert days(5, 30) == ["2015095"]
    with pytest.raises(
        DatasetError,
        match=r"no file in .* 2015-04-06 to 2015-04-30; its files of mswep cover 2015-03-31 to 2015-04-05",
    ):
        days(6, 30)


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    entry = source_entry("mswep")
    with pytest.raises(
        DatasetError, match=r"nowhere does not exist; expected a folder of MSWEP .* like 2015091.00.nc"
    ):
        find_granules(entry, tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"has no file of MSWEP.*found an empty folder"):
        find_granules(entry, tmp_path)
    touch(tmp_path, "a.nc", "b.nc")
    with pytest.raises(DatasetError, match=r"expected names like 2015091\.00\.nc, found a\.nc, b\.nc"):
        find_granules(entry, tmp_path)


def test_folder_or_invalid_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot be read"), open_granule(tmp_path, "x"):
        pass
    touch(tmp_path, "x.nc")
    with (
        pytest.raises(DatasetError, match=r"x.nc is neither netCDF nor HDF5 .rain.: it has 5 bytes"),
        open_granule(tmp_path / "x.nc", "rain"),
    ):
        pass


def test_unknown_reader() -> None:
    with pytest.raises(DatasetError, match=r"unknown gridded reader 'erra5'. Did you mean 'era5'"):
        make_grid_reader("erra5")


def test_folders_are_listed_once_in_a_build(tmp_path: Path) -> None:
    """A file that comes later is of the next build; outside of one, every call lists the folder."""
    entry, name = source_entry("gldas-noah025"), "GLDAS_NOAH025_3H.A20160101.{}.021.nc4"
    (tmp_path / name.format("0300")).touch()
    with listed_once():
        assert len(find_granules(entry, tmp_path)) == 1
        (tmp_path / name.format("0600")).write_bytes(b"x")
        assert len(find_granules(entry, [tmp_path])) == len(matching_files(entry, tmp_path)) == 1
        assert len(candidate_files(entry, tmp_path, None)) == 1
    assert len(find_granules(entry, tmp_path)) == len(matching_files(entry, tmp_path)) == 2
