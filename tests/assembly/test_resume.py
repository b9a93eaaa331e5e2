"""Resuming a build after a kill, a full disk or changed files gives the same bytes."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
import pytest

from gsm3core.assembly import time_chunks, work_cache
from gsm3core.assembly.assemble import AssemblyResult, assemble
from gsm3core.assembly.recipe import Recipe
from gsm3core.errors import DatasetError
from gsm3core.files import fingerprint
from gsm3core.schema import open_dataset
from support import planted_sources as planted

INPUTS = {
    "forcings": ["era5:air_temperature"],
    "attributes": ["hwsd:sand"],
    "products": ["smap-l3e", "gldas-noah025"],
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sources")
    for name, write in (("ismn", planted.ismn), ("era5", planted.era5), ("gldas-noah025", planted.gldas),
                        ("smap-l3e", planted.smap), ("hwsd", planted.hwsd)):  # fmt: skip
        (root / name).mkdir()
        write(root / name)
    return root


def build(root: Path, out: Path, **options: Any) -> AssemblyResult:
    recipe = Recipe.model_validate({"sites": {"kind": "ismn", "path": root / "ismn"}, **INPUTS})
    return assemble(recipe, out, root=root, **options)


@pytest.fixture(scope="module")
def whole(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return fingerprint(build(sources, tmp_path_factory.mktemp("whole") / "w.zarr").dataset)


SCRIPT = """
import sys, time
from pathlib import Path
tests = Path(sys.argv[4])
sys.path[:0] = [str(tests), str(tests.parent)]
from test_resume import build
root, out, stop = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
def halt():
    Path(str(out) + ".halted").touch()
    time.sleep(60)
def progress(stage, done, total):
    if stage == stop:
        halt()
if stop == "half a store":
    import xarray
    write = xarray.Dataset.to_zarr
    def half(ds, *args, **options):
        write(ds[["sm_insitu"]], *args, **options)
        halt()
    xarray.Dataset.to_zarr = half
build(root, out, progress=progress)
"""


@pytest.mark.parametrize(("stop", "finished"), [("hwsd", 2), ("half a store", 5)])
def test_killed_and_resumed(sources: Path, whole: str, tmp_path: Path, stop: str, finished: int) -> None:
    """SIGKILL while a source is read and while the dataset is written: only finished pieces remain."""
    out, halted = tmp_path / "w.zarr", tmp_path / "w.zarr.halted"
    command = [sys.executable, "-c", SCRIPT, str(sources), str(out), stop, str(Path(__file__).parent)]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
    try:
        for _ in range(600):
            if halted.exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        assert halted.exists(), "the build reached the stage"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not out.exists()
    incomplete = [p for p in tmp_path.iterdir() if p.suffix == ".zarr"]
    assert len(incomplete) == (stop == "half a store"), "under a temporary name"
    assert len(list((tmp_path / ".w.zarr.work").glob("*.json"))) == finished
    again = build(sources, out)
    assert (again.pieces, again.reused) == (5, finished)
    assert fingerprint(out) == whole
    assert {p.name for p in tmp_path.iterdir()} == {
        "w.zarr",
        "w.stations.csv",
        "w.inputs.csv",
        "w.zarr.halted",
    }


def test_full_disk_then_resumed(
    sources: Path, whole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = work_cache.atomic_write, []

    def full(ds: Any, path: Path) -> None:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        write(ds, path)

    with monkeypatch.context() as patch:
        patch.setattr(work_cache, "atomic_write", full)
        with pytest.raises(
            DatasetError, match=r"\.w\.zarr\.work: the disk is full\. Free space and rerun the command"
        ):
            build(sources, tmp_path / "w.zarr")
    assert not (tmp_path / "w.zarr").exists()
    again = build(sources, tmp_path / "w.zarr")
    assert again.reused == 2
    assert fingerprint(again.dataset) == whole


def test_piece_size_does_not_change_the_dataset(
    sources: Path, whole: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_chunks, "_MAX_BYTES", 1)
    made = build(sources, tmp_path / "w.zarr")
    assert made.pieces == 1 + 3 * 6 + 1, "one day per piece"
    assert fingerprint(made.dataset) == whole, "the same values and the same counts"


def test_only_changed_pieces_are_recomputed(sources: Path, whole: str, tmp_path: Path) -> None:
    root = tmp_path / "sources"
    shutil.copytree(sources, root)
    out = tmp_path / "w.zarr"

    def interrupt() -> None:
        def progress(stage: str, done: int, total: int) -> None:
            if stage == "writing":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            build(root, out, progress=progress)

    interrupt()
    touched = next((root / "era5").glob("*instant*"))
    os.utime(touched, (1, 1))
    changed = sorted((root / "smap-l3e").iterdir())[2]
    with h5py.File(changed, "a") as file:
        file["Soil_Moisture_Retrieval_Data_AM/soil_moisture"][:] = 0.33
    planted.gldas(root / "gldas-noah025", planted.DAYS[:1] + pd.Timedelta(days=6))
    (root / "gldas-noah025" / "notes.txt").write_text("no data")
    made = build(root, out)
    # No piece reads the day after the period, but it might have: GLDAS is recomputed, with the same values.
    assert made.reused == 3, "stations, ERA5 (touched, same bytes) and soils"
    ds = open_dataset(out)
    assert ds.sm_smap[:, 2].values == pytest.approx(0.33)
    assert fingerprint(out) != whole
