"""Scaling of a product to a reference at each site: by mean and standard deviation, or by CDF matching."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gsm3core.metrics.moments import Array, PairedMoments, as_rows, is_constant, paired_moments

Scaling = Literal["none", "mean_std", "cdf"]

DAYS_PER_BIN = 20
MAX_BINS = 100


def rescaled(
    predicted: NDArray[np.floating], observed: NDArray[np.floating], scaling: Scaling
) -> NDArray[np.floating]:
    """Return predictions scaled to observations, with the parameters of their paired days.

    Parameters
    ----------
    predicted, observed
        As for :func:`gsm3core.metrics.paired_moments`.
    scaling
        ``none``; ``mean_std``: to the mean and standard deviation of the observations; ``cdf``: to their cumulative
        distribution, linear between the values of as many equidistant percentiles as have 20 paired days between them
        (at most 100 bins). With fewer than 40 paired days ``cdf`` is ``mean_std``. Of a constant product only the mean is
        adjusted. Nothing is scaled to constant observations: the product would equal them whatever its values.

    Returns
    -------
    numpy.ndarray
        Shape and missing days of ``predicted``, NaN where the observations are constant; days without an observation are
        scaled with the same parameters.

    Notes
    -----
    Percentiles are those of ``pytesmo.scaling.cdf_match`` without its linear edges (Drusch et al. 2005,
    doi:10.1029/2005GL023623; Moesinger et al. 2020, doi:10.5194/essd-12-177-2020).
    """
    if scaling == "none":
        return np.asarray(predicted)
    x = np.asarray(predicted, np.float64)
    m = paired_moments(x, observed)
    if scaling == "cdf":
        return np.where(is_constant(m)[1][..., None], np.nan, _cdf_matched(x, observed))
    slope = _slope(m)
    return np.asarray((x - m.mean_x[..., None]) * slope[..., None] + m.mean_y[..., None])


def scaled_moments(
    predicted: NDArray[np.floating], observed: NDArray[np.floating], scaling: Scaling
) -> PairedMoments:
    """Return the moments of the paired days after :func:`rescaled`."""
    if scaling == "cdf":
        return paired_moments(rescaled(predicted, observed, scaling), observed)
    m = paired_moments(predicted, observed)
    return m if scaling == "none" else matched_moments(m)


def matched_moments(m: PairedMoments) -> PairedMoments:
    """Return moments after scaling x to the mean and standard deviation of y; without days where y is constant."""
    slope = _slope(m)
    constant_x, constant_y = is_constant(m)
    var_x = np.where(constant_x, m.var_x, m.var_y)
    return PairedMoments(np.where(constant_y, 0, m.n), m.mean_y, m.mean_y, var_x, m.var_y, m.cov * slope)


def cdf_matched_replicates(
    predicted: NDArray[np.floating],
    observed: NDArray[np.floating],
    edges: NDArray[np.integer],
    counts: Array,
) -> PairedMoments:
    """Return the moments of bootstrap replicates, each matched to the distribution of its own resampled days.

    Parameters
    ----------
    predicted, observed
        ``(row, time)`` each.
    edges, counts
        Edges of the blocks, and the number of draws ``(replicate, block)``.

    Returns
    -------
    PairedMoments
        ``(row, replicate)``.
    """
    from gsm3core.metrics import rescaling_kernel

    x, y = (np.ascontiguousarray(a, np.float64) for a in (predicted, observed))
    out = np.empty((len(x), len(counts), 6))
    rescaling_kernel.cdf_replicates(
        x, y, np.asarray(edges, np.int64), np.ascontiguousarray(counts, np.float64), DAYS_PER_BIN, MAX_BINS, out,
        0, len(x),
    )  # fmt: skip
    return PairedMoments.from_array(out)


def _cdf_matched(x: Array, observed: NDArray[np.floating]) -> Array:
    from gsm3core.metrics import rescaling_kernel
    from gsm3core.metrics.kernel import over_rows

    rows, y, _ = as_rows(x, observed)
    shape = np.broadcast_shapes(x.shape, np.shape(observed))
    out = np.empty(rows.shape)
    if len(rows):
        y = np.asarray(y, np.float64)
        # Sorting dominates: about as much work as ten passes over the values.
        over_rows(
            rescaling_kernel.cdf_matched, len(rows), 10 * rows.size, rows, y, DAYS_PER_BIN, MAX_BINS, out
        )
    return out.reshape(shape)


def _slope(m: PairedMoments) -> Array:
    """Return the ratio of the standard deviations; 1 for a constant product, of which only the mean is adjusted."""
    constant_x, constant_y = is_constant(m)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.sqrt(m.var_y / m.var_x)
    return np.where(constant_y, np.nan, np.where(constant_x, np.where(m.n > 0, 1.0, np.nan), slope))
