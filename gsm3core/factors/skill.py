"""Expected skill at ungauged sites: a quantile forest, its calibrated interval and its area of applicability."""

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
from gsm3core.factors.validation import choose_scheme, splits

Array = NDArray[np.float64]

_ROWS_PER_CHUNK = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillModel:
    """Model of the expected score at a site from its factors.

    Parameters
    ----------
    table
        The training sites.
    forest, weights
        Forest fitted to all training sites, and the weights of the sites.
    coverage
        Nominal coverage of the interval.
    correction
        Conformal correction of both ends; negative where the interval was too wide.
    covered_raw, covered
        Coverage at held-out sites without and with the correction; each fold uses the correction from the other folds.
    correlation
        Between expected and true score at held-out sites.
    scheme
        Cross-validation scheme.
    applicability
        Area of applicability of the forest.
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
        """Return the expected score at every site of a dataset with the same factors.

        Parameters
        ----------
        attributes
            A SiteDataset, or variables ``(site)`` named as the factors. Soil moisture is needed only for the mean soil
            moisture factor, if the table has one.

        Returns
        -------
        xarray.Dataset
            ``expected``, ``lower``, ``upper`` of a single site's score; ``dissimilarity``, ``applicable``, and the
            ``reason`` where not applicable.
        """
        values = factor_values(attributes, self.table.factors)
        x, _ = self.table.encoded(values)
        unknown_class = self._unknown_class(values)
        missing = np.isnan(values).any(1)
        expected, lower, upper = self._expect(x)
        index = self.applicability.dissimilarity(x)
        index = np.where(missing | unknown_class, np.nan, index)
        inside = index <= self.applicability.threshold
        reason = np.select(
            [missing, unknown_class, ~inside],
            ["missing factor", "class without training sites", "outside the area of applicability"],
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
            self.forest, train, self.table.score, x, _levels(self.coverage), self.weights
        ).T
        low, high = low - self.correction, high + self.correction
        if self.table.metric == "R":
            low, high = np.clip(low, -1, 1), np.clip(high, -1, 1)
        # A negative correction must not swap the ends.
        middle = (low + high) / 2
        return self.forest.predict(x), np.minimum(low, middle), np.maximum(high, middle)

    def _unknown_class(self, values: Array) -> NDArray[np.bool_]:
        unknown_class = np.zeros(len(values), bool)
        for name, meanings in self.table.classes.items():
            x = values[:, self.table.factors.index(name)]
            unknown_class |= np.isfinite(x) & ~np.isin(x, list(meanings))
        return unknown_class


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
    """Fit a model of the expected skill at ungauged sites, calibrate its interval and fit its area of applicability.

    Parameters
    ----------
    table
        From :func:`gsm3core.factors.factor_table`.
    coverage
        Nominal coverage of the interval at new sites.
    held_out
        Cross-validation scheme ``network``, ``spatial_block`` or ``random``; by default the first one possible with the
        table, because ungauged sites belong to no network.
    folds, weighted, seed, settings
        As for :func:`gsm3core.factors.importance_of`.

    Notes
    -----
    Quantile regression forest (Meinshausen 2006, JMLR 7, 983-999) with conformalised quantile regression at held-out
    sites (Romano, Patterson and Candès 2019, arXiv:1905.03222). The area of applicability is weighted by permutation
    importance at held-out sites.
    """
    s = settings or Settings()
    held_out = choose_scheme(table, held_out, s)
    x, column_factor = table.encoded()
    y, weights = table.score, table.weights() if weighted else None
    columns = [np.flatnonzero(column_factor == k) for k in range(len(table.factors))]
    fold_of, expected = np.full(len(table), -1), np.full(len(table), np.nan)
    ends = np.full((len(table), 2), np.nan)
    increase = np.zeros(len(table.factors))
    parts = splits(table, held_out, folds=folds, repeats=1, seed=seed, settings=s)
    for k, (_, test) in enumerate(parts):
        w = None if weights is None else weights[~test]
        forest = fit_model(FOREST, x[~test], y[~test], w, seed=seed, settings=s)
        fold_of[test], expected[test] = k, forest.predict(x[test])
        ends[test] = forest_quantiles(forest, x[~test], y[~test], x[test], _levels(coverage), w)
        increase += permutation_increase(forest, x[test], y[test], columns, repeats=5, seed=seed).mean(1)
    outside = np.maximum(ends[:, 0] - y, y - ends[:, 1])
    correction = conformal_correction(outside, coverage)
    fold_corrections = np.array(
        [conformal_correction(outside[fold_of != k], coverage) for k in range(fold_of.max() + 1)]
    )
    area = fit_applicability(x, fold_of, increase[column_factor])
    return SkillModel(
        table=table,
        forest=fit_model(FOREST, x, y, weights, seed=seed, settings=s),
        weights=weights,
        coverage=coverage,
        correction=correction,
        covered_raw=float((outside <= 0).mean()),
        covered=float((outside <= fold_corrections[fold_of]).mean()),
        correlation=float(np.corrcoef(expected, y)[0, 1]),
        scheme=held_out,
        applicability=area,
    )


def forest_quantiles(
    forest: Any, train: Array, y: Array, x: Array, q: tuple[float, ...], weights: Array | None = None
) -> Array:
    """Return quantiles ``(site, q)`` of the score from the training sites in the same leaves.

    Notes
    -----
    Meinshausen (2006): the weight of a training site is the mean over trees of 1 / (sites in the leaf), multiplied by
    its fit weight; the quantile is the lowest score at which the cumulative weight reaches q.
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
    leaf_weights = csr_matrix((share[where] * w[rows], (rows, where)), shape=shape).T.tocsr()
    for a in range(0, len(x), _ROWS_PER_CHUNK):
        at = (forest.apply(x[a : a + _ROWS_PER_CHUNK]) + offset).ravel()
        n = len(at) // leaves.shape[1]
        leaf_of_site = csr_matrix(
            (np.ones(len(at)), (np.repeat(np.arange(n), leaves.shape[1]), at)), shape=(n, shape[1])
        )
        cumulative = np.cumsum((leaf_of_site @ leaf_weights).toarray(), axis=1)
        for k, level in enumerate(q):
            first = np.argmax(cumulative >= level * cumulative[:, -1:] - 1e-12, axis=1)
            out[a : a + n, k] = y[order][first]
    return out


def conformal_correction(outside: Array, coverage: float) -> float:
    """Return the correction of both ends that gives an interval the nominal coverage at a new site."""
    n = len(outside)
    rank = min(int(np.ceil(coverage * (n + 1))), n)
    return float(np.sort(outside)[rank - 1])


def _levels(coverage: float) -> tuple[float, float]:
    return 0.5 - coverage / 2, 0.5 + coverage / 2
