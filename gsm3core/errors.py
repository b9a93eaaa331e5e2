"""Errors for users: each message says what is wrong, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GSM3Error(Exception):
    """Base class of GSM3's errors; the command line prints the message without a traceback."""


class DatasetError(GSM3Error):
    """A dataset does not follow :mod:`gsm3core.schema`, or cannot be read."""


class DatasetWarning(UserWarning):
    """A dataset can be used but not shared as it is, for example without a licence."""


class ConfigError(GSM3Error):
    """A configuration has an unknown key or an invalid value."""


class RunError(GSM3Error):
    """A run folder is missing, incomplete or in the wrong state for the request."""


class TrainingError(GSM3Error):
    """Training cannot start or continue (no targets, a loss that is not finite)."""


class JobError(GSM3Error):
    """A background job cannot be submitted, found or cancelled."""


class CancelledError(GSM3Error):
    """The work was cancelled by the user; finished parts are kept."""


def did_you_mean(unknown: str, known: Iterable[str]) -> str:
    """Return a sentence with the most similar known name, or with all of them if none is similar."""
    names = sorted(known)
    by_lowercase = {name.lower(): name for name in names}
    similar = difflib.get_close_matches(unknown.lower(), by_lowercase, n=1, cutoff=0.6)
    if similar:
        return f"Did you mean {by_lowercase[similar[0]]!r}?"
    return "Known: " + (", ".join(names) if names else "none") + "."
