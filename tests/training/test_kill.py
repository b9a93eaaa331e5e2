"""Runs that are killed (SIGKILL) at random moments and resumed give the predictions of an uninterrupted run."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gsm3core import Run, run_experiment
from gsm3core.config import ExperimentConfig
from gsm3core.experiment import create_run, execute
from gsm3core.schema import save_dataset
from support.small_world import TINY, make_dataset

# A checkpoint after every epoch, so that kills can happen while one is written.
RESUME = """
import sys
from gsm3core import Run
from gsm3core.experiment import execute
from gsm3core.training import loop
loop.CHECKPOINT_SECONDS = 0.0
execute(Run.open(sys.argv[1]))
"""


@pytest.mark.slow
def test_killed_and_resumed_runs_give_the_same_predictions(tmp_path: Path) -> None:
    world = save_dataset(make_dataset(), tmp_path / "world.zarr")
    values: dict[str, Any] = {**TINY, "data": {"dataset": str(world)}}
    values["holdout"] = {"name": "random_spatial", "folds": 2}
    values["model"] = {**TINY["model"], "head": "gaussian", "heads": "affine"}
    values["training"] = {
        **TINY["training"],
        "epochs": 40,
        "members": 2,
        "validation_share": 0.3,
        "patience": 15,
    }
    settings = ExperimentConfig.from_mapping(values)
    whole = run_experiment(settings, out=tmp_path / "runs")
    run = create_run(settings, tmp_path / "runs")
    kills = 0
    for seed in range(4):
        process = subprocess.Popen([sys.executable, "-c", RESUME, str(run.folder)])
        _wait_for_progress(run, process)
        time.sleep(random.Random(seed).uniform(0, 0.7))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills >= 2
    execute(run)
    for name in ("sm_predicted", "sm_predicted_std"):
        np.testing.assert_array_equal(run.predictions()[name], whole.predictions()[name])


def _wait_for_progress(run: Run, process: subprocess.Popen[bytes]) -> None:
    _, offset = run.events_since(0)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if any(e["event"] == "progress" for e in run.events_since(offset)[0]):
            return
        time.sleep(0.02)
