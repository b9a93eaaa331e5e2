"""Factor analysis of a product's scores at the sites shown, with cached results."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from app.services.cache import ResultCache, file_version
from app.services.evaluation import Evaluation
from app.services.site_filters import Shown
from app.services.store import Store
from app.services.strata_bins import Bins
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.factors import (
    MEASURES,
    SHAP,
    FactorTable,
    MoransI,
    SkillModel,
    effect_surface,
    factor_effect,
    factor_table,
    fit_skill,
    importance_of,
    morans_i,
    skill_strata,
)
from gsm3core.factors.columns import MEAN, available_factors, factor_values
from gsm3core.schema import products, target_names

T = TypeVar("T")
_RESULTS: ResultCache[Any] = ResultCache(48)
_ATTRIBUTES: ResultCache[xr.Dataset] = ResultCache(4)
QUICK, THOROUGH = "quick", "thorough"
SPLITS = {QUICK: {"repeats": 1, "permutations": 5}, THOROUGH: {"repeats": 3, "permutations": 10}}


@dataclass(frozen=True, eq=False)
class FactorQuery:
    """One product's scores at some sites with the factors to explain them by.

    Parameters
    ----------
    key
        Identifies the query in caches.
    table
        Score and factors of every site with a score.
    attributes
        Factors of all sites of the dataset, also of those without a score.
    sites
        As :attr:`app.services.evaluation.Evaluation.sites`.
    product, words
        The product, and a description of the sites.
    nearby
        Spatial autocorrelation of the scores.
    """

    key: Hashable
    table: FactorTable
    attributes: xr.Dataset
    sites: pd.DataFrame
    product: str
    words: str
    nearby: MoransI

    @property
    def quantities(self) -> list[str]:
        """Names of the numerical factors."""
        return [name for name in self.table.factors if name not in self.table.classes]


def moisture_records(store: Store, dataset: str) -> dict[str, str]:
    """Return the records whose mean can be the mean soil moisture factor, label -> name."""
    ds = store.dataset(dataset)
    names = {"SMAP": v.SM_SMAP, "In situ": v.SM_INSITU}
    found = {label: name for label, name in names.items() if name in target_names(ds)}
    return found | {name: name for name in products(ds) if name != v.SMAP}


def factor_query(
    store: Store, evaluation: Evaluation, shown: Shown, product: str, metric: str, moisture: str = ""
) -> FactorQuery:
    """Join a product's scores with the factors of the sites.

    Parameters
    ----------
    store
        Reads datasets.
    evaluation, shown
        Loaded scores, and the sites shown.
    product, metric
        The score to explain.
    moisture
        Record whose mean is the mean soil moisture factor; empty for SMAP's, or another's where too few of the sites have SMAP.

    Raises
    ------
    GSM3Error
        If fewer than 20 sites have a score, or the record is not there.
    """
    e = evaluation
    path = store.dataset_path(e.dataset)
    days = int(e.scores.attrs.get("min_days", 0))
    scored = np.isfinite(e.values(product, metric)) & shown.mask
    run = (e.run, store.run(e.run).results_version) if e.run else ()
    what = (
        run,
        e.reference,
        e.season,
        e.scaling,
        e.masks,
        days,
        product,
        metric,
        moisture,
        scored.tobytes(),
        shown.words,
    )
    key = (path, file_version(path), store.runs_folder, *what)

    def make() -> FactorQuery:
        attributes = _ATTRIBUTES.cached(path, (), lambda: _site_attributes(store.dataset(e.dataset)))
        scores = e.scores.isel({v.SITE: np.flatnonzero(scored)}).assign_attrs(reference=e.reference)
        names = [n for n in attributes.attrs["factors"] if n in attributes]
        chosen = moisture or default_moisture(attributes, scored, moisture_records(store, e.dataset))
        table = factor_table(
            scores, attributes, metric=metric, product=product, moisture=chosen or None, factors=names
        )
        nearby = morans_i(table.score, table.lat, table.lon)
        return FactorQuery(key, table, attributes, e.sites, product, shown.words + e.conditions, nearby)

    return _cached((*key, "query"), make)


def default_moisture(attributes: xr.Dataset, scored: NDArray[np.bool_], records: dict[str, str]) -> str:
    """Return the first record with a mean at half of the scored sites, else the one with most; empty if there is none.

    Parameters
    ----------
    attributes
        With the mean of every record, ``(site)``.
    scored
        ``(site)`` mask of the sites with a score.
    records
        Of :func:`moisture_records`.
    """
    known = {name: int(attributes[MEAN + name].notnull().values[scored].sum()) for name in records.values()}
    enough = [name for name, n in known.items() if n >= scored.sum() / 2]
    return next(iter(enough), max(known, key=known.__getitem__, default=""))


def strata(query: FactorQuery, bins: Bins) -> xr.Dataset:
    """Return the paper's figure 6: :func:`gsm3core.factors.skill_strata`.

    Raises
    ------
    DatasetError
        If no site has a mean of the record that separates dry from moist sites.
    """
    if not query.table.moisture:
        raise DatasetError(
            "No site with a score has a value of the record that separates dry from moist sites. Choose another record "
            "under Mean soil moisture."
        )
    return _cached(
        (query.key, "strata", bins),
        lambda: skill_strata(
            query.table, first_edges=bins.moisture, second_edges=bins.aspect, limit=bins.limit
        ),
    )


def importance(query: FactorQuery, effort: str = QUICK) -> xr.Dataset:
    """Return :func:`gsm3core.factors.importance_of`; SHAP values too where the package is installed."""
    return _cached(
        (query.key, "importance", effort),
        lambda: importance_of(query.table, measures=measures(), **SPLITS[effort]),  # type: ignore[arg-type]
    )


def effect(query: FactorQuery, factor: str) -> xr.Dataset:
    """Return :func:`gsm3core.factors.factor_effect`."""
    return _cached((query.key, "effect", factor), lambda: factor_effect(query.table, factor, replicates=12))


def surface(query: FactorQuery, first: str, second: str) -> xr.Dataset:
    """Return :func:`gsm3core.factors.effect_surface`."""
    return _cached((query.key, "surface", first, second), lambda: effect_surface(query.table, first, second))


def skill(query: FactorQuery) -> tuple[SkillModel, xr.Dataset]:
    """Return the model of the expected score, and its prediction at every site of the dataset."""

    def make() -> tuple[SkillModel, xr.Dataset]:
        model = fit_skill(query.table)
        return model, model.predict(query.attributes)

    return _cached((query.key, "skill"), make)


def is_cached(query: FactorQuery, *what: Hashable) -> bool:
    """Return whether a result (``"importance", effort`` and so on) is cached."""
    return (query.key, *what) in _RESULTS


def measures() -> list[str]:
    """Return the importance measures that can be computed here."""
    return [m for m in MEASURES if m != SHAP or has_shap()]


def has_shap() -> bool:
    """Return whether the package shap is installed."""
    return find_spec("shap") is not None


def _site_attributes(ds: xr.Dataset) -> xr.Dataset:
    """Return every factor and the mean of every record, ``(site)`` each; the series are read once."""
    factors = available_factors(ds)
    records = [*target_names(ds), *(n for n in products(ds) if n != v.SMAP)]
    names = [*factors, *(MEAN + r for r in records)]
    values = factor_values(ds, names)
    attrs = {n: dict(ds[n].attrs) for n in names if n in ds}
    coords = {
        n: (v.SITE, ds[n].values.astype(float if n in (v.LAT, v.LON) else str))
        for n in (v.LAT, v.LON, v.REGION, v.NETWORK)
        if n in ds.coords
    }
    return xr.Dataset(
        {n: (v.SITE, values[:, k], attrs.get(n, {})) for k, n in enumerate(names)},
        coords={v.SITE: ds[v.SITE].values.astype(str), **coords},
        attrs={"factors": factors},
    )


def _cached(key: Hashable, make: Callable[[], T]) -> T:
    found: T = _RESULTS.get(key, make)
    return found
