"""Scores of every calendar year and of every local season at each site."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.evaluation.pairing import pair
from gsm3core.evaluation.site_scores import Intervals, site_scores
from gsm3core.evaluation.stratified import LOCAL_SEASONS, season_scores
from gsm3core.evaluation.test_days import season_days
from gsm3core.metrics import METRICS, paired_metrics
from gsm3core.metrics.windowed import WINDOW, windowed_scores

PERIOD = "period"
Calendar = Literal["year", "season"]
_CALENDARS = ("year", "season")
_OF_THE_DAYS = ("values", "ranks")


def period_scores(
    predicted: xr.DataArray,
    observed: xr.DataArray,
    *,
    by: Calendar = "year",
    metrics: Sequence[str] = tuple(METRICS),
    min_days: int = 30,
    confidence: float = 0.95,
    intervals: Intervals = "R",
) -> xr.Dataset:
    """Return the scores of each calendar year, or of each local season over all years, at every site.

    Parameters
    ----------
    predicted, observed
        As for :func:`gsm3core.site_scores`; for seasons with the coordinate ``lat``, without which all sites are northern.
    by
        ``year`` (1 January to 31 December) or ``season`` (July is winter south of the equator).
    metrics, min_days, confidence, intervals
        As for :func:`gsm3core.site_scores`, within each period. Metrics of anomalies have no interval; their anomalies are
        from the whole record.

    Returns
    -------
    xarray.Dataset
        As :func:`gsm3core.site_scores` with the dimension ``period`` in front: years as text, oldest first, or ``winter``,
        ``spring``, ``summer``, ``autumn``. Every period with a day of the record is there, with a reason where it has no
        score.

    Raises
    ------
    DatasetError
        If ``by`` or a metric is unknown, or the series do not match.
    """
    if by not in _CALENDARS:
        raise DatasetError(f"unknown period by={by!r}. {did_you_mean(by, _CALENDARS)}")
    wanted = paired_metrics(metrics)
    both = pair(predicted, observed)
    of_days = [m.name for m in wanted if m.computed_on in _OF_THE_DAYS]
    parts = {}
    for name, days in _periods(both.observed, both.predicted, by):
        within = both.predicted.where(xr.DataArray(days, dims=(v.SITE, v.TIME)))
        parts[name] = site_scores(
            within.assign_attrs(both.predicted.attrs), both.observed, metrics=of_days or ["R"], min_days=min_days,
            confidence=confidence, intervals=intervals,
        )  # fmt: skip
    found = xr.concat(
        list(parts.values()), dim=pd.Index(list(parts), name=PERIOD), combine_attrs="drop_conflicts"
    )
    if not of_days:
        found = found.drop_vars([n for n in ("R", "R_lower", "R_upper") if n in found])
    if others := [m.name for m in wanted if m.computed_on not in _OF_THE_DAYS]:
        more = _anomaly_scores(both.predicted, both.observed, by, others, min_days)
        found = found.assign({m: more[m].sel({PERIOD: found[PERIOD]}) for m in others})
    return found


def _periods(
    observed: xr.DataArray, predicted: xr.DataArray, by: Calendar
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield the name of each period and its days, ``(site, time)``."""
    time = observed[v.TIME].values
    shape = (observed.sizes[v.SITE], len(time))
    if by == "year":
        years = pd.DatetimeIndex(time).year.to_numpy()
        for year in np.unique(years):
            yield str(year), np.broadcast_to(years == year, shape)
        return
    lat = next((a[v.LAT].values for a in (observed, predicted) if v.LAT in a.coords), np.zeros(shape[0]))
    for season in LOCAL_SEASONS:
        yield season, season_days(time, lat, season)


def _anomaly_scores(
    predicted: xr.DataArray, observed: xr.DataArray, by: Calendar, metrics: list[str], min_days: int
) -> xr.Dataset:
    if by == "season":
        return season_scores(predicted, observed, metrics=metrics, min_days=min_days).rename(season=PERIOD)
    found = windowed_scores(predicted, observed, by="year", metrics=metrics, min_days=min_days)
    found = found.rename({WINDOW: PERIOD}).assign_coords({PERIOD: found[WINDOW].values.astype(str)})
    return found.transpose(PERIOD, ...)
