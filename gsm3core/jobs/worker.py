"""The process of one job: runs the experiment of a run directory until it ends or is asked to stop."""

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
    """Whether the process was asked to stop; asked again, it stops at once.

    Parameters
    ----------
    run
        Gets its last event if the process stops at once.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._asked = False

    def __call__(self) -> bool:
        """Return whether to stop."""
        return self._asked

    def install(self) -> None:
        """Listen to SIGTERM and SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._asked:
            self._asked = True
            _say(f"{signal.Signals(number).name}: stopping at the next safe point (again: at once).")
            return
        if self._run.state not in ENDED.values():
            self._run.append_event("run_cancelled", message="stopped at once, asked twice")
        os._exit(CANCELLED)  # sys.exit would wait for threads and run the clean-up that was to be skipped


def main(arguments: Sequence[str]) -> int:
    """Run one experiment; every step is told in the run's events.

    Parameters
    ----------
    arguments
        The run's directory.

    Returns
    -------
    int
        0 finished, 1 failed, 130 cancelled. An error of the program itself is raised, for its traceback.
    """
    if len(arguments) != 1:
        _say("usage: python -m gsm3core.jobs.worker RUN_DIRECTORY")
        return FAILED
    try:
        run = Run.open(arguments[0])
        stop = StopFlag(run)
        stop.install()
        try:
            from gsm3core.experiment import execute, prepare_process
        except Exception as error:
            run.append_event("run_failed", message=f"The program cannot be loaded: {error}")
            raise
        prepare_process()
        execute(run, cancelled=stop)
    except CancelledError as error:
        _say(str(error))
        return CANCELLED
    except GSM3Error as error:
        _say(f"{type(error).__name__}: {error}")
        return FAILED
    return FINISHED


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    faulthandler.enable()  # a crash in compiled code leaves its traceback in the log
    sys.exit(main(sys.argv[1:]))
