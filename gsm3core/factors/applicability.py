"""Where a fitted relation may be used: the dissimilarity to the training sites, and its cross-validated threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gsm3core.errors import DatasetError

Array = NDArray[np.float64]

_AT_A_TIME = 2_000_000


@dataclass(frozen=True, slots=True)
class Applicability:
    """The area of applicability of a model.

    Parameters
    ----------
    mean, scale
        Of each column over the training sites; a column that is the same everywhere has scale 1.
    weights
        Of each column: its importance, none negative.
    training
        Training sites, scaled and weighted.
    average_distance
        Between two training sites.
    training_index
        Dissimilarity of each training site to those of other folds.
    threshold
        Beyond it a site is unlike all that the model was tested on.
    """

    mean: Array
    scale: Array
    weights: Array
    training: Array
    average_distance: float
    training_index: Array
    threshold: float

    def dissimilarity(self, x: ArrayLike) -> Array:
        """Return the distance to the nearest training site over the average one; NaN where a value is missing."""
        z = (np.asarray(x, float) - self.mean) / self.scale * self.weights
        out = np.full(len(z), np.nan)
        whole = np.flatnonzero(np.isfinite(z).all(1))
        rows = max(_AT_A_TIME // len(self.training), 1)
        for a in range(0, len(whole), rows):
            part = whole[a : a + rows]
            out[part] = _distances(z[part], self.training).min(1) / self.average_distance
        return out

    def inside(self, x: ArrayLike) -> NDArray[np.bool_]:
        """Return whether the model may be used; not where a value is missing."""
        return self.dissimilarity(x) <= self.threshold


def fit_applicability(x: ArrayLike, folds: ArrayLike, weights: ArrayLike | None = None) -> Applicability:
    """Learn the area of applicability from the training sites.

    Parameters
    ----------
    x
        ``(site, column)``; sites with a missing value are left out.
    folds
        Fold of each site in the cross-validation that judged the model: what is near in its own fold was not seen
        when it was tested.
    weights
        Importance of each column; negative ones count as 0. All alike by default.

    Raises
    ------
    DatasetError
        If fewer than three sites are whole, all are in one fold, or all are the same.

    Notes
    -----
    Meyer and Pebesma (2021, doi:10.1111/2041-210X.13650): columns are standardised and multiplied by their
    importance; the index is the distance to the nearest training site over the mean of all pairs; the threshold is
    the largest index of a training site to other folds that is no outlier, one more than 1.5 quartile ranges above
    the upper quartile. Wide folds (networks, blocks) give a wide area, as they judge the model by far sites.
    """
    z, fold = np.asarray(x, float), np.asarray(folds)
    whole = np.isfinite(z).all(1)
    z, fold = z[whole], fold[whole]
    if len(z) < 3 or len(np.unique(fold)) < 2:
        raise DatasetError(
            f"{len(z)} sites without a gap in {len(np.unique(fold))} folds; an area of applicability needs "
            "at least 3 sites and 2 folds."
        )
    mean, scale = z.mean(0), z.std(0, ddof=1)
    scale = np.where(scale > 0, scale, 1.0)
    w = np.ones(z.shape[1]) if weights is None else np.maximum(np.asarray(weights, float), 0.0)
    if not w.any():
        w = np.ones(z.shape[1])
    z = (z - mean) / scale * w
    distance = _distances(z, z)
    n = len(z)
    average = float(distance.sum() / (n * (n - 1)))
    if average == 0:
        raise DatasetError("all training sites are the same in every factor; nothing can be unlike them.")
    index = np.where(fold[:, None] == fold, np.inf, distance).min(1) / average
    low, high = np.quantile(index, [0.25, 0.75])
    threshold = float(index[index <= high + 1.5 * (high - low)].max())
    return Applicability(mean, scale, w, z, average, index, threshold)


def _distances(a: Array, b: Array) -> Array:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(a, b))
