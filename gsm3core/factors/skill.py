"""What score to expect on ground never measured: a quantile forest, its interval checked, and where it may be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.factors.applicability import Applicability, fit_applicability
from gsm3core.factors.columns import factor_values
from gsm3core.factors.models import FOREST, Settings, fit_model
from gsm3core.factors.permutation import permutation_increase
from gsm3core.factors.table import FactorTable
from gsm3core.factors.validation import choose_held_out, splits

Array = NDArray[np.float64]

_AT_A_TIME = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillModel:
    """Expects a score from factors.

    Parameters
    ----------
    table
        The training sites.
    forest, weights
        Fitted to all of them, with these weights.
    coverage
        Of the interval.
    correction
        Added to both ends so that the interval holds at sites held out; negative where it was too wide.
    covered_raw, covered
        Share of held-out sites in the interval without and with the correction, each fold judged by a correction
        from the others.
    correlation
        Of the expected with the true score at held-out sites.
    scheme
        How sites were held out.
    applicability
        Where the forest may be asked.
    """

    table: FactorTable
    forest: Any
    weights: Array | None
    coverage: float
    correction: float
    covered_raw: float
    covered: float
    correlation: float
    scheme: str
    applicability: Applicability

    def predict(self, attributes: xr.Dataset) -> xr.Dataset:
        """Return what to expect at every site of a dataset with the same factors.

        Parameters
        ----------
        attributes
            A SiteDataset, or variables ``(site)`` of the factors' names: no soil moisture need be measured there
            beyond the mean soil moisture factor, if the table has one.

        Returns
        -------
        xarray.Dataset
            ``expected``, ``lower``, ``upper`` of a single site's score; ``dissimilarity``, ``applicable``, and
            ``reason`` where not.
        """
        values = factor_values(attributes, self.table.factors)
        x, _ = self.table.encoded(values)
        unknown = self._unknown_class(values)
        missing = np.isnan(values).any(1)
        expected, lower, upper = self._expect(x)
        index = self.applicability.dissimilarity(x)
        index = np.where(missing | unknown, np.nan, index)
        inside = index <= self.applicability.threshold
        reason = np.select(
            [missing, unknown, ~inside],
            ["a factor is missing", "a class that no training site has", "unlike all training sites"],
            default="",
        )
        dims = (v.SITE,)
        units = {"units": "1", "long_name": f"expected {self.table.metric}"}
        return xr.Dataset(
            {"expected": (dims, expected, units), "lower": (dims, lower), "upper": (dims, upper),
             "dissimilarity": (dims, index), "applicable": (dims, inside), "reason": (dims, reason)},
            coords={n: c for n, c in attributes.coords.items() if c.dims == dims},
            attrs={"metric": self.table.metric, "coverage": self.coverage, "threshold": self.applicability.threshold,
                   "note": self.table.note},
        )  # fmt: skip

    def _expect(self, x: Array) -> tuple[Array, Array, Array]:
        train, _ = self.table.encoded()
        low, high = forest_quantiles(
            self.forest, train, self.table.score, x, _ends(self.coverage), self.weights
        ).T
        low, high = low - self.correction, high + self.correction
        if self.table.metric == "R":
            low, high = np.clip(low, -1, 1), np.clip(high, -1, 1)
        # A correction below zero must not turn the interval over.
        middle = (low + high) / 2
        return self.forest.predict(x), np.minimum(low, middle), np.maximum(high, middle)

    def _unknown_class(self, values: Array) -> NDArray[np.bool_]:
        unknown = np.zeros(len(values), bool)
        for name, meanings in self.table.classes.items():
            x = values[:, self.table.factors.index(name)]
            unknown |= np.isfinite(x) & ~np.isin(x, list(meanings))
        return unknown


def fit_skill(
    table: FactorTable,
    *,
    coverage: float = 0.9,
    held_out: str | None = None,
    folds: int = 5,
    weighted: bool = True,
    seed: int = 0,
    settings: Settings | None = None,
) -> SkillModel:
    """Fit the forest that expects a score where nothing was measured, check its interval and find where it holds.

    Parameters
    ----------
    table
        Of :func:`gsm3core.factors.factor_table`.
    coverage
        Share of new sites that the interval is to hold.
    held_out
        ``network``, ``spatial_block`` or ``random``; the first that the table allows by default, since new ground is
        in no network.
    folds, weighted, seed, settings
        As for :func:`gsm3core.factors.importance_of`.

    Notes
    -----
    Quantiles from the training sites in the leaves (Meinshausen 2006, JMLR 7, 983-999), corrected by how far held-out
    sites lie outside (conformalised quantile regression: Romano, Patterson and Candès 2019, arXiv:1905.03222), and
    the area of applicability with permutation importance on held-out sites as weights.
    """
    s = settings or Settings()
    held_out = choose_held_out(table, held_out, s)
    x, owner = table.encoded()
    y, weights = table.score, table.weights() if weighted else None
    columns = [np.flatnonzero(owner == k) for k in range(len(table.factors))]
    fold_of, expected = np.full(len(table), -1), np.full(len(table), np.nan)
    ends = np.full((len(table), 2), np.nan)
    risen = np.zeros(len(table.factors))
    parts = splits(table, held_out, folds=folds, repeats=1, seed=seed, settings=s)
    for k, (_, test) in enumerate(parts):
        w = None if weights is None else weights[~test]
        forest = fit_model(FOREST, x[~test], y[~test], w, seed=seed, settings=s)
        fold_of[test], expected[test] = k, forest.predict(x[test])
        ends[test] = forest_quantiles(forest, x[~test], y[~test], x[test], _ends(coverage), w)
        risen += permutation_increase(forest, x[test], y[test], columns, repeats=5, seed=seed).mean(1)
    outside = np.maximum(ends[:, 0] - y, y - ends[:, 1])
    correction = conformal_correction(outside, coverage)
    by_others = np.array(
        [conformal_correction(outside[fold_of != k], coverage) for k in range(fold_of.max() + 1)]
    )
    area = fit_applicability(x, fold_of, risen[owner])
    return SkillModel(
        table=table,
        forest=fit_model(FOREST, x, y, weights, seed=seed, settings=s),
        weights=weights,
        coverage=coverage,
        correction=correction,
        covered_raw=float((outside <= 0).mean()),
        covered=float((outside <= by_others[fold_of]).mean()),
        correlation=float(np.corrcoef(expected, y)[0, 1]),
        scheme=held_out,
        applicability=area,
    )


def forest_quantiles(
    forest: Any, train: Array, y: Array, x: Array, q: tuple[float, ...], weights: Array | None = None
) -> Array:
    """Return quantiles ``(site, q)`` of the score from the training sites that share leaves with each site.

    Notes
    -----
    Meinshausen (2006): a training site's weight is its mean over trees of 1 / (sites of the leaf), and the quantile
    is the lowest score at which the summed weight reaches q. Weights of the sites multiply these.
    """
    from scipy.sparse import csr_matrix

    order = np.argsort(y, kind="stable")
    leaves = forest.apply(train[order])
    w = np.ones(len(y)) if weights is None else np.asarray(weights, float)[order]
    out = np.empty((len(x), len(q)))
    nodes = int(leaves.max()) + 1
    size = np.stack([np.bincount(column, w, nodes) for column in leaves.T], 1)
    offset = np.arange(leaves.shape[1]) * nodes
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(size > 0, 1 / size, 0.0).T.ravel()
    where = (leaves + offset).ravel()
    rows = np.repeat(np.arange(len(y)), leaves.shape[1])
    shape = (len(y), leaves.shape[1] * nodes)
    held = csr_matrix((share[where] * w[rows], (rows, where)), shape=shape).T.tocsr()
    for a in range(0, len(x), _AT_A_TIME):
        at = (forest.apply(x[a : a + _AT_A_TIME]) + offset).ravel()
        n = len(at) // leaves.shape[1]
        mine = csr_matrix(
            (np.ones(len(at)), (np.repeat(np.arange(n), leaves.shape[1]), at)), shape=(n, shape[1])
        )
        reached = np.cumsum((mine @ held).toarray(), axis=1)
        for k, level in enumerate(q):
            first = np.argmax(reached >= level * reached[:, -1:] - 1e-12, axis=1)
            out[a : a + n, k] = y[order][first]
    return out


def conformal_correction(outside: Array, coverage: float) -> float:
    """Return what to add to both ends so that a share of the sites, and of one more, lies inside."""
    n = len(outside)
    rank = min(int(np.ceil(coverage * (n + 1))), n)
    return float(np.sort(outside)[rank - 1])


def _ends(coverage: float) -> tuple[float, float]:
    return 0.5 - coverage / 2, 0.5 + coverage / 2
