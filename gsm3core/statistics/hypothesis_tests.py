"""Paired comparison of two products: Wilcoxon's signed-rank test, Holm's correction and the share of wins."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Series are single precision: smaller differences are rounding errors, which a rank test could find significant.
TIE = 1e-6


def wilcoxon_p(differences: ArrayLike) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test; NaN without a pair.

    Parameters
    ----------
    differences
        One per site. Ties (below :data:`TIE`) are split between the signs; all ties give 1.

    Notes
    -----
    Wilcoxon (1945, doi:10.2307/3001968). The test assumes independent sites. Sites of one network are correlated; the
    cluster bootstrap accounts for that.
    """
    from scipy.stats import wilcoxon

    d = np.asarray(differences, float)
    d = d[np.isfinite(d)]
    d = np.where(np.abs(d) < TIE, 0.0, d)
    if not len(d):
        return np.nan
    if not d.any():
        return 1.0
    # The exact distribution is for few pairs without ties; otherwise the normal approximation is used.
    exact = len(d) <= 50 and (d != 0).all() and len(np.unique(np.abs(d))) == len(d)
    return float(wilcoxon(d, zero_method="zsplit", method="exact" if exact else "asymptotic").pvalue)


def holm(p: ArrayLike) -> Array:
    """Return p-values corrected for multiple testing, in the same shape; NaN is ignored.

    Notes
    -----
    Holm (1979), Scandinavian Journal of Statistics 6, 65-70: the k-th smallest of m is multiplied by m - k + 1,
    and corrected values do not decrease.
    """
    p = np.asarray(p, float)
    flat = p.ravel()
    known = np.flatnonzero(np.isfinite(flat))
    order = known[np.argsort(flat[known], kind="stable")]
    steps = len(order) - np.arange(len(order))
    corrected = np.full(flat.shape, np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(flat[order] * steps), 1.0)
    return corrected.reshape(p.shape)


def win_share(loss: ArrayLike, other: ArrayLike) -> float:
    """Return the share of sites where the first loss is smaller, ties counted half; NaN without a common site."""
    a, b = np.asarray(loss, float), np.asarray(other, float)
    both = np.isfinite(a) & np.isfinite(b)
    if not both.any():
        return np.nan
    less = (b - a)[both]
    return float(np.where(np.abs(less) < TIE, 0.5, less > 0).mean())
