"""Stability of a run: the trend of its yearly scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.evaluation.periods import period_scores
from gsm3core.evaluation.stability import MIN_SHARE, score_trends, significant_share
from gsm3core.report.inputs import Experiment
from gsm3core.report.tables import Cell, Table, interval, number
from gsm3core.statistics.cluster_bootstrap import median_interval

_METRICS = ("R", "bias", "ubRMSE")


def trend_table(predicted: xr.DataArray, observed: xr.DataArray, experiment: Experiment) -> Table | None:
    """Return the medians over sites of the trends of yearly scores; ``None`` if no site has three years of scores.

    Parameters
    ----------
    predicted, observed
        ``(site, time)``, the run on its test days and its reference.
    """
    yearly = period_scores(
        predicted,
        observed,
        metrics=_METRICS,
        min_days=experiment.run.config.scores.min_days,
        intervals="none",
    )
    trends = score_trends(yearly, metrics=_METRICS, confidence=experiment.confidence)
    known = np.isfinite(trends["R_trend"].values)
    if not known.any():
        return None
    networks = trends[v.NETWORK].values if v.NETWORK in trends.coords else np.full(len(known), "")
    rows: list[list[Cell]] = []
    frames = []
    for metric in _METRICS:
        slopes = trends[f"{metric}_trend"].values
        median, lower, upper = median_interval(slopes, networks, confidence=experiment.confidence)[:3]
        error = float(np.nanmedian(trends[f"{metric}_trend_error"].values))
        falling, rising = significant_share(trends, metric)
        rows.append(
            [(metric,), (number(median, 4, sign=True), interval(lower, upper, 4)), (number(error, 4),),
             (number(falling, 2),), (number(rising, 2),)]
        )  # fmt: skip
        frames.append(
            {"metric": metric, "median": median, "lower": lower, "upper": upper, "standard_error": error,
             "falling": falling, "rising": rising, "sites": int(known.sum())}
        )  # fmt: skip
    years = trends["years"].values[known]
    return Table(
        name="trends",
        caption="Stability: linear trend of yearly scores per year, medians over sites",
        head=(
            "",
            "trend per year",
            "standard error at a site",
            "share of sites falling",
            "share of sites rising",
        ),
        rows=rows,
        frame=pd.DataFrame(frames),
        notes=(
            f"{known.sum()} of {len(known)} sites have three years or more with a score (median {np.median(years):.0f} years). "
            f"Years with fewer than {MIN_SHARE:.0%} of the days of a site's fullest year are left out. Falling and rising: "
            f"the {experiment.confidence:.0%} interval of the site's trend excludes 0. A trend may be one of the reference.",
        ),
    )
