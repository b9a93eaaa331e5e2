"""The factor table: every site's score beside its factors, near-duplicates removed, ready for cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.factors.columns import (
    MEAN,
    available_factors,
    class_meanings,
    factor_values,
    moisture_name,
)
from gsm3core.factors.duplicates import linked, near_duplicates, rank_correlation
from gsm3core.schema import is_simulated
from gsm3core.statistics.meta_analysis import random_effects_weights, sampling_variance

Array = NDArray[np.float64]

ASSOCIATION = (
    "Association, not cause: a factor that ranks high goes along with good or bad scores at these sites."
)
DUPLICATE_CORRELATION = 0.95
GROUP_CORRELATION = 0.7
SIMULATED = "Simulated data: no number here says anything about the real world."
_FEWEST_SITES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorTable:
    """One row per site with a score.

    Parameters
    ----------
    site, network, region
        Names; empty where not known.
    lat, lon
        Degrees; NaN where not known.
    metric, score
        What was scored, and its value at each site.
    sampling_variance
        Of the score (of ``atanh R`` for R), from the site's own days; NaN where not known.
    factors, values
        Names, and ``(site, factor)``.
    classes
        Of each factor that is a class: its numbers and what they mean.
    groups
        ``(factor)`` numbers; correlated factors share one and are permuted together.
    dropped
        Factors left out, and why.
    moisture
        Name of the mean soil moisture factor, or empty.
    circular
        Whether that mean soil moisture is the mean of the record that the score was made with.
    simulated
        Whether the sites are the demonstration world's.
    """

    site: NDArray[np.str_]
    network: NDArray[np.str_]
    region: NDArray[np.str_]
    lat: Array
    lon: Array
    metric: str
    score: Array
    sampling_variance: Array
    factors: tuple[str, ...]
    values: Array
    classes: dict[str, dict[float, str]]
    groups: NDArray[np.int64]
    dropped: dict[str, str] = field(default_factory=dict)
    moisture: str = ""
    circular: bool = False
    simulated: bool = False

    def __len__(self) -> int:
        return len(self.score)

    @property
    def note(self) -> str:
        """What must be said beside every result."""
        said = f"{SIMULATED} {ASSOCIATION}" if self.simulated else ASSOCIATION
        if not self.circular:
            return said
        return (
            f"{said} {self.moisture} is the mean of a record that the score was made with: its errors are in "
            "both, and what it tells of the score is circular. Take another mean soil moisture to judge it."
        )

    def column(self, factor: str) -> Array:
        """Return one factor's values.

        Raises
        ------
        DatasetError
            If the table does not have it; the message says why it was left out.
        """
        if factor not in self.factors:
            why = f" It was left out: {self.dropped[factor]}." if factor in self.dropped else ""
            raise DatasetError(
                f"factor {factor!r} is not in the table.{why} {did_you_mean(factor, self.factors)}"
            )
        return self.values[:, self.factors.index(factor)]

    def encoded(self, values: Array | None = None) -> tuple[Array, NDArray[np.int64]]:
        """Return the matrix a model sees (a 0/1 column per class) and the factor each column belongs to."""
        values = self.values if values is None else values
        columns, owner = [], []
        for k, name in enumerate(self.factors):
            x = values[:, k]
            if name in self.classes:
                columns += [(x == number).astype(float) for number in self.classes[name]]
                owner += [k] * len(self.classes[name])
            else:
                columns.append(x)
                owner.append(k)
        return np.column_stack(columns), np.array(owner)

    def weights(self) -> Array | None:
        """Return weights of mean 1 from the sampling errors; None where the table has none.

        Notes
        -----
        :func:`gsm3core.statistics.meta_analysis.random_effects_weights`. R is taken on Fisher's z, where its variance
        ``1 / (n_effective - 3)`` does not know R itself: a site is not heavier for a high R.
        """
        y = np.arctanh(np.clip(self.score, -0.999, 0.999)) if self.metric == "R" else self.score
        return random_effects_weights(y, self.sampling_variance)

    def select(self, sites: ArrayLike) -> FactorTable:
        """Return the table of some sites (a mask or indices)."""
        pick = np.asarray(sites)
        arrays = ("site", "network", "region", "lat", "lon", "score", "sampling_variance", "values")
        return replace(self, **{name: getattr(self, name)[pick] for name in arrays})


def factor_table(
    scores: xr.Dataset,
    attributes: xr.Dataset,
    *,
    metric: str = "R",
    product: str | None = None,
    moisture: str | xr.DataArray | None = None,
    factors: Sequence[str] | None = None,
    duplicate_correlation: float = DUPLICATE_CORRELATION,
    group_correlation: float = GROUP_CORRELATION,
) -> FactorTable:
    """Put every site's score beside its factors.

    Parameters
    ----------
    scores
        Of :func:`gsm3core.site_scores` or a run: ``metric (site)`` or ``(product, site)``.
    attributes
        A SiteDataset, or any dataset with variables ``(site)``. Series become long-term means (``mean_...``).
    metric, product
        What is to be explained; the product is the run itself where it is among several and no other model is.
    moisture
        Where the mean soil moisture is from: ``sm_smap`` (the paper's, and the default where there is one),
        ``sm_insitu``, a product's name, or an array ``(site)``. The mean of the very record that R was made with is a
        **circular** predictor: its errors are in both. The table and all results then say so.
    factors
        Names; by default every attribute and the long-term mean of every forcing, and the mean soil moisture.
    duplicate_correlation
        Absolute rank correlation from which factors are the same thing twice; of those the one with the fewest
        missing values is kept, among equals the most central. Mean soil moisture and poleward aspect are kept before others.
    group_correlation
        Mean absolute rank correlation from which factors are permuted together.

    Raises
    ------
    DatasetError
        If the metric or product is not there, fewer than 20 sites have a score or all have the same, or there is no
        factor.

    Notes
    -----
    The paper's section 2.2 uses long-term averages with static attributes, "removed duplication".
    """
    one = _one_product(scores, metric, product)
    sites = one[v.SITE].to_index().astype(str)
    theirs = attributes[v.SITE].to_index().astype(str)
    both = sites[sites.isin(theirs) & np.isfinite(one[metric].values)]
    if len(both) < _FEWEST_SITES:
        raise DatasetError(
            f"{len(both)} sites have both a score ({metric}) and attributes; at least {_FEWEST_SITES} are needed."
        )
    simulated = is_simulated(attributes)
    one = one.isel({v.SITE: sites.get_indexer(both)})
    if np.ptp(one[metric].values) == 0:
        raise DatasetError(f"{metric} is the same at all {len(both)} sites: there is nothing to explain.")
    wet = moisture_name(attributes, moisture)
    if isinstance(moisture, xr.DataArray):
        means = moisture.mean(v.TIME, skipna=True) if v.TIME in moisture.dims else moisture
        attributes = attributes.assign({str(wet): means.reset_coords(drop=True)})
    attributes = attributes.isel({v.SITE: theirs.get_indexer(both)})
    names = list(factors) if factors is not None else available_factors(attributes)
    if wet and wet not in names:
        names.append(wet)
    if not names:
        raise DatasetError(
            "the dataset has no attribute, forcing or mean soil moisture: nothing to explain the score by."
        )
    values = factor_values(attributes, names)
    meanings = {n: m for n in names if (m := class_meanings(attributes, n)) is not None}

    dropped: dict[str, str] = {}
    for k, name in enumerate(names):
        known = values[np.isfinite(values[:, k]), k]
        if len(known) < len(both) / 2:
            dropped[name] = f"missing at {len(both) - len(known)} of {len(both)} sites"
        elif np.ptp(known) == 0:
            dropped[name] = "the same at every site"
    left = [k for k, name in enumerate(names) if name not in dropped]
    values, names = values[:, left], [names[k] for k in left]
    quantities = np.array([n not in meanings for n in names])
    correlation = rank_correlation(values, quantities)
    duplicates = near_duplicates(names, values, correlation, wet or "", duplicate_correlation)
    dropped |= {n: f"goes along with {kept} (rank correlation)" for n, kept in duplicates.items()}
    left = [k for k, name in enumerate(names) if name not in dropped]
    names = [names[k] for k in left]
    values = values[:, left]
    if not names:
        raise DatasetError(f"no factor is left: {dropped}.")
    present = {
        n: {k: m for k, m in meanings[n].items() if (values[:, i] == k).any()}
        for i, n in enumerate(names)
        if n in meanings
    }
    return FactorTable(
        site=both.to_numpy().astype(str),
        network=_texts(one, attributes, v.NETWORK),
        region=_texts(one, attributes, v.REGION),
        lat=_numbers(one, attributes, v.LAT),
        lon=_numbers(one, attributes, v.LON),
        metric=metric,
        score=one[metric].values.astype(float),
        sampling_variance=sampling_variance(one, metric),
        factors=tuple(names),
        values=values,
        classes=present,
        groups=linked(correlation[np.ix_(left, left)], group_correlation, "average"),
        dropped=dropped,
        moisture=wet if wet in names else "",
        circular=bool(wet) and _made_with(one, scores, str(wet).removeprefix(MEAN)),
        simulated=simulated,
    )


def _one_product(scores: xr.Dataset, metric: str, product: str | None) -> xr.Dataset:
    if metric not in scores:
        raise DatasetError(
            f"the scores have no {metric!r}. {did_you_mean(metric, map(str, scores.data_vars))}"
        )
    if v.PRODUCT not in scores.dims:
        return scores
    known = [str(p) for p in scores[v.PRODUCT].values]
    if product is None:
        own = [p for p in known if p in v.MODEL_PRODUCTS.values()] or known
        product = own[0] if len(own) == 1 else None
    if product not in known:
        which = "name one of the scores' products" if product is None else f"product {product!r} is not there"
        raise DatasetError(f"{which}. {did_you_mean(product or '', known)}")
    return scores.sel({v.PRODUCT: product})


def _made_with(one: xr.Dataset, scores: xr.Dataset, record: str) -> bool:
    product = str(one[v.PRODUCT].item()) if v.PRODUCT in one.coords else ""
    # SMAP is the record that a model learns from, and a product among the others.
    names = {v.SM_SMAP, v.SMAP} if record in (v.SM_SMAP, v.SMAP) else {record}
    return bool(names & {str(scores.attrs.get("reference", "")), product})


def _texts(one: xr.Dataset, attributes: xr.Dataset, name: str) -> NDArray[np.str_]:
    for ds in (one, attributes):
        if name in ds.coords:
            return ds[name].values.astype(str)
    return np.full(one.sizes[v.SITE], "", dtype="<U1")


def _numbers(one: xr.Dataset, attributes: xr.Dataset, name: str) -> Array:
    for ds in (one, attributes):
        if name in ds.coords:
            return ds[name].values.astype(float)
    return np.full(one.sizes[v.SITE], np.nan)
