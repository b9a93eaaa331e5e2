"""The worker: exit codes and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gsm3core.errors import CancelledError, TrainingError
from gsm3core.jobs import worker
from gsm3core.run import Run

REPOSITORY = Path(__file__).parents[2]

# The real worker with an experiment that only waits.
WAITING_WORKER = """
import sys, time, types
from gsm3core.errors import CancelledError
def execute(run, *, cancelled):
    run.append_event("run_started")
    while not cancelled() or {stubborn}:
        time.sleep(0.01)
    run.append_event("run_cancelled", message="on request")
    raise CancelledError("on request")
sys.modules["gsm3core.experiment"] = types.ModuleType("gsm3core.experiment")
sys.modules["gsm3core.experiment"].execute = execute
sys.modules["gsm3core.experiment"].prepare_process = lambda: None
from gsm3core.jobs.worker import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def run(tmp_path, config):
    return Run.create(tmp_path, config, {}, run_id="one")


@pytest.fixture(autouse=True)
def handlers():
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("error", "code", "printed"),
    [
        (None, 0, ""),
        (TrainingError("the loss is not finite"), 1, "TrainingError: the loss is not finite"),
        (CancelledError("on request"), 130, "on request"),
    ],
)
def test_exit_codes(run, experiment, capsys, error, code, printed):
    def execute(run, *, cancelled):
        assert cancelled() is False
        if error:
            raise error

    experiment.execute = execute
    experiment.prepare_process = lambda: None
    assert worker.main([str(run.folder)]) == code
    assert capsys.readouterr().err.strip() == printed
    assert sorted(p.name for p in run.folder.iterdir()) == ["config.toml", "provenance.json"]


def test_an_unexpected_error_keeps_its_traceback(run, experiment):
    def execute(run, *, cancelled):
        raise ZeroDivisionError

    experiment.execute = execute
    experiment.prepare_process = lambda: None
    with pytest.raises(ZeroDivisionError):
        worker.main([str(run.folder)])


def test_a_failed_import_fails_the_run(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "gsm3core.experiment", None)
    with pytest.raises(ImportError):
        worker.main([str(run.folder)])
    assert run.state == "failed"


def test_a_missing_run_or_argument_is_refused(tmp_path, capsys):
    assert worker.main([str(tmp_path / "none")]) == 1
    assert "is not a run folder" in capsys.readouterr().err
    assert worker.main([]) == 1
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("stubborn", [False, True])
def test_signals(run, stubborn):
    command = [sys.executable, "-c", WAITING_WORKER.format(stubborn=stubborn), str(run.folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        try:
            _wait(lambda: run.state == "running")
            process.send_signal(signal.SIGTERM)
            assert "SIGTERM" in process.stderr.readline()
            if stubborn:
                os.kill(process.pid, 0)
                process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
        finally:
            process.kill()
    last = list(run.events())[-1]
    assert last["event"] == "run_cancelled"
    assert last["message"] == ("stopped immediately after a second signal" if stubborn else "on request")


def _wait(condition, within: float = 20) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
