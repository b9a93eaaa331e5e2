"""Medians over sites with intervals: of every product at the sites shown, and of a run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from app.services.cache import ResultCache
from app.services.evaluation import Evaluation
from app.services.site_filters import Shown
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.scoring import own_product, score_run
from gsm3core.metrics import METRICS
from gsm3core.run import Run
from gsm3core.statistics.cluster_bootstrap import SITES, median_interval

COLUMNS = ("median", "lower", "upper", "sites", "clusters", "resampled")
_BY_EVALUATION: ResultCache[tuple[Evaluation, pd.DataFrame]] = ResultCache(16)
_BY_RUN: ResultCache[pd.DataFrame] = ResultCache(64)


def medians(evaluation: Evaluation, shown: Shown) -> pd.DataFrame:
    """Return the median of every product and metric over the sites shown.

    Parameters
    ----------
    evaluation, shown
        Scores, and which sites.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``product`` and ``metric``: the fields of :class:`gsm3core.statistics.cluster_bootstrap.MedianInterval`.
    """
    key = (id(evaluation), shown.mask.tobytes())
    return _BY_EVALUATION.get(key, lambda: (evaluation, _medians(evaluation, shown.mask)))[1]


def _medians(evaluation: Evaluation, mask: NDArray[np.bool_]) -> pd.DataFrame:
    networks = evaluation.sites[v.NETWORK].to_numpy().astype(str)[mask]
    return _table(
        evaluation.products,
        v.PRODUCT,
        lambda product, metric: evaluation.values(product, metric)[mask],
        networks,
        evaluation.confidence,
    )


def median_scores(store: Store, run: Run) -> pd.DataFrame:
    """Return a run's median scores over the sites that it tests.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``reference`` and ``metric``, as :func:`medians`; empty for a run without scores.
    """
    return _BY_RUN.get((run.folder, run.results_version), lambda: _run_medians(run))


def _run_medians(run: Run) -> pd.DataFrame:
    scores = {reference: _own_scores(run, reference) for reference in run.references()}
    tables = [
        _table(
            [reference],
            "reference",
            lambda r, metric: scores[r][metric].values.astype(float),
            ours[v.NETWORK].values if v.NETWORK in ours.coords else np.full(ours.sizes[v.SITE], ""),
            float(ours.attrs.get("confidence", 0.95)),
        )
        for reference, ours in scores.items()
    ]
    return pd.concat(tables) if tables else _table([], "reference", lambda *_: np.empty(0), [], 0.95)


def resampling(*tables: pd.DataFrame) -> str:
    """Return what the intervals of some tables resample, as text."""
    units = {unit for table in tables for unit in table["resampled"]} - {""}
    if units == {SITES}:
        return "single sites resampled, as there are fewer than five networks"
    if SITES in units:
        return "networks resampled, or single sites where there are fewer than five networks"
    return "networks resampled"


def _own_scores(run: Run, reference: str) -> xr.Dataset:
    try:
        scores = score_run(run, reference=reference)
    except DatasetError:  # the dataset of an older run, whose scores have no networks, is gone
        scores = run.scores(reference)
    return scores.sel({v.PRODUCT: own_product(run)})


def _table(
    keys: list[str],
    level: str,
    values: Callable[[str, str], ArrayLike],
    networks: ArrayLike,
    confidence: float,
) -> pd.DataFrame:
    rows = {}
    for key in keys:
        for metric in METRICS:
            found = median_interval(values(key, metric), networks, metric=metric, confidence=confidence)
            rows[key, metric] = tuple(found)
    index = pd.MultiIndex.from_tuples(list(rows), names=[level, "metric"])
    return pd.DataFrame(list(rows.values()), index=index, columns=list(COLUMNS))
