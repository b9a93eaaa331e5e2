"""Effect of one or two factors on the expected score: accumulated local effects and the number of sites per bin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core.errors import DatasetError
from gsm3core.factors.ale import Predict, ale, ale_interaction, bin_of, quantile_edges
from gsm3core.factors.columns import POLEWARD_ASPECT
from gsm3core.factors.models import FOREST, Settings, fit_model
from gsm3core.factors.table import FactorTable
from gsm3core.factors.validation import clusters

Array = NDArray[np.float64]


def factor_effect(
    table: FactorTable,
    factor: str,
    *,
    model: str = FOREST,
    bins: int = 20,
    replicates: int = 20,
    weighted: bool = True,
    confidence: float = 0.95,
    seed: int = 0,
    settings: Settings | None = None,
) -> xr.Dataset:
    """Return the effect of one factor on the expected score.

    Parameters
    ----------
    table, factor
        The factor table and one of its factors.
    model
        ``forest``, ``boosting`` or ``linear``.
    bins
        Number of bins between quantiles of the factor.
    replicates
        Refits on resampled clusters, for the interval; 0 for none.
    weighted, confidence, seed, settings
        As for :func:`gsm3core.factors.importance_of`.

    Returns
    -------
    xarray.Dataset
        For a numeric factor ``effect``, ``lower``, ``upper`` ``(edge)``, centred at 0 in the score's units; ``sites (bin)``;
        and ``average``, the mean prediction. For a class the same by ``class``, as partial dependence, since classes have
        no order.

    Notes
    -----
    Apley and Zhu (2020, doi:10.1111/rssb.12377). Partial dependence would average over combinations that do not exist
    (a dry site with the vegetation of a wet one); accumulated local effects do not. The interval is ``t`` standard
    deviations over the refits. Association, not cause.
    """
    column = table.column(factor)
    is_class = factor in table.classes
    x, column_factor = table.encoded()
    class_columns = np.flatnonzero(column_factor == table.factors.index(factor))
    edges = np.array([]) if is_class else quantile_edges(column, bins)

    def effect(predict: Predict, rows: Array) -> Array:
        return (
            _class_effect(predict, rows, class_columns)
            if is_class
            else ale(predict, rows, int(class_columns[0]), edges)
        )

    curves, average = _effect_replicates(table, x, effect, model, replicates, weighted, seed, settings)
    lower, upper = _interval(curves, confidence)
    labels: Any = edges
    if is_class:
        dim, other, labels = "class", "class", list(table.classes[factor].values())
        sites = np.array([(column == number).sum() for number in table.classes[factor]])
    else:
        dim, other = "edge", "bin"
        sites = np.bincount(bin_of(column[np.isfinite(column)], edges), minlength=len(edges) - 1)
    return xr.Dataset(
        {"effect": (dim, curves[0]), "lower": (dim, lower), "upper": (dim, upper), "sites": (other, sites),
         "average": average},
        coords={dim: labels},
        attrs={"factor": factor, "metric": table.metric, "model": model, "replicates": replicates, "seed": seed,
               "confidence": confidence, "kind": "partial dependence" if is_class else "accumulated local effects",
               "note": table.note},
    )  # fmt: skip


def effect_surface(
    table: FactorTable,
    first: str = POLEWARD_ASPECT,
    second: str | None = None,
    *,
    model: str = FOREST,
    bins: int = 10,
    replicates: int = 0,
    weighted: bool = True,
    confidence: float = 0.95,
    seed: int = 0,
    settings: Settings | None = None,
) -> xr.Dataset:
    """Return the joint effect of two factors on the expected score, for instance aspect and mean soil moisture.

    Parameters
    ----------
    table, model, weighted, confidence, seed, settings
        As for :func:`factor_effect`.
    first, second
        Two numeric factors; the second is the table's mean soil moisture by default.
    bins
        Number of bins of each factor.
    replicates
        Refits on resampled clusters, for the interval; 0 for none.

    Returns
    -------
    xarray.Dataset
        ``effect (first_edge, second_edge)``, the expected score minus its ``average``; ``interaction``, the effect minus
        the sum of the two main effects; ``lower``, ``upper`` of the effect; ``sites (first_bin, second_bin)``. Cells without
        sites are filled from the nearest cell with sites.
    """
    second = second or table.moisture
    if not second or first == second:
        raise DatasetError(
            f"first is {first!r} and second {second!r}; a surface needs two factors. Name the second one."
        )
    pair = [table.column(first), table.column(second)]
    if classes := [n for n in (first, second) if n in table.classes]:
        raise DatasetError(f"a surface needs two numeric factors; {classes[0]!r} is a class.")
    x, column_factor = table.encoded()
    i, j = (int(np.flatnonzero(column_factor == table.factors.index(n))[0]) for n in (first, second))
    e1, e2 = (quantile_edges(c, bins) for c in pair)

    def both(predict: Predict, rows: Array) -> Array:
        interaction = ale_interaction(predict, rows, (i, j), (e1, e2))
        main = ale(predict, rows, i, e1)[:, None] + ale(predict, rows, j, e2)
        return np.stack([interaction + main, interaction])

    surfaces, average = _effect_replicates(table, x, both, model, replicates, weighted, seed, settings)
    lower, upper = _interval(surfaces[:, 0], confidence)
    known = np.isfinite(pair[0]) & np.isfinite(pair[1])
    sites = np.zeros((len(e1) - 1, len(e2) - 1), int)
    np.add.at(sites, (bin_of(pair[0][known], e1), bin_of(pair[1][known], e2)), 1)
    dims = ("first_edge", "second_edge")
    return xr.Dataset(
        {"effect": (dims, surfaces[0, 0]), "interaction": (dims, surfaces[0, 1]), "lower": (dims, lower),
         "upper": (dims, upper), "sites": (("first_bin", "second_bin"), sites), "average": average},
        coords={"first_edge": e1, "second_edge": e2},
        attrs={"first": first, "second": second, "metric": table.metric, "model": model, "seed": seed,
               "note": table.note},
    )  # fmt: skip


def _class_effect(predict: Predict, x: Array, columns: NDArray[np.int64]) -> Array:
    means = []
    for c in columns:
        counterfactual = x.copy()
        counterfactual[:, columns] = 0.0
        counterfactual[:, c] = 1.0
        means.append(predict(counterfactual).mean())
    share = x[:, columns].mean(0)
    return np.array(means) - np.average(means, weights=share)


def _effect_replicates(
    table: FactorTable, x: Array, effect: Callable[[Predict, Array], Array], model: str, replicates: int,
    weighted: bool, seed: int, settings: Settings | None,
) -> tuple[Array, float]:  # fmt: skip
    """Return the effects of the fit to all sites and of each refit to resampled clusters, and the mean prediction."""
    weights = table.weights() if weighted else None
    names, cluster = np.unique(clusters(table, settings)[0], return_inverse=True)
    rng = np.random.default_rng([seed, 2])
    found: list[Any] = []
    average = float("nan")
    for b in range(1 + replicates):
        rows = np.arange(len(table))
        if b:
            resampled = rng.integers(len(names), size=len(names))
            rows = np.concatenate([np.flatnonzero(cluster == c) for c in resampled])
        w = None if weights is None else weights[rows]
        fitted = fit_model(model, x[rows], table.score[rows], w, seed=seed + b, settings=settings)
        found.append(effect(fitted.predict, x[rows]))
        if not b:
            average = float(fitted.predict(x).mean())
    return np.stack(found), average


def _interval(curves: Array, confidence: float) -> tuple[Array, Array]:
    from scipy.stats import t

    if len(curves) < 3:
        nothing = np.full(curves.shape[1:], np.nan)
        return nothing, nothing
    half = t.ppf(0.5 + confidence / 2, len(curves) - 2) * curves[1:].std(0, ddof=1)
    return curves[0] - half, curves[0] + half
