"""Python scripts that reproduce the numbers on the page with the functions that computed them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.services.evaluation import Evaluation
from app.services.factor_analysis import QUICK, SPLITS, measures
from app.services.store import Store
from gsm3core.evaluation.scoring import MIN_DAYS
from gsm3core.evaluation.site_selection import SiteFilter, criteria
from gsm3core.metrics import ALL_METRICS, METRICS, TRIPLE_METRICS
from gsm3core.run import Run

_ASSOCIATION = "# Association, not cause."


def site_script(
    store: Store, evaluation: Evaluation, filters: SiteFilter, product: str, metric: str, min_days: int = 0
) -> str:
    """Return a script that ends with ``values``: the scores of the sites shown, ``(site)``.

    Parameters
    ----------
    store
        Gives the paths of datasets and runs.
    evaluation, filters, product, metric, min_days
        What is shown on the page.
    """
    lines = [
        "import gsm3core",
        "",
        *_dataset_and_sites(store, evaluation, filters),
        *_scores(store, evaluation, metric, min_days),
        f"values = scores[{metric!r}].sel(product={product!r}, site=sites['site'].values)",
        f"print(int(values.notnull().sum()), 'sites, median {metric}', float(values.median()))",
    ]
    return _script(lines)


def median_script(
    store: Store, evaluation: Evaluation, filters: SiteFilter, product: str, metric: str, min_days: int
) -> str:
    """Return a script that ends with ``median``: a product's median over the sites shown, and its interval."""
    lines = [
        "",
        f"median = gsm3core.median_interval(values, values.coords.get('network'), metric={metric!r}{_confidence(evaluation)})",
        "print(median)",
    ]
    return site_script(store, evaluation, filters, product, metric, min_days) + _script(lines)


def comparison_script(
    store: Store,
    evaluation: Evaluation,
    filters: SiteFilter,
    runs: Mapping[str, str],
    *,
    sample: str,
    metric: str,
    min_days: int = 0,
) -> str:
    """Return a script that ends with ``found``, as :func:`gsm3core.compare_products` returns it.

    Parameters
    ----------
    store, evaluation, filters, min_days
        As for :func:`site_script`.
    runs
        Name of each run's prediction among the products -> id of the run.
    sample, metric
        Part of the result that is shown.
    """
    lines = ["import gsm3core", "", *_dataset_and_sites(store, evaluation, filters)]
    if ALL_METRICS[metric].computed_on == "values":
        options = f", metrics={list(dict.fromkeys([*METRICS, metric]))!r}{_conditions(evaluation)}"
        options += f", min_days={min_days}" if min_days else ""
        lines += ["runs = {"]
        lines += [
            f"    {name!r}: gsm3core.Run.open({str(store.run(i).folder)!r})," for name, i in runs.items()
        ]
        lines += [
            "}",
            f"found = gsm3core.compare_runs(sites, runs, reference={evaluation.reference!r}{options})",
        ]
    else:
        lines += [
            *_scores(store, evaluation, metric, min_days),
            f"found = gsm3core.compare_products(scores.sel(site=sites['site'].values), metrics=[{metric!r}]"
            f"{_confidence(evaluation)})",
        ]
        sample = "given"
    lines += [f"print(found['median'].sel(sample={sample!r}, metric={metric!r}).to_series())"]
    return _script(lines)


def factor_script(
    store: Store,
    evaluation: Evaluation,
    filters: SiteFilter,
    product: str,
    metric: str,
    *,
    min_days: int,
    moisture: str,
    call: Sequence[str],
) -> str:
    """Return a script that ends with ``found``: a result of the factor analysis of the sites shown.

    Parameters
    ----------
    store, evaluation, filters, product, metric, min_days
        As for :func:`site_script`.
    moisture
        Record whose mean is the mean soil moisture factor; empty for SMAP's, or in situ's where there is no SMAP.
    call
        Name of the function in :mod:`gsm3core.factors`, and its arguments after the table as source text.
    """
    option = f", moisture={moisture!r}" if moisture else ""
    lines = [
        "import gsm3core",
        f"from gsm3core.factors import {', '.join(sorted([call[0], 'factor_table']))}",
        "",
        *_dataset_and_sites(store, evaluation, filters),
        *_scores(store, evaluation, metric, min_days),
        "scores = scores.sel(site=sites['site'].values)",
        f"table = factor_table(scores, sites, metric={metric!r}, product={product!r}{option})",
        f"found = {call[0]}({', '.join(['table', *call[1:]])})  {_ASSOCIATION}",
        "print(found)",
    ]
    return _script(lines)


