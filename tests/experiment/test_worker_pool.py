"""Folds trained in parallel processes: same results, complete events, and no process outlives its run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from contextlib import suppress
from pathlib import Path
from typing import Any

import joblib
import psutil
import pytest
import torch
import xarray as xr

from gsm3core import Run, run_experiment
from gsm3core.config import ExperimentConfig
from gsm3core.errors import CancelledError, ConfigError, TrainingError
from gsm3core.experiment import create_run, devices, execute
from gsm3core.experiment.devices import DeviceSlot, device_slots
from gsm3core.experiment.progress import RunProgress
from gsm3core.models import device
from gsm3core.models.device import explain_out_of_memory, limit_gpu_memory, resolve_devices
from gsm3core.schema import save_dataset
from support.small_world import TINY, make_dataset

EXECUTE = "import sys; from gsm3core import Run; from gsm3core.experiment import execute; execute(Run.open(sys.argv[1]))"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_dataset(make_dataset(), tmp_path_factory.mktemp("world") / "world.zarr")


@pytest.fixture(autouse=True)
def one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are compared exactly: as many threads in this process as in the workers."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)


def config(world: Path, folds: int = 3, **training: Any) -> ExperimentConfig:
    values: dict[str, Any] = {
        **TINY,
        "data": {"dataset": str(world)},
        "holdout": {"name": "random_spatial", "folds": folds},
        "training": {**TINY["training"], **training},
    }
    return ExperimentConfig.from_mapping(values)


def assert_same(a: Run, b: Run) -> None:
    """Compare all values exactly."""
    xr.testing.assert_equal(a.predictions(), b.predictions())
    assert a.references() == b.references() != []
    for reference in a.references():
        xr.testing.assert_equal(a.scores(reference), b.scores(reference))


def test_parallel_folds_equal_sequential_folds(world: Path, tmp_path: Path) -> None:
    received: list[dict[str, Any]] = []
    alone = run_experiment(config(world, members=2), out=tmp_path / "runs")
    both = run_experiment(
        config(world, members=2, folds_at_once=2), out=tmp_path / "runs", on_event=received.append
    )
    assert_same(alone, both)

    lines = (both.folder / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert received == events, "all events, in order"
    assert (events[0]["event"], events[-1]["event"]) == ("run_started", "run_finished")
    assert [e["time"] for e in events] == sorted(e["time"] for e in events)
    for name in ("fold_started", "fold_finished"):
        assert sorted(e["fold"] for e in events if e["event"] == name) == ["fold_1", "fold_2", "fold_3"]
    started = [(e["fold"], e["index"], e["of"]) for e in events if e["event"] == "fold_started"]
    assert sorted(started) == [("fold_1", 0, 3), ("fold_2", 1, 3), ("fold_3", 2, 3)]
    assert max(k for k, e in enumerate(events) if e["event"] == "fold_started") < max(
        k for k, e in enumerate(events) if e["event"] == "fold_finished"
    )
    progress = [e for e in events if e["event"] == "progress"]
    fractions = [e["fraction"] for e in progress]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert progress[-1]["seconds_left"] == 0
    for fold in ("fold_1", "fold_2", "fold_3"):
        epochs = {
            run.id: [
                (e["member"], e["epoch"], e["loss"])
                for e in run.events()
                if e.get("fold") == fold and "loss" in e
            ]
            for run in (alone, both)
        }
        assert epochs[alone.id] == epochs[both.id]
        assert len(epochs[both.id]) == 2 * 2


@pytest.mark.slow
def test_baseline_folds_run_in_parallel(world: Path, tmp_path: Path) -> None:
    settings = config(world, folds=2).replace("model", name="climatology")
    alone = run_experiment(settings, out=tmp_path / "runs")
    assert_same(alone, run_experiment(settings.replace("training", folds_at_once=2), out=tmp_path / "runs"))


LONG = {"epochs": 500, "updates_per_epoch": 20, "folds_at_once": 2}


def children(pid: int) -> list[int]:
    """The running worker processes of a process."""
    found = []
    for child in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):
            if is_live(child.pid) and "gsm3core.experiment.worker" in child.cmdline():
                found.append(child.pid)
    return found


def is_live(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def folds_with_progress(run: Run) -> set[str]:
    return {e["fold"] for e in run.events() if e["event"] == "progress"}


def wait(condition: Any, within: float = 400) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_cancelling_ends_every_process(world: Path, tmp_path: Path) -> None:
    run = create_run(config(world, folds=2, **LONG), tmp_path / "runs")
    seen: set[int] = set()

    def both_have_progress() -> bool:
        seen.update(children(os.getpid()))
        return len(folds_with_progress(run)) == 2

    with pytest.raises(CancelledError):
        execute(run, cancelled=both_have_progress)
    assert run.state == "cancelled"
    assert len(seen) >= 2
    assert not any(is_live(pid) for pid in seen)


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_and_resumes(world: Path, tmp_path: Path) -> None:
    settings = config(world, folds=2, epochs=20, updates_per_epoch=10, folds_at_once=2)
    run = create_run(settings, tmp_path / "runs")
    process = subprocess.Popen([sys.executable, "-c", EXECUTE, str(run.folder)])
    try:
        wait(lambda: folds_with_progress(run) or process.poll() is not None)
        mine = children(process.pid)
        assert len(mine) == 2
    finally:
        process.kill()
        process.wait()
    wait(lambda: not any(map(is_live, mine)), within=60)
    size = (run.folder / "events.jsonl").stat().st_size
    time.sleep(0.3)
    assert (run.folder / "events.jsonl").stat().st_size == size
    execute(run)
    assert_same(run_experiment(settings.replace("training", folds_at_once=1), out=tmp_path / "runs"), run)


def test_a_failed_fold_ends_the_others(world: Path, tmp_path: Path) -> None:
    run = create_run(config(world, folds=2, **LONG, learning_rate=1e30, clip_norm=0), tmp_path / "runs")
    with pytest.raises(
        TrainingError, match=r"^Fold fold_[12]: The (loss|RMSE) against sm_.* Lower "
    ) as error:
        execute(run)
    last = list(run.events())[-1]
    assert (last["event"], last["message"]) == ("run_failed", str(error.value))
    assert not any(e["event"] == "fold_finished" for e in run.events())


@pytest.mark.slow
def test_a_killed_worker_is_reported(world: Path, tmp_path: Path) -> None:
    run = create_run(config(world, folds=2, **LONG), tmp_path / "runs")

    killed: list[int] = []

    def kill_one() -> bool:
        if not killed and folds_with_progress(run):
            killed.append(children(os.getpid())[-1])
            os.kill(killed[0], signal.SIGKILL)
        return False

    with pytest.raises(
        TrainingError, match=r"Fold fold_[12]: worker on cpu exited unexpectedly \(exit code -9"
    ):
        execute(run, cancelled=kill_one)
    assert run.state == "failed"


def test_device_slots(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert device_slots(config(world), 5) == [DeviceSlot("cpu")]
    assert device_slots(config(world, folds_at_once=4), 1) == [DeviceSlot("cpu")]
    assert device_slots(config(world, folds_at_once=3), 5) == [DeviceSlot("cpu", 0.3, 2)] * 3
    assert [p.device for p in device_slots(config(world, device="cuda:all"), 5)] == [
        "cuda:0",
        "cuda:1",
        "cuda:2",
    ]
    two = device_slots(config(world, device="cuda:2,cuda:0", folds_at_once=2), 3)
    # Three folds: two share the first device, each with half of its usable memory.
    assert two == [DeviceSlot("cuda:2", 0.45, 2), DeviceSlot("cuda:0", 1.0, 2), DeviceSlot("cuda:2", 0.45, 2)]
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(joblib, "cpu_count", lambda only_physical_cores: 6)
    assert device_slots(config(world, folds_at_once=2), 5)[0].threads == 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no CPU affinity")
def test_threads_respect_the_cpu_affinity(world: Path) -> None:
    code = (
        "import os, sys; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "from gsm3core import ExperimentConfig; from gsm3core.experiment.devices import device_slots\n"
        "print(device_slots(ExperimentConfig.from_mapping({'training': {'folds_at_once': 2}}), 2)[0].threads)"
    )
    environment = {k: x for k, x in os.environ.items() if k != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout == "1\n"


def test_automatic_device_slots(world: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One fold per CPU, as memory allows, at most four; one on a GPU."""
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    memory = types.SimpleNamespace(total=64_000_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    auto = config(world, folds_at_once="auto", device="cpu")
    assert device_slots(auto, 5) == [DeviceSlot("cpu", 0.225, 1)] * 4
    assert len(device_slots(auto, 3)) == 3
    assert device_slots(auto, 1) == [DeviceSlot("cpu")]
    memory.total = 8_200_000_000
    assert device_slots(auto, 5) == [DeviceSlot("cpu", 0.45, 3)] * 2
    memory.total = 64_000_000_000
    monkeypatch.setattr(devices, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("8400000000\n")
    assert len(device_slots(auto, 5)) == 2
    (tmp_path / "memory.max").write_text("max\n")
    assert len(device_slots(auto, 5)) == 4
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(joblib, "cpu_count", lambda only_physical_cores: 3)
    assert device_slots(auto, 5) == [DeviceSlot("cpu", 0.3, 1)] * 3
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    memory.total = 2_000_000_000
    assert device_slots(auto, 5) == [DeviceSlot("cpu")]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert [p.device for p in device_slots(config(world, folds_at_once="auto", device="cuda:all"), 5)] == [
        "cuda:0", "cuda:1", "cuda:2",
    ]  # fmt: skip


def test_names_of_several_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_devices("cuda:1,cuda:0") == ["cuda:1", "cuda:0"]
    with pytest.raises(ConfigError, match="torch finds 2 CUDA"):
        resolve_devices("cuda:0,cuda:2")
    with pytest.raises(ConfigError, match="names cuda:1 twice"):
        resolve_devices("cuda:1,cuda:1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match="no CUDA device"):
        resolve_devices("cuda:all")
    for name in ("cuda,cuda:1", "cpu,cuda:0", "cuda:0,", "cuda:all,cuda:0"):
        with pytest.raises(ConfigError, match=re.escape("training.device")):
            ExperimentConfig.from_mapping({"training": {"device": name}})


def test_gpu_memory_is_limited_and_its_lack_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[float, torch.device | None]] = []
    monkeypatch.setattr(device.torch.cuda, "set_per_process_memory_fraction", lambda *a: limits.append(a))
    gpu = torch.device("cuda:1")
    limit_gpu_memory(torch.device("cpu"), 0.45)
    limit_gpu_memory(gpu, 1.0)
    limit_gpu_memory(gpu, 0.45)
    limit_gpu_memory(torch.device("cuda"), 0.3)
    assert limits == [(0.45, gpu), (0.3, None)]
    with (
        pytest.raises(TrainingError, match=r"cuda:1 is out of memory: Tried .* Lower training.folds_at_once"),
        explain_out_of_memory(gpu),
    ):
        raise torch.OutOfMemoryError("Tried to allocate 2 GiB.\nmore")


def progress_of(fold: str, share: float, left: float) -> tuple[str, dict[str, Any]]:
    return "progress", {"fold": fold, "fraction": share, "seconds_left": left}


def test_run_progress_is_the_mean_of_its_folds() -> None:
    """Four folds of 100 s each in two slots: 200 s in all."""
    progress = RunProgress(["a", "b", "c", "d"], slots=2)
    seen = [progress.update(*progress_of("a", 0.1, 90.0)), progress.update(*progress_of("b", 0.1, 90.0))]
    assert (seen[-1]["fraction"], seen[-1]["seconds_left"]) == (0.05, 190.0)
    progress.update("fold_finished", {"fold": "a"})
    assert progress.update("fold_started", {"fold": "c", "x": 1}) == {
        "fold": "c",
        "index": 2,
        "of": 4,
        "x": 1,
    }
    # c has just started, b ends in 10 s and leaves its slot to d.
    after = progress.update(*progress_of("b", 0.9, 10.0))
    assert (after["fraction"], after["seconds_left"]) == (round(1.9 / 4, 4), 110.0)
    # A fold that resumes from its checkpoint reports less than before: the run's progress does not decrease.
    again = progress.update(*progress_of("b", 0.2, 80.0))
    assert again["fraction"] == after["fraction"]
    for fold in "bcd":
        last = progress.update(*progress_of(fold, 1.0, 0.0))
        progress.update("fold_finished", {"fold": fold})
    assert (last["fraction"], last["seconds_left"]) == (1.0, 0)


def test_a_resumed_run_starts_at_its_progress() -> None:
    progress = RunProgress(["a", "b", "c"], done=["a", "c"])
    first = progress.update(*progress_of("b", 0.5, 30.0))
    assert (first["fraction"], first["seconds_left"]) == (round(2.5 / 3, 4), 30.0)
