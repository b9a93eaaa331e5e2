"""Folds trained at once in processes of their own: the same numbers, whole events, and nothing that outlives its run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import xarray as xr

from gsm3core import Run, run_experiment
from gsm3core.config import ExperimentConfig
from gsm3core.errors import CancelledError, ConfigError, TrainingError
from gsm3core.experiment import create_run, execute
from gsm3core.experiment import devices as places
from gsm3core.experiment.devices import DeviceSlot, device_slots
from gsm3core.experiment.progress import RunProgress
from gsm3core.models import device
from gsm3core.models.device import bound_memory, devices_named, memory_explained
from gsm3core.schema import save_dataset
from support.small_world import TINY, make_dataset

EXECUTE = "import sys; from gsm3core import Run; from gsm3core.experiment import execute; execute(Run.open(sys.argv[1]))"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_dataset(make_dataset(), tmp_path_factory.mktemp("world") / "world.zarr")


@pytest.fixture(autouse=True)
def one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows compares bits: as many threads in this process as in each of the others."""
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


def same(a: Run, b: Run) -> None:
    """Every value, to the bit; only the name of the run differs."""
    xr.testing.assert_equal(a.predictions(), b.predictions())
    assert a.references() == b.references() != []
    for reference in a.references():
        xr.testing.assert_equal(a.scores(reference), b.scores(reference))