def importance_call(effort: str = QUICK) -> list[str]:
    """Return the call of the factor importance with the page's settings, for :func:`factor_script`."""
    return ["importance_of", f"measures={measures()!r}", *(f"{n}={x}" for n, x in SPLITS[effort].items())]


def error_types_script(store: Store, evaluation: Evaluation, runs: Mapping[str, Run], metric: str) -> str:
    """Return a script that ends with ``found``, as :func:`gsm3core.error_types` returns it.

    Parameters
    ----------
    store, evaluation, metric
        As for :func:`site_script`.
    runs
        By holdout.
    """
    options = f", reference={evaluation.reference!r}{_conditions(evaluation)}"
    lines = [
        "import gsm3core",
        "from gsm3core.evaluation.error_types import experiments_of",
        "",
        f"ds = gsm3core.open_dataset({str(store.dataset_path(evaluation.dataset))!r})",
        f"runs = [gsm3core.Run.open(path) for path in {[str(run.folder) for run in runs.values()]!r}]",
        f"experiments = experiments_of(runs, dataset=ds{options})",
        f"found = gsm3core.error_types(experiments, metric={metric!r}{_confidence(evaluation)})",
        "print(found['error'].to_pandas().round(3))",
        "print(found['residual'].to_pandas().round(3))",
    ]
    return _script(lines)


def runs_script(runs: Sequence[Run]) -> str:
    """Return a script that prints the median scores of some runs with intervals, each on its own test days."""
    lines = ["import gsm3core", "", f"for path in {[str(run.folder) for run in runs]!r}:"]
    lines += [
        "    run = gsm3core.Run.open(path)",
        "    for reference in run.references():",
        "        scores = gsm3core.score_run(run, reference=reference).isel(product=0)",
        f"        for metric in {list(METRICS)!r}:",
        "            networks, level = scores.coords.get('network'), scores.attrs['confidence']",
        "            median = gsm3core.median_interval(scores[metric], networks, metric=metric, confidence=level)",
        "            print(run.title, reference, metric, median)",
    ]
    return _script(lines)


def _dataset_and_sites(store: Store, evaluation: Evaluation, filters: SiteFilter) -> list[str]:
    chosen = {
        n: list(x) if n != "polygon" and isinstance(x, tuple) else x for n, x in criteria(filters).items()
    }
    arguments = "".join(f", {name}={value!r}" for name, value in chosen.items())
    lines = [
        f"ds = gsm3core.open_dataset({str(store.dataset_path(evaluation.dataset))!r})",
        f"sites = gsm3core.select_sites(ds{arguments})" if arguments else "sites = ds",
    ]
    if filters.without_suspect:
        lines += [
            f"suspect = gsm3core.suspect_sites({_score_call(store, evaluation, 'R', 0)}, ds)",
            "sites = sites.isel(site=(suspect.sel(site=sites['site'].values.astype(str)) == '').values)",
        ]
    return lines


def _scores(store: Store, evaluation: Evaluation, metric: str, min_days: int) -> list[str]:
    return [f"scores = {_score_call(store, evaluation, metric, min_days)}"]


def _score_call(store: Store, evaluation: Evaluation, metric: str, min_days: int) -> str:
    options = f", reference={evaluation.reference!r}{_conditions(evaluation)}"
    options += f", metrics=[{metric!r}]" if metric not in METRICS else ""
    options += f", third={evaluation.third!r}" if metric in TRIPLE_METRICS and evaluation.third else ""
    if evaluation.run:
        options += f", min_days={min_days}" if min_days else ""
        return f"gsm3core.score_run({str(store.run(evaluation.run).folder)!r}, dataset=ds{options})"
    options += f", min_days={min_days}" if min_days > MIN_DAYS else ""
    return f"gsm3core.score_products(ds{options})"


def _conditions(evaluation: Evaluation) -> str:
    """Return the season, scaling and masks as arguments."""
    return "".join(f", {name}={value!r}" for name, value in evaluation.condition_options.items())


def _confidence(evaluation: Evaluation) -> str:
    return "" if evaluation.confidence == 0.95 else f", confidence={evaluation.confidence!r}"


def _script(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
