"""The lines of Python that make the answers on the page without it: comparisons, factors, medians, runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from app.export.scripts import kept_lines, python_lines, script
from app.services.evaluation import ALL_YEAR, Evaluation
from app.services.factor_analysis import QUICK, SPLITS, measures
from app.services.scoring import MIN_DAYS
from app.services.site_filters import Filters
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.metrics import ALL_METRICS, METRICS
from gsm3core.run import Run

_TESTED = "from gsm3core.evaluation.test_days import tested_series"
_ASSOCIATION = "# Association, not cause."


def comparison_lines(
    store: Store,
    evaluation: Evaluation,
    filters: Filters,
    runs: Mapping[str, str],
    *,
    sample: str,
    metric: str,
    min_days: int = 0,
) -> str:
    """Return a script that ends with ``found``, as :func:`gsm3core.compare_products` returns it.

    Parameters
    ----------
    store
        Knows where the files lie.
    evaluation, filters, min_days
        What is on the page.
    runs
        What each run's prediction is called among the products -> its id.
    sample, metric
        Which part of it is shown.
    """
    of_values = ALL_METRICS[metric].of == "values"
    if not of_values:
        runs = {evaluation.own: evaluation.run} if evaluation.run else {}
    needs = {"import gsm3core", "import numpy as np"}
    lines = _series(store, evaluation, filters, runs, needs)
    first = next(iter(runs.values()), "")
    fewest = max(store.run(first).config.scores.min_days if first else MIN_DAYS, min_days)
    days = f", min_days={fewest}" if fewest != MIN_DAYS else ""
    if of_values:
        if evaluation.season != ALL_YEAR:
            lines += _of_season(evaluation.season, needs)
        wanted = list(dict.fromkeys([*METRICS, metric]))
        lines += [f"found = gsm3core.compare_products(series, observed, metrics={wanted!r}{days})"]
    else:
        lines += _beyond(evaluation, metric, days, needs)
        lines += [f"found = gsm3core.compare_products(scores, metrics=[{metric!r}])"]
        sample = "given"
    lines += [f"print(found['median'].sel(sample={sample!r}, metric={metric!r}).to_series())"]
    return script(needs, lines)


def median_lines(
    store: Store, evaluation: Evaluation, filters: Filters, product: str, metric: str, min_days: int
) -> str:
    """Return a script that ends with ``median, lower, upper``: a product's median over the sites shown, and its interval."""
    lines = python_lines(store, evaluation, filters, product, metric, min_days)
    return lines + (
        "\nfrom gsm3core.statistics.cluster_bootstrap import ClusterDraws, median_interval\n"
        'networks = ds["network"].values.astype(str)[keep]  # drawn again as wholes\n'
        "median, lower, upper = median_interval(values.values, ClusterDraws.make(networks), 0.95)\n"
        "print(median, lower, upper)\n"
    )


def factor_lines(
    store: Store,
    evaluation: Evaluation,
    filters: Filters,
    product: str,
    metric: str,
    *,
    min_days: int,
    moisture: str,
    answer: Sequence[str],
) -> str:
    """Return a script that ends with ``found``: what the factors of the sites shown say of a product's scores.

    Parameters
    ----------
    store, evaluation, filters, product, metric, min_days
        What is on the page.
    moisture
        Record whose mean is the mean soil moisture factor; empty for SMAP's, or in situ's where there is no SMAP.
    answer
        Name in :mod:`gsm3core.factors` that is called with the table, and its further arguments as they are written.
    """
    needs = {
        "import gsm3core",
        "import numpy as np",
        f"from gsm3core.factors import {', '.join(sorted([answer[0], 'factor_table']))}",
    }
    runs = {evaluation.own: evaluation.run} if evaluation.run else {}
    usual = metric in METRICS and evaluation.season == ALL_YEAR
    fewest = max(store.run(evaluation.run).config.scores.min_days if evaluation.run else MIN_DAYS, min_days)
    if usual and evaluation.run:
        lines = [f"ds = gsm3core.open_dataset({str(store.dataset_path(evaluation.dataset))!r})"]
        lines += [
            *kept_lines(filters, needs), f"run = gsm3core.Run.open({str(store.run(evaluation.run).folder)!r})",
            f"scores = run.scores({evaluation.reference!r}).reindex(site=ds['site'].values[keep])", "ds = ds.isel(site=keep)",
        ]  # fmt: skip
    else:
        lines = _series(store, evaluation, filters, runs, needs)
        days = f", min_days={fewest}" if fewest != MIN_DAYS else ""
        lines += _beyond(evaluation, metric, days, needs)
    if usual and min_days:
        lines += [
            f"scores[{metric!r}] = scores[{metric!r}].where(scores['n_valid'] >= {min_days})",
        ]
    asked = f", moisture={moisture!r}" if moisture else ""
    lines += [
        "", f"table = factor_table(scores, ds, metric={metric!r}, product={product!r}{asked})",
        f"found = {answer[0]}({', '.join(['table', *answer[1:]])})  {_ASSOCIATION}", "print(found)",
    ]  # fmt: skip
    return script(needs, lines)


