"""The factor table: the score and the factors of every site, without near-duplicate factors."""

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
from gsm3core.factors.duplicates import cluster_factors, near_duplicates, rank_correlation
from gsm3core.schema import is_simulated
from gsm3core.statistics.meta_analysis import random_effects_weights, sampling_variance

Array = NDArray[np.float64]

ASSOCIATION = (
    "Association, not cause: a factor of high importance is associated with the score at these sites."
)
DUPLICATE_CORRELATION = 0.95
GROUP_CORRELATION = 0.7
SIMULATED = "Simulated data: the results do not apply to real sites."
_MIN_SITES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorTable:
    """One row per site with a score.

    Parameters
    ----------
    site, network, region
        Names; empty where unknown.
    lat, lon
        Degrees; NaN where unknown.
    metric, score
        Name of the metric, and its value at each site.
    sampling_variance
        Of the score (of ``atanh R`` for R); NaN where unknown.
    factors, values
        Names, and values ``(site, factor)``.
    classes
        Class numbers of each categorical factor and their meanings.
    groups
        ``(factor)`` number of the group; the correlated factors of a group are permuted together.
    dropped
        Excluded factors and the reasons.
    moisture
        Name of the mean soil moisture factor, or empty.
    circular
        Whether it is the mean of a record that the score was computed from.
    simulated
        Whether the data are simulated.
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
        """Caveats of every result: association, simulated data and circular mean soil moisture."""
        note = f"{SIMULATED} {ASSOCIATION}" if self.simulated else ASSOCIATION
        if not self.circular:
            return note
        return (
            f"{note} {self.moisture} is the mean of a record that the score was computed from: its errors are in "
            "both, and its association with the score is circular. Use the mean soil moisture of another record."
        )

    def column(self, factor: str) -> Array:
        """Return one factor's values.

        Raises
        ------
        DatasetError
            If the factor is not in the table; the message gives the reason if it was excluded.
        """
        if factor not in self.factors:
            why = f" It was excluded: {self.dropped[factor]}." if factor in self.dropped else ""
            raise DatasetError(
                f"factor {factor!r} is not in the table.{why} {did_you_mean(factor, self.factors)}"
            )
        return self.values[:, self.factors.index(factor)]

    def encoded(self, values: Array | None = None) -> tuple[Array, NDArray[np.int64]]:
        """Return the input matrix of a model (one 0/1 column per class) and the factor number of each column."""
        values = self.values if values is None else values
        columns, column_factor = [], []
        for k, name in enumerate(self.factors):
            x = values[:, k]
            if name in self.classes:
                columns += [(x == number).astype(float) for number in self.classes[name]]
                column_factor += [k] * len(self.classes[name])
            else:
                columns.append(x)
                column_factor.append(k)
        return np.column_stack(columns), np.array(column_factor)

    def weights(self) -> Array | None:
        """Return random-effects weights of mean 1 from the sampling variances; None if they are unknown.

        Notes
        -----
        :func:`gsm3core.statistics.meta_analysis.random_effects_weights`. R is transformed to Fisher's z, whose variance
        ``1 / (n_effective - 3)`` does not depend on R.
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
    """Return the table of every site's score and factors.

    Parameters
    ----------
    scores
        From :func:`gsm3core.site_scores` or a run: ``metric (site)`` or ``(product, site)``.
    attributes
        A SiteDataset, or any dataset with variables ``(site)``. Series become long-term means (``mean_...``).
    metric, product
        Score to explain; by default the product is the run itself if it is the only model.
    moisture
        Record of the mean soil moisture: ``sm_smap`` (as in the paper; the default if present), ``sm_insitu``, a product's
        name, or an array ``(site)``. The mean of a record that R was computed from is a **circular** predictor: its
        errors are in both. The notes of the table and of all results then state this.
    factors
        Names; by default all attributes, the long-term means of all forcings, and the mean soil moisture.
    duplicate_correlation
        Absolute rank correlation from which factors are near-duplicates. The one with the fewest missing values remains,
        among equals the most central; mean soil moisture and poleward aspect have priority.
    group_correlation
        Mean absolute rank correlation from which factors are permuted together.

    Raises
    ------
    DatasetError
        If the metric or product is unknown, fewer than 20 sites have a score, the score is constant, or there is no
        factor.

    Notes
    -----
    The paper's section 2.2 uses long-term averages with static attributes, "removed duplication".
    """
    one = _select_product(scores, metric, product)
    sites = one[v.SITE].to_index().astype(str)
    attribute_sites = attributes[v.SITE].to_index().astype(str)
    both = sites[sites.isin(attribute_sites) & np.isfinite(one[metric].values)]
    if len(both) < _MIN_SITES:
        raise DatasetError(
            f"{len(both)} sites have both a score ({metric}) and attributes; at least {_MIN_SITES} are needed."
        )
    simulated = is_simulated(attributes)
    one = one.isel({v.SITE: sites.get_indexer(both)})
    if np.ptp(one[metric].values) == 0:
        raise DatasetError(f"{metric} is the same at all {len(both)} sites; expected a score that varies.")
    moisture_factor = moisture_name(attributes, moisture)
    if isinstance(moisture, xr.DataArray):
        means = moisture.mean(v.TIME, skipna=True) if v.TIME in moisture.dims else moisture
        attributes = attributes.assign({str(moisture_factor): means.reset_coords(drop=True)})
    attributes = attributes.isel({v.SITE: attribute_sites.get_indexer(both)})
    names = list(factors) if factors is not None else available_factors(attributes)
    if moisture_factor and moisture_factor not in names:
        names.append(moisture_factor)
    if not names:
        raise DatasetError(
            "the dataset has no attribute, forcing or mean soil moisture; expected at least one factor."
        )
    values = factor_values(attributes, names)
    meanings = {n: m for n in names if (m := class_meanings(attributes, n)) is not None}

    dropped: dict[str, str] = {}
    for k, name in enumerate(names):
        known = values[np.isfinite(values[:, k]), k]
        if len(known) < len(both) / 2:
            dropped[name] = f"missing at {len(both) - len(known)} of {len(both)} sites"
        elif np.ptp(known) == 0:
            dropped[name] = "constant over the sites"
    left = [k for k, name in enumerate(names) if name not in dropped]
    values, names = values[:, left], [names[k] for k in left]
    quantities = np.array([n not in meanings for n in names])
    correlation = rank_correlation(values, quantities)
    duplicates = near_duplicates(names, values, correlation, moisture_factor or "", duplicate_correlation)
    dropped |= {n: f"near-duplicate of {m} by rank correlation" for n, m in duplicates.items()}
    left = [k for k, name in enumerate(names) if name not in dropped]
    names = [names[k] for k in left]
    values = values[:, left]
    if not names:
        raise DatasetError(
            f"all factors were excluded: {'; '.join(f'{n} ({why})' for n, why in dropped.items())}."
        )
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
        groups=cluster_factors(correlation[np.ix_(left, left)], group_correlation, "average"),
        dropped=dropped,
        moisture=moisture_factor if moisture_factor in names else "",
        circular=bool(moisture_factor) and _is_circular(one, scores, str(moisture_factor).removeprefix(MEAN)),
        simulated=simulated,
    )


def _select_product(scores: xr.Dataset, metric: str, product: str | None) -> xr.Dataset:
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
        which = "product is missing" if product is None else f"unknown product {product!r}"
        raise DatasetError(f"{which}. {did_you_mean(product or '', known)}")
    return scores.sel({v.PRODUCT: product})


def _is_circular(one: xr.Dataset, scores: xr.Dataset, record: str) -> bool:
    product = str(one[v.PRODUCT].item()) if v.PRODUCT in one.coords else ""
    # SMAP is both a training target and a product.
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
