"""What choices are called in a menu."""

from __future__ import annotations

from collections import Counter


def distinct(labels: dict[str, str]) -> dict[str, str]:
    """Return label -> name, the name added to every label that more than one has.

    Parameters
    ----------
    labels
        What each name is called.
    """
    called = Counter(labels.values())
    return {label if called[label] == 1 else f"{label} ({name})": name for name, label in labels.items()}