def importance_arguments(effort: str = QUICK) -> list[str]:
    """Return how the ranking of the factors is asked for."""
    return ["importance_of", f"measures={measures()!r}", *(f"{n}={x}" for n, x in SPLITS[effort].items())]


def run_lines(runs: Sequence[Run]) -> str:
    """Return a script that prints the median scores of some runs, each on its own test days."""
    lines = ["import gsm3core", ""]
    for run in runs:
        own = v.MODEL_PRODUCTS.get(run.config.model.name, v.MULTITASK_LSTM)
        lines += [f"run = gsm3core.Run.open({str(run.folder)!r})"]
        for reference in run.references():
            lines += [
                f"scores = run.scores({reference!r}).sel(product={own!r})",
                f"print(run.title, {reference!r}, scores[{list(METRICS)!r}].median().to_array().to_series())",
            ]
    return "\n".join(lines).replace("'", '"') + "\n"


def _series(
    store: Store, evaluation: Evaluation, filters: Filters, runs: Mapping[str, str], needs: set[str]
) -> list[str]:
    """The sites shown, and every product there on the days that test the runs."""
    needs.add(_TESTED)
    lines = [f"ds = gsm3core.open_dataset({str(store.dataset_path(evaluation.dataset))!r})"]
    lines += [*kept_lines(filters, needs), "ds = ds.isel(site=keep)", "", "runs = {"]
    lines += [
        f"    {_quoted(name)}: gsm3core.Run.open({str(store.run(i).folder)!r}).predictions(),"
        for name, i in runs.items()
    ]
    lines += ["}", f"series = tested_series(ds, {evaluation.reference!r}, runs)"]
    lines += [f"observed = ds[{evaluation.reference!r}]"]
    return lines


def _beyond(evaluation: Evaluation, metric: str, days: str, needs: set[str]) -> list[str]:
    """Scores that a run does not keep, or of a season."""
    asked = "" if metric in METRICS else f", metrics=[{metric!r}]"
    if evaluation.season == ALL_YEAR:
        return [f"scores = gsm3core.site_scores(series, observed{asked}{days})"]
    if metric in METRICS:
        of_season = _of_season(evaluation.season, needs)
        return [*of_season, f"scores = gsm3core.site_scores(series, observed{asked}{days})"]
    needs.add("from gsm3core.evaluation.stratified import season_scores")
    return [f"scores = season_scores(series, observed{asked}{days}).sel(season={evaluation.season!r})"]


def _of_season(season: str, needs: set[str]) -> list[str]:
    needs.add("from gsm3core.evaluation.test_days import in_season")
    return [f"series = series.where(in_season(ds, {season!r})).assign_attrs(series.attrs)"]


def _quoted(name: str) -> str:
    """A name that anybody may have typed, as a string of Python that no quote in it can end."""
    return json.dumps(name).replace("'", "\\u0027")
