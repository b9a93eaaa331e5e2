"""Accumulated local effects of one column and of two, after Apley and Zhu (2020, doi:10.1111/rssb.12377)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gsm3core.errors import DatasetError

Array = NDArray[np.float64]
Predict = Callable[[Array], Array]


def quantile_edges(values: Array, bins: int) -> Array:
    """Return distinct edges of bins with about equal numbers of values.

    Raises
    ------
    DatasetError
        If all values are equal.
    """
    edges = np.unique(np.quantile(values[np.isfinite(values)], np.linspace(0, 1, bins + 1)))
    if len(edges) < 2:
        raise DatasetError("the factor is constant over the sites; its effect cannot be computed.")
    return edges


def bin_of(values: Array, edges: Array) -> NDArray[np.int64]:
    """Return the bin of each value; an edge belongs to the bin below it, the lowest edge to the first."""
    return np.clip(np.searchsorted(edges, values, side="left") - 1, 0, len(edges) - 2).astype(np.int64)


def ale(predict: Predict, x: Array, column: int, edges: Array) -> Array:
    """Return the accumulated local effect of a column at the edges, centred to mean 0 over the sites."""
    x = x[np.isfinite(x[:, column])]
    k = bin_of(x[:, column], edges)
    low, high = x.copy(), x.copy()
    low[:, column], high[:, column] = edges[k], edges[k + 1]
    step = predict(high) - predict(low)
    count = np.bincount(k, minlength=len(edges) - 1)
    mean = np.bincount(k, step, minlength=len(edges) - 1) / np.maximum(count, 1)
    total = np.concatenate([[0.0], np.cumsum(mean)])
    # Centred at the sites' values, not at bin centres: the outermost bins are wide and unevenly filled.
    return total - np.interp(x[:, column], edges, total).mean()


def ale_interaction(
    predict: Predict, x: Array, columns: tuple[int, int], edges: tuple[Array, Array]
) -> Array:
    """Return the second-order accumulated local effect of two columns on the grid of their edges."""
    (i, j), (e1, e2) = columns, edges
    x = x[np.isfinite(x[:, i]) & np.isfinite(x[:, j])]
    k, m = bin_of(x[:, i], e1), bin_of(x[:, j], e2)
    step = np.zeros(len(x))
    for up1, up2, sign in ((1, 1, 1.0), (0, 1, -1.0), (1, 0, -1.0), (0, 0, 1.0)):
        corner = x.copy()
        corner[:, i], corner[:, j] = e1[k + up1], e2[m + up2]
        step += sign * predict(corner)
    shape = (len(e1) - 1, len(e2) - 1)
    count, mean = np.zeros(shape), np.zeros(shape)
    np.add.at(count, (k, m), 1)
    np.add.at(mean, (k, m), step)
    mean = _fill_from_nearest(mean / np.maximum(count, 1), count > 0, e1, e2)
    total = np.zeros((len(e1), len(e2)))
    total[1:, 1:] = mean.cumsum(0).cumsum(1)
    # Subtract the main effects of each factor, then centre to mean 0 over the sites.
    d1, d2 = np.diff(total, axis=0), np.diff(total, axis=1)
    n1, n2 = np.maximum(count.sum(1), 1), np.maximum(count.sum(0), 1)
    main1 = np.cumsum((count * (d1[:, 1:] + d1[:, :-1]) / 2).sum(1) / n1)
    main2 = np.cumsum((count * (d2[1:] + d2[:-1]) / 2).sum(0) / n2)
    total -= np.concatenate([[0.0], main1])[:, None] + np.concatenate([[0.0], main2])
    middle = (total[1:, 1:] + total[1:, :-1] + total[:-1, 1:] + total[:-1, :-1]) / 4
    return total - (middle * count).sum() / count.sum()


def _fill_from_nearest(mean: Array, known: NDArray[np.bool_], e1: Array, e2: Array) -> Array:
    """Fill cells without sites from the nearest cell with sites, with distances relative to the factors' ranges."""
    c1, c2 = ((e[1:] + e[:-1]) / 2 / (e[-1] - e[0]) for e in (e1, e2))
    at = np.stack(np.meshgrid(c1, c2, indexing="ij"), -1)
    distance = ((at[:, :, None] - at[known]) ** 2).sum(-1)
    return np.where(known, mean, mean[known][distance.argmin(-1)])
