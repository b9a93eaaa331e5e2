"""Background jobs: a queue on disk, and one detached process per run."""

from gsm3core.jobs.queue import JobQueue
from gsm3core.jobs.table import Job

__all__ = ["Job", "JobQueue"]
