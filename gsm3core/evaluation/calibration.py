"""Calibration of predictive distributions by site: coverage, sharpness, PIT and CRPS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.pairing import check_confidence, pair
from gsm3core.metrics import (
    censored_normal,
    crps_empirical,
    crps_ensemble,
    crps_gaussian,
    ensemble_interval,
    gaussian_interval,
    pit_ensemble,
    pit_gaussian,
    pit_share,
)
from gsm3core.metrics.ensembles import MEMBER
from gsm3core.statistics.cluster_bootstrap import REPLICATES, median_interval

LEVEL = "level"
PIT_BIN = "pit_bin"
LEVELS = (0.5, 0.8, 0.9, 0.95)
PIT_BINS = 10
_PHYSICAL = {"low": 0.0, "high": 1.0}
# Steps to which in-situ records are rounded, m3 m-3, the coarsest first.
_STEPS = (0.01, 0.005, 0.001)

# Lowest and highest possible value of the scores that can exceed 1 or fall below 0 by widening an interval.
_LIMITS = dict.fromkeys(("coverage", "probability", "pit"), (0.0, 1.0)) | {"CRPSS": (-np.inf, 1.0)}

Interval = Callable[[float], tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]


def calibration(
    mean: xr.DataArray,
    std: xr.DataArray,
    observed: xr.DataArray,
    climatology: xr.DataArray | None = None,
    *,
    censored: bool = True,
    levels: Sequence[float] = LEVELS,
    min_days: int = 30,
    confidence: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> xr.Dataset:
    """Return the calibration of normal predictive distributions against observations.

    Parameters
    ----------
    mean, std
        ``(site, time)`` m3 m-3, moments of the predictive distribution, after censoring if ``censored``, as a run stores them.
    observed
        ``(site, time)`` m3 m-3; matched by label, NaN is ignored.
    climatology
        Reference forecast: the empirical distribution of a training record, never of the observations that are scored.
        ``(site, time)`` for one distribution per site, or any single other dimension for one shared by all sites
        (held-out sites have no training record).
    censored
        Whether the distributions are normal distributions censored to 0 to 1, the range of soil moisture.
    levels
        Of the central intervals.
    min_days
        Minimum number of days for a score.
    confidence, replicates, seed
        Of the intervals of the medians over sites; networks are resampled, as in :func:`gsm3core.compare_products`.

    Returns
    -------
    xarray.Dataset
        Per ``site``: ``CRPS`` (m3 m-3); ``coverage``, ``probability`` and ``width`` ``(level, site)`` (share of days inside
        the central interval, the mean probability that the prediction gives to it, and its mean width; coverage equals
        probability if calibrated, and probability exceeds the level where an interval ends on a bound with a point mass);
        ``pit`` ``(pit_bin, site)`` (share of days by tenths of the predictive distribution: 0.1 each if calibrated, U-shaped
        if underdispersive), ``resolution`` (step to which the observations are rounded, 0 if none), ``n_valid``, ``reason``;
        with a climatology ``CRPS_climatology`` and ``CRPSS`` = 1 - CRPS / CRPS of climatology, both means over the same
        days. Each but ``resolution``, ``n_valid`` and ``reason`` also as ``..._median`` over sites with ``..._lower`` and
        ``..._upper``.

    Raises
    ------
    DatasetError
        If dimensions or units are wrong, a std is negative, or there is no common site or day.

    Notes
    -----
    Assess coverage together with width: sharpness subject to calibration (Gneiting, Balabdaoui and Raftery 2007,
    doi:10.1111/j.1467-9868.2007.00587.x). The PIT is the non-randomised one of Czado, Gneiting and Held (2009,
    doi:10.1111/j.1541-0420.2009.01191.x): a day at a bound is spread over the probability of that bound, a rounded
    observation over that of its step.
    """
    mean, std = xr.align(mean, std, join="inner")
    both = pair(mean, observed)
    std = std.sel({v.SITE: both.observed[v.SITE], v.TIME: both.observed[v.TIME]}).transpose(v.SITE, v.TIME)
    m, s, y = both.x.astype(float), std.values.astype(float), both.y.astype(float)
    bounds = _PHYSICAL if censored else {}
    if censored:
        m, s = censored_normal(m, s, **bounds)
    resolution = rounding_step(y)

    def interval(level: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        a, b = gaussian_interval(m, s, level, **bounds)
        return a, b, pit_gaussian(m, s, b, **bounds)[1] - pit_gaussian(m, s, a, **bounds)[0]

    return _score_distributions(
        both.observed,
        climatology,
        crps_gaussian(m, s, y, **bounds),
        pit_gaussian(m, s, y, resolution=resolution[:, None], **bounds),
        interval,
        resolution,
        levels=levels, min_days=min_days, confidence=confidence, replicates=replicates, seed=seed,
    )  # fmt: skip


def ensemble_calibration(
    members: xr.DataArray,
    observed: xr.DataArray,
    climatology: xr.DataArray | None = None,
    *,
    levels: Sequence[float] = LEVELS,
    min_days: int = 30,
    confidence: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> xr.Dataset:
    """Return the calibration of an ensemble against observations.

    Parameters
    ----------
    members
        ``(member, site, time)`` m3 m-3.
    observed, climatology, levels, min_days, confidence, replicates, seed
        As for :func:`calibration`.

    Returns
    -------
    xarray.Dataset
        As :func:`calibration`. ``CRPS`` is that of the members. Coverage and probability are NaN for levels that need more
        members (:func:`gsm3core.metrics.ensemble_interval`).

    Raises
    ------
    DatasetError
        If dimensions or units are wrong, or there is no common site or day.
    """
    if MEMBER not in members.dims:
        raise DatasetError(f"members has dimensions {members.dims}; expected (member, site, time).")
    both = pair(members.isel({MEMBER: 0}, drop=True).assign_attrs(members.attrs), observed)
    at = {v.SITE: both.observed[v.SITE], v.TIME: both.observed[v.TIME]}
    x = members.sel(at).transpose(v.SITE, v.TIME, MEMBER).values.astype(float)
    y = both.y.astype(float)
    return _score_distributions(
        both.observed,
        climatology,
        crps_ensemble(x, y),
        pit_ensemble(x, y),
        lambda level: _ensemble_interval(x, level),
        rounding_step(y),
        levels=levels, min_days=min_days, confidence=confidence, replicates=replicates, seed=seed,
    )  # fmt: skip


def rounding_step(observed: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the step to which each site's observations are rounded: 0.01, 0.005 or 0.001 m3 m-3, or 0 if they are not.

    Parameters
    ----------
    observed
        ``(site, time)`` m3 m-3; NaN is ignored. A record is rounded if all its values, at least two different ones, are
        multiples of a step. Daily means of rounded hourly values are not.
    """
    step = np.zeros(len(observed))
    lowest, highest = np.fmin.reduce(observed, axis=1), np.fmax.reduce(observed, axis=1)
    for size in _STEPS:
        with np.errstate(invalid="ignore"):
            multiple = ~(np.abs(observed / size - np.rint(observed / size)) > 1e-3).any(axis=1)
        step = np.where((step == 0) & multiple & (highest > lowest), size, step)
    return step


