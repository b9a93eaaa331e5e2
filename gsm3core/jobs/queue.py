"""The job queue: runs that wait, run in a slot, or have ended."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from gsm3core.errors import GSM3Error, JobError
from gsm3core.jobs import process, table
from gsm3core.jobs.table import LIVE, RESUMABLE, Job, JobState
from gsm3core.resources import import_path
from gsm3core.run import ENDED, Run

if TYPE_CHECKING:
    from gsm3core.config import ExperimentConfig

_UNREADABLE = (GSM3Error, OSError, ValueError)  # a run folder that is missing or damaged


class JobQueue:
    """Queue of runs that are executed in detached processes, which outlive the process that started them.

    Any number of processes on one machine may use the queue at once. It is only updated when one of them calls
    :meth:`tick`.

    Parameters
    ----------
    runs_root
        Folder of all runs; the queue is its file ``jobs.sqlite`` (on a local disk, for file locking).
    slots
        Number of runs at once; or one device per slot (``["cuda:0", "cuda:1"]``), the only one visible to the
        slot's run, so that its ``device = "auto"`` selects it.
    command
        Program and arguments for a run; by default ``python -m gsm3core.jobs.worker``.
    grace
        Seconds from cancelling to killing.

    Raises
    ------
    JobError
        If there is no slot, or a device is invalid.
    """

    def __init__(
        self,
        runs_root: Path | str,
        *,
        slots: int | Sequence[str] = 1,
        command: Callable[[Run], list[str]] | None = None,
        grace: float = 30.0,
    ) -> None:
        self.root = Path(runs_root).absolute()
        devices: Sequence[str | None] = [None] * slots if isinstance(slots, int) else slots
        if not devices or isinstance(devices, str):
            raise JobError(
                f"invalid slots {slots!r}; expected a number of 1 or more, or a list of devices such as ['cuda:0']."
            )
        self._environments = [process.device_environment(device) for device in devices]
        self._command = command or _worker
        self._grace = grace
        self._table = table.JobTable(self.root / "jobs.sqlite")

    def submit(self, config: ExperimentConfig) -> str:
        """Create a run and put it at the end of the queue.

        Returns
        -------
        str
            The run's id.

        Raises
        ------
        GSM3Error
            If the configuration does not fit its dataset.
        """
        from gsm3core.experiment import create_run

        self.root.mkdir(parents=True, exist_ok=True)
        with self._table.open() as db:  # first, so that no run is created that cannot be queued
            run_id = create_run(config, self.root).id
            table.insert(db, run_id, time.time())
        return run_id

    def cancel(self, run_id: str) -> Job:
        """Cancel a job; cancelling a running job again stops it without waiting for a safe point.

        Raises
        ------
        JobError
            If the job is unknown or has ended.
        """
        self.tick(start=False)  # so that a process that has just ended is not signalled
        self._check_exists(run_id)
        with self._table.transaction() as db:
            row = self._table.find(db, run_id)
            if row["state"] == "queued":
                self._end_cancelled(db, run_id, "Cancelled before it started.")
            elif row["state"] in LIVE:
                since = row[table.CANCELLED_AT] or time.time()
                table.move(db, run_id, "cancelling", **{table.CANCELLED_AT: since})
                process.terminate(row["pid"], row["identity"])
            else:
                raise JobError(f"Run {run_id} cannot be cancelled: its state is {row['state']!r}.")
            return table.to_job(self._table.find(db, run_id))

    def resume(self, run_id: str) -> Job:
        """Put a lost, cancelled or failed job back in the queue; it continues from its last checkpoint.

        Raises
        ------
        JobError
            If the job is unknown, or in another state.
        """
        self.tick(start=False)  # so that a process that has just ended counts as lost
        self._check_exists(run_id)
        with self._table.transaction() as db:
            state = self._table.find(db, run_id)["state"]
            if state not in RESUMABLE:
                raise JobError(
                    f"Run {run_id} cannot be resumed: its state is {state!r}; expected {', '.join(RESUMABLE)}."
                )
            table.move(db, run_id, "queued", queued=time.time(), message="")
            return table.to_job(self._table.find(db, run_id))

    def jobs(self) -> list[Job]:
        """Return all jobs, newest first, as of the last :meth:`tick` of any process."""
        if not self._table.exists:
            return []
        with self._table.open() as db:
            rows = db.execute("SELECT * FROM job ORDER BY created DESC, rowid DESC").fetchall()
        return [table.to_job(row) for row in rows]

    def get(self, run_id: str) -> Job:
        """Return one job.

        Raises
        ------
        JobError
            If it is unknown.
        """
        self._check_exists(run_id)
        with self._table.open() as db:
            return table.to_job(self._table.find(db, run_id))

    def tick(self, *, start: bool = True) -> None:
        """Record processes that have ended, kill those that do not stop, and start queued jobs in free slots.

        Parameters
        ----------
        start
            Whether to start jobs.
        """
        process.reap()
        if not self._table.exists:
            return
        with self._table.open() as db:
            rows = db.execute(
                "SELECT * FROM job WHERE state IN ('queued', 'running', 'cancelling')"
            ).fetchall()
        for row in rows:
            if row["state"] == "queued":
                continue
            if not process.is_alive(row["pid"], row["identity"]):
                process.reap()  # again: it may have ended since
                self._record_end(row)
            elif row["state"] == "cancelling" and time.time() - row[table.CANCELLED_AT] > self._grace:
                process.kill(row["pid"], row["identity"])
        if start and any(row["state"] == "queued" for row in rows):
            while self._may_start() and self._start_next():
                pass

    def _check_exists(self, run_id: str) -> None:
        if not self._table.exists:
            raise JobError(f"unknown job {run_id!r}: no job was ever submitted in {self.root}.")

    def _may_start(self) -> bool:
        # Read without the write lock: polling a queue whose slots are full must not block others.
        with self._table.open() as db:
            return bool(self._free_slots(db))

    def _free_slots(self, db: sqlite3.Connection) -> list[int]:
        busy = {
            r["slot"] for r in db.execute("SELECT slot FROM job WHERE state IN ('running', 'cancelling')")
        }
        return [slot for slot in range(len(self._environments)) if slot not in busy]

    def _start_next(self) -> bool:
        # The transaction is the claim: one writer at a time. The gate opens after it has committed.
        with ExitStack() as after_commit, self._table.transaction() as db:
            free = self._free_slots(db)
            row = db.execute("SELECT * FROM job WHERE state = 'queued' ORDER BY queued, rowid").fetchone()
            if row is None or not free:
                return False
            run_id, slot = row["run_id"], free[0]
            try:
                run = Run.open(self.root / run_id)
                offset = run.events_since(0)[1]
                environment = {"PYTHONUNBUFFERED": "1"} | import_path() | self._environments[slot]
                gate = process.start_gated(self._command(run), run.log, environment)
                pid = after_commit.enter_context(gate)
            except _UNREADABLE as error:
                table.move(db, run_id, "failed", message=f"Cannot be started: {error}")
                return True
            identity = process.identity(pid)
            table.move(db, run_id, "running", slot=slot, pid=pid, identity=identity, events_offset=offset,
                       message="", **{table.CANCELLED_AT: None})  # fmt: skip
        return True

    def _record_end(self, seen: sqlite3.Row) -> None:
        run_id = seen["run_id"]
        with self._table.transaction() as db:
            row = self._table.find(db, run_id)
            if row["identity"] != seen["identity"] or row["pid"] != seen["pid"] or row["state"] not in LIVE:
                return  # another process has recorded it
            try:
                run = Run.open(self.root / run_id)
                events = run.events_since(row["events_offset"])[0]
                last = events[-1] if events else {"event": ""}
                state: JobState | None = ENDED.get(last["event"])  # type: ignore[assignment]
                message = str(last.get("message", "")) if state else process.exit_message(run.log)
            except _UNREADABLE as error:
                state, message = "failed", f"The worker has ended and the run cannot be read: {error}"
            if state is None and row["state"] == "cancelling":
                self._end_cancelled(db, run_id, "Stopped before its cancellation was complete.")
            else:
                table.move(db, run_id, state or "lost", message=message)

    def _end_cancelled(self, db: sqlite3.Connection, run_id: str, message: str) -> None:
        # The run has no process that could write its last event.
        try:
            Run.open(self.root / run_id).append_event("run_cancelled", message=message)
        except _UNREADABLE as error:
            message = f"{message} {error}"
        table.move(db, run_id, "cancelled", message=message)


def _worker(run: Run) -> list[str]:
    return [sys.executable, "-m", "gsm3core.jobs.worker", str(run.folder)]
