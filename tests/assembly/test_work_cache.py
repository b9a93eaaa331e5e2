"""Work cache: locking, reuse and recomputation of pieces, and the user's files in the folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from gsm3core.assembly.merge import SampledSource
from gsm3core.assembly.provenance import source_step
from gsm3core.assembly.recipe import SourceSettings
from gsm3core.assembly.sampling import Source
from gsm3core.assembly.work_cache import CachedPiece, WorkCache
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("0.25")
    return path


def get_piece(cache: WorkCache, source: Path, while_reading: Any = lambda: None) -> CachedPiece:
    def compute() -> tuple[xr.Dataset, dict[str, Any], list[Path]]:
        value = float(source.read_text())
        while_reading()
        return xr.Dataset({"a": ("site", np.array([value]))}), {}, [source]

    return cache.get_or_compute("x-20150401", {"a": 1}, [source], compute)


def value(found: CachedPiece) -> float:
    with xr.open_dataset(found.path, engine="h5netcdf") as ds:
        return float(ds["a"][0])


def test_files_of_the_user_are_kept(tmp_path: Path, source: Path) -> None:
    """--work may be any folder: only the pieces are removed from it."""
    mine = tmp_path / "mine"
    (mine / "deep").mkdir(parents=True)
    kept = [mine / "thesis.nc", mine / "deep" / "x-20150401-0123456789ab.nc", mine / "notes.json"]
    for path in kept:
        path.write_text("mine")
    cache = WorkCache(mine)
    with cache.lock():
        made = get_piece(cache, source)
        (mine / f".{made.path.name}.0123abcd.nc").write_text("incomplete")
        (mine / f".{made.path.stem}.json.part").write_text("incomplete")
        cache.clear()
    assert sorted(p for p in mine.rglob("*") if p.is_file()) == sorted(kept)


def test_one_build_at_a_time(tmp_path: Path, source: Path) -> None:
    one, other = WorkCache(tmp_path / "w"), WorkCache(tmp_path / "w")
    with one.lock():
        with pytest.raises(DatasetError, match=r"another build uses this work folder.*--work"), other.lock():
            pass
        assert value(get_piece(one, source)) == 0.25, "the first build continues"
    with other.lock():
        assert get_piece(other, source).reused
        other.clear()
    assert not (tmp_path / "w").exists()


LOCK_AND_WAIT = """
import sys, time
from pathlib import Path
from gsm3core.assembly.work_cache import WorkCache
with WorkCache(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    time.sleep(60)
"""


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    """Another process holds the lock; after SIGKILL its lock file remains, but no longer locks."""
    folder = tmp_path / "w"
    command = [sys.executable, "-c", LOCK_AND_WAIT, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "locked\n"
        with (
            pytest.raises(DatasetError, match="another build uses this work folder"),
            WorkCache(folder).lock(),
        ):
            pass
        process.send_signal(signal.SIGKILL)
    assert (folder / ".lock").exists()
    with WorkCache(folder).lock():
        pass
    assert not folder.exists()


def test_a_work_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DatasetError, match=r"file.w: cannot be written .*Fix this"),
        WorkCache(tmp_path / "file" / "w").lock(),
    ):
        pass


def test_a_file_changed_while_it_is_read(tmp_path: Path, source: Path) -> None:
    """Its old values must not be reused with its new hash."""
    cache = WorkCache(tmp_path / "w")
    with pytest.raises(DatasetError, match=r"a\.txt changed while it was read"):
        get_piece(cache, source, lambda: source.write_text("0.375"))
    found = get_piece(cache, source)
    assert not found.reused and value(found) == 0.375


def test_two_versions_of_an_input_file_are_an_error() -> None:
    pieces = [CachedPiece(Path("p.nc"), {}, {"/d/era5.nc": digest}, reused=False) for digest in ("1", "2")]
    period = Period.model_validate({"start": "2015-04-01", "end": "2015-04-01"})
    one = SampledSource(
        Source(source_entry("era5"), Path("/d"), SourceSettings()), [], [(period, True, p) for p in pieces]
    )
    with pytest.raises(DatasetError, match=r"era5\.nc changed while the dataset was built"):
        source_step(one, period, 1)


def test_damaged_pieces_and_lost_files(tmp_path: Path, source: Path) -> None:
    cache = WorkCache(tmp_path / "w")
    made = get_piece(cache, source)
    assert get_piece(cache, source).reused
    os.utime(source, (1, 1))
    assert get_piece(cache, source).reused, "touched, the same bytes"
    made.path.write_bytes(made.path.read_bytes()[:100])
    again = get_piece(cache, source)
    assert not again.reused and value(again) == 0.25
    source.unlink()
    with pytest.raises(FileNotFoundError):
        get_piece(cache, source)  # raised by the reader, not by the comparison of files
