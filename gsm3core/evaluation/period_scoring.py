"""Scores of a run and of products by year or season, for the command line and scripts."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.evaluation.conditions import condition_attrs, prepared_series
from gsm3core.evaluation.periods import Calendar, period_scores
from gsm3core.evaluation.reference_scaling import NO_SCALING
from gsm3core.evaluation.scoring import MIN_DAYS, own_product
from gsm3core.evaluation.test_days import tested_series
from gsm3core.metrics import METRICS
from gsm3core.metrics.rescaling import Scaling
from gsm3core.run import Run


def score_periods(
    dataset: xr.Dataset,
    run: Run | None = None,
    *,
    by: Calendar = "year",
    reference: str | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    min_days: int | None = None,
    scaling: Scaling = NO_SCALING,
    masks: Sequence[str] = (),
) -> xr.Dataset:
    """Return the scores of every product, and of a run on its test days, in each year or local season.

    Parameters
    ----------
    dataset
        A SiteDataset, that of the run if there is one.
    run
        Scored with every product on its test days; without it the products on all days.
    by
        ``year`` or ``season``.
    reference, metrics, min_days, scaling, masks
        As for :func:`gsm3core.score_run`; the parameters of a scaling are those of all days, not of a period.

    Returns
    -------
    xarray.Dataset
        As :func:`gsm3core.period_scores`, ``(period, product, site)``. Yearly scores are the input of
        :func:`gsm3core.score_trends`.
    """
    reference = reference or (next(iter(run.references()), v.SM_INSITU) if run else v.SM_INSITU)
    predictions = {own_product(run): run.predictions()} if run else {}
    series = prepared_series(
        tested_series(dataset, reference, predictions), dataset, reference, scaling=scaling, masks=masks
    )
    config = run.config.scores if run else None
    scores = period_scores(
        series, dataset[reference].load(), by=by, metrics=metrics,
        min_days=max(config.min_days, min_days or 0) if config else min_days or MIN_DAYS,
        confidence=config.confidence if config else 0.95,
    )  # fmt: skip
    return scores.assign_attrs({"reference": reference, "scaling": scaling} | condition_attrs(None, masks))
