"""Fixtures for jobs: a replacement of the experiment, and small programs in place of the worker."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import textwrap
import time
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gsm3core.config import ExperimentConfig
from gsm3core.jobs import Job, JobQueue
from gsm3core.run import Run

# Without an import of gsm3core, so that a job starts in milliseconds.
_PROGRAM = """
import json, os, signal, subprocess, sys, time
folder = sys.argv[1]
def emit(event, **fields):
    with open(os.path.join(folder, "events.jsonl"), "a") as file:
        file.write(json.dumps({"event": event, "time": time.time(), **fields}) + "\\n")
def wait_for(name):
    while not os.path.exists(os.path.join(folder, name)):
        time.sleep(0.01)
"""


@pytest.fixture(autouse=True)
def experiment(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("gsm3core.experiment")
    number = itertools.count()
    module.create_run = lambda config, root: Run.create(root, config, {}, run_id=f"run-{next(number):03d}")
    monkeypatch.setitem(sys.modules, "gsm3core.experiment", module)
    return module


@pytest.fixture
def config() -> ExperimentConfig:
    return ExperimentConfig()


@pytest.fixture
def program() -> Callable[[str], Callable[[Run], list[str]]]:
    """Return a function that makes commands of a few lines of Python, which may ``emit`` events."""

    def make(lines: str) -> Callable[[Run], list[str]]:
        source = _PROGRAM + textwrap.dedent(lines)
        return lambda run: [sys.executable, "-I", "-S", "-c", source, str(run.folder)]

    return make


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Return a folder for runs; jobs that are running when the test ends are killed."""
    root = tmp_path / "runs"
    yield root
    for job in JobQueue(root).jobs() if (root / "jobs.sqlite").exists() else []:
        if job.pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)


@pytest.fixture
def until() -> Callable[..., Job]:
    """Return a function that ticks until a job has a state, or a file exists."""

    def wait(
        queue: JobQueue, run_id: str, state: str | None = None, *, file: str = "", within: float = 15
    ) -> Job:
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            queue.tick()
            job = queue.get(run_id)
            if job.state == state or (file and (queue.root / run_id / file).exists()):
                return job
            time.sleep(0.02)
        log = queue.root / run_id / "log.txt"
        output = log.read_text() if log.exists() else "nothing"
        raise AssertionError(f"{job} is not {state or file} after {within} s; its log: {output}")

    return wait