def test_at_once_gives_the_numbers_and_events_of_one_after_another(world: Path, tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    alone = run_experiment(config(world, members=2), out=tmp_path / "runs")
    both = run_experiment(
        config(world, members=2, folds_at_once=2), out=tmp_path / "runs", listen=heard.append
    )
    same(alone, both)

    lines = (both.folder / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert heard == events, "the listener hears all of them, in their order"
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
def test_a_comparison_model_runs_at_once_too(world: Path, tmp_path: Path) -> None:
    settings = config(world, folds=2).replace("model", name="climatology")
    alone = run_experiment(settings, out=tmp_path / "runs")
    same(alone, run_experiment(settings.replace("training", folds_at_once=2), out=tmp_path / "runs"))


LONG = {"epochs": 500, "updates_per_epoch": 20, "folds_at_once": 2}


def children(pid: int) -> list[int]:
    """The live processes of folds that a process has started (proc_pid_stat(5), field 4), and none of its others."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_bytes().rpartition(b")")[2].split()[:2]
            command = path.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == pid and state != b"Z" and b"experiment.worker" in command:
            found.append(int(path.parent.name))
    return found


def is_live(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def folds_that_told(run: Run) -> set[str]:
    return {e["fold"] for e in run.events() if e["event"] == "progress"}


def wait(condition: Any, within: float = 400) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_cancelled_it_ends_every_process_and_can_be_resumed(world: Path, tmp_path: Path) -> None:
    run = create_run(config(world, folds=2, **LONG), tmp_path / "runs")
    seen: set[int] = set()

    def both_have_told() -> bool:
        seen.update(children(os.getpid()))
        return len(folds_that_told(run)) == 2

    with pytest.raises(CancelledError):
        execute(run, cancelled=both_have_told)
    assert run.state == "cancelled"
    assert len(seen) >= 2
    assert not any(is_live(pid) for pid in seen)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.slow
def test_a_killed_run_leaves_nothing_that_trains_and_ends_with_the_same_numbers(
    world: Path, tmp_path: Path
) -> None:
    settings = config(world, folds=2, epochs=20, updates_per_epoch=10, folds_at_once=2)
    run = create_run(settings, tmp_path / "runs")
    process = subprocess.Popen([sys.executable, "-c", EXECUTE, str(run.folder)])
    try:
        wait(lambda: folds_that_told(run) or process.poll() is not None)
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
    same(run_experiment(settings.replace("training", folds_at_once=1), out=tmp_path / "runs"), run)


def test_a_fold_that_fails_ends_the_others_and_its_message_is_kept(world: Path, tmp_path: Path) -> None:
    run = create_run(config(world, folds=2, **LONG, learning_rate=1e30, clip_norm=0), tmp_path / "runs")
    with pytest.raises(
        TrainingError, match=r"^Fold fold_[12]: The (loss|RMSE) against sm_.* Lower "
    ) as error:
        execute(run)
    last = list(run.events())[-1]
    assert (last["event"], last["message"]) == ("run_failed", str(error.value))
    assert not any(e["event"] == "fold_finished" for e in run.events())


@pytest.mark.slow
def test_a_process_that_is_killed_is_named(world: Path, tmp_path: Path) -> None:
    run = create_run(config(world, folds=2, **LONG), tmp_path / "runs")

    killed: list[int] = []

    def kill_one() -> bool:
        if not killed and folds_that_told(run):
            killed.append(children(os.getpid())[-1])
            os.kill(killed[0], signal.SIGKILL)
        return False

    with pytest.raises(
        TrainingError, match=r"Fold fold_[12]: its process on cpu died without a word \(exit code -9"
    ):
        execute(run, cancelled=kill_one)
    assert run.state == "failed"


def test_places(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    # Three folds: two share the first device, and half of what is shared out of its memory each.
    assert two == [DeviceSlot("cuda:2", 0.45, 2), DeviceSlot("cuda:0", 1.0, 2), DeviceSlot("cuda:2", 0.45, 2)]
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert device_slots(config(world, folds_at_once=2), 5)[0].threads == 3


def test_places_by_themselves(world: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A fold for each processor, as memory allows, at most four; one on a GPU, which has not been measured."""
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    memory = {"SC_PHYS_PAGES": 64_000_000_000, "SC_PAGE_SIZE": 1}
    monkeypatch.setattr(os, "sysconf", memory.__getitem__)
    auto = config(world, folds_at_once="auto", device="cpu")
    assert device_slots(auto, 5) == [DeviceSlot("cpu", 0.225, 1)] * 4
    assert len(device_slots(auto, 3)) == 3
    assert device_slots(auto, 1) == [DeviceSlot("cpu")]
    memory["SC_PHYS_PAGES"] = 8_200_000_000
    assert device_slots(auto, 5) == [DeviceSlot("cpu", 0.45, 3)] * 2
    memory["SC_PHYS_PAGES"] = 64_000_000_000
    monkeypatch.setattr(places, "_CONTAINER", tmp_path)
    (tmp_path / "memory.max").write_text("8400000000\n")
    assert len(device_slots(auto, 5)) == 2
    (tmp_path / "memory.max").write_text("max\n")
    assert len(device_slots(auto, 5)) == 4
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    (tmp_path / "cpu.max").write_text("300000 100000\n")
    assert device_slots(auto, 5) == [DeviceSlot("cpu", 0.3, 1)] * 3
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    memory["SC_PHYS_PAGES"] = 2_000_000_000
    assert device_slots(auto, 5) == [DeviceSlot("cpu")]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert [p.device for p in device_slots(config(world, folds_at_once="auto", device="cuda:all"), 5)] == [
        "cuda:0", "cuda:1", "cuda:2",
    ]  # fmt: skip


def test_names_of_several_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices_named("cuda:1,cuda:0") == ["cuda:1", "cuda:0"]
    with pytest.raises(ConfigError, match="can use 2 CUDA"):
        devices_named("cuda:0,cuda:2")
    with pytest.raises(ConfigError, match="names cuda:1 twice"):
        devices_named("cuda:1,cuda:1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match="no CUDA device"):
        devices_named("cuda:all")
    for name in ("cuda,cuda:1", "cpu,cuda:0", "cuda:0,", "cuda:all,cuda:0"):
        with pytest.raises(ConfigError, match=re.escape("training.device")):
            ExperimentConfig.from_mapping({"training": {"device": name}})


def test_memory_is_bounded_on_a_gpu_alone_and_its_lack_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, torch.device | None]] = []
    monkeypatch.setattr(device.torch.cuda, "set_per_process_memory_fraction", lambda *a: asked.append(a))
    gpu = torch.device("cuda:1")
    bound_memory(torch.device("cpu"), 0.45)
    bound_memory(gpu, 1.0)
    bound_memory(gpu, 0.45)
    bound_memory(torch.device("cuda"), 0.3)
    assert asked == [(0.45, gpu), (0.3, None)]
    with (
        pytest.raises(
            TrainingError, match=r"cuda:1 has no memory left: Tried .* Lower training.folds_at_once"
        ),
        memory_explained(gpu),
    ):
        raise torch.OutOfMemoryError("Tried to allocate 2 GiB.\nmore")


def told(fold: str, share: float, left: float) -> tuple[str, dict[str, Any]]:
    return "progress", {"fold": fold, "fraction": share, "seconds_left": left}


def test_a_run_is_as_far_as_its_folds_together() -> None:
    """Four folds of 100 s each in two places: 200 s in all, told as the clock goes on."""
    view = RunProgress(["a", "b", "c", "d"], places=2)
    seen = [view.seen_from_run(*told("a", 0.1, 90.0)), view.seen_from_run(*told("b", 0.1, 90.0))]
    assert (seen[-1]["fraction"], seen[-1]["seconds_left"]) == (0.05, 190.0)
    view.seen_from_run("fold_finished", {"fold": "a"})
    assert view.seen_from_run("fold_started", {"fold": "c", "x": 1}) == {
        "fold": "c",
        "index": 2,
        "of": 4,
        "x": 1,
    }
    # c has just begun, b ends in 10 s and leaves its place to d.
    after = view.seen_from_run(*told("b", 0.9, 10.0))
    assert (after["fraction"], after["seconds_left"]) == (round(1.9 / 4, 4), 110.0)
    # A fold that goes on from its last checkpoint tells less than before: the run does not fall back.
    again = view.seen_from_run(*told("b", 0.2, 80.0))
    assert again["fraction"] == after["fraction"]
    for fold in "bcd":
        last = view.seen_from_run(*told(fold, 1.0, 0.0))
        view.seen_from_run("fold_finished", {"fold": fold})
    assert (last["fraction"], last["seconds_left"]) == (1.0, 0)


def test_a_resumed_run_begins_where_its_folds_are() -> None:
    view = RunProgress(["a", "b", "c"], done=["a", "c"])
    first = view.seen_from_run(*told("b", 0.5, 30.0))
    assert (first["fraction"], first["seconds_left"]) == (round(2.5 / 3, 4), 30.0)
