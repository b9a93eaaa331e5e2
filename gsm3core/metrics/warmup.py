"""Compilation of the metric kernels ahead of their first use; a server calls it once at its start, in a thread."""

from __future__ import annotations

import numpy as np

from gsm3core.metrics.autocorrelation import effective_sample_size, fit_autocorrelation
from gsm3core.metrics.moments import anomaly_moments, paired_moments, rank_moments


def warm_up() -> None:
    """Run every kernel once on a few days, in single and double precision.

    Notes
    -----
    numba caches the compiled kernels on disk, and the next process loads them.
    """
    from gsm3core.metrics.kernel import resampled_differences

    days = np.random.default_rng(0).random((2, 1, 8))
    for kind in (np.float32, np.float64):
        for other in (np.float32, np.float64):
            x, y = days[0].astype(kind), days[1].astype(other)
            for function in (paired_moments, effective_sample_size, fit_autocorrelation):
                function(x, y)
            rank_moments(x, y)
            anomaly_moments(x, y)
    sums, counts = np.ones((1, 1, 3), np.float32), np.ones((1, 2), np.float32)
    resampled_differences(sums, counts, np.zeros(1), np.empty((3, 1, 2), np.float32), 0, 1)
