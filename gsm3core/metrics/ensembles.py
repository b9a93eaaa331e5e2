"""Scores of ensemble predictions: CRPS, rank of the observation and intervals. Missing members are ignored."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from gsm3core.errors import DatasetError
from gsm3core.metrics.probabilistic import AnyArray, Floats, check_level

MEMBER = "member"


def crps_ensemble(members: AnyArray, observed: AnyArray, *, fair: bool = False) -> AnyArray:
    """Return the continuous ranked probability score of an ensemble.

    Parameters
    ----------
    members
        With dimension ``member`` (a numpy array: the last axis), m3 m-3. Missing members are ignored.
    observed
        The same without members.
    fair
        Score the distribution that the members are drawn from instead of the members themselves, which
        penalises small ensembles. NaN with fewer than two members.

    Notes
    -----
    ``mean |x - y| - sum_ij |x_i - x_j| / (2 m^2)``, fair with ``m (m - 1)`` (Ferro 2014, doi:10.1002/qj.2270).
    """

    def score(x: Floats, y: Floats) -> Floats:
        present = np.isfinite(x)
        m = present.sum(-1)
        ordered = np.sort(np.where(present, x, np.inf), axis=-1)
        # sum_ij |x_i - x_j| = 2 sum_k (2 k - m - 1) x_(k), from the ordered members in one pass.
        rank = np.arange(1, x.shape[-1] + 1)
        factor = np.where(rank <= m[..., None], 2 * rank - m[..., None] - 1, 0)
        between = 2 * (factor * np.where(np.isfinite(ordered), ordered, 0.0)).sum(-1)
        error = np.where(present, np.abs(x - y[..., None]), 0.0).sum(-1)
        pairs = m * (m - 1) if fair else m * m
        with np.errstate(invalid="ignore", divide="ignore"):
            return error / m - between / (2 * pairs)

    return _apply_over_members(score, members, observed)


def pit_ensemble(members: AnyArray, observed: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Return the lower and the upper end of each observation's bin of the rank histogram, scaled to 0 to 1.

    Parameters
    ----------
    members, observed
        As for :func:`crps_ensemble`.

    Notes
    -----
    ``members below / (m + 1)`` and ``(members below or equal + 1) / (m + 1)``: the observation has each rank of a tie
    with the same probability. :func:`gsm3core.metrics.pit_share` spreads it evenly, so that a histogram of any number of
    bins is flat for a calibrated ensemble (Czado, Gneiting and Held 2009, doi:10.1111/j.1541-0420.2009.01191.x).
    """

    def end(upper: int) -> Any:
        def transform(x: Floats, y: Floats) -> Floats:
            m = np.isfinite(x).sum(-1)
            ranks = (x < y[..., None]).sum(-1) + upper * ((x == y[..., None]).sum(-1) + 1)
            return np.where((m > 0) & np.isfinite(y), ranks / (m + 1), np.nan)

        return _apply_over_members(transform, members, observed)

    return end(0), end(1)


def ensemble_interval(members: AnyArray, level: float) -> tuple[AnyArray, AnyArray]:
    """Return the central interval of the distribution that an ensemble is drawn from; NaN if it has too few members.

    Parameters
    ----------
    members
        As for :func:`crps_ensemble`.
    level
        Probability inside.

    Notes
    -----
    Weibull's quantiles: (j - i) / (m + 1) of the distribution lies, on average, between the ordered members i and j.
    They are exact at whole ranks and slightly wide between them (5 normal members, level 0.5: 0.53). An ensemble of
    m members cannot resolve an interval wider than (m - 1) / (m + 1), two thirds for five: NaN is returned.
    """
    check_level(level)

    def quantile(p: float) -> Any:
        def interpolate(x: Floats) -> Floats:
            m = np.isfinite(x).sum(-1)
            ordered = np.sort(np.where(np.isfinite(x), x, np.inf), axis=-1)
            rank = p * (m + 1)
            resolved = (rank >= 1 - 1e-9) & (rank <= m + 1e-9)
            lower = np.clip(np.floor(rank + 1e-9).astype(int), 1, np.maximum(m, 1))
            upper = np.minimum(lower + 1, np.maximum(m, 1))
            a, b = (np.take_along_axis(ordered, k[..., None] - 1, axis=-1)[..., 0] for k in (lower, upper))
            with np.errstate(invalid="ignore"):
                return np.where(resolved, a + np.clip(rank - lower, 0, 1) * (b - a), np.nan)

        return _apply_over_members(interpolate, members)

    return quantile((1 - level) / 2), quantile((1 + level) / 2)


def crps_empirical(record: Floats, observed: Floats) -> Floats:
    """Return the CRPS of a record's empirical distribution (a climatology) for every observation.

    Parameters
    ----------
    record
        ``(days,)`` m3 m-3, the training record; NaN is ignored.
    observed
        Any shape, m3 m-3.

    Notes
    -----
    :func:`crps_ensemble` with the record as members, from ordered sums: n log n instead of n times the observations.
    """
    known = np.sort(np.asarray(record, float)[np.isfinite(record)])
    observed = np.asarray(observed, float)
    n = len(known)
    if not n:
        return np.full(observed.shape, np.nan)
    sums = np.concatenate([[0.0], np.cumsum(known)])
    below = np.searchsorted(known, observed)
    error = observed * (2 * below - n) - 2 * sums[below] + sums[-1]
    between = 2 * float(((2 * np.arange(1, n + 1) - n - 1) * known).sum())
    score: Floats = np.where(np.isfinite(observed), error / n - between / (2 * n * n), np.nan)
    return score


def _apply_over_members(function: Any, members: Any, *others: Any) -> Any:
    if isinstance(members, xr.DataArray):
        if MEMBER not in members.dims:
            raise DatasetError(f"the ensemble has dimensions {members.dims}; expected 'member' among them.")
    elif np.ndim(members) == 0:
        raise DatasetError("the ensemble is a single number; expected its members along the last axis.")
    return xr.apply_ufunc(
        lambda *values: function(*(np.asarray(a, float) for a in values)),
        members,
        *others,
        input_core_dims=[[MEMBER], *([] for _ in others)],
        dask="parallelized",
        output_dtypes=[np.float64],
        keep_attrs=False,
    )
