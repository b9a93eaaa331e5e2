"""The process of one job: executes a run until it ends or is cancelled."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from gsm3core.errors import CancelledError, GSM3Error
from gsm3core.run import ENDED, Run

FINISHED, FAILED, CANCELLED = 0, 1, 130


class StopFlag:
    """Whether a stop signal was received; a second signal ends the process immediately.

    Parameters
    ----------
    run
        Receives a final event if the process ends immediately.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._requested = False

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self._requested

    def install(self) -> None:
        """Handle SIGTERM, SIGINT and, on Windows, Ctrl+Break."""
        for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._requested:
            self._requested = True
            _log(
                f"{signal.Signals(number).name}: stopping at the next safe point; a second signal stops immediately."
            )
            return
        if self._run.state not in ENDED.values():
            self._run.append_event("run_cancelled", message="stopped immediately after a second signal")
        os._exit(CANCELLED)  # sys.exit would wait for threads and run clean-up


def main(arguments: Sequence[str]) -> int:
    """Execute one run, which records its progress as events.

    Parameters
    ----------
    arguments
        The run's folder.

    Returns
    -------
    int
        0 finished, 1 failed, 130 cancelled. An unexpected error is raised, for its traceback.
    """
    if len(arguments) != 1:
        _log("usage: python -m gsm3core.jobs.worker RUN_FOLDER")
        return FAILED
    try:
        run = Run.open(arguments[0])
        stop = StopFlag(run)
        stop.install()
        try:
            from gsm3core.experiment import execute, prepare_process
        except Exception as error:
            run.append_event("run_failed", message=f"gsm3core cannot be imported: {error}")
            raise
        prepare_process()
        execute(run, cancelled=stop)
    except CancelledError as error:
        _log(str(error))
        return CANCELLED
    except GSM3Error as error:
        _log(f"{type(error).__name__}: {error}")
        return FAILED
    return FINISHED


def _log(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    faulthandler.enable()  # a crash in compiled code leaves its traceback in the log
    sys.exit(main(sys.argv[1:]))
