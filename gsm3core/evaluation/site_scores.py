"""Scores of one or several products at every site, with an interval, and a reason where there is none."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.metrics import METRICS, effective_sample_size, is_constant, paired_moments

NO_OBSERVED = "no in-situ record"
NO_PREDICTED = "no values of the product"
CONSTANT_OBSERVED = "in-situ record is constant"
CONSTANT_PREDICTED = "product is constant"


def site_scores(
    predicted: xr.DataArray,
    observed: xr.DataArray,
    *,
    min_days: int = 30,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Score predictions against observations at every site, over the days that both have.

    Parameters
    ----------
    predicted
        ``(site, time)`` or ``(product, site, time)``, m3 m-3; NaN is missing.
    observed
        ``(site, time)``, m3 m-3. Sites and days are matched by label; what only one has is left out.
    min_days
        Fewest paired days for a score.
    confidence
        Of the interval of R.

    Returns
    -------
    xarray.Dataset
        Dimensions of ``predicted`` without time. ``R``, ``bias`` (product minus observed), ``RMSE``, ``ubRMSE``;
        ``n_valid`` and ``n_effective`` (paired days, and how many independent ones they are worth);
        ``R_lower``, ``R_upper``; ``reason``, empty where there is a score. A constant series has no R, but keeps
        its bias and errors.

    Raises
    ------
    DatasetError
        If units are not m3 m-3, dimensions are wrong, or no site or day is common to both.

    Notes
    -----
    The interval of R is Fisher's z with the effective sample size of
    :func:`gsm3core.metrics.effective_sample_size` in place of the number of days.
    """
    _check(predicted, observed, min_days, confidence)
    predicted, observed = xr.align(predicted, observed, join="inner", exclude={v.PRODUCT})
    if not observed.size:
        raise DatasetError(
            "predicted and observed have no site or no day in common: site ids and days must be written the same in both."
        )
    dims = [d for d in (v.PRODUCT, v.SITE) if d in predicted.dims]
    x = predicted.transpose(*dims, v.TIME).values
    y = observed.transpose(v.SITE, v.TIME).values

    moments = paired_moments(x, y)
    enough = moments.n >= min_days
    reason = _reasons(x, y, moments.n, min_days)
    constant_x, constant_y = is_constant(moments)
    reason = np.where((reason == "") & constant_y, CONSTANT_OBSERVED, reason)
    reason = np.where((reason == "") & constant_x, CONSTANT_PREDICTED, reason)

    coords = {n: c for n, c in predicted.coords.items() if v.TIME not in c.dims}
    scores = xr.Dataset(coords=coords, attrs={"min_days": min_days, "confidence": confidence})
    for metric in METRICS.values():
        scores[metric.name] = (dims, np.where(enough, metric.from_moments(moments), np.nan))
        scores[metric.name].attrs = {"units": metric.units, "long_name": metric.meaning}
    n_effective = np.where(enough, effective_sample_size(x, y), np.nan)
    lower, upper = fisher_interval(scores["R"].values, n_effective, confidence)
    for name, values, meaning in (
        ("R_lower", lower, f"lower end of the {confidence:.0%} interval of R"),
        ("R_upper", upper, f"upper end of the {confidence:.0%} interval of R"),
        ("n_valid", moments.n, "days valid in both series"),
        ("n_effective", n_effective, "independent days that the valid ones are worth"),
    ):
        scores[name] = (dims, values, {"units": "1", "long_name": meaning})
    scores["reason"] = (
        dims,
        reason.astype(str),
        {"long_name": "why there is no score, or no R; empty where there is"},
    )
    return scores


def fisher_interval(
    r: np.ndarray, n_effective: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the confidence interval of a correlation by Fisher's z transformation.

    Parameters
    ----------
    r, n_effective
        The same shape. At three effective days or fewer nothing is known: the interval is -1 to 1.
    confidence
        For instance 0.95.

    Notes
    -----
    Fisher (1921), Metron 1, 3-32: atanh(R) is nearly normal with standard deviation 1 / sqrt(n - 3).
    """
    z_width = NormalDist().inv_cdf(0.5 + confidence / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.arctanh(r)
        half = np.where(n_effective > 3, z_width / np.sqrt(np.maximum(n_effective - 3, 1e-12)), np.inf)
        # A perfect R has an infinite z; its interval is the point itself.
        lower = np.where(np.isinf(z) & np.isfinite(half), r, np.tanh(z - half))
        upper = np.where(np.isinf(z) & np.isfinite(half), r, np.tanh(z + half))
    unknown = np.isfinite(r) & np.isinf(half)
    return np.where(unknown, -1.0, lower), np.where(unknown, 1.0, upper)


def _check(predicted: xr.DataArray, observed: xr.DataArray, min_days: int, confidence: float) -> None:
    for name, array, allowed in (
        ("predicted", predicted, ({v.SITE, v.TIME}, {v.PRODUCT, v.SITE, v.TIME})),
        ("observed", observed, ({v.SITE, v.TIME},)),
    ):
        if set(array.dims) not in allowed:
            raise DatasetError(
                f"{name} has dimensions {array.dims}; expected {' or '.join(str(tuple(sorted(a))) for a in allowed)}."
            )
        units = array.attrs.get("units", v.SM_UNITS)
        if units != v.SM_UNITS:
            raise DatasetError(f"{name} has units {units!r}; expected {v.SM_UNITS!r}. Convert it first.")
    if min_days < 2:
        raise DatasetError(f"min_days is {min_days}; a correlation needs at least 2 days.")
    if not 0 < confidence < 1:
        raise DatasetError(
            f"confidence is {confidence}; expected a number between 0 and 1, for instance 0.95."
        )


def _reasons(x: np.ndarray, y: np.ndarray, n: np.ndarray, min_days: int) -> np.ndarray:
    no_y = np.broadcast_to(~np.isfinite(y).any(-1), n.shape)
    no_x = ~np.isfinite(x).any(-1)
    few = np.char.add(np.char.add(n.astype(str), f" paired days, fewer than {min_days}"), "")
    return np.where(n >= min_days, "", np.where(no_y, NO_OBSERVED, np.where(no_x, NO_PREDICTED, few)))