def _ensemble_interval(
    members: NDArray[np.float64], level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the central interval of an ensemble and its probability: the level, more where an end is a tie of members."""
    a, b = ensemble_interval(members, level)
    outside = (1 - level) / 2
    # A tie that reaches further inside than the rank of the end puts the ranks outside into the interval as well.
    rank = np.floor(outside * (np.isfinite(members).sum(-1) + 1) + 1e-9)
    probability = np.where(np.isfinite(a + b), level, np.nan)
    for tied, missed in (
        ((members <= a[..., None]).sum(-1) > rank, pit_ensemble(members, a)[0]),
        ((members >= b[..., None]).sum(-1) > rank, 1 - pit_ensemble(members, b)[1]),
    ):
        probability = np.where(tied, probability + np.maximum(outside - missed, 0.0), probability)
    return a, b, probability


def _score_distributions(
    observed: xr.DataArray,
    climatology: xr.DataArray | None,
    crps: NDArray[np.float64],
    pit: tuple[NDArray[np.float64], NDArray[np.float64]],
    interval: Interval,
    resolution: NDArray[np.float64],
    *,
    levels: Sequence[float],
    min_days: int,
    confidence: float,
    replicates: int,
    seed: int,
) -> xr.Dataset:
    """Return per-site scores from CRPS, PIT and intervals, and their medians over sites."""
    check_confidence(confidence)
    if min_days < 1:
        raise DatasetError(f"min_days is {min_days}; a score needs at least 1 day.")
    y = observed.values.astype(float)
    valid = np.isfinite(crps) & np.isfinite(y)
    number = valid.sum(1)
    enough = number >= min_days

    def site_mean(values: NDArray[np.floating]) -> NDArray[np.float64]:
        known = valid & np.isfinite(values)
        count = known.sum(1)
        total = np.where(known, values, 0.0).sum(1) / np.maximum(count, 1)
        return np.where(enough & (count == number), total, np.nan)

    scores = xr.Dataset(coords={v.SITE: observed[v.SITE], LEVEL: list(levels)})
    scores["CRPS"] = v.SITE, site_mean(crps), {"units": v.SM_UNITS, "long_name": "CRPS"}
    ends = [interval(level) for level in levels]
    inside = [np.where(np.isfinite(a + b), (y >= a) & (y <= b), np.nan) for a, b, _ in ends]
    by_level = (LEVEL, v.SITE)
    scores["coverage"] = by_level, np.stack([site_mean(i) for i in inside]), {"units": "1"}
    scores["probability"] = by_level, np.stack([site_mean(p) for _, _, p in ends]), {"units": "1"}
    scores["width"] = by_level, np.stack([site_mean(b - a) for a, b, _ in ends]), {"units": v.SM_UNITS}
    edges = np.linspace(0, 1, PIT_BINS + 1)
    shares = np.stack([site_mean(pit_share(*pit, *edges[k : k + 2])) for k in range(PIT_BINS)])
    scores["pit"] = (PIT_BIN, v.SITE), shares, {"units": "1", "long_name": "share of days by tenth"}
    scores = scores.assign_coords({PIT_BIN: (edges[:-1] + edges[1:]) / 2})
    if climatology is not None:
        reference = site_mean(_climatology_crps(climatology, observed))
        scores["CRPS_climatology"] = v.SITE, reference, {"units": v.SM_UNITS}
        with np.errstate(invalid="ignore", divide="ignore"):
            skill = np.where(reference > 0, 1 - scores["CRPS"].values / reference, np.nan)
        scores["CRPSS"] = v.SITE, skill, {"units": "1", "long_name": "skill over the climatology"}

    networks = observed[v.NETWORK].values if v.NETWORK in observed.coords else np.full(len(y), "")
    bootstrap: dict[str, Any] = {"confidence": confidence, "replicates": replicates, "seed": seed}
    for name in list(scores.data_vars):
        rows = scores[name].values.reshape(-1, len(y))
        found = np.array([median_interval(row, networks, **bootstrap)[:3] for row in rows])
        found = np.clip(found, *_LIMITS.get(str(name), (0.0, np.inf)))
        dims = scores[name].dims[:-1]
        for column, end in enumerate(("median", "lower", "upper")):
            shape = scores[name].shape[:-1]
            scores[f"{name}_{end}"] = dims, found[:, column].reshape(shape), scores[name].attrs
    too_few = np.char.add(number.astype(str), f" paired days, fewer than {min_days}")
    scores["resolution"] = (
        v.SITE,
        resolution,
        {"units": v.SM_UNITS, "long_name": "step of rounded observations"},
    )
    scores["n_valid"] = (
        v.SITE,
        number,
        {"units": "1", "long_name": "days with a distribution and an observation"},
    )
    scores["reason"] = (
        v.SITE,
        np.where(enough, "", too_few).astype(str),
        {"long_name": "why there is no score"},
    )
    return scores.assign_attrs(min_days=min_days, confidence=confidence, replicates=replicates, seed=seed)


def _climatology_crps(climatology: xr.DataArray, observed: xr.DataArray) -> NDArray[np.float64]:
    y = observed.values.astype(float)
    if v.SITE not in climatology.dims:
        return crps_empirical(climatology.values.ravel(), y)
    if climatology.ndim != 2:
        raise DatasetError(
            f"climatology has dimensions {climatology.dims}; expected (site, time), or one dimension for all sites."
        )
    own = climatology.reindex({v.SITE: observed[v.SITE]}).transpose(v.SITE, ...).values
    return np.stack([crps_empirical(record, row) for record, row in zip(own, y, strict=True)])
