"""Errors that a user can act on: each names what is wrong, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GSM3Error(Exception):
    """Base of every error that GSM3 raises on purpose; the command line prints its text without a traceback."""


class DatasetError(GSM3Error):
    """A dataset breaks the contract of :mod:`gsm3core.schema`, or cannot be read."""


class ConfigError(GSM3Error):
    """A configuration names an unknown key, or a value that makes no sense."""


class RunError(GSM3Error):
    """A run directory is missing, incomplete or in the wrong state for what was asked."""


class TrainingError(GSM3Error):
    """Training cannot start or go on (no targets, a loss that is not finite)."""


class JobError(GSM3Error):
    """A background job cannot be submitted, found or cancelled."""


class CancelledError(GSM3Error):
    """The work was cancelled by its user; what was finished before is kept."""


def did_you_mean(unknown: str, known: Iterable[str]) -> str:
    """Return a sentence with the nearest known name, or with all of them when none is near.

    Parameters
    ----------
    unknown
        The name that was given.
    known
        The names that would have been accepted.
    """
    names = sorted(known)
    lowered = {name.lower(): name for name in names}
    near = difflib.get_close_matches(unknown.lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {lowered[near[0]]!r}?"
    return "Known: " + (", ".join(names) if names else "none") + "."
