"""Factor importance on held-out sites: impurity, permutation, grouped permutation and SHAP, with intervals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core.errors import ConfigError, did_you_mean
from gsm3core.factors.models import BOOSTING, FOREST, LINEAR, Settings, fit_model
from gsm3core.factors.permutation import permutation_increase, require_shap, shap_values
from gsm3core.factors.table import FactorTable, factor_table
from gsm3core.factors.validation import (
    RANDOM,
    SCHEMES,
    choose_scheme,
    clusters,
    correlation,
    cross_validated,
    splits,
)
from gsm3core.statistics.cluster_bootstrap import ClusterBootstrap
from gsm3core.statistics.small_sample import split_interval
from gsm3core.statistics.spatial_autocorrelation import morans_i

Array = NDArray[np.float64]

IMPURITY, PERMUTATION, GROUPED, SHAP = "impurity", "permutation", "grouped_permutation", "shap"
MEASURES = (IMPURITY, PERMUTATION, GROUPED, SHAP)
NOISE = "random noise"
_REPLICATES = 1000


def factor_importance(
    scores: xr.Dataset,
    attributes: xr.Dataset,
    *,
    metric: str = "R",
    product: str | None = None,
    moisture: str | xr.DataArray | None = None,
    factors: Sequence[str] | None = None,
    **options: Any,
) -> xr.Dataset:
    """Return the importance of the factors that explain a score.

    Parameters
    ----------
    scores, attributes, metric, product, moisture, factors
        As for :func:`gsm3core.factors.factor_table`.
    **options
        As for :func:`importance_of`.

    Returns
    -------
    xarray.Dataset
        As :func:`importance_of`.

    Raises
    ------
    GSM3Error
        If a metric, product or factor is unknown, or there are too few sites.
    """
    table = factor_table(
        scores, attributes, metric=metric, product=product, moisture=moisture, factors=factors
    )
    return importance_of(table, **options)


def importance_of(
    table: FactorTable,
    *,
    models: Sequence[str] = (FOREST, BOOSTING),
    measures: Sequence[str] = (IMPURITY, PERMUTATION, GROUPED),
    held_out: str | None = None,
    folds: int = 5,
    repeats: int = 3,
    permutations: int = 5,
    weighted: bool = True,
    confidence: float = 0.95,
    seed: int = 0,
    settings: Settings | None = None,
) -> xr.Dataset:
    """Return the importance of the factors of a table.

    Parameters
    ----------
    table
        From :func:`gsm3core.factors.factor_table`.
    models
        ``forest`` and ``boosting``; the linear baseline is always fitted too.
    measures
        ``impurity`` (of the forest, on training sites, as in the paper), ``permutation`` (one factor at a time, on held-out
        sites), ``grouped_permutation`` (a factor with all correlated factors), ``shap`` (mean absolute SHAP value on
        held-out sites; needs the extra ``shap``).
    held_out
        Cross-validation scheme of the importance: ``network``, ``spatial_block`` or ``random``. By default the first
        one possible with the table: with random folds a factor that only identifies networks scores high.
    folds, repeats
        Of each cross-validation. Five folds are the paper's 80/20 split, five times.
    permutations
        Number of permutations per factor and split.
    weighted
        Fit with :meth:`FactorTable.weights`, where the scores have intervals.
    confidence, seed, settings
        Level of the intervals, seed, and sizes of the models.

    Returns
    -------
    xarray.Dataset
        ``importance (measure, model, factor)``, with ``std`` over splits, ``lower``, ``upper``, and ``above_noise``: whether
        the interval of its difference from the noise column lies above 0. The noise column, factor ``random noise``, is
        generated for every split. Impurity and permutation are shares of the score's variance (impurity sums to 1), SHAP
        is in the score's units. ``cv_correlation``, ``cv_r2``, ``cv_rmse (scheme, fitted)``: the first two of anomalies
        from the mean of each fold's training sites, the correlation with an interval that resamples clusters (with few
        clusters, uninformative factors score slightly below 0); ``moran_i``, ``moran_p`` of the residuals of each fit;
        ``split_correlation`` (one 80/20 split, as in the paper), ``split_lowest`` and ``split_highest`` of all splits.

    Raises
    ------
    GSM3Error
        If a name is unknown, or ``shap`` is requested and not installed.

    Notes
    -----
    Intervals over splits as in Nadeau and Bengio, see :func:`gsm3core.statistics.small_sample.split_interval`. Association,
    not cause.
    """
    s = settings or Settings()
    for name, known in [(m, MEASURES) for m in measures] + [(m, (FOREST, BOOSTING)) for m in models]:
        if name not in known:
            raise ConfigError(
                f"{'measure' if known is MEASURES else 'model'} {name!r} is unknown. {did_you_mean(name, known)}"
            )
    if SHAP in measures:
        require_shap()
    held_out = choose_scheme(table, held_out, s)
    weights = table.weights() if weighted else None
    names = [*table.factors, NOISE]
    x, column_factor = table.encoded()
    column_factor = np.append(column_factor, len(names) - 1)
    groups = np.append(table.groups, table.groups.max() + 1)
    rng = np.random.default_rng([seed, 1])
    fitted = [*models, LINEAR]
    found: dict[tuple[str, str], list[Array]] = {}
    out: dict[str, Array] = {
        n: np.full((len(SCHEMES), len(fitted)), np.nan)
        for n in ("cv_correlation", "cv_correlation_lower", "cv_correlation_upper", "cv_r2", "cv_rmse", "moran_i", "moran_p")
    }  # fmt: skip
    by_split: dict[str, list[float]] = {m: [] for m in fitted}
    resamples = ClusterBootstrap.make(
        clusters(table, s)[0], replicates=_REPLICATES, seed=seed, min_clusters=2
    )
    shares = []
    for i, scheme in enumerate(SCHEMES):
        predicted = {m: np.full((repeats, len(table)), np.nan) for m in fitted}
        training_mean = np.full((repeats, len(table)), np.nan)
        for repeat, test in splits(table, scheme, folds=folds, repeats=repeats, seed=seed, settings=s):
            with_noise = np.column_stack([x, rng.standard_normal(len(x))])
            train = ~test
            w = None if weights is None else weights[train]
            training_mean[repeat, test] = np.average(table.score[train], weights=w)
            split_seed = int(rng.integers(2**31 - 1))
            for m in fitted:
                model = fit_model(m, with_noise[train], table.score[train], w, seed=split_seed, settings=s)
                predicted[m][repeat, test] = model.predict(with_noise[test])
                if scheme == RANDOM:
                    by_split[m].append(correlation(predicted[m][repeat, test], table.score[test]))
                if scheme == held_out and m != LINEAR:
                    w_test = None if weights is None else weights[test]
                    parts = _importances(
                        model, m, measures, with_noise[test], table.score[test], w_test, column_factor, groups,
                        permutations, split_seed, float(table.score.var()),
                    )  # fmt: skip
                    for measure, values in parts.items():
                        found.setdefault((measure, m), []).append(values)
            if scheme == held_out:
                shares.append(test.sum() / train.sum())
        if np.isnan(training_mean).all():
            continue
        for j, m in enumerate(fitted):
            scored = cross_validated(table, predicted[m], training_mean, resamples, confidence, seed)
            for n, value in scored.items():
                out[n][i, j] = value

    shape = (len(measures), len(models), len(names))
    parts_of = {n: np.full(shape, np.nan) for n in ("importance", "std", "lower", "upper")}
    above = np.zeros(shape, bool)
    for (measure, m), per_split in found.items():
        at = list(measures).index(measure), list(models).index(m)
        values = np.stack(per_split, -1)
        share = float(np.mean(shares))
        for n, numbers in zip(parts_of, split_interval(values, share, confidence), strict=True):
            parts_of[n][at] = numbers
        above[at] = split_interval(values - values[-1:], share, confidence)[2] > 0
    dims = ("measure", "model", "factor")
    ds = xr.Dataset(
        {n: (dims, a) for n, a in parts_of.items()} | {"above_noise": (dims, above)},
        coords={"measure": list(measures), "model": list(models), "factor": names, "scheme": list(SCHEMES),
                "fitted": fitted, "group": ("factor", groups)},
    )  # fmt: skip
    for n, a in out.items():
        ds[n] = ("scheme", "fitted"), a
    correlations = {m: by_split[m] or [np.nan] for m in fitted}
    ds["split_correlation"] = "fitted", [correlations[m][0] for m in fitted]
    ds["split_lowest"] = "fitted", [min(correlations[m]) for m in fitted]
    ds["split_highest"] = "fitted", [max(correlations[m]) for m in fitted]
    score_moran = morans_i(table.score, table.lat, table.lon, seed=seed)
    ds["score_moran_i"], ds["score_moran_p"] = score_moran.value, score_moran.p
    return ds.assign_attrs(
        metric=table.metric, sites=len(table), held_out=held_out, folds=folds, repeats=repeats,
        permutations=permutations, seed=seed, confidence=confidence, weighted=str(weights is not None).lower(),
        clusters=clusters(table, s)[1], moisture=table.moisture, dropped=json.dumps(table.dropped),
        note=table.note,
    )  # fmt: skip


def _importances(
    model: Any, name: str, measures: Sequence[str], x: Array, y: Array, weights: Array | None,
    column_factor: NDArray[np.int64], groups: NDArray[np.int64], repeats: int, seed: int, variance: float,
) -> dict[str, Array]:  # fmt: skip
    n = len(groups)
    found: dict[str, Array] = {}
    if IMPURITY in measures and name == FOREST:
        found[IMPURITY] = np.bincount(column_factor, model.feature_importances_, n).astype(float)
    columns = [np.flatnonzero(column_factor == k) for k in range(n)]
    numbers = np.unique(groups)
    sets = {
        PERMUTATION: columns,
        GROUPED: [np.flatnonzero(np.isin(groups[column_factor], g)) for g in numbers],
    }
    requested = [m for m in (PERMUTATION, GROUPED) if m in measures]
    # A factor without correlated factors is its own group: permuted once for both measures.
    distinct = {tuple(c): c for m in requested for c in sets[m]}
    increase = permutation_increase(
        model, x, y, list(distinct.values()), repeats=repeats, seed=seed, weights=weights
    )
    share = dict(zip(distinct, increase.mean(1) / variance, strict=True))
    for m in requested:
        found[m] = np.array([share[tuple(c)] for c in sets[m]])
    if GROUPED in found:
        found[GROUPED] = found[GROUPED][np.searchsorted(numbers, groups)]
    if SHAP in measures:
        each = shap_values(model, x)
        by_factor = np.stack([each[:, c].sum(1) for c in columns], 1)
        found[SHAP] = np.average(np.abs(by_factor), axis=0, weights=weights)
    return found
