"""Folds in parallel: one process per device slot, folds handed out to them, and one writer of their events."""

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

_POLL_SECONDS = 0.1
# A process ends as soon as its input is closed; one that does not is killed.
_GRACE_SECONDS = 5.0


@dataclass(slots=True)
class _Worker:
    slot: DeviceSlot
    process: subprocess.Popen[str]
    reader: Thread
    fold: str | None = field(default=None)

    def assign(self, fold: str | None) -> None:
        """Hand out a fold; ``None`` closes the input, which ends the process."""
        self.fold = fold
        assert self.process.stdin is not None
        with suppress(OSError):  # the process has ended: its reader reports that
            if fold is None:
                self.process.stdin.close()
            else:
                self.process.stdin.write(f"{fold}\n")
                self.process.stdin.flush()

    def stop(self) -> None:
        """End the process at any point of its work; its checkpoints are written atomically."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        self.process.stdout.close()


# ``None`` in place of a message: the process has ended.
_Received = queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]]


def run_folds_at_once(
    run: Run,
    folds: list[str],
    slots: list[DeviceSlot],
    emit: Callable[..., None],
    cancelled: Callable[[], bool],
) -> None:
    """Run folds in processes of their own, as many at once as there are device slots.

    Parameters
    ----------
    run
        Opened by every process from its folder.
    folds
        Names of the folds to run, in order.
    slots
        One process for each.
    emit
        Called with every event of every process, from this thread only: the events of a run have one writer.
    cancelled
        Polled ten times a second.

    Raises
    ------
    CancelledError
        If cancelled.
    GSM3Error
        If a fold fails: of the same class, with the fold's name. The other processes are ended; checkpoints are kept.

    Notes
    -----
    Processes instead of threads, because torch's random state, number of threads and share of GPU memory are set per
    process. This process holds the other end of each worker's input: however it ends, also by ``kill -9``, the
    inputs close and the workers exit, so that no training goes on unobserved.
    """
    waiting, workers = deque(folds), list[_Worker]()
    received: _Received = queue.SimpleQueue()
    try:
        for slot in slots[: len(folds)]:
            workers.append(_start(run, slot, received))
            workers[-1].assign(waiting.popleft())
        while any(worker.fold for worker in workers):
            if cancelled():
                raise CancelledError("Cancelled; the last checkpoint of every fold is kept.")
            try:
                worker, message = received.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if message is None:
                if worker.fold is not None and not cancelled():
                    raise _unexpected_exit(worker)
            elif "failed" in message:
                raise _failure(worker, message)
            elif "done" in message:
                worker.assign(waiting.popleft() if waiting else None)
            else:
                emit(message["event"], **message["fields"])
    finally:
        for worker in workers:
            worker.assign(None)
        for worker in workers:
            worker.stop()


def _start(run: Run, slot: DeviceSlot, received: _Received) -> _Worker:
    command = [sys.executable, "-m", "gsm3core.experiment.worker", str(run.folder), slot.device]
    process = subprocess.Popen(
        [*command, str(slot.memory_share)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, **import_path(), "OMP_NUM_THREADS": str(slot.threads or 1)},
    )

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            received.put((worker, json.loads(line)))
        received.put((worker, None))

    worker = _Worker(slot, process, Thread(target=read, daemon=True))
    worker.reader.start()
    return worker


def _failure(worker: _Worker, message: dict[str, Any]) -> GSM3Error:
    kind = getattr(errors, message["failed"], None)
    if isinstance(kind, type) and issubclass(kind, GSM3Error):
        return kind(f"Fold {worker.fold}: {message['message']}")
    return TrainingError(f"Fold {worker.fold}: {message['failed']}: {message['message']}")


def _unexpected_exit(worker: _Worker) -> TrainingError:
    code = worker.process.wait()
    return TrainingError(
        f"Fold {worker.fold}: worker on {worker.slot.device} exited unexpectedly (exit code {code}; killed or out of memory). "
        "Resume the run to continue from the last checkpoints; a lower training.folds_at_once needs less memory."
    )
