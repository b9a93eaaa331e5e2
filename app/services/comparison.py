"""Comparison of products and runs over the sites shown: ranks, pairwise differences and scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from app.services.cache import ResultCache
from app.services.evaluation import Evaluation
from app.services.site_filters import Shown
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.comparison import compare_products
from gsm3core.evaluation.scoring import compare_runs, own_product
from gsm3core.evaluation.test_days import compared_products, training_name
from gsm3core.evaluation.training_scores import score_training
from gsm3core.metrics import ALL_METRICS, METRICS
from gsm3core.statistics.cluster_bootstrap import MedianInterval, median_interval

Array = NDArray[np.float64]
_COMPARISONS: ResultCache[Comparison] = ResultCache(8)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two or more products compared over some sites.

    Parameters
    ----------
    found
        As :func:`gsm3core.evaluation.comparison.compare_products` returns it.
    sites
        As :attr:`app.services.evaluation.Evaluation.sites`, the sites shown alone.
    runs
        Name of a run's prediction among the products -> its id, the shown one first.
    words
        Description of the sites, and of the conditions of the scores.
    training
        Scores of each run on its training days, ``(product, site)``: shown beside the comparison, not part of it.
    """

    found: xr.Dataset
    sites: pd.DataFrame
    runs: dict[str, str]
    words: str
    training: tuple[xr.Dataset, ...] = ()

    @property
    def products(self) -> list[str]:
        """Names of the products, runs first."""
        return [str(p) for p in self.found[v.PRODUCT].values]

    @property
    def metrics(self) -> list[str]:
        """Names of the scores that were compared."""
        return [str(m) for m in self.found["metric"].values]

    def sample(self, wanted: str) -> str:
        """Return the sample to show: the wanted one, or the only one there is."""
        there = [str(x) for x in self.found["sample"].values]
        return wanted if wanted in there else there[0]

    def at(self, sample: str, metric: str) -> xr.Dataset:
        """Return the part of one sample and metric."""
        return self.found.sel(sample=self.sample(sample), metric=metric)

    def scores(self, sample: str, metric: str, product: str) -> Array:
        """Return a product's score at every site; NaN where it has none."""
        return np.asarray(self.at(sample, metric)["score"].sel({v.PRODUCT: product}).values, float)

    def ranks(self, sample: str, metric: str) -> pd.DataFrame:
        """Return a row per product, the best median first.

        Returns
        -------
        pandas.DataFrame
            Indexed by product: ``median``, ``lower``, ``upper``, ``sites``, ``clusters``, ``resampled``, ``median_loss`` (which
            decides the order; of the bias its absolute value), and ``best_at`` (number of sites where no other is better).
        """
        part = self.at(sample, metric)
        scores = part["score"].transpose(v.PRODUCT, v.SITE).values
        loss = ALL_METRICS[metric].loss(scores)
        best = part["best"].values
        table = pd.DataFrame(
            {
                "median": part["median"].values,
                "lower": part["lower"].values,
                "upper": part["upper"].values,
                "sites": part["n_sites"].values.astype(int),
                "clusters": part["clusters"].values.astype(int),
                "resampled": part["resampled"].values.astype(str),
                "median_loss": [
                    np.median(x[np.isfinite(x)]) if np.isfinite(x).any() else np.nan for x in loss
                ],
                "best_at": [(best == name).sum() for name in self.products],
            },
            index=pd.Index(self.products, name=v.PRODUCT),
        )
        return table.sort_values("median_loss", kind="stable", na_position="last")

    def training_medians(self, metric: str) -> dict[str, MedianInterval]:
        """Return the median of each run's scores on its training days over the sites, where there are any."""
        return {
            str(scores[v.PRODUCT].values[0]): median_interval(
                scores[metric].values[0], self.sites[v.NETWORK].to_numpy(), metric=metric,
                confidence=self.found.attrs["confidence"],
            )
            for scores in self.training
            if metric in scores
        }  # fmt: skip

    def against_others(self, sample: str, metric: str, product: str) -> pd.DataFrame:
        """Return a row per other product: ``difference`` (product minus other) with its interval, tests and wins."""
        part = self.at(sample, metric).sel({v.PRODUCT: product})
        names = (
            "difference",
            "difference_lower",
            "difference_upper",
            "p",
            "p_holm",
            "win_share",
            "n_common",
        )
        table = pd.DataFrame({n: part[n].values for n in names}, index=pd.Index(self.products, name="other"))
        return table.drop(index=product)


