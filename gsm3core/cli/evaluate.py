"""``gsm3 score``, ``gsm3 factors`` and ``gsm3 report``: how good predictions are, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from gsm3core import vocabulary as v
from gsm3core.cli.common import Overwrite, console, open_run, score_table
from gsm3core.errors import ConfigError


def score_command(
    predicted: Annotated[
        Path, typer.Argument(help="netCDF file with one soil-moisture variable (site, time).")
    ],
    observed: Annotated[
        Path, typer.Argument(help="netCDF file with one soil-moisture variable (site, time).")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Write the scores here (.nc).")] = None,
    min_days: Annotated[int, typer.Option(help="Fewest paired days for a score.")] = 30,
) -> None:
    """Score predictions against observations at every site, over the days that both have."""
    from gsm3core.evaluation.site_scores import site_scores
    from gsm3core.files import atomic_write
    from gsm3core.schema import open_series

    scores = site_scores(open_series(predicted), open_series(observed), min_days=min_days)
    if v.PRODUCT not in scores.dims:
        scores = scores.expand_dims({v.PRODUCT: [predicted.name]})
    console.print(score_table(scores, "Median over sites"))
    if out:
        atomic_write(scores, out)
        console.print(f"Written to [bold]{escape(str(out))}[/].")


def factors_command(
    run_id: Annotated[str | None, typer.Argument(help="Id or path of a run; none with --table.")] = None,
    metric: Annotated[str, typer.Option(help="The score to explain.")] = "R",
    reference: Annotated[str | None, typer.Option(help="Scores against sm_insitu or sm_smap.")] = None,
    product: Annotated[str | None, typer.Option(help="A product instead of the run itself.")] = None,
    moisture: Annotated[
        str | None, typer.Option(help="Mean soil moisture of: sm_smap (default), sm_insitu or a product.")
    ] = None,
    table_file: Annotated[
        Path | None, typer.Option("--table", help="CSV of published scores instead of a run, one row a site.")
    ] = None,
    score: Annotated[str, typer.Option(help="With --table: the column that holds the metric.")] = "R",
    columns: Annotated[
        str | None, typer.Option("--factors", help="With --table: columns to explain it by, with commas.")
    ] = None,
    clusters: Annotated[
        str, typer.Option(help="With --table: columns that together name a cluster of sites (network).")
    ] = "",
    by: Annotated[
        str | None,
        typer.Option(help="Strata of another factor than mean soil moisture, as NAME:EDGE,EDGE,..."),
    ] = None,
    then: Annotated[
        str | None, typer.Option(help="Strata within those below and above --limit, as NAME:EDGE,EDGE,...")
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option(
            help="Divides the first factor for --then: by default 0.08 of mean soil moisture, else its middle edge."
        ),
    ] = None,
    held_out: Annotated[str | None, typer.Option(help="network, spatial_block or random.")] = None,
    weighted: Annotated[
        bool, typer.Option("--weighted/--unweighted", help="Weight sites by sampling error.")
    ] = True,
    shap: Annotated[bool, typer.Option("--shap", help="SHAP values too (the extra `shap`).")] = False,
    seed: Annotated[int, typer.Option(help="One seed, one result.")] = 0,
    save: Annotated[Path | None, typer.Option("--out", help="Write the result here (.nc).")] = None,
    runs_folder: Annotated[Path, typer.Option("--runs", help="Folder of all runs.")] = Path("runs"),
) -> None:
    """Say which factors go along with a run's good and bad scores (association, not cause), and where to expect which."""
    from gsm3core import factors
    from gsm3core.factors import report
    from gsm3core.files import atomic_write
    from gsm3core.schema import open_dataset

    if (run_id is None) == (table_file is None):
        raise ConfigError("Give either a run or --table CSV: scores are taken from one of them.")
    strata_of = _strata(by, then, limit)
    if table_file is not None:
        table = factors.read_score_table(
            table_file, score, _names(columns), metric=metric, clusters=_names(clusters)
        )
    else:
        run = open_run(str(run_id), runs_folder)
        table = factors.factor_table(
            run.scores(reference),
            open_dataset(run.dataset_path),
            metric=metric,
            product=product or v.MODEL_PRODUCTS[run.config.model.name],
            moisture=moisture,
        )
    measures = [m for m in factors.MEASURES if shap or m != factors.SHAP]
    with console.status(f"Fitting {metric} at {len(table)} sites, held out in three ways ..."):
        found = factors.importance_of(
            table, measures=measures, held_out=held_out, weighted=weighted, seed=seed
        )
        skill = factors.fit_skill(table, held_out=held_out, weighted=weighted, seed=seed)
    print_plain = Console(soft_wrap=True, highlight=False, markup=False)
    print_plain.print(report.importance_text(found))
    if table.moisture or strata_of:
        strata = factors.skill_strata(table, seed=seed, **strata_of)
        print_plain.print("\n" + report.strata_text(strata))
        found = found.merge(strata, combine_attrs="drop_conflicts")
    print_plain.print("\n" + report.skill_text(skill))
    if save:
        atomic_write(found, save)
        console.print(f"Written to [bold]{escape(str(save))}[/].")


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _strata(by: str | None, then: str | None, limit: float | None) -> dict[str, Any]:
    """Return the options of skill_strata that were given on the command line."""
    options: dict[str, Any] = {} if limit is None else {"limit": limit}
    for text, which, option in ((by, "first", "--by"), (then, "second", "--then")):
        if text is None:
            continue
        name, _, edges = text.rpartition(":")
        try:
            options |= {which: name, f"{which}_edges": [float(e) for e in edges.split(",")]}
        except ValueError:
            name = ""
        if not name:
            raise ConfigError(
                f"{option} is {text!r}; expected a factor and edges, such as elevation:200,1000."
            )
    return options


def report_command(
    run_ids: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN [RUN ...]",
            help="Id or path of the run to report; then runs of other holdouts of the same dataset.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to make: report.html, tables/, data/.")],
    reference: Annotated[str | None, typer.Option(help="Scores against sm_insitu or sm_smap.")] = None,
    runs_folder: Annotated[Path, typer.Option("--runs", help="Folder of all runs.")] = Path("runs"),
    overwrite: Overwrite = False,
) -> None:
    """Write a run's evaluation as one self-contained page, with every table as CSV and the scores as netCDF."""
    from gsm3core.report import write_report

    runs = [open_run(run_id, runs_folder) for run_id in run_ids]
    with console.status("Comparing products, drawing and writing ..."):
        page = write_report(runs, out, reference=reference, overwrite=overwrite)
    console.print(f"Written to [bold]{escape(str(page))}[/]; open it in a browser.")
