"""Stability of products: the trend of their yearly scores at each site."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.pairing import check_confidence
from gsm3core.evaluation.periods import PERIOD

MIN_YEARS = 3
# A year with fewer days than this share of the fullest year has other seasons than the rest.
MIN_SHARE = 0.5


def score_trends(
    yearly: xr.Dataset,
    *,
    metrics: Sequence[str] = ("R",),
    confidence: float = 0.95,
    min_years: int = MIN_YEARS,
    min_share: float = MIN_SHARE,
) -> xr.Dataset:
    """Return the linear trend per year of yearly scores at each site, with standard error and interval.

    Parameters
    ----------
    yearly
        From :func:`gsm3core.evaluation.periods.period_scores` with ``by="year"``.
    metrics
        Names of scores in it.
    confidence
        Level of the interval.
    min_years
        Minimum number of years for a trend, at least 3.
    min_share
        Years with fewer paired days than this share of those of the site's fullest year are left out.

    Returns
    -------
    xarray.Dataset
        Dimensions of the scores without ``period``. For each metric ``..._trend`` in its units per year, ``..._trend_error``
        (standard error), ``..._trend_lower`` and ``..._trend_upper``; ``years`` (number of years used), and ``reason`` where
        there is no trend.

    Raises
    ------
    DatasetError
        If the scores are not yearly or lack a metric, or ``min_years`` is below 3.

    Notes
    -----
    Least squares over the years, with Student's t and n - 2 degrees of freedom: the deviations of the years from the line are
    the error, whatever their cause. Yearly scores are taken as independent. The Global Climate Observing System
    states its requirement as a change of the error per time (GCOS-200: 0.01 m3 m-3 per year; GCOS-245: 0.005 m3 m-3 per
    decade); no procedure is prescribed. A change of the reference looks the same as one of the product
    (on reference records: Gruber et al. 2020, doi:10.1016/j.rse.2020.111806).
    """
    check_confidence(confidence)
    if min_years < MIN_YEARS:
        raise DatasetError(
            f"min_years is {min_years}; the error of a trend needs at least {MIN_YEARS} years."
        )
    if PERIOD not in yearly.dims or not all(str(p).isdigit() for p in yearly[PERIOD].values):
        raise DatasetError("a trend needs yearly scores; expected those of period_scores(..., by='year').")
    if missing := [m for m in metrics if m not in yearly]:
        raise DatasetError(
            f"the yearly scores lack {missing[0]!r}; they have {', '.join(map(str, yearly.data_vars))}."
        )
    dims = tuple(d for d in yearly["n_valid"].dims if d != PERIOD)
    order = (*dims, PERIOD)
    days = yearly["n_valid"].transpose(*order).values
    year = yearly[PERIOD].values.astype(int).astype(float)
    complete = days >= min_share * days.max(axis=-1, keepdims=True, initial=1)
    found = xr.Dataset(coords={n: c for n, c in yearly.coords.items() if PERIOD not in c.dims})
    fewest = np.full(days.shape[:-1], len(year))
    for metric in metrics:
        values = np.where(complete, yearly[metric].transpose(*order).values, np.nan)
        slope, error, lower, upper, count = _slopes(year, values, confidence, min_years)
        fewest = np.minimum(fewest, count)
        units = {"units": f"{yearly[metric].attrs.get('units', '1')} year-1"}
        for end, numbers in (("", slope), ("_error", error), ("_lower", lower), ("_upper", upper)):
            found[f"{metric}_trend{end}"] = dims, numbers, units
    found["years"] = dims, fewest, {"units": "1", "long_name": "years with a score and enough days"}
    few = np.char.add(fewest.astype(str), f" years with a score, fewer than {min_years}")
    found["reason"] = (
        dims,
        np.where(fewest < min_years, few, "").astype(str),
        {"long_name": "why there is no trend"},
    )
    return found.assign_attrs(confidence=confidence, min_years=min_years, min_share=min_share)


def _slopes(
    year: NDArray[np.float64], values: NDArray[np.float64], confidence: float, min_years: int
) -> tuple[NDArray[np.float64], ...]:
    """Return slope, standard error, both ends and number of years over the last axis."""
    from scipy.special import stdtrit

    known = np.isfinite(values)
    count = known.sum(-1)
    enough = count >= min_years
    n = np.maximum(count, 1)
    t = np.where(known, year - (np.where(known, year, 0).sum(-1) / n)[..., None], 0.0)
    y = np.where(known, values - (np.where(known, values, 0).sum(-1) / n)[..., None], 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        square = (t * t).sum(-1)
        slope = (t * y).sum(-1) / square
        rest = ((y - slope[..., None] * t) ** 2).sum(-1)
        error = np.sqrt(rest / np.maximum(count - 2, 1) / square)
    half = stdtrit(np.maximum(count - 2, 1), 0.5 + confidence / 2) * error
    slope, error = np.where(enough, slope, np.nan), np.where(enough, error, np.nan)
    return slope, error, slope - half, slope + half, count


def significant_share(trends: xr.Dataset, metric: str) -> tuple[float, float]:
    """Return the shares of sites with a trend whose interval lies below 0, and above 0.

    Parameters
    ----------
    trends
        From :func:`score_trends`, of one product: dimension ``site``.
    metric
        Name of the score.
    """
    lower, upper = (trends[f"{metric}_trend_{end}"].transpose(v.SITE).values for end in ("lower", "upper"))
    known = np.isfinite(lower)
    if not known.any():
        return float("nan"), float("nan")
    return float((upper[known] < 0).mean()), float((lower[known] > 0).mean())
