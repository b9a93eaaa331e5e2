"""Calibration of the predictive standard deviation at validation sites."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from gsm3core.metrics.probabilistic import censored_normal, crps_gaussian

# A factor beyond these bounds means that the standard deviation holds no information.
_LOWEST, _HIGHEST = 1 / 20, 20.0


def fit_std_factor(
    mean_ST: NDArray[np.floating], std_ST: NDArray[np.floating], observed_ST: NDArray[np.floating]
) -> float:
    """Return the factor on the predictive standard deviation that gives the lowest mean CRPS.

    Parameters
    ----------
    mean_ST, std_ST
        Predicted at validation sites, m3 m-3, after censoring to 0 to 1.
    observed_ST
        Observed there on training days, m3 m-3; NaN is missing.

    Returns
    -------
    float
        1/20 to 20; 1 if nothing was observed.

    Notes
    -----
    Trained networks are overconfident at sites that they were not trained on: soil and sensor differ. One factor,
    fitted at validation sites, corrects the width and keeps the pattern (variance scaling, as in ensemble model output
    statistics, Gneiting et al. 2005, doi:10.1175/MWR2904.1, which also fits by the CRPS). The distribution that is scored is
    the censored normal one with the given mean and the scaled standard deviation. All sites have equal weight.
    """
    known_S = (np.isfinite(observed_ST) & np.isfinite(mean_ST)).any(axis=1)
    if not known_S.any():
        return 1.0
    mean, observed = mean_ST[known_S].astype(float), observed_ST[known_S].astype(float)
    std = std_ST[known_S].astype(float)

    def mean_crps(log_factor: float) -> float:
        location, scale = censored_normal(mean, std * np.exp(log_factor))
        crps_ST = crps_gaussian(location, scale, observed, low=0.0, high=1.0)
        return float(np.nanmean(crps_ST, axis=1).mean())

    found = minimize_scalar(mean_crps, bounds=(np.log(_LOWEST), np.log(_HIGHEST)), method="bounded")
    return float(np.exp(found.x))
