"""The work folder: what is in it that is not ours stays, one build at a time, and no piece of a file that changed meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from gsm3core.assembly.merge import Sampled
from gsm3core.assembly.provenance import source_step
from gsm3core.assembly.recipe import SourceSettings
from gsm3core.assembly.sampling import Source
from gsm3core.assembly.work_cache import Piece, WorkFolder
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("0.25")
    return path


def piece(folder: WorkFolder, source: Path, meanwhile: Any = lambda: None) -> Piece:
    def make() -> tuple[xr.Dataset, dict[str, Any], list[Path]]:
        value = float(source.read_text())
        meanwhile()
        return xr.Dataset({"a": ("site", np.array([value]))}), {}, [source]

    return folder.piece("x-20150401", {"a": 1}, [source], make)


def value(found: Piece) -> float:
    with xr.open_dataset(found.path, engine="h5netcdf") as ds:
        return float(ds["a"][0])


def test_a_folder_of_the_users_own_is_left_as_it_was(tmp_path: Path, source: Path) -> None:
    """--work may name any folder: only the pieces are removed from it."""
    mine = tmp_path / "mine"
    (mine / "deep").mkdir(parents=True)
    kept = [mine / "thesis.nc", mine / "deep" / "x-20150401-0123456789ab.nc", mine / "notes.json"]
    for path in kept:
        path.write_text("mine")
    folder = WorkFolder(mine)
    with folder.held():
        made = piece(folder, source)
        (mine / f".{made.path.name}.0123abcd.nc").write_text("half")
        (mine / f".{made.path.stem}.json.part").write_text("half")
        folder.clear()
    assert sorted(p for p in mine.rglob("*") if p.is_file()) == sorted(kept)


def test_one_build_at_a_time(tmp_path: Path, source: Path) -> None:
    one, other = WorkFolder(tmp_path / "w"), WorkFolder(tmp_path / "w")
    with one.held():
        with pytest.raises(DatasetError, match=r"another build is at work here.*--work"), other.held():
            pass
        assert value(piece(one, source)) == 0.25, "the first goes on"
    with other.held():
        assert not piece(other, source).fresh
        other.clear()
    assert not (tmp_path / "w").exists()


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, source: Path) -> None:
    """Its old values must not be taken over under its new hash."""
    folder = WorkFolder(tmp_path / "w")
    with pytest.raises(DatasetError, match=r"a\.txt changed while it was read"):
        piece(folder, source, lambda: source.write_text("0.375"))
    found = piece(folder, source)
    assert found.fresh and value(found) == 0.375


def test_two_versions_of_a_file_make_no_dataset() -> None:
    pieces = [Piece(Path("p.nc"), {}, {"/d/era5.nc": digest}, fresh=True) for digest in ("1", "2")]
    period = Period.model_validate({"start": "2015-04-01", "end": "2015-04-01"})
    one = Sampled(
        Source(source_entry("era5"), Path("/d"), SourceSettings()), [], [(period, True, p) for p in pieces]
    )
    with pytest.raises(DatasetError, match=r"era5\.nc changed while the dataset was built"):
        source_step(one, period, 1)


def test_damaged_pieces_and_lost_files(tmp_path: Path, source: Path) -> None:
    folder = WorkFolder(tmp_path / "w")
    made = piece(folder, source)
    assert not piece(folder, source).fresh
    os.utime(source, (1, 1))
    assert not piece(folder, source).fresh, "touched, the same bytes"
    made.path.write_bytes(made.path.read_bytes()[:100])
    again = piece(folder, source)
    assert again.fresh and value(again) == 0.25
    source.unlink()
    with pytest.raises(FileNotFoundError):
        piece(folder, source)  # its reader says so, not the comparison of files
