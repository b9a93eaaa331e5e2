"""What networks say of some sites, and what several of them say together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Soil moisture of some sites, as one network or several say.

    Parameters
    ----------
    mean_ST
        m3 m-3, within 0 to 1; NaN on days outside a site's record.
    std_ST
        m3 m-3, or ``None`` where there is only a value.
    clipped
        How many values were beyond the physical range before.
    models
        How many networks.
    """

    mean_ST: Floats
    std_ST: Floats | None
    clipped: int
    models: int = 1


def mixture(estimates: Iterable[Estimate]) -> Estimate:
    """Return mean and standard deviation of the equal mixture of several networks (or folds of as many), one at a time.

    Notes
    -----
    The variance of a mixture is the mean of the variances plus the variance of the means (Lakshminarayanan et al. 2017,
    arXiv:1612.01474, section 2.4). Networks that give values alone have only the second part: how much they
    disagree, which is less than how wrong they are.
    """
    count = clipped = models = 0
    # Welford's sums: no difference of large numbers, nothing kept of a network that has been added.
    mean = between = within = np.zeros((), np.float64)
    has_std = False
    for one in estimates:
        count += 1
        clipped += one.clipped
        models += one.models
        away = one.mean_ST - mean
        mean = mean + away / count
        between = between + away * (one.mean_ST - mean)
        if one.std_ST is not None:
            has_std = True
            within = within + np.square(one.std_ST, dtype=np.float64)
    std = np.sqrt((between + within) / count).astype(np.float32) if has_std or count > 1 else None
    return Estimate(mean.astype(np.float32), std, clipped, models)
