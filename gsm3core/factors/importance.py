"""Which factors go along with a score: importance by several measures on sites held out, with intervals and a floor."""

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
    choose_held_out,
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
ASSOCIATION = (
    "Association, not cause: a factor that ranks high goes along with good or bad scores at these sites."
)
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
    """Rank the factors that go along with a score, and say how far the ranking can be trusted.

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
        If something named is not there, or there are too few sites.
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
    """Rank the factors of a table.

    Parameters
    ----------
    table
        Of :func:`gsm3core.factors.factor_table`.
    models
        ``forest`` and ``boosting``; the linear baseline is always fitted beside them.
    measures
        ``impurity`` (of the forest, in training, as the paper has it), ``permutation`` (one factor at a time, on
        sites held out), ``grouped_permutation`` (a factor with all that go along with it), ``shap`` (mean absolute
        SHAP value on sites held out; needs the extra ``shap``).
    held_out
        How sites are held out for the importance: ``network``, ``spatial_block`` or ``random``. By default the first
        of them that the table allows: with random folds a factor is rewarded for telling networks apart.
    folds, repeats
        Of each cross-validation. Five folds are the paper's 80/20 split, five times.
    permutations
        Shuffles per factor and split.
    weighted
        Fit with :meth:`FactorTable.weights`, where the scores have intervals.
    confidence, seed, settings
        Of the intervals; of every draw; sizes of the models.

    Returns
    -------
    xarray.Dataset
        ``importance (measure, model, factor)``, with ``std`` over splits, ``lower``, ``upper``, and ``above_noise``:
        the interval of its difference from the noise column in the same split lies above 0. The noise column is drawn
        afresh in every split and is the factor ``random noise``; what does not beat it has nothing to say. Impurity
        and permutation are shares of the score's variance (impurity sums to 1), SHAP is in the score's units.
        ``cv_correlation``, ``cv_r2``, ``cv_rmse (scheme, fitted)`` side by side, the first two of departures from the
        mean of each fold's training sites, the correlation with an interval that resamples clusters (with few of
        them, factors that say nothing score a little below 0); ``moran_i``, ``moran_p`` of what each fit leaves over;
        ``split_correlation`` (one 80/20 split, the paper's figure), ``split_lowest`` and ``split_highest`` of all.

    Raises
    ------
    GSM3Error
        If a name is not known, or ``shap`` is asked for and not installed.

    Notes
    -----
    Intervals over splits after Nadeau and Bengio, see :func:`gsm3core.statistics.small_sample.split_interval`. Association,
    not cause.
    """
    s = settings or Settings()
    for name, known in [(m, MEASURES) for m in measures] + [(m, (FOREST, BOOSTING)) for m in models]:
        if name not in known:
            raise ConfigError(f"{name!r} is not known. {did_you_mean(name, known)}")
    if SHAP in measures:
        require_shap()
    held_out = choose_held_out(table, held_out, s)
    weights = table.weights() if weighted else None
    names = [*table.factors, NOISE]
    x, owner = table.encoded()
    owner = np.append(owner, len(names) - 1)
    groups = np.append(table.groups, table.groups.max() + 1)
    rng = np.random.default_rng([seed, 1])
    fitted = [*models, LINEAR]
    found: dict[tuple[str, str], list[Array]] = {}
    out: dict[str, Array] = {
        n: np.full((len(SCHEMES), len(fitted)), np.nan)
        for n in ("cv_correlation", "cv_correlation_lower", "cv_correlation_upper", "cv_r2", "cv_rmse", "moran_i", "moran_p")
    }  # fmt: skip
    by_split: dict[str, list[float]] = {m: [] for m in fitted}
    resamples = ClusterBootstrap.make(clusters(table, s)[0], replicates=_REPLICATES, seed=seed, fewest=2)
    shares = []
    for i, scheme in enumerate(SCHEMES):
        predicted = {m: np.full((repeats, len(table)), np.nan) for m in fitted}
        plain = np.full((repeats, len(table)), np.nan)
        for repeat, test in splits(table, scheme, folds=folds, repeats=repeats, seed=seed, settings=s):
            with_noise = np.column_stack([x, rng.standard_normal(len(x))])
            train = ~test
            w = None if weights is None else weights[train]
            plain[repeat, test] = np.average(table.score[train], weights=w)
            split_seed = int(rng.integers(2**31 - 1))
            for m in fitted:
                model = fit_model(m, with_noise[train], table.score[train], w, seed=split_seed, settings=s)
                predicted[m][repeat, test] = model.predict(with_noise[test])
                if scheme == RANDOM:
                    by_split[m].append(correlation(predicted[m][repeat, test], table.score[test]))
                if scheme == held_out and m != LINEAR:
                    w_test = None if weights is None else weights[test]
                    parts = _importances(
                        model, m, measures, with_noise[test], table.score[test], w_test, owner, groups,
                        permutations, split_seed, float(table.score.var()),
                    )  # fmt: skip
                    for measure, values in parts.items():
                        found.setdefault((measure, m), []).append(values)
            if scheme == held_out:
                shares.append(test.sum() / train.sum())
        if np.isnan(plain).all():
            continue
        for j, m in enumerate(fitted):
            scored = cross_validated(table, predicted[m], plain, resamples, confidence, seed)
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
    one = {m: by_split[m] or [np.nan] for m in fitted}
    ds["split_correlation"] = "fitted", [one[m][0] for m in fitted]
    ds["split_lowest"] = "fitted", [min(one[m]) for m in fitted]
    ds["split_highest"] = "fitted", [max(one[m]) for m in fitted]
    nearby = morans_i(table.score, table.lat, table.lon, seed=seed)
    ds["score_moran_i"], ds["score_moran_p"] = nearby.value, nearby.p
    return ds.assign_attrs(
        metric=table.metric, sites=len(table), held_out=held_out, folds=folds, repeats=repeats,
        permutations=permutations, seed=seed, confidence=confidence, weighted=str(weights is not None).lower(),
        clusters=clusters(table, s)[1], moisture=table.moisture, dropped=json.dumps(table.dropped),
        note=table.note,
    )  # fmt: skip


def _importances(
    model: Any, name: str, measures: Sequence[str], x: Array, y: Array, weights: Array | None,
    owner: NDArray[np.int64], groups: NDArray[np.int64], repeats: int, seed: int, variance: float,
) -> dict[str, Array]:  # fmt: skip
    n = len(groups)
    found: dict[str, Array] = {}
    if IMPURITY in measures and name == FOREST:
        found[IMPURITY] = np.bincount(owner, model.feature_importances_, n).astype(float)
    columns = [np.flatnonzero(owner == k) for k in range(n)]
    numbers = np.unique(groups)
    sets = {PERMUTATION: columns, GROUPED: [np.flatnonzero(np.isin(groups[owner], g)) for g in numbers]}
    asked = [m for m in (PERMUTATION, GROUPED) if m in measures]
    # A factor that goes along with no other is its own group: shuffled once for both.
    different = {tuple(c): c for m in asked for c in sets[m]}
    risen = permutation_increase(
        model, x, y, list(different.values()), repeats=repeats, seed=seed, weights=weights
    )
    share = dict(zip(different, risen.mean(1) / variance, strict=True))
    for m in asked:
        found[m] = np.array([share[tuple(c)] for c in sets[m]])
    if GROUPED in found:
        found[GROUPED] = found[GROUPED][np.searchsorted(numbers, groups)]
    if SHAP in measures:
        each = shap_values(model, x)
        by_factor = np.stack([each[:, c].sum(1) for c in columns], 1)
        found[SHAP] = np.average(np.abs(by_factor), axis=0, weights=weights)
    return found
