"""``gsm3 factors`` and ``gsm3 report``: evaluation of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gsm3core import vocabulary as v
from gsm3core.cli.common import (
    MasksOption,
    Overwrite,
    ScalingOption,
    comma_list,
    console,
    open_run,
    parse_range,
    print_conditions,
    print_path,
)
from gsm3core.errors import ConfigError


def factors_command(
    run_id: Annotated[str | None, typer.Argument(help="Id or path of a run; omit it with --table.")] = None,
    metric: Annotated[str, typer.Option(help="Score to explain.")] = "R",
    reference: Annotated[
        str | None, typer.Option(help="Reference of the scores: sm_insitu or sm_smap.")
    ] = None,
    product: Annotated[
        str | None, typer.Option(help="Explain the scores of this product instead of the run's.")
    ] = None,
    moisture: Annotated[
        str | None,
        typer.Option(help="Source of mean soil moisture: sm_smap (default), sm_insitu or a product."),
    ] = None,
    table_file: Annotated[
        Path | None,
        typer.Option("--table", help="CSV of published scores instead of a run, one row per site."),
    ] = None,
    score: Annotated[str, typer.Option(help="With --table: column of the score.")] = "R",
    columns: Annotated[
        str | None,
        typer.Option("--factors", help="With --table: columns of the factors, separated by commas."),
    ] = None,
    clusters: Annotated[
        str,
        typer.Option(
            help="With --table: columns that together define a cluster of sites (such as network), separated by commas."
        ),
    ] = "",
    by: Annotated[
        str | None,
        typer.Option(help="Factor of the strata instead of mean soil moisture, as NAME:EDGE,EDGE,..."),
    ] = None,
    then: Annotated[
        str | None,
        typer.Option(
            help="Second factor, for strata below and above --limit of the first, as NAME:EDGE,EDGE,..."
        ),
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option(
            help="Value of the first factor that divides sites for --then; default 0.08 m3 m-3 for mean soil moisture, else its "
            "middle edge."
        ),
    ] = None,
    held_out: Annotated[
        str | None, typer.Option(help="Cross-validation groups: network, spatial_block or random.")
    ] = None,
    weighted: Annotated[
        bool, typer.Option("--weighted/--unweighted", help="Weight sites by sampling error.")
    ] = True,
    shap: Annotated[
        bool, typer.Option("--shap", help="Also compute SHAP values (needs the package shap).")
    ] = False,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    scaling: ScalingOption = "none",
    mask: MasksOption = "",
    depth: Annotated[
        str, typer.Option(help="Only sites whose sensor is at a depth in this range in m, as LOW:HIGH.")
    ] = "",
    save: Annotated[Path | None, typer.Option("--out", help="Write the results to this file (.nc).")] = None,
    runs_folder: Annotated[Path, typer.Option("--runs", help="Folder of all runs.")] = Path("runs"),
) -> None:
    """Factor importance: site attributes associated with a run's scores, and expected skill at ungauged sites.

    The results are associations, not causes.
    """
    from gsm3core import factors
    from gsm3core.evaluation.reference_scaling import check_scaling
    from gsm3core.evaluation.scoring import score_run
    from gsm3core.evaluation.site_selection import select_sites
    from gsm3core.factors import report
    from gsm3core.files import atomic_write
    from gsm3core.schema import open_dataset

    if (run_id is None) == (table_file is None):
        raise ConfigError("Give either a run or --table CSV, not both.")
    if table_file is not None and (given := [n for n, x in (("--mask", mask), ("--depth", depth)) if x]):
        raise ConfigError(f"{given[0]} needs a run. Leave it out, or give a run instead of --table.")
    strata_of = _strata(by, then, limit)
    if table_file is not None:
        table = factors.read_score_table(
            table_file, score, comma_list(columns), metric=metric, clusters=comma_list(clusters)
        )
    else:
        run = open_run(str(run_id), runs_folder)
        ds = open_dataset(run.dataset_path)
        limits = parse_range("--depth", depth)
        ds = select_sites(ds, depth=limits) if limits else ds
        scores = score_run(
            run, dataset=ds, reference=reference, metrics=[metric], scaling=check_scaling(scaling),
            masks=comma_list(mask),
        )  # fmt: skip
        print_conditions(scores, reference or "the reference")
        table = factors.factor_table(
            scores,
            ds,
            metric=metric,
            product=product or v.MODEL_PRODUCTS[run.config.model.name],
            moisture=moisture,
        )
    measures = [m for m in factors.MEASURES if shap or m != factors.SHAP]
    with console.status(f"Computing factor importance for {metric} at {len(table)} sites ..."):
        found = factors.importance_of(
            table, measures=measures, held_out=held_out, weighted=weighted, seed=seed
        )
        skill = factors.fit_skill(table, held_out=held_out, weighted=weighted, seed=seed)
    plain_console = Console(soft_wrap=True, highlight=False, markup=False)
    plain_console.print(report.importance_text(found))
    if table.moisture or strata_of:
        strata = factors.skill_strata(table, seed=seed, **strata_of)
        plain_console.print("\n" + report.strata_text(strata))
        found = found.merge(strata, combine_attrs="drop_conflicts")
    plain_console.print("\n" + report.skill_text(skill))
    if save:
        atomic_write(found, save)
        print_path("Written to", save)


def _strata(by: str | None, then: str | None, limit: float | None) -> dict[str, Any]:
    """Return the options of ``skill_strata`` given on the command line."""
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
                f"invalid {option} {text!r}; expected a factor and edges, such as elevation:200,1000."
            )
    return options


def report_command(
    run_ids: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN [RUN ...]",
            help="Id or path of the run; then, optionally, runs of the same dataset with other holdouts.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Output folder: report.html, tables/, data/.")],
    reference: Annotated[
        str | None, typer.Option(help="Reference of the scores: sm_insitu or sm_smap.")
    ] = None,
    runs_folder: Annotated[Path, typer.Option("--runs", help="Folder of all runs.")] = Path("runs"),
    scaling: ScalingOption = "none",
    mask: MasksOption = "",
    overwrite: Overwrite = False,
) -> None:
    """Write the evaluation of a run as one HTML page that opens offline, with tables as CSV and scores as netCDF."""
    from gsm3core.evaluation.reference_scaling import check_scaling
    from gsm3core.report import write_report

    runs = [open_run(run_id, runs_folder) for run_id in run_ids]
    with console.status("Comparing products and writing the report ..."):
        page = write_report(
            runs, out, reference=reference, overwrite=overwrite, scaling=check_scaling(scaling),
            masks=comma_list(mask),
        )  # fmt: skip
    print_path("Written to", page, "; open it in a browser.")
