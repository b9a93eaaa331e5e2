"""How a score changes along a factor: accumulated local effects of one, and the surface of two, with data density."""

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
        Between quantiles of the factor, so that all hold about as many sites.
    replicates
        Refits on resampled clusters, for the interval; 0 for none.
    weighted, confidence, seed, settings
        As for :func:`gsm3core.factors.importance_of`.

    Returns
    -------
    xarray.Dataset
        A quantity: ``effect``, ``lower``, ``upper`` ``(edge)`` about 0 in the score's units, ``sites (bin)`` in each
        bin, ``average`` to add. A class: the same by ``class``, as mean predictions were every site of that class
        (partial dependence), since classes have no neighbours to step to.

    Notes
    -----
    Apley and Zhu (2020, doi:10.1111/rssb.12377). Partial dependence would average over combinations that do not
    exist (a dry site with the vegetation of a wet one); local steps between sites that are there do not. The interval
    is ``t`` standard deviations over the refits. Association, not cause.
    """
    column = table.column(factor)
    is_class = factor in table.classes
    x, owner = table.encoded()
    mine = np.flatnonzero(owner == table.factors.index(factor))
    edges = np.array([]) if is_class else quantile_edges(column, bins)

    def effect(predict: Predict, rows: Array) -> Array:
        return _class_effect(predict, rows, mine) if is_class else ale(predict, rows, int(mine[0]), edges)

    curves, average = _refitted(table, x, effect, model, replicates, weighted, seed, settings)
    lower, upper = _ends(curves, confidence)
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
    """Return the effect of two factors together on the expected score, as of aspect and mean soil moisture.

    Parameters
    ----------
    table, model, weighted, confidence, seed, settings
        As for :func:`factor_effect`.
    first, second
        Two quantities; the second is the table's mean soil moisture by default.
    bins
        Of each factor.
    replicates
        Refits on resampled clusters.

    Returns
    -------
    xarray.Dataset
        ``effect (first_edge, second_edge)``, the expected score without its ``average``; ``interaction``, what is not
        the sum of the two effects; ``lower``, ``upper`` of the effect; ``sites (first_bin, second_bin)``. A cell
        without any site takes its nearest neighbour's step: nothing is known there.
    """
    second = second or table.moisture
    if not second or first == second:
        raise DatasetError(
            f"a surface needs two factors; {first!r} and {second!r} were given. Name the second one."
        )
    pair = [table.column(first), table.column(second)]
    if classes := [n for n in (first, second) if n in table.classes]:
        raise DatasetError(f"{classes[0]!r} is a class; a surface needs two quantities.")
    x, owner = table.encoded()
    i, j = (int(np.flatnonzero(owner == table.factors.index(n))[0]) for n in (first, second))
    e1, e2 = (quantile_edges(c, bins) for c in pair)

    def both(predict: Predict, rows: Array) -> Array:
        interaction = ale_interaction(predict, rows, (i, j), (e1, e2))
        main = ale(predict, rows, i, e1)[:, None] + ale(predict, rows, j, e2)
        return np.stack([interaction + main, interaction])

    surfaces, average = _refitted(table, x, both, model, replicates, weighted, seed, settings)
    lower, upper = _ends(surfaces[:, 0], confidence)
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
        moved = x.copy()
        moved[:, columns] = 0.0
        moved[:, c] = 1.0
        means.append(predict(moved).mean())
    share = x[:, columns].mean(0)
    return np.array(means) - np.average(means, weights=share)


def _refitted(
    table: FactorTable, x: Array, effect: Callable[[Predict, Array], Array], model: str, replicates: int,
    weighted: bool, seed: int, settings: Settings | None,
) -> tuple[Array, float]:  # fmt: skip
    """Return the effect from all sites and from each resample of clusters, and the mean prediction."""
    weights = table.weights() if weighted else None
    names, cluster = np.unique(clusters(table, settings)[0], return_inverse=True)
    rng = np.random.default_rng([seed, 2])
    found: list[Any] = []
    average = float("nan")
    for b in range(1 + replicates):
        rows = np.arange(len(table))
        if b:
            drawn = rng.integers(len(names), size=len(names))
            rows = np.concatenate([np.flatnonzero(cluster == c) for c in drawn])
        w = None if weights is None else weights[rows]
        fitted = fit_model(model, x[rows], table.score[rows], w, seed=seed + b, settings=settings)
        found.append(effect(fitted.predict, x[rows]))
        if not b:
            average = float(fitted.predict(x).mean())
    return np.stack(found), average


def _ends(curves: Array, confidence: float) -> tuple[Array, Array]:
    from scipy.stats import t

    if len(curves) < 3:
        nothing = np.full(curves.shape[1:], np.nan)
        return nothing, nothing
    half = t.ppf(0.5 + confidence / 2, len(curves) - 2) * curves[1:].std(0, ddof=1)
    return curves[0] - half, curves[0] + half
