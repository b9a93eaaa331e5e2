"""Area of applicability: dissimilarity to the training sites, with a cross-validated threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gsm3core.errors import DatasetError

Array = NDArray[np.float64]

_DISTANCES_PER_CHUNK = 2_000_000


@dataclass(frozen=True, slots=True)
class Applicability:
    """The area of applicability of a model.

    Parameters
    ----------
    mean, scale
        Mean and standard deviation of each column over the training sites; a constant column has scale 1.
    weights
        Importance of each column, not negative.
    training
        Training sites, scaled and weighted.
    average_distance
        Mean distance between two training sites.
    training_index
        Dissimilarity of each training site to the sites of other folds.
    threshold
        Largest dissimilarity inside the area of applicability.
    """

    mean: Array
    scale: Array
    weights: Array
    training: Array
    average_distance: float
    training_index: Array
    threshold: float

    def dissimilarity(self, x: ArrayLike) -> Array:
        """Return the distance to the nearest training site relative to the mean distance; NaN with missing values."""
        z = (np.asarray(x, float) - self.mean) / self.scale * self.weights
        out = np.full(len(z), np.nan)
        complete = np.flatnonzero(np.isfinite(z).all(1))
        rows = max(_DISTANCES_PER_CHUNK // len(self.training), 1)
        for a in range(0, len(complete), rows):
            part = complete[a : a + rows]
            out[part] = _distances(z[part], self.training).min(1) / self.average_distance
        return out

    def inside(self, x: ArrayLike) -> NDArray[np.bool_]:
        """Return whether sites are in the area of applicability; False with missing values."""
        return self.dissimilarity(x) <= self.threshold


def fit_applicability(x: ArrayLike, folds: ArrayLike, weights: ArrayLike | None = None) -> Applicability:
    """Fit the area of applicability to the training sites.

    Parameters
    ----------
    x
        ``(site, column)``; sites with a missing value are left out.
    folds
        ``(site)`` fold in the cross-validation of the model: sites of the same fold were not used to predict each other.
    weights
        Importance of each column; negative values are set to 0. Equal by default.

    Raises
    ------
    DatasetError
        If fewer than three sites are complete, all are in one fold, or all are equal.

    Notes
    -----
    Meyer and Pebesma (2021, doi:10.1111/2041-210X.13650): columns are standardised and multiplied by their
    importance; the index is the distance to the nearest training site over the mean of all pairs; the threshold is the
    largest index of a training site to other folds that is no outlier (more than 1.5 interquartile ranges above the
    upper quartile). Folds of whole networks or blocks give a larger area, because they test the model at distant sites.
    """
    z, fold = np.asarray(x, float), np.asarray(folds)
    complete = np.isfinite(z).all(1)
    z, fold = z[complete], fold[complete]
    if len(z) < 3 or len(np.unique(fold)) < 2:
        raise DatasetError(
            f"{len(z)} sites without missing factors in {len(np.unique(fold))} folds; an area of applicability needs "
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
        raise DatasetError(
            f"all {n} training sites have the same factor values; an area of applicability needs different sites."
        )
    index = np.where(fold[:, None] == fold, np.inf, distance).min(1) / average
    low, high = np.quantile(index, [0.25, 0.75])
    threshold = float(index[index <= high + 1.5 * (high - low)].max())
    return Applicability(mean, scale, w, z, average, index, threshold)


def _distances(a: Array, b: Array) -> Array:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(a, b))
