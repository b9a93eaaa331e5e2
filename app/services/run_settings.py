"""Settings of runs as text, and which of them differ between runs."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gsm3core.run import Run


def settings(run: Run) -> dict[str, str]:
    """Return every setting of a run as text: ``section.key`` -> value."""
    found: dict[str, str] = {}
    for section, values in run.config.model_dump().items():
        if isinstance(values, dict):
            found |= {f"{section}.{key}": _text(value) for key, value in values.items()}
    found["data.dataset"] = run.dataset_path.name
    return found


def differing(runs: list[Run]) -> pd.DataFrame:
    """Return the settings of some runs.

    Returns
    -------
    pandas.DataFrame
        Indexed by setting, a column per run id, and ``differs``; those that differ come first.
    """
    table = pd.DataFrame({run.id: settings(run) for run in runs}).fillna("")
    table["differs"] = table.nunique(axis=1) > 1
    return table.sort_values("differs", ascending=False, kind="stable")


def _text(value: Any) -> str:
    if value is None:
        return "all, or the default"
    if isinstance(value, dict):
        return " to ".join(str(x) for x in value.values())
    if isinstance(value, (tuple, list)):
        return f"{len(value)} chosen" if len(value) > 6 else ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
