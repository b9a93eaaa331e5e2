"""``gsm3 score --by``: scores of every year or season, and the trend of yearly scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape

from gsm3core import vocabulary as v
from gsm3core.cli.common import (
    console,
    format_number,
    make_table,
    name_column,
    number_column,
    print_conditions,
    print_path,
)
from gsm3core.errors import ConfigError


def score_by_period(
    source: Any,
    by: str,
    *,
    metrics: Sequence[str],
    depth: tuple[float, float] | None,
    out: Path | None,
    **options: Any,
) -> None:
    """Print the medians over sites of every product by year or season, and the medians of the trends of yearly scores.

    Parameters
    ----------
    source
        Path of a dataset, or a run.
    by, metrics, depth, out, options
        As given on the command line; ``options`` are those of :func:`gsm3core.score_periods`.
    """
    from gsm3core.evaluation.period_scoring import score_periods
    from gsm3core.evaluation.scoring import dataset_of
    from gsm3core.evaluation.stability import score_trends
    from gsm3core.files import atomic_write
    from gsm3core.schema import open_dataset

    run = None if isinstance(source, Path) else source
    dataset = open_dataset(source) if run is None else dataset_of(run)
    dataset = at_depth(dataset, depth)
    scores = score_periods(dataset, run, by=by, metrics=metrics, **options)  # type: ignore[arg-type]
    reference = str(scores.attrs["reference"])
    console.print(_period_table(scores, reference, by, metrics))
    if by == "year":
        trends = score_trends(scores, metrics=metrics)
        console.print(_trend_table(trends, metrics))
        scores = scores.assign({n: a for n, a in trends.data_vars.items() if n != "reason"})
    print_conditions(scores, reference)
    if out:
        atomic_write(scores, out)
        print_path("Written to", out)


def _period_table(scores: Any, reference: str, by: str, metrics: Sequence[str]) -> Any:
    table = make_table(
        name_column("product"), name_column(by), *map(number_column, (*metrics, "sites")),
        title=f"Scores against {reference} by {by}: median over sites",
    )  # fmt: skip
    for product in scores[v.PRODUCT].values:
        for period in scores["period"].values:
            one = scores.sel({v.PRODUCT: product, "period": period})
            table.add_row(
                escape(str(product)), str(period), *(format_number(float(one[m].median()), 4) for m in metrics),
                str(int(one[metrics[0]].notnull().sum())),
            )  # fmt: skip
    return table


def _trend_table(trends: Any, metrics: Sequence[str]) -> Any:
    from gsm3core.evaluation.stability import significant_share

    table = make_table(
        name_column("product"), name_column("score"), number_column("trend per year"), number_column("standard error"),
        number_column("years"), number_column("sites"), number_column("falling"), number_column("rising"),
        title="Trend of yearly scores: median over sites; share of sites whose interval excludes 0",
    )  # fmt: skip
    for product in trends[v.PRODUCT].values:
        one = trends.sel({v.PRODUCT: product})
        for metric in metrics:
            falling, rising = significant_share(one, metric)
            known = one[f"{metric}_trend"].notnull()
            years = one["years"].where(known).median()
            table.add_row(
                escape(str(product)), metric, format_number(float(one[f"{metric}_trend"].median()), 4),
                format_number(float(one[f"{metric}_trend_error"].median()), 4), format_number(float(years), 0),
                str(int(known.sum())), format_number(falling, 2), format_number(rising, 2),
            )  # fmt: skip
    return table


def at_depth(dataset: Any, depth: tuple[float, float] | None) -> Any:
    """Return the sites of a dataset with a sensor at a depth.

    Raises
    ------
    ConfigError
        If no site has one.
    """
    from gsm3core.evaluation.site_selection import select_sites

    if depth is None:
        return dataset
    chosen = select_sites(dataset, depth=depth)
    if not chosen.sizes[v.SITE]:
        known = dataset[v.DEPTH].values[dataset[v.DEPTH].notnull().values]
        raise ConfigError(
            f"--depth {depth[0]:g}:{depth[1]:g}: no site has a sensor at this depth. The dataset has depths of "
            f"{known.min():g} to {known.max():g} m."
        )
    return chosen
