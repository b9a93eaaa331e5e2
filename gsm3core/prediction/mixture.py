"""Soil-moisture estimates and the mixture of several networks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Predicted soil moisture of some sites, by one network or several.

    Parameters
    ----------
    mean_ST
        m3 m-3, within 0 to 1; NaN on days outside a site's record.
    std_ST
        m3 m-3; ``None`` for the point prediction of one network.
    clipped
        Number of values that were outside 0 to 1 before clipping.
    models
        Number of networks.
    """

    mean_ST: Floats
    std_ST: Floats | None
    clipped: int
    models: int = 1


def mixture(estimates: Iterable[Estimate]) -> Estimate:
    """Return mean and standard deviation of the equally weighted mixture of several estimates.

    Notes
    -----
    The variance of a mixture is the mean of the variances plus the variance of the means (Lakshminarayanan et al. 2017,
    arXiv:1612.01474, section 2.4). Point predictions have only the second part, which underestimates the error.
    """
    count = clipped = models = 0
    # Welford's algorithm: numerically stable, and it keeps one estimate at a time in memory.
    mean = between = within = np.zeros((), np.float64)
    has_std = False
    for one in estimates:
        count += 1
        clipped += one.clipped
        models += one.models
        delta = one.mean_ST - mean
        mean = mean + delta / count
        between = between + delta * (one.mean_ST - mean)
        if one.std_ST is not None:
            has_std = True
            within = within + np.square(one.std_ST, dtype=np.float64)
    std = np.sqrt((between + within) / count).astype(np.float32) if has_std or count > 1 else None
    return Estimate(mean.astype(np.float32), std, clipped, models)
