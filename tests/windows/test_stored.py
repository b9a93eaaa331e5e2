"""Windows out of a store on disk are the windows out of memory, number by number."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gsm3core import run_experiment
from gsm3core.config import DataConfig, ExperimentConfig
from gsm3core.errors import TrainingError
from gsm3core.scaling import fit_scaler
from gsm3core.schema import save_dataset
from gsm3core.windows import StoredWindows, stored, stored_windows
from support.folds import a_fold, windows_of
from support.small_world import TINY, make_dataset

CPU = torch.device("cpu")
DATASET = make_dataset(n_sites=9, n_days=300)


def stored_of(folder: Path, window: int = 60, warmup: int = 10) -> StoredWindows:
    fold = a_fold(DATASET)
    scaler = fit_scaler(DATASET, fold, DataConfig())
    return stored_windows(
        DATASET, fold, scaler, folder / "inputs.zarr",
        targets=["sm_insitu", "sm_smap"], window=window, warmup=warmup, device=CPU,
    )  # fmt: skip


def test_an_epoch_is_the_one_from_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_SITES_AT_ONCE", 4)
    memory, disk = windows_of(DATASET, 60, 10), stored_of(tmp_path)
    generators = memory.generator(7), disk.generator(7)
    for _ in range(2):
        epochs = [list(w.epoch(16, 9, g)) for w, g in zip((memory, disk), generators, strict=True)]
        assert [len(e) for e in epochs] == [9, 9]
        for a, b in zip(*epochs, strict=True):
            assert list(a) == list(b) == ["sm_insitu", "sm_smap"]
            for name in a:
                for field in ("x_BTF", "c_BA", "y_BT", "site_B", "start_B"):
                    np.testing.assert_array_equal(
                        getattr(a[name], field), getattr(b[name], field), err_msg=field
                    )
        # A checkpoint between two epochs keeps the generator: it must not have run ahead.
        torch.testing.assert_close(*(g.get_state() for g in generators))
    assert np.array_equal(memory.site_ids, disk.site_ids)
    assert np.array_equal(memory.days, disk.days)


def test_reading_ahead_is_bounded_and_ends_with_the_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, read, most = stored_of(tmp_path), [0], 0
    original = StoredWindows._read

    def counted(self: StoredWindows, chosen: Any) -> Any:
        read[0] += 1
        return original(self, chosen)

    monkeypatch.setattr(StoredWindows, "_read", counted)
    epoch = disk.epoch(8, 20, disk.generator(0))
    for taken in range(1, 6):
        next(epoch)
        time.sleep(0.05)
        most = max(most, read[0] - taken)
    assert 1 <= most <= stored.AHEAD
    epoch.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("windows")], "no thread is left behind"


def test_an_error_while_reading_is_raised_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: StoredWindows, chosen: Any) -> Any:
        raise OSError("the disk is gone")

    monkeypatch.setattr(StoredWindows, "_read", broken)
    disk = stored_of(tmp_path)
    with pytest.raises(OSError, match="the disk is gone"):
        next(disk.epoch(8, 20, disk.generator(0)))


def test_a_whole_run_gives_the_same_numbers_and_leaves_no_store(tmp_path: Path) -> None:
    world = save_dataset(make_dataset(), tmp_path / "world.zarr")
    found = []
    for inputs in ("memory", "disk"):
        values: dict[str, Any] = {**TINY, "data": {"dataset": str(world)}}
        values["holdout"] = {"name": "random_spatial", "folds": 2}
        values["training"] = {**TINY["training"], "inputs": inputs, "members": 2}
        run = run_experiment(ExperimentConfig.from_mapping(values), out=tmp_path / "runs")
        found.append(run.predictions())
        assert not list(run.folder.rglob("*.zarr"))
    np.testing.assert_array_equal(found[0].sm_predicted, found[1].sm_predicted)


def test_what_cannot_be_trained_on_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="window is 301 days"):
        stored_of(tmp_path, window=301)
    assert not list(tmp_path.iterdir())
