"""The scores of a run and the products, or of the products alone, of all days or of one season."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from app.services.evaluation import ALL_YEAR
from gsm3core import vocabulary as v
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.evaluation.stratified import season_scores
from gsm3core.evaluation.test_days import compared_products, in_season, tested_series
from gsm3core.metrics import MORE_METRICS
from gsm3core.run import Run

MIN_DAYS = 30


def score(
    ds: xr.Dataset, reference: str, run: Run | None, predictions: xr.Dataset | None, season: str, more: bool
) -> xr.Dataset:
    """Score as :func:`gsm3core.site_scores` does, at every site of the dataset.

    Parameters
    ----------
    ds, reference
        The dataset, and its record that the products are held against.
    run, predictions
        A run and what it predicts, then on its test days; ``None`` for the products alone, on all days.
        The predictions are not needed for the scores that the run itself keeps.
    season
        ``all``, or one of :data:`gsm3core.evaluation.stratified.LOCAL_SEASONS`: July is winter in the south.
    more
        With anomaly R, Spearman, KGE and NSE, which take some seconds.

    Returns
    -------
    xarray.Dataset
        ``(product, site)``, the sites of ``ds``; no product where there is none to compare.
    """
    if run is not None and season == ALL_YEAR and not more:
        return _at(ds[v.SITE].values.astype(str), run.scores(reference))
    runs = {own_product(run): predictions} if run is not None and predictions is not None else {}
    if not runs and not compared_products(ds, reference):
        return xr.Dataset(coords={v.SITE: ds[v.SITE].values.astype(str)})
    series = tested_series(ds, reference, runs)
    observed = ds[reference].load()
    asked: dict[str, Any] = {"min_days": MIN_DAYS}
    if run is not None:
        asked = {"min_days": run.config.scores.min_days, "confidence": run.config.scores.confidence}
    if season != ALL_YEAR:
        scores = site_scores(series.where(in_season(ds, season)), observed, intervals="R", **asked)
    elif run is not None:
        scores = _at(ds[v.SITE].values.astype(str), run.scores(reference))
    else:
        scores = site_scores(series, observed, **asked)
    if not more:
        return scores
    others = tuple(m for m in MORE_METRICS if m not in scores)
    if season != ALL_YEAR:
        # Anomalies are departures from the mean of all days around, not of the season's days alone.
        found = season_scores(series, observed, metrics=others, min_days=asked["min_days"]).sel(season=season)
    else:
        found = site_scores(series, observed, metrics=others, intervals="none", **asked)
    found = found.reindex({v.PRODUCT: scores[v.PRODUCT]})
    return scores.assign(
        {m: (scores["bias"].dims, found[m].transpose(*scores["bias"].dims).values) for m in others}
    )


def own_product(run: Run) -> str:
    """Return what a run calls its prediction among the products."""
    return v.MODEL_PRODUCTS.get(run.config.model.name, v.MULTITASK_LSTM)


def _at(sites: NDArray[np.str_], scores: xr.Dataset) -> xr.Dataset:
    scores = scores.assign_coords({v.SITE: scores[v.SITE].astype(str)}).reindex(
        {v.SITE: sites}, fill_value=np.nan
    )
    scores["reason"] = scores["reason"].astype(object).where(scores["reason"].notnull(), "").astype(str)
    return scores
