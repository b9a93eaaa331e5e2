"""The job queue: which runs wait, which one has which slot, and what became of them."""

from __future__ import annotations

import signal
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

_UNREADABLE = (GSM3Error, OSError, ValueError)  # a run's directory that is gone, or damaged


class JobQueue:
    """Runs that wait for a slot and run detached, one process group each; they outlive whoever started them.

    Any number of processes of one machine may use the queue at once. Nothing happens between calls: whoever
    is there calls :meth:`tick` now and then.

    Parameters
    ----------
    runs_root
        Folder of all runs; the queue lives in it, in ``jobs.sqlite`` (on a local disk: its lock needs one).
    slots
        How many runs at once; or one device per slot (``["cuda:0", "cuda:1"]``), which is then the only one
        that the slot's run sees, so that its ``device = "auto"`` finds it.
    command
        Run -> program and arguments; by default ``python -m gsm3core.jobs.worker``.
    grace
        Seconds between being asked to stop and being killed.

    Raises
    ------
    JobError
        If there is no slot, or a device that is none.
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
                f"slots is {slots!r}; expected 1 or more, or a list of devices such as ['cuda:0']."
            )
        self._environments = [process.device_environment(device) for device in devices]
        self._command = command or _worker
        self._grace = grace
        self._table = table.JobTable(self.root / "jobs.sqlite")

    def submit(self, config: ExperimentConfig) -> str:
        """Make a run and put it last in the queue.

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
        with self._table.open() as db:  # first, so that no run is made that cannot be queued
            run_id = create_run(config, self.root).id
            table.insert(db, run_id, time.time())
        return run_id

    def cancel(self, run_id: str) -> Job:
        """Stop a job: a queued one at once, a running one by asking it; asked twice, it does not finish up.

        Raises
        ------
        JobError
            If the job is unknown or has ended.
        """
        self.tick(start=False)  # so that a process that has just ended is not asked to stop
        self._expect_any(run_id)
        with self._table.transaction() as db:
            row = self._table.find(db, run_id)
            if row["state"] == "queued":
                self._end_cancelled(db, run_id, "Cancelled before it started.")
            elif row["state"] in LIVE:
                table.move(db, run_id, "cancelling", cancel_asked=row["cancel_asked"] or time.time())
                process.signal_group(row["pid"], row["identity"], signal.SIGTERM)
            else:
                raise JobError(f"Run {run_id} cannot be cancelled: it is {row['state']} already.")
            return table.to_job(self._table.find(db, run_id))

    def resume(self, run_id: str) -> Job:
        """Put a lost, cancelled or failed job back in the queue; it goes on from its last checkpoint.

        Raises
        ------
        JobError
            If the job is unknown, or in another state.
        """
        self.tick(start=False)  # so that a process that has just died counts as lost
        self._expect_any(run_id)
        with self._table.transaction() as db:
            state = self._table.find(db, run_id)["state"]
            if state not in RESUMABLE:
                raise JobError(f"Run {run_id} cannot be resumed: it is {state}, not {', '.join(RESUMABLE)}.")
            table.move(db, run_id, "queued", queued=time.time(), message="")
            return table.to_job(self._table.find(db, run_id))

    def jobs(self) -> list[Job]:
        """Return every job, newest first, as the last :meth:`tick` of anybody left it."""
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
        self._expect_any(run_id)
        with self._table.open() as db:
            return table.to_job(self._table.find(db, run_id))

    def tick(self, *, start: bool = True) -> None:
        """Note which processes have ended, kill those that do not stop, and start queued jobs in free slots.

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
                self._settle(row)
            elif row["state"] == "cancelling" and time.time() - row["cancel_asked"] > self._grace:
                process.signal_group(row["pid"], row["identity"], signal.SIGKILL)
        if start and any(row["state"] == "queued" for row in rows):
            while self._may_start() and self._start_next():
                pass

    def _expect_any(self, run_id: str) -> None:
        if not self._table.exists:
            raise JobError(f"There is no job {run_id!r}: nothing was ever submitted in {self.root}.")

    def _may_start(self) -> bool:
        # A look without the write lock: polling a queue whose slots are full must not make others wait.
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
                gate = process.started_behind_gate(self._command(run), run.log, environment)
                pid = after_commit.enter_context(gate)
            except _UNREADABLE as error:
                table.move(db, run_id, "failed", message=f"It cannot be started: {error}")
                return True
            known = process.identity(pid)
            table.move(db, run_id, "running", slot=slot, pid=pid, identity=known, events_offset=offset,
                       cancel_asked=None, message="")  # fmt: skip
        return True

    def _settle(self, seen: sqlite3.Row) -> None:
        run_id = seen["run_id"]
        with self._table.transaction() as db:
            row = self._table.find(db, run_id)
            if row["identity"] != seen["identity"] or row["pid"] != seen["pid"] or row["state"] not in LIVE:
                return  # somebody else was faster
            try:
                run = Run.open(self.root / run_id)
                events = run.events_since(row["events_offset"])[0]
                last = events[-1] if events else {"event": ""}
                state: JobState | None = ENDED.get(last["event"])  # type: ignore[assignment]
                message = str(last.get("message", "")) if state else process.last_words(run.log)
            except _UNREADABLE as error:
                state, message = "failed", f"Its process has ended, and the run cannot be read: {error}"
            if state is None and row["state"] == "cancelling":
                self._end_cancelled(db, run_id, "Stopped before it could finish up.")
            else:
                table.move(db, run_id, state or "lost", message=message)

    def _end_cancelled(self, db: sqlite3.Connection, run_id: str, message: str) -> None:
        # The run gets its last event from here, as no process of its own can write it.
        try:
            Run.open(self.root / run_id).append_event("run_cancelled", message=message)
        except _UNREADABLE as error:
            message = f"{message} {error}"
        table.move(db, run_id, "cancelled", message=message)


def _worker(run: Run) -> list[str]:
    return [sys.executable, "-m", "gsm3core.jobs.worker", str(run.folder)]
