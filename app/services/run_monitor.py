"""State of the experiments: one thread polls the job queue and the runs' events for all sessions."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread

from app.services.run_progress import Progress
from app.services.store import Store
from gsm3core.errors import GSM3Error
from gsm3core.jobs.queue import JobQueue
from gsm3core.run import Run

ACTIVE = ("queued", "running", "cancelling")
RESUMABLE = ("failed", "cancelled", "lost")
_LOG_BYTES = 6000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """State and progress of one experiment."""

    run: str
    title: str
    holdout: str
    dataset: str
    state: str
    message: str
    created: str
    progress: Progress

    @property
    def is_active(self) -> bool:
        """Whether it is queued, running or being cancelled."""
        return self.state in ACTIVE


class RunMonitor:
    """All experiments as of the last poll; read by all sessions, written by one thread.

    Parameters
    ----------
    store
        Lists the runs.
    queue
        Starts the queued ones.
    """

    def __init__(self, store: Store, queue: JobQueue) -> None:
        self.store = store
        self.queue = queue
        self.experiments: dict[str, Experiment] = {}
        self.problem = ""
        self._progress: dict[str, tuple[Progress, int]] = {}
        self._stopped = Event()
        self._wake = Event()

    def start(self, every: float = 0.5) -> Callable[[], None]:
        """Poll at this interval (seconds) in a thread; return the function that stops it."""

        def work() -> None:
            while not self._stopped.is_set():
                self.poll()
                self._wake.wait(every)
                self._wake.clear()

        Thread(target=work, name="gsm3-run-monitor", daemon=True).start()
        return self.stop

    def stop(self) -> None:
        """Stop polling; running experiments continue."""
        self._stopped.set()
        self._wake.set()

    def wake(self) -> None:
        """Poll at once, after a run was submitted or cancelled."""
        self._wake.set()

    def poll(self) -> None:
        """Start queued runs that have a free slot, and read the progress of all runs."""
        try:
            self.queue.tick()
            jobs = {job.run_id: job for job in self.queue.jobs()}
            names = {path.resolve(): name for name, path in self.store.datasets().items()}
            experiments = {}
            for run in self.store.runs():
                run_id, path = run.id, self.store.dataset_of_run(run)
                progress = self._read_progress(run)
                job = jobs.get(run_id)
                # The queue detects a worker that exited; a run started from the command line is in no queue.
                state = str(job.state) if job else progress.state
                message = (job.message if job else "") or progress.message
                experiments[run_id] = Experiment(
                    run=run_id,
                    title=run.title,
                    holdout=run.config.holdout.name,
                    dataset=names.get(path, path.name),
                    state=state,
                    message=message,
                    created=_created(run_id),
                    progress=progress,
                )
            self.experiments = experiments
            self.problem = ""
        except (GSM3Error, OSError) as error:
            if str(error) != self.problem:
                _log.warning("The state of the experiments cannot be read: %s", error)
            self.problem = str(error)

    def newest_active(self) -> Experiment | None:
        """Return the newest running experiment, else the newest queued one."""
        active = [e for e in self.experiments.values() if e.is_active]
        running = [e for e in active if e.state != "queued"]
        return next(iter(running or active), None)

    def log_tail(self, run_id: str) -> str:
        """Return the last lines of a run's log."""
        try:
            path = self.store.run(run_id).log
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _LOG_BYTES))
                return file.read().decode(errors="replace")
        except (GSM3Error, OSError):
            return ""  # no output yet, or not run in the background

    def _read_progress(self, run: Run) -> Progress:
        progress, offset = self._progress.get(run.id, (Progress(run=run.id), 0))
        events, offset = run.events_since(offset)
        for event in events:
            progress = progress.after(event)
        self._progress[run.id] = (progress, offset)
        return progress


def _created(run_id: str) -> str:
    """Return the time at the start of a run's id as ``YYYY-MM-DD HH:MM``; empty if it has none."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.strptime(run_id[:15], "%Y%m%d-%H%M%S"))
    except ValueError:
        return ""
