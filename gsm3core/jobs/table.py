"""The table of all jobs: one SQLite file that several processes read and write at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gsm3core.errors import JobError, did_you_mean

JobState = Literal["queued", "running", "cancelling", "finished", "failed", "cancelled", "lost"]
LIVE: tuple[JobState, ...] = ("running", "cancelling")  # with a process and a slot
RESUMABLE: tuple[JobState, ...] = ("lost", "cancelled", "failed")

_CREATE = """
CREATE TABLE IF NOT EXISTS job (
    run_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    queued REAL NOT NULL,           -- when it last joined the queue: the order of starting
    message TEXT NOT NULL DEFAULT '',
    slot INTEGER,
    pid INTEGER,
    identity TEXT,                  -- tells the process from a later one with the same pid
    events_offset INTEGER,          -- the events before it belong to earlier attempts
    cancel_asked REAL
)"""


@dataclass(frozen=True, slots=True)
class Job:
    """What the queue knows of one run.

    Parameters
    ----------
    run_id
        The run's directory below the queue's root.
    state
        ``lost``: its process died without a last event. ``cancelling``: it was asked to stop and has not yet.
    created
        When it was submitted, in seconds since 1970.
    pid
        Its process, and its process group; ``None`` unless it runs.
    message
        Why it failed, was cancelled or was lost.
    slot
        The slot that it holds, counted from 0; ``None`` unless it runs.
    """

    run_id: str
    state: JobState
    created: float
    pid: int | None
    message: str
    slot: int | None

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state not in ("queued", *LIVE)


class JobTable:
    """The file behind a queue.

    Parameters
    ----------
    path
        The SQLite file; made when it is first opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether anything was ever submitted: looking must not make the file."""
        return self.path.exists()

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """Connect for one use, a fraction of a millisecond; so it is safe in threads and after a fork.

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
                # Refused at once, not after the timeout, while another process makes the same switch in a new
                # file. Whatever else is wrong shows in the next line.
                db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(_CREATE)
            yield db
        except sqlite3.Error as error:
            raise JobError(
                f"The job queue {self.path} cannot be used: {error}. If the file is damaged, move it away: "
                "the runs themselves are not in it."
            ) from error
        finally:
            if db is not None:
                db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Connect as the only writer until the block ends; an error undoes what the block wrote."""
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
            raise JobError(f"There is no job {run_id!r} in {self.path.parent}. {did_you_mean(run_id, known)}")
        return row


def insert(db: sqlite3.Connection, run_id: str, now: float) -> None:
    """Add a job at the end of the queue."""
    db.execute(
        "INSERT INTO job (run_id, state, created, queued) VALUES (?, 'queued', ?, ?)", (run_id, now, now)
    )


def move(db: sqlite3.Connection, run_id: str, state: JobState, **values: Any) -> None:
    """Give a job another state, and other columns new values; without a process it gives up pid and slot."""
    if state not in LIVE:
        values |= {"pid": None, "identity": None, "slot": None}
    names = ", ".join(f"{name} = ?" for name in ("state", *values))
    db.execute(f"UPDATE job SET {names} WHERE run_id = ?", (state, *values.values(), run_id))


def to_job(row: sqlite3.Row) -> Job:
    """Return the public part of a row."""
    return Job(**{name: row[name] for name in Job.__dataclass_fields__})
