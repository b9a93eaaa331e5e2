"""How wide a predicted spread must be to be true at sites that the networks have not seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from gsm3core.metrics.probabilistic import crps_gaussian

# A factor beyond these says that the spread holds no information, not how wide it is.
_LEAST, _MOST = 1 / 20, 20.0


def spread_factor(
    mean_ST: NDArray[np.floating], std_ST: NDArray[np.floating], observed_ST: NDArray[np.floating]
) -> float:
    """Return the factor on the predicted standard deviation that gives the lowest mean CRPS.

    Parameters
    ----------
    mean_ST, std_ST
        Predicted at held-back training sites, m3 m-3.
    observed_ST
        What was measured there on training days, m3 m-3; NaN is missing.

    Returns
    -------
    float
        1/20 to 20; 1 where nothing is observed.

    Notes
    -----
    A network knows how well it fits the sites it learns from, not how far off it is at new ones, whose soil and sensor
    it has never seen: its spread is too narrow there. One number, fitted where it has not learnt, mends the width and
    leaves the pattern (spread scaling, as in ensemble model output statistics, Gneiting et al. 2005,
    doi:10.1175/MWR2904.1, which also fits by the CRPS). Every site counts alike.
    """
    known_S = (np.isfinite(observed_ST) & np.isfinite(mean_ST)).any(axis=1)
    if not known_S.any():
        return 1.0
    mean, observed = mean_ST[known_S].astype(float), observed_ST[known_S].astype(float)
    std = std_ST[known_S].astype(float)

    def score(log_factor: float) -> float:
        crps_ST = crps_gaussian(mean, std * np.exp(log_factor), observed, low=0.0, high=1.0)
        return float(np.nanmean(crps_ST, axis=1).mean())

    found = minimize_scalar(score, bounds=(np.log(_LEAST), np.log(_MOST)), method="bounded")
    return float(np.exp(found.x))
