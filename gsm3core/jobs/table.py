"""The table of all jobs, in one SQLite file for several processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gsm3core.errors import JobError, did_you_mean

JobState = Literal["queued", "running", "cancelling", "finished", "failed", "cancelled", "lost"]
LIVE: tuple[JobState, ...] = ("running", "cancelling")  # has a process and a slot
RESUMABLE: tuple[JobState, ...] = ("lost", "cancelled", "failed")
CANCELLED_AT = "cancel_asked"  # the column's name in existing queues

_CREATE = """
CREATE TABLE IF NOT EXISTS job (
    run_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    queued REAL NOT NULL,           -- when it last joined the queue, which orders the starts
    message TEXT NOT NULL DEFAULT '',
    slot INTEGER,
    pid INTEGER,
    identity TEXT,                  -- differs if the pid is reused (jobs.process.identity)
    events_offset INTEGER,          -- events before it belong to earlier attempts
    cancel_asked REAL               -- when it was first cancelled
)"""


@dataclass(frozen=True, slots=True)
class Job:
    """State of one run in the queue.

    Parameters
    ----------
    run_id
        Name of the run's folder in the queue's root.
    state
        ``lost``: its process ended without a final event. ``cancelling``: cancelled, and still running.
    created
        When it was submitted, in seconds since 1970.
    pid
        Its process and process group; ``None`` unless it is running.
    message
        Why it failed, was cancelled or was lost.
    slot
        Counted from 0; ``None`` unless it is running.
    """

    run_id: str
    state: JobState
    created: float
    pid: int | None
    message: str
    slot: int | None

    @property
    def ended(self) -> bool:
        """Whether its state can change only by a request of the user."""
        return self.state not in ("queued", *LIVE)


class JobTable:
    """The SQLite file of a queue.

    Parameters
    ----------
    path
        Created when it is first opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether a job was ever submitted; reading the queue must not create the file."""
        return self.path.exists()

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """Connect for one use, a fraction of a millisecond, which is safe in threads and after a fork.

        Raises
        ------
        JobError
            If the file is damaged, cannot be written or stays locked.
        """
        db = None
        try:
            db = sqlite3.connect(self.path, timeout=20, isolation_level=None)
            db.row_factory = sqlite3.Row
            with suppress(sqlite3.OperationalError):
                # Fails at once, without the timeout, while another process makes the same change in a new file.
                # Any other error is raised by the next line.
                db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(_CREATE)
            yield db
        except sqlite3.Error as error:
            raise JobError(
                f"The job queue {self.path} cannot be used: {error}. If the file is damaged, move it away; "
                "it does not contain the runs."
            ) from error
        finally:
            if db is not None:
                db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Connect as the only writer until the block ends; an error rolls back."""
        with self.open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def find(self, db: sqlite3.Connection, run_id: str) -> sqlite3.Row:
        """Return the row of one job.

        Raises
        ------
        JobError
            If it is unknown.
        """
        row: sqlite3.Row | None = db.execute("SELECT * FROM job WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            known = [r["run_id"] for r in db.execute("SELECT run_id FROM job")]
            raise JobError(f"unknown job {run_id!r} in {self.path.parent}. {did_you_mean(run_id, known)}")
        return row


def insert(db: sqlite3.Connection, run_id: str, now: float) -> None:
    """Add a job at the end of the queue."""
    db.execute(
        "INSERT INTO job (run_id, state, created, queued) VALUES (?, 'queued', ?, ?)", (run_id, now, now)
    )


def move(db: sqlite3.Connection, run_id: str, state: JobState, **values: Any) -> None:
    """Set a job's state and other columns; pid and slot are cleared in states without a process."""
    if state not in LIVE:
        values |= {"pid": None, "identity": None, "slot": None}
    names = ", ".join(f"{name} = ?" for name in ("state", *values))
    db.execute(f"UPDATE job SET {names} WHERE run_id = ?", (state, *values.values(), run_id))


def to_job(row: sqlite3.Row) -> Job:
    """Return the public part of a row."""
    return Job(**{name: row[name] for name in Job.__dataclass_fields__})
