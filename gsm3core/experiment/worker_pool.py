"""Folds at once: a process for every place, folds handed out to them, everything they tell told by one."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from gsm3core import errors
from gsm3core.errors import CancelledError, GSM3Error, TrainingError
from gsm3core.experiment.devices import DeviceSlot
from gsm3core.resources import import_path
from gsm3core.run import Run

_LOOK_SECONDS = 0.1
# A process ends as soon as its input is closed; one that does not is killed.
_GRACE_SECONDS = 5.0


@dataclass(slots=True)
class _Worker:
    place: DeviceSlot
    process: subprocess.Popen[str]
    listener: Thread
    fold: str | None = field(default=None)

    def give(self, fold: str | None) -> None:
        """Hand out a fold; ``None`` ends the process, as nothing is left for it."""
        self.fold = fold
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # dead: its listener says so
            if fold is None:
                self.process.stdin.close()
            else:
                self.process.stdin.write(f"{fold}\n")
                self.process.stdin.flush()

    def end(self) -> None:
        """End the process, whatever it does; its checkpoints are whole at any moment."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.listener.join()
        self.process.stdout.close()


def run_folds_at_once(
    run: Run,
    folds: list[str],
    places: list[DeviceSlot],
    tell: Callable[..., None],
    cancelled: Callable[[], bool],
) -> None:
    """Carry out folds in processes of their own, as many at once as there are places.

    Parameters
    ----------
    run
        Read by every process from its directory.
    folds
        Names of the folds to do, in order.
    places
        One process for each.
    tell
        Called with every event of every process, by this thread alone: the events of a run have one writer.
    cancelled
        Asked ten times a second.

    Raises
    ------
    CancelledError
        If cancelled.
    GSM3Error
        If a fold fails: of its kind, with its name and message. The others are ended; their checkpoints are kept.

    Notes
    -----
    Processes instead of threads, as torch's random state, its number of threads and the memory of a GPU are bounded
    by process. Whoever hands out the folds holds the other end of each one's input: however it ends, by ``kill -9``
    too, the input closes and the process ends itself, so that nothing trains on unseen.
    """
    waiting, workers = deque(folds), list[_Worker]()
    heard: queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]] = queue.SimpleQueue()
    try:
        for place in places[: len(folds)]:
            workers.append(_start(run, place, heard))
            workers[-1].give(waiting.popleft())
        while any(worker.fold for worker in workers):
            if cancelled():
                raise CancelledError("Cancelled; the last checkpoint of every fold is kept.")
            try:
                worker, said = heard.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                continue
            if said is None:
                if worker.fold is not None and not cancelled():
                    raise _death(worker)
            elif "failed" in said:
                raise _failure(worker, said)
            elif "done" in said:
                worker.give(waiting.popleft() if waiting else None)
            else:
                tell(said["event"], **said["fields"])
    finally:
        for worker in workers:
            worker.give(None)
        for worker in workers:
            worker.end()


def _start(
    run: Run, place: DeviceSlot, heard: queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]]
) -> _Worker:
    command = [sys.executable, "-m", "gsm3core.experiment.worker", str(run.folder), place.device]
    process = subprocess.Popen(
        [*command, str(place.memory_share)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, **import_path(), "OMP_NUM_THREADS": str(place.threads or 1)},
    )

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            heard.put((worker, json.loads(line)))
        heard.put((worker, None))

    worker = _Worker(place, process, Thread(target=listen, daemon=True))
    worker.listener.start()
    return worker


def _failure(worker: _Worker, said: dict[str, Any]) -> GSM3Error:
    kind = getattr(errors, said["failed"], None)
    if isinstance(kind, type) and issubclass(kind, GSM3Error):
        return kind(f"Fold {worker.fold}: {said['message']}")
    return TrainingError(f"Fold {worker.fold}: {said['failed']}: {said['message']}")


def _death(worker: _Worker) -> TrainingError:
    code = worker.process.wait()
    return TrainingError(
        f"Fold {worker.fold}: its process on {worker.place.device} died without a word (exit code {code}: killed, or "
        "out of memory). Resume the run to go on from the last checkpoints; a lower training.folds_at_once needs less memory."
    )
