"""Which factors go along with a product's scores at the sites shown; results are kept, bounded, for every visitor."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from app.services.cache import ResultCache
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
_KEPT: ResultCache[Any] = ResultCache(48)
_ATTRIBUTES: ResultCache[xr.Dataset] = ResultCache(4)
QUICK, THOROUGH = "quick", "thorough"
SPLITS = {QUICK: {"repeats": 1, "permutations": 5}, THOROUGH: {"repeats": 3, "permutations": 10}}


@dataclass(frozen=True, eq=False)
class FactorQuery:
    """What is to be explained: one product's scores at some sites.

    Parameters
    ----------
    key
        What tells it from another question.
    table
        Every site's score beside its factors.
    attributes
        Factors of all sites of the dataset, also of those without a score.
    sites
        All sites of the dataset, as in an evaluation.
    product, words
        Whose scores, and what the sites have in common.
    nearby
        Whether neighbours have like scores.
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
        """Factors that are numbers, not classes."""
        return [name for name in self.table.factors if name not in self.table.classes]


def moisture_records(store: Store, dataset: str) -> dict[str, str]:
    """Return the records whose mean can serve as mean soil moisture: what they are called -> their name."""
    ds = store.dataset(dataset)
    names = {"SMAP": v.SM_SMAP, "In situ": v.SM_INSITU}
    found = {label: name for label, name in names.items() if name in target_names(ds)}
    return found | {name: name for name in products(ds) if name != v.SMAP}


def question(
    store: Store, evaluation: Evaluation, shown: Shown, product: str, metric: str, moisture: str = ""
) -> FactorQuery:
    """Put a product's scores beside the factors.

    Parameters
    ----------
    store
        Reads datasets.
    evaluation, shown
        What is loaded, and which of its sites are looked at.
    product, metric
        Whose scores by which metric.
    moisture
        Record whose mean is the mean soil moisture factor; empty for SMAP's, or another's where too few of the sites have SMAP.

    Raises
    ------
    GSM3Error
        If fewer than 20 sites have a score, or the record is not there.
    """
    e = evaluation
    path = store.dataset_path(e.dataset)
    version = _version(path)
    days = int(e.scores.attrs.get("min_days", 0))
    scored = np.isfinite(e.values(product, metric)) & shown.mask
    what = (e.run, e.reference, e.season, days, product, metric, moisture, scored.tobytes())
    key = (path, version, store.runs_folder, *what)

    def make() -> FactorQuery:
        attributes = _ATTRIBUTES.get((path, version), lambda: _site_attributes(store.dataset(e.dataset)))
        scores = e.scores.isel({v.SITE: np.flatnonzero(scored)}).assign_attrs(reference=e.reference)
        names = [n for n in attributes.attrs["factors"] if n in attributes]
        chosen = moisture or usual_moisture(attributes, scored, moisture_records(store, e.dataset))
        table = factor_table(
            scores, attributes, metric=metric, product=product, moisture=chosen or None, factors=names
        )
        nearby = morans_i(table.score, table.lat, table.lon)
        return FactorQuery(key, table, attributes, e.sites, product, shown.words, nearby)

    return _kept((*key, "question"), make)


def usual_moisture(attributes: xr.Dataset, scored: NDArray[np.bool_], records: dict[str, str]) -> str:
    """Return the first record with a mean at half of the sites that have a score, else the one with most; empty if none.

    Parameters
    ----------
    attributes
        With the mean of every record, ``(site)``.
    scored
        ``(site)``, whether it has a score.
    records
        Of :func:`moisture_records`.
    """
    known = {name: int(attributes[MEAN + name].notnull().values[scored].sum()) for name in records.values()}
    enough = [name for name, n in known.items() if n >= scored.sum() / 2]
    return next(iter(enough), max(known, key=known.__getitem__, default=""))


def strata(asked: FactorQuery, bins: Bins) -> xr.Dataset:
    """Return the paper's figure 6: :func:`gsm3core.factors.skill_strata`.

    Raises
    ------
    DatasetError
        If no site has a mean of the record that divides dry sites from moist ones.
    """
    if not asked.table.moisture:
        raise DatasetError(
            "None of the sites with a score has a value of the record that divides dry from moist. Choose another "
            "one under Mean soil moisture."
        )
    return _kept(
        (asked.key, "strata", bins),
        lambda: skill_strata(
            asked.table, first_edges=bins.moisture, second_edges=bins.aspect, limit=bins.limit
        ),
    )


def importance(asked: FactorQuery, effort: str = QUICK) -> xr.Dataset:
    """Return :func:`gsm3core.factors.importance_of`; SHAP values too where the package is installed."""
    return _kept(
        (asked.key, "importance", effort),
        lambda: importance_of(asked.table, measures=measures(), **SPLITS[effort]),  # type: ignore[arg-type]
    )


def effect(asked: FactorQuery, factor: str) -> xr.Dataset:
    """Return :func:`gsm3core.factors.factor_effect`."""
    return _kept((asked.key, "effect", factor), lambda: factor_effect(asked.table, factor, replicates=12))


def surface(asked: FactorQuery, first: str, second: str) -> xr.Dataset:
    """Return :func:`gsm3core.factors.effect_surface`."""
    return _kept((asked.key, "surface", first, second), lambda: effect_surface(asked.table, first, second))


def skill(asked: FactorQuery) -> tuple[SkillModel, xr.Dataset]:
    """Return what score to expect at every site of the dataset, and the model that says so."""

    def make() -> tuple[SkillModel, xr.Dataset]:
        model = fit_skill(asked.table)
        return model, model.predict(asked.attributes)

    return _kept((asked.key, "skill"), make)


def is_kept(asked: FactorQuery, *what: Hashable) -> bool:
    """Tell whether a result (``"importance", effort`` and so on) is there already."""
    return (asked.key, *what) in _KEPT


def measures() -> list[str]:
    """Return how importance is measured here."""
    return [m for m in MEASURES if m != SHAP or has_shap()]


def has_shap() -> bool:
    """Tell whether SHAP values can be computed here."""
    return find_spec("shap") is not None


def _site_attributes(ds: xr.Dataset) -> xr.Dataset:
    """Return every factor and the mean of every record, ``(site)`` each: series are read once."""
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


def _kept(key: Hashable, make: Callable[[], T]) -> T:
    found: T = _KEPT.get(key, make)
    return found


def _version(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0
