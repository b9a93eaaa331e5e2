"""Works out a comparison of products and runs; results are kept, bounded, for every visitor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.services.cache import ResultCache
from app.services.comparison import Comparison
from app.services.evaluation import ALL_YEAR, Evaluation
from app.services.scoring import MIN_DAYS, own_product
from app.services.site_filters import Shown
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.comparison import compare_products
from gsm3core.evaluation.test_days import compared_products, in_season, tested_series
from gsm3core.metrics import ALL_METRICS, METRICS

_KEPT: ResultCache[Comparison] = ResultCache(8)


@dataclass(frozen=True, kw_only=True)
class ComparisonRequest:
    """What is to be compared.

    Parameters
    ----------
    evaluation, shown
        What is loaded, and which of its sites are looked at.
    other_run
        Id of a second run on the same dataset; empty for none.
    metric
        Which score is looked at; the usual ones are always compared with it.
    min_days
        Fewest paired days for a score, where that is more than the run or the tool asks for.
    """

    evaluation: Evaluation
    shown: Shown
    other_run: str = ""
    metric: str = "R"
    min_days: int = 0

    @property
    def by_scores(self) -> bool:
        """Whether the metric cannot be put on shared days (of anomalies, of ranks): the scores are then compared."""
        return ALL_METRICS[self.metric].of != "values"

    def key(self, store: Store) -> tuple[object, ...]:
        """Return what tells one comparison from another."""
        e = self.evaluation
        path = store.dataset_path(e.dataset)
        metric = "" if self.metric in METRICS else self.metric
        what = (
            e.run,
            self.other_run,
            e.reference,
            e.season,
            metric,
            self.min_days,
            self.shown.mask.tobytes(),
        )
        return path, _version(path), store.runs_folder, *what


def compare(store: Store, asked: ComparisonRequest) -> Comparison:
    """Compare the products of an evaluation, and a second run, at the sites that are shown.

    Parameters
    ----------
    store
        Reads datasets and runs.
    asked
        What is to be compared.

    Raises
    ------
    GSM3Error
        If there are fewer than two products, no site, or the two runs share no test day.

    Notes
    -----
    With runs, every product is scored on the days that test all of them: nobody is judged on days it learnt from,
    and nobody on easier days than the others.
    """
    return _KEPT.get(asked.key(store), lambda: _compare(store, asked))


def is_compared(store: Store, asked: ComparisonRequest) -> bool:
    """Tell whether :func:`compare` answers at once."""
    return asked.key(store) in _KEPT


def _compare(store: Store, asked: ComparisonRequest) -> Comparison:
    evaluation, shown = asked.evaluation, asked.shown
    if not shown.mask.any():
        raise DatasetError("No site is left by the filters. Take one of them back.")
    if asked.by_scores:
        return _compare_scores(asked)
    ds = store.dataset(evaluation.dataset).isel({v.SITE: np.flatnonzero(shown.mask)})
    ids = [i for i in (evaluation.run, asked.other_run) if i]
    names = _names(store, ids)
    records = [n for n in compared_products(ds, evaluation.reference) if n not in names.values()]
    series = [*names.values(), *records]
    if len(series) < 2:
        raise DatasetError(
            f"{evaluation.dataset} has {'only ' + series[0] if series else 'nothing'} to compare with "
            f"{evaluation.against}. Choose a run, or add a product on the Data page."
        )
    predictions = {name: store.run(i).predictions() for i, name in names.items()}
    stacked = tested_series(ds, evaluation.reference, predictions)
    if evaluation.season != ALL_YEAR:
        stacked = stacked.where(in_season(ds, evaluation.season)).assign_attrs(stacked.attrs)
    usual = store.run(ids[0]).config.scores.min_days if ids else MIN_DAYS
    found = compare_products(
        stacked,
        ds[evaluation.reference].load(),
        metrics=tuple(dict.fromkeys([*METRICS, asked.metric])),
        min_days=max(usual, asked.min_days),
    )
    return Comparison(
        found, evaluation.sites[shown.mask], {name: i for i, name in names.items()}, shown.words
    )


def _compare_scores(asked: ComparisonRequest) -> Comparison:
    evaluation, mask = asked.evaluation, asked.shown.mask
    if not evaluation.has(asked.metric):
        raise DatasetError(f"{asked.metric} is being computed; it appears when it is there.")
    scores = evaluation.scores.isel({v.SITE: np.flatnonzero(mask)})
    networks = evaluation.sites[v.NETWORK].to_numpy()[mask]
    found = compare_products(scores, metrics=(asked.metric,), networks=networks)
    runs = {evaluation.products[0]: evaluation.run} if evaluation.run else {}
    return Comparison(found, evaluation.sites[mask], runs, asked.shown.words)


def _names(store: Store, ids: list[str]) -> dict[str, str]:
    """Return what each run's prediction is called: one alone as in its scores, two by their titles."""
    if len(ids) < 2:
        return {i: own_product(store.run(i)) for i in ids}
    titles = [store.run(i).title for i in ids]
    return {i: t if titles.count(t) == 1 else f"{t} ({i})" for i, t in zip(ids, titles, strict=True)}


def _version(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0
