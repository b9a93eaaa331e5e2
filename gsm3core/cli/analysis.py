"""``gsm3 score`` and ``gsm3 factors``: how good predictions are, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from gsm3core import vocabulary as v
from gsm3core.cli.common import console, open_run, score_table


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
    from gsm3core.schema import open_series, write_whole

    scores = site_scores(open_series(predicted), open_series(observed), min_days=min_days)
    if v.PRODUCT not in scores.dims:
        scores = scores.expand_dims({v.PRODUCT: [predicted.name]})
    console.print(score_table(scores, "Median over sites"))
    if out:
        write_whole(scores, out)
        console.print(f"Written to [bold]{escape(str(out))}[/].")


def factors_command(
    run_id: Annotated[str, typer.Argument(help="Id or path of a run.")],
    metric: Annotated[str, typer.Option(help="The score to explain.")] = "R",
    reference: Annotated[str | None, typer.Option(help="Scores against sm_insitu or sm_smap.")] = None,
    product: Annotated[str | None, typer.Option(help="A product instead of the run itself.")] = None,
    wetness: Annotated[
        str | None, typer.Option(help="Mean soil moisture of: sm_smap (default), sm_insitu or a product.")
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
    from gsm3core.schema import open_dataset, write_whole

    run = open_run(run_id, runs_folder)
    table = factors.factor_table(
        run.scores(reference), open_dataset(run.dataset_path), metric=metric, product=product, wetness=wetness
    )
    measures = [m for m in factors.MEASURES if shap or m != factors.SHAP]
    with console.status(f"Fitting {metric} at {len(table)} sites, held out in three ways ..."):
        found = factors.importance_of(
            table, measures=measures, held_out=held_out, weighted=weighted, seed=seed
        )
        skill = factors.fit_skill(table, held_out=held_out, weighted=weighted, seed=seed)
    print_plain = Console(soft_wrap=True, highlight=False, markup=False)
    print_plain.print(report.importance_text(found))
    if table.wetness:
        strata = factors.skill_strata(table, seed=seed)
        print_plain.print("\n" + report.strata_text(strata))
        found = found.merge(strata, combine_attrs="drop_conflicts")
    print_plain.print("\n" + report.skill_text(skill))
    if save:
        write_whole(found, save)
        console.print(f"Written to [bold]{escape(str(save))}[/].")