@dataclass(frozen=True, kw_only=True)
class ComparisonRequest:
    """A comparison of products at some sites.

    Parameters
    ----------
    evaluation, shown
        Loaded scores, and the sites shown.
    other_run
        Id of a second run on the same dataset; empty for none.
    metric
        Score shown; R, bias, RMSE and ubRMSE are always compared with it.
    min_days
        Fewest paired days for a score, where that is more than the run's own.
    """

    evaluation: Evaluation
    shown: Shown
    other_run: str = ""
    metric: str = "R"
    min_days: int = 0

    @property
    def by_scores(self) -> bool:
        """Whether per-site scores are compared: metrics of anomalies and ranks cannot be computed on shared days."""
        return ALL_METRICS[self.metric].computed_on != "values"

    def key(self, store: Store) -> tuple[object, ...]:
        """Return what identifies the comparison, beside the dataset."""
        e = self.evaluation
        metric = "" if self.metric in METRICS else self.metric
        sites = self.shown.mask.tobytes()
        runs = tuple((i, store.run(i).results_version) for i in (e.run, self.other_run) if i)
        return (
            store.runs_folder,
            runs,
            e.reference,
            e.season,
            e.scaling,
            e.masks,
            metric,
            self.min_days,
            sites,
            self.shown.words,
        )


def compare(store: Store, request: ComparisonRequest) -> Comparison:
    """Compare the products of an evaluation, and a second run, at the sites shown.

    Parameters
    ----------
    store
        Reads datasets and runs.
    request
        What is compared.

    Raises
    ------
    GSM3Error
        If there are fewer than two products, no site, or the two runs share no test day.

    Notes
    -----
    With runs, every product is scored on the days that test all of them: no run is scored on its training days, and no
    product on other days than the others.
    """
    path = store.dataset_path(request.evaluation.dataset)
    return _COMPARISONS.cached(path, request.key(store), lambda: _compare(store, request))


def is_compared(store: Store, request: ComparisonRequest) -> bool:
    """Return whether the comparison is cached."""
    return _COMPARISONS.is_cached(store.dataset_path(request.evaluation.dataset), request.key(store))


def _compare(store: Store, request: ComparisonRequest) -> Comparison:
    evaluation, shown = request.evaluation, request.shown
    if not shown.mask.any():
        raise DatasetError("No site passes the filters. Remove one of them.")
    if request.by_scores:
        return _compare_scores(request)
    ds = store.dataset(evaluation.dataset).isel({v.SITE: np.flatnonzero(shown.mask)})
    ids = [i for i in (evaluation.run, request.other_run) if i]
    names = _run_names(store, ids)
    records = [n for n in compared_products(ds, evaluation.reference) if n not in names.values()]
    series = [*names.values(), *records]
    if len(series) < 2:
        raise DatasetError(
            f"{evaluation.dataset} has {'only ' + series[0] if series else 'nothing'} to compare with "
            f"{evaluation.against}. Choose a run, or add a product on the Data page."
        )
    found = compare_runs(
        ds,
        {name: store.run(i) for i, name in names.items()},
        reference=evaluation.reference,
        **evaluation.condition_options,
        metrics=tuple(dict.fromkeys([*METRICS, request.metric])),
        min_days=request.min_days,
    )
    return Comparison(
        found,
        evaluation.sites[shown.mask],
        {name: i for i, name in names.items()},
        shown.words + evaluation.conditions,
        _training(store, request, ds, names),
    )


def _training(
    store: Store, request: ComparisonRequest, ds: xr.Dataset, names: dict[str, str]
) -> tuple[xr.Dataset, ...]:
    """Return the training scores of the runs compared, named as these runs."""
    evaluation = request.evaluation
    found = []
    for i, name in names.items():
        scores = score_training(
            store.run(i), dataset=ds, reference=evaluation.reference, **evaluation.condition_options,
            metrics=tuple(dict.fromkeys([*METRICS, request.metric])), min_days=request.min_days,
        )  # fmt: skip
        if scores is not None:
            found.append(scores.assign_coords({v.PRODUCT: [training_name(name)]}))
    return tuple(found)


def _compare_scores(request: ComparisonRequest) -> Comparison:
    evaluation, mask = request.evaluation, request.shown.mask
    if not evaluation.has(request.metric):
        raise DatasetError(f"{request.metric} is being computed; it appears when it is ready.")
    scores = evaluation.scores.isel({v.SITE: np.flatnonzero(mask)})
    networks = evaluation.sites[v.NETWORK].to_numpy()[mask]
    found = compare_products(
        scores, metrics=(request.metric,), networks=networks, confidence=evaluation.confidence
    )
    runs = {evaluation.products[0]: evaluation.run} if evaluation.run else {}
    return Comparison(found, evaluation.sites[mask], runs, request.shown.words + evaluation.conditions)


def _run_names(store: Store, ids: list[str]) -> dict[str, str]:
    """Return the name of each run's prediction: one alone as in its scores, two by their titles."""
    if len(ids) < 2:
        return {i: own_product(store.run(i)) for i in ids}
    titles = [store.run(i).title for i in ids]
    return {i: t if titles.count(t) == 1 else f"{t} ({i})" for i, t in zip(ids, titles, strict=True)}
