"""Permutation importance and SHAP values of a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsm3core.errors import GSM3Error

Array = NDArray[np.float64]

# Rows per call of predict: large enough to make the overhead negligible, small enough for about 20 MB.
_ROWS_PER_CALL = 50_000


def permutation_increase(
    model: Any,
    x: Array,
    y: Array,
    columns: Sequence[NDArray[np.int64]],
    *,
    repeats: int,
    seed: int,
    weights: Array | None = None,
) -> Array:
    """Return the increase in mean squared error when columns are permuted, ``(set of columns, repeat)``.

    Parameters
    ----------
    model
        Fitted model with a method ``predict``.
    x, y
        Held-out sites.
    columns
        Sets of column numbers; the columns of a set are permuted together, which preserves the correlations between them.
    repeats, seed
        Number of permutations; all sets use the same ones.
    weights
        Weights of the sites in the mean squared error.

    Notes
    -----
    Breiman (2001, doi:10.1023/A:1010933404324) and, on held-out sites, Fisher, Rudin and Dominici (2019, "All models are
    wrong", JMLR 20). With sets of one column it equals scikit-learn's ``permutation_importance`` with
    ``neg_mean_squared_error``; here many sets and all repeats are predicted in one call.
    """
    from threadpoolctl import threadpool_limits

    base = _error(model.predict(x), y, weights)
    rng = np.random.RandomState(seed)
    shuffle_seed = rng.randint(np.iinfo(np.int32).max + 1)
    order, orders = np.arange(len(x)), []
    permutation = order.copy()
    shuffle = np.random.RandomState(shuffle_seed)
    for _ in range(repeats):
        shuffle.shuffle(order)
        permutation = permutation[order]
        orders.append(permutation)
    shuffled = x[np.concatenate(orders)]
    out = np.empty((len(columns), repeats))
    sets = max(_ROWS_PER_CALL // len(shuffled), 1)
    # Boosting synchronises its threads after every tree, which is slow on shared cores.
    with threadpool_limits(1):
        for a in range(0, len(columns), sets):
            part = columns[a : a + sets]
            batch = np.tile(x, (len(part), repeats, 1))
            for copy, column_set in zip(batch, part, strict=True):
                copy[:, column_set] = shuffled[:, column_set]
            predicted = model.predict(batch.reshape(-1, x.shape[1])).reshape(len(part), repeats, len(x))
            out[a : a + sets] = _error(predicted, y, weights) - base
    return out


def shap_values(model: Any, x: Array) -> Array:
    """Return the contribution of each column to the prediction at each site, ``(site, column)``, for a tree model.

    Raises
    ------
    GSM3Error
        If the package ``shap`` is not installed.

    Notes
    -----
    Exact for trees (Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9), with path-dependent perturbation.
    """
    return np.asarray(_shap().TreeExplainer(model).shap_values(x), float)


def require_shap() -> None:
    """Raise the error of :func:`shap_values` if ``shap`` is not installed."""
    _shap()


def _shap() -> Any:
    import warnings

    try:
        with warnings.catch_warnings():
            # Importing shap makes colour maps with a deprecated matplotlib function.
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            import shap
    except ImportError as error:
        raise GSM3Error(
            "SHAP values need the package 'shap', which is not installed: pip install 'gsm3[shap]'. "
            "Permutation importance and accumulated local effects work without it."
        ) from error
    return shap


def _error(predicted: Array, y: Array, weights: Array | None) -> Any:
    return np.average((predicted - y) ** 2, axis=-1, weights=weights)
