"""What a fitted model loses when a factor is shuffled, and what it says of each site: permutation and SHAP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsm3core.errors import GSM3Error

Array = NDArray[np.float64]

# Rows predicted at a time: enough that a call's own cost does not count, few enough to stay in some 20 MB.
_AT_A_TIME = 50_000


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
    """Return by how much the mean squared error rises when columns are shuffled; ``(set of columns, repeat)``.

    Parameters
    ----------
    model
        Fitted; has ``predict``.
    x, y
        Sites that it has not seen.
    columns
        Sets of column numbers; those of a set are moved together, site by site, so that what they have in common
        stays as it is.
    repeats, seed
        Shuffles of each set. Every set gets the same ones.
    weights
        Of the sites in the error.

    Notes
    -----
    Breiman (2001, doi:10.1023/A:1010933404324) and, on sites held out, Fisher, Rudin and Dominici (2019, "All models
    are wrong", JMLR 20). With sets of one column it is scikit-learn's ``permutation_importance`` with
    ``neg_mean_squared_error``, shuffle by shuffle; here many sets and all repeats are predicted at once.
    """
    from threadpoolctl import threadpool_limits

    base = _error(model.predict(x), y, weights)
    rng = np.random.RandomState(seed)
    drawn = rng.randint(np.iinfo(np.int32).max + 1)
    order, orders = np.arange(len(x)), []
    moved = order.copy()
    shuffle = np.random.RandomState(drawn)
    for _ in range(repeats):
        shuffle.shuffle(order)
        moved = moved[order]
        orders.append(moved)
    shuffled = x[np.concatenate(orders)]
    out = np.empty((len(columns), repeats))
    sets = max(_AT_A_TIME // len(shuffled), 1)
    # Boosting's threads meet after every tree: on shared cores they would mostly wait.
    with threadpool_limits(1):
        for a in range(0, len(columns), sets):
            part = columns[a : a + sets]
            many = np.tile(x, (len(part), repeats, 1))
            for copy, chosen in zip(many, part, strict=True):
                copy[:, chosen] = shuffled[:, chosen]
            predicted = model.predict(many.reshape(-1, x.shape[1])).reshape(len(part), repeats, len(x))
            out[a : a + sets] = _error(predicted, y, weights) - base
    return out


def shap_values(model: Any, x: Array) -> Array:
    """Return what each column adds to the prediction at each site, ``(site, column)``, for a model of trees.

    Raises
    ------
    GSM3Error
        If the package ``shap`` is not installed.

    Notes
    -----
    Exact for trees (Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9), along the paths of the training sites.
    """
    return np.asarray(_shap().TreeExplainer(model).shap_values(x), float)


def require_shap() -> None:
    """Raise the error of :func:`shap_values` before any work is done."""
    _shap()


def _shap() -> Any:
    import warnings

    try:
        with warnings.catch_warnings():
            # Its colour maps, which are not used here, are made the way matplotlib will give up.
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            import shap
    except ImportError as error:
        raise GSM3Error(
            "SHAP values need the package 'shap', which is not installed: pip install 'gsm3[shap]'. "
            "Permutation importance and accumulated local effects need nothing more."
        ) from error
    return shap


def _error(predicted: Array, y: Array, weights: Array | None) -> Any:
    return np.average((predicted - y) ** 2, axis=-1, weights=weights)
