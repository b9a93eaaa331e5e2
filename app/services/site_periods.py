"""Scores of one product at one site in every year and season, on the days of the scores shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from app.services.evaluation import Evaluation
from app.services.site_pairs import paired_days
from app.services.site_series import SiteSeries
from gsm3core import vocabulary as v
from gsm3core.evaluation.periods import PERIOD, Calendar, period_scores

METRICS = ("R", "bias", "ubRMSE")


def scores_by_period(series: SiteSeries, evaluation: Evaluation, product: str, by: Calendar) -> pd.DataFrame:
    """Return the scores of a product at a site in every period.

    Parameters
    ----------
    series, evaluation
        Records of the site, and the scores shown: their masks, scaling and minimum number of days apply; with a season only
        its days do.
    product
        A product or the run's prediction.
    by
        ``year`` or ``season``.

    Returns
    -------
    pandas.DataFrame
        Indexed by period, without periods that have no paired day: ``R``, ``R_lower``, ``R_upper``, ``bias``, ``ubRMSE``,
        ``n_valid`` and ``reason``. Empty if the site has no paired day.
    """
    days = paired_days(
        series, product, evaluation.reference, evaluation.season, evaluation.scaling, evaluation.masks
    )
    if not len(days.time):
        return pd.DataFrame()
    # On the time axis of the site: effective days depend on the gaps between days.
    at = np.searchsorted(series.time, days.time)

    def on_axis(values: np.ndarray) -> xr.DataArray:
        record = np.full((1, len(series.time)), np.nan)
        record[0, at] = values
        coords = {v.SITE: ["site"], v.TIME: series.time, v.LAT: (v.SITE, [series.lat])}
        return xr.DataArray(record, dims=(v.SITE, v.TIME), coords=coords, attrs={"units": v.SM_UNITS})

    found = period_scores(
        on_axis(days.predicted), on_axis(days.observed), by=by, metrics=METRICS,
        min_days=int(evaluation.scores.attrs.get("min_days", 30)), confidence=evaluation.confidence,
    )  # fmt: skip
    names = [*METRICS, "R_lower", "R_upper", "n_valid", "reason"]
    table = found[names].isel({v.SITE: 0}).reset_coords(drop=True).to_dataframe()
    return table[table["n_valid"] > 0].rename_axis(PERIOD)
