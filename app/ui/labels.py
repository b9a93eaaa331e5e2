"""Labels of menu options."""

from __future__ import annotations

from collections import Counter


def unique_labels(labels: dict[str, str]) -> dict[str, str]:
    """Return label -> name, with the name appended to labels that occur more than once.

    Parameters
    ----------
    labels
        Name -> label.
    """
    counts = Counter(labels.values())
    return {label if counts[label] == 1 else f"{label} ({name})": name for name, label in labels.items()}
