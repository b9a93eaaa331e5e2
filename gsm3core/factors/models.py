"""Models of a score: random forest, gradient boosting and a linear baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gsm3core.errors import ConfigError, did_you_mean

Array = NDArray[np.float64]

FOREST, BOOSTING, LINEAR = "forest", "boosting", "linear"
MODELS = (FOREST, BOOSTING, LINEAR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Sizes of the models and of the blocks.

    Parameters
    ----------
    trees, leaf, features
        Of the forest: number of trees, minimum number of sites in a leaf, share of the factors considered at a split. The
        defaults are those of scikit-learn, which the paper uses, except for the leaf: leaves of one site overfit. A third
        of the factors per split, as Breiman proposed for regression, halved the estimated interaction of two factors (dry
        and steep) and reduced the skill at held-out sites, on simulated and on real scores.
    rounds, rate, leaves, bins
        Of the boosting: number of trees, learning rate, leaves per tree, and bins per factor. scikit-learn's default of
        255 bins takes three times as long with weights and is too fine for a thousand sites.
    block_km
        Side length of a spatial block.
    jobs
        Number of processes of the forest.
    """

    trees: int = 100
    leaf: int = 5
    features: float = 1.0
    rounds: int = 200
    rate: float = 0.05
    leaves: int = 15
    bins: int = 64
    block_km: float = 500.0
    jobs: int = 1


def fit_model(
    name: str, x: Array, y: Array, weights: Array | None, *, seed: int, settings: Settings | None = None
) -> Any:
    """Return a fitted model with a method ``predict``.

    Parameters
    ----------
    name
        ``forest``, ``boosting`` (scikit-learn's histogram gradient boosting) or ``linear`` (ridge with the
        penalty from leave-one-out cross-validation, missing values replaced by the median).
    x, y, weights
        Of the training sites. Forest and boosting handle missing values in their splits.
    seed, settings
        One seed gives one result.

    Raises
    ------
    ConfigError
        If the model is unknown.
    """
    from threadpoolctl import threadpool_limits

    s = settings or Settings()
    fit_weights = {"sample_weight": weights}
    if name == FOREST:
        from sklearn.ensemble import RandomForestRegressor

        model: Any = RandomForestRegressor(
            s.trees, min_samples_leaf=s.leaf, max_features=s.features, n_jobs=s.jobs, random_state=seed
        )
    elif name == BOOSTING:
        from sklearn.ensemble import HistGradientBoostingRegressor

        model = HistGradientBoostingRegressor(
            max_iter=s.rounds, learning_rate=s.rate, max_leaf_nodes=s.leaves, min_samples_leaf=10,
            max_bins=s.bins, early_stopping=False, random_state=seed,
        )  # fmt: skip
    elif name == LINEAR:
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            RidgeCV(np.logspace(-2, 5, 15)),
        )
        fit_weights = {"ridgecv__sample_weight": weights}
    else:
        raise ConfigError(f"model {name!r} is unknown. {did_you_mean(name, MODELS)}")
    # On shared cores one thread is faster for boosting, and its sums are reproducible.
    with threadpool_limits(1):
        return model.fit(x, y, **fit_weights)
