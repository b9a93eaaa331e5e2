"""What tells one run from another: the settings that differ, and the median scores with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from app.services.cache import ResultCache
from app.services.scoring import own_product
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.metrics import METRICS
from gsm3core.run import Run
from gsm3core.statistics.cluster_bootstrap import ClusterDraws, median_interval

_KEPT: ResultCache[pd.DataFrame] = ResultCache(64)
_CONFIDENCE = 0.95


def median_scores(store: Store, run: Run) -> pd.DataFrame:
    """Return a run's median scores over the sites that it tests.

    Returns
    -------
    pandas.DataFrame
        Indexed by reference and metric: ``median``, ``lower``, ``upper`` (95 %, networks drawn again) and ``sites``;
        empty for a run without scores.
    """
    return _KEPT.get((run.folder, tuple(run.references())), lambda: _medians(store, run))


def _medians(store: Store, run: Run) -> pd.DataFrame:
    rows = {}
    for reference in run.references():
        scores = run.scores(reference)
        ours = scores.sel({v.PRODUCT: own_product(run)})
        sites = ours[v.SITE].values.astype(str)
        networks = ours[v.NETWORK].values.astype(str) if v.NETWORK in ours.coords else sites
        draws = ClusterDraws.make(networks)
        for metric, known in METRICS.items():
            values = ours[metric].values.astype(float)
            median, lower, upper = known.bounded(median_interval(values, draws, _CONFIDENCE))
            rows[reference, metric] = {
                "median": median, "lower": lower, "upper": upper, "sites": int(np.isfinite(values).sum()),
            }  # fmt: skip
    index = pd.MultiIndex.from_tuples(list(rows), names=["reference", "metric"])
    return pd.DataFrame(list(rows.values()), index=index, columns=["median", "lower", "upper", "sites"])


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
