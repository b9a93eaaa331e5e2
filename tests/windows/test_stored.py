"""Windows from a Zarr store equal the windows from memory."""

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
from support.folds import make_fold, make_windows
from support.small_world import TINY, make_dataset

CPU = torch.device("cpu")
DATASET = make_dataset(n_sites=9, n_days=300)


def stored_of(folder: Path, window: int = 60, warmup: int = 10) -> StoredWindows:
    fold = make_fold(DATASET)
    scaler = fit_scaler(DATASET, fold, DataConfig())
    return stored_windows(
        DATASET, fold, scaler, folder / "inputs.zarr",
        targets=["sm_insitu", "sm_smap"], window=window, warmup=warmup, device=CPU,
    )  # fmt: skip


def test_an_epoch_from_disk_equals_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_SITES_AT_ONCE", 4)
    memory, disk = make_windows(DATASET, 60, 10), stored_of(tmp_path)
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
        # A checkpoint between two epochs saves the generator: prefetching must not advance it.
        torch.testing.assert_close(*(g.get_state() for g in generators))
    assert np.array_equal(memory.site_ids, disk.site_ids)
    assert np.array_equal(memory.days, disk.days)


def test_prefetching_is_bounded_and_ends_with_the_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, read, largest_lead = stored_of(tmp_path), [0], 0
    original = StoredWindows._read

    def counted(self: StoredWindows, chosen: Any) -> Any:
        read[0] += 1
        return original(self, chosen)

    monkeypatch.setattr(StoredWindows, "_read", counted)
    epoch = disk.epoch(8, 20, disk.generator(0))
    for n_yielded in range(1, 6):
        next(epoch)
        time.sleep(0.05)
        largest_lead = max(largest_lead, read[0] - n_yielded)
    assert 1 <= largest_lead <= stored.PREFETCH
    epoch.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("windows")], "no thread is left running"


def test_a_read_error_is_raised_by_the_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: StoredWindows, chosen: Any) -> Any:
        raise OSError("the disk is gone")

    monkeypatch.setattr(StoredWindows, "_read", broken)
    disk = stored_of(tmp_path)
    with pytest.raises(OSError, match="the disk is gone"):
        next(disk.epoch(8, 20, disk.generator(0)))


def test_a_run_from_disk_equals_memory_and_leaves_no_store(tmp_path: Path) -> None:
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


def test_invalid_windows_are_refused_before_writing(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="window is 301 days"):
        stored_of(tmp_path, window=301)
    assert not list(tmp_path.iterdir())
