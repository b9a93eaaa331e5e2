"""Signal and error variances of triple collocation from the covariances of three products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gsm3core.metrics import PairedMoments

Array = NDArray[np.float64]
Covariances = dict[tuple[int, int], Array]

PAIRS = ((0, 1), (0, 2), (1, 2))


def covariances(moments: dict[tuple[int, int], PairedMoments]) -> Covariances:
    """Return all six (co)variances by product indices, from the moments of :data:`PAIRS`."""
    cov = {ij: m.cov for ij, m in moments.items()}
    return cov | {(0, 0): moments[0, 1].var_x, (1, 1): moments[0, 1].var_y, (2, 2): moments[0, 2].var_y}


def solve(cov: Covariances) -> tuple[Array, Array]:
    """Return signal and error variance ``(3, ...)``; NaN if a pair is not positively correlated."""
    positive = (cov[0, 1] > 0) & (cov[0, 2] > 0) & (cov[1, 2] > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        signal = np.stack(
            [
                cov[0, 1] * cov[0, 2] / cov[1, 2],
                cov[0, 1] * cov[1, 2] / cov[0, 2],
                cov[0, 2] * cov[1, 2] / cov[0, 1],
            ]
        )
    signal = np.where(positive, signal, np.nan)
    return signal, np.stack([cov[k, k] for k in range(3)]) - signal


def scale(cov: Covariances) -> Array:
    """Return the rescaling factors to the dynamic range of the first product, ``(3, ...)``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([np.ones_like(cov[0, 1]), cov[0, 2] / cov[1, 2], cov[0, 1] / cov[1, 2]])


def widened_interval(
    estimate: Array, replicate_percentiles: tuple[Array, Array, Array], factor: Array, floor: float = -np.inf
) -> tuple[Array, Array]:
    """Return interval ends: the distances of the percentiles from the estimate times a factor, at least 0."""
    low, _, high = replicate_percentiles
    with np.errstate(invalid="ignore"):
        # Where both are infinite (no error variance), the end is the estimate itself.
        down = np.where(low < estimate, estimate - low, 0.0)
        up = np.where(high > estimate, high - estimate, 0.0)
        return np.maximum(estimate - factor * down, floor), estimate + factor * up


def correlation(snr: Array) -> Array:
    """Return the correlation with the truth from a signal-to-noise ratio in dB."""
    with np.errstate(over="ignore"):
        return 1 / np.sqrt(1 + 10 ** (-np.asarray(snr) / 10))
