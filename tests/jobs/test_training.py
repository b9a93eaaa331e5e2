"""The queue with the real worker: a small training that is cancelled, killed and resumed."""

from __future__ import annotations

import os
import signal
import time

import pytest

from gsm3core.config import ExperimentConfig
from gsm3core.demo import demo_dataset
from gsm3core.errors import DatasetError
from gsm3core.jobs import JobQueue
from gsm3core.run import Run
from gsm3core.schema import save_dataset


@pytest.fixture
def experiment():
    """Use the real experiment."""


@pytest.fixture
def config(tmp_path):
    path = save_dataset(demo_dataset(n_sites=24, end="2015-09-30"), tmp_path / "small.nc")
    return ExperimentConfig.from_mapping(
        {
            "data": {"dataset": str(path)},
            "holdout": {"name": "random_spatial", "folds": 2, "only_folds": ["fold_1"]},
            "model": {"hidden": 4},
            "training": {"epochs": 8, "updates_per_epoch": 5, "batch": 4, "window": 30, "device": "cpu"},
        }
    )


def test_a_training_finishes(root, config, until):
    queue = JobQueue(root)
    run_id = queue.submit(config)
    until(queue, run_id, "finished", within=60)
    run = Run.open(root / run_id)
    assert run.state == "finished"
    assert run.references() == ["sm_insitu", "sm_smap"]


@pytest.mark.slow
def test_a_training_is_cancelled_killed_and_resumed(root, config, until):
    queue = JobQueue(root)
    run_id = queue.submit(config)
    run = Run.open(root / run_id)

    _until_it_trains(queue, run)
    queue.cancel(run_id)
    until(queue, run_id, "cancelled")
    assert run.state == "cancelled"

    queue.resume(run_id)
    _until_it_trains(queue, run)
    os.kill(queue.get(run_id).pid, signal.SIGKILL)
    until(queue, run_id, "lost")

    queue.resume(run_id)
    until(queue, run_id, "finished", within=60)
    assert run.state == "finished"


def test_a_missing_dataset_is_refused_on_submission(root, tmp_path):
    config = ExperimentConfig.from_mapping({"data": {"dataset": str(tmp_path / "none.nc")}})
    queue = JobQueue(root)
    with pytest.raises(DatasetError, match="does not exist"):
        queue.submit(config)
    assert queue.jobs() == []


def _until_it_trains(queue, run):
    offset = run.events_since(0)[1]  # queued, not started: later events are of this attempt
    deadline = time.monotonic() + 60
    while not any(e["event"] == "progress" for e in run.events_since(offset)[0]):
        assert time.monotonic() < deadline, run.log.read_text()
        assert queue.get(run.id).state in ("queued", "running"), queue.get(run.id)
        queue.tick()
        time.sleep(0.02)
