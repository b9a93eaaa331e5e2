"""Types of error from the newest runs of the paper's experiments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import xarray as xr

from app.services.evaluation import Evaluation
from app.services.published_comparison import newest_experiments
from app.services.store import Store
from gsm3core.errors import DatasetError
from gsm3core.evaluation.error_types import error_types, experiments_of
from gsm3core.run import Run


@dataclass(frozen=True, eq=False)
class ErrorTypes:
    """Types of error of the newest runs.

    Parameters
    ----------
    found
        As :func:`gsm3core.error_types` returns them; ``None`` with fewer than two experiments.
    runs
        The runs, by holdout.
    """

    found: xr.Dataset | None
    runs: Mapping[str, Run]


def newest_error_types(store: Store, evaluation: Evaluation, metric: str) -> ErrorTypes:
    """Return the types of error in one score, from the newest run of each experiment of the paper on a dataset.

    Parameters
    ----------
    store
        Reads the runs.
    evaluation
        Gives the dataset, the reference, season, scaling and masks, and the confidence level.
    metric
        R, bias, RMSE or ubRMSE.
    """
    runs = newest_experiments(store, evaluation.dataset, evaluation.reference)
    ds = store.dataset(evaluation.dataset)
    try:
        scores = experiments_of(
            runs.values(), dataset=ds, reference=evaluation.reference, **evaluation.condition_options
        )
    except DatasetError:
        return ErrorTypes(None, runs)
    if len(scores) < 2:
        return ErrorTypes(None, runs)
    return ErrorTypes(error_types(scores, metric=metric, confidence=evaluation.confidence), runs)
