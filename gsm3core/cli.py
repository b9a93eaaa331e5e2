"""The ``gsm3`` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from gsm3core import cli_data
from gsm3core import vocabulary as v
from gsm3core.errors import CancelledError, ConfigError, DatasetError, GSM3Error, did_you_mean

app = typer.Typer(
    help="Train, test and diagnose a global multitask LSTM of surface soil moisture.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data = typer.Typer(help="Build, join and describe datasets.", no_args_is_help=True)
runs = typer.Typer(help="List, show, resume and cancel runs.", no_args_is_help=True)
app.add_typer(data, name="data")
app.add_typer(runs, name="runs")
console = Console()

RunsFolder = Annotated[Path, typer.Option("--out", "--runs", help="Folder of all runs.")]
SourcesFolder = Annotated[
    Path | None, typer.Option("--root", help="Folder of the producers' files ($GSM3_SOURCES, data/sources).")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def main() -> None:
    """Run the command; an error made for users is printed as one message, without a traceback."""
    try:
        app()
    except CancelledError as error:
        console.print(f"[yellow]Cancelled.[/] {escape(str(error))}")
        sys.exit(130)
    except GSM3Error as error:
        Console(stderr=True).print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)


@data.command("list")
def data_list(root: SourcesFolder = None) -> None:
    """List the data sets that can be built, and the sources: which are here, where, and what is missing."""
    from gsm3core.catalog import KINDS, dataset_entries, sources_of
    from gsm3core.readers.presence import presence

    table = Table("name", "what", "provider", "terms", title="Can be built", title_justify="left")
    for entry in dataset_entries().values():
        table.add_row(entry.name, entry.title, entry.provider, entry.license)
    console.print(table)
    table = Table(
        "name", "kind", "what", "here", "where, or what is missing", title="Sources", title_justify="left"
    )
    for kind in KINDS:
        for name, source in sources_of(kind).items():
            found = presence(name, root)
            here = f"{found.files} files" if found.here else "no"
            table.add_row(name, kind, source.title, here, escape(found.missing or str(found.folder)))
    console.print(table)


@data.command("describe")
def data_describe(
    name: Annotated[str, typer.Argument(help="A catalogue name, or the path of a dataset.")],
    root: SourcesFolder = None,
) -> None:
    """Say what a catalogue entry is, or what a dataset on disk holds."""
    if Path(name).exists():
        from gsm3core.schema import open_dataset

        console.print(_describe_dataset(open_dataset(name)))
        return
    from gsm3core.catalog import dataset_entries, selections, source_entries
    from gsm3core.readers.presence import describe_source

    rows: dict[str, Any]
    if name in dataset_entries():
        rows = dataset_entries()[name].model_dump()
    elif name in source_entries():
        rows = describe_source(name, root)
    elif name in selections():
        chosen = selections()[name]
        rows = {"title": chosen.title, "reference": chosen.reference, "notes": chosen.notes}
        rows |= {
            what: "\n".join(
                f"{x.name}: {x.variable} of {x.source}"
                + (f", {x.statistic}" if x.statistic else "")
                + ("" if x.named_by_paper else " (not named by the paper)")
                for x in items
            )
            for what, items in (("forcings", chosen.forcings), ("attributes", chosen.attributes))
        }
    else:
        known = {*dataset_entries(), *source_entries(), *selections()}
        raise DatasetError(f"{name!r} is not in the catalogue and not a file. {did_you_mean(name, known)}")
    table = Table(show_header=False, box=None)
    for key, text in rows.items():
        table.add_row(f"[bold]{key}", escape(str(text)))
    console.print(table)


@data.command("build")
def data_build(
    name: Annotated[
        str, typer.Argument(help="conus-smap, uscrn, ismn, uscrn-daily or demo; see `gsm3 data list`.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Where to write: .zarr or .nc.")],
    source: Annotated[Path | None, typer.Option("--from", help="The producer's file.")] = None,
    sites: Annotated[int, typer.Option(help="Number of sites (demo alone).")] = 400,
    seed: Annotated[int, typer.Option(help="Seed (demo alone).")] = 0,
    depth: Annotated[float | None, typer.Option(help="ismn: wanted depth of the sensors, m (0.05).")] = None,
    min_hours: Annotated[int | None, typer.Option(help="ismn: fewest good hours of a day (6).")] = None,
    combine: Annotated[
        str | None, typer.Option(help="ismn: several sensors at one depth: best or mean (best).")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Build a dataset from the producer's files; ``demo`` simulates one and needs none."""
    from gsm3core.schema import save_dataset

    if name == "demo":
        from gsm3core.demo import demo_dataset

        with console.status(f"Simulating {sites} sites ..."):
            ds = demo_dataset(n_sites=sites, seed=seed)
    elif name in cli_data.INSITU:
        if source is None:
            raise ConfigError(f"{name} is built from an archive or a folder: give it with --from.")
        ds = cli_data.build_insitu(
            console, name, source, out, depth=depth, min_hours=min_hours, combine=combine
        )
    else:
        from gsm3core.assembly.sites import build
        from gsm3core.catalog import dataset_entry

        entry = dataset_entry(name)
        if source is None:
            raise ConfigError(f"{name} is built from a file: give it with --from. Expected: {entry.layout}")
        with console.status(f"Reading {source} ..."):
            ds = build(name, source)
    save_dataset(ds, out, overwrite=overwrite)
    console.print(_describe_dataset(ds))
    console.print(f"Written to [bold]{escape(str(out))}[/].")


@data.command("join")
def data_join(
    first: Annotated[Path, typer.Argument(help="A dataset.")],
    second: Annotated[Path, typer.Argument(help="Another, with other sites.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write: .zarr or .nc.")],
    overwrite: Overwrite = False,
) -> None:
    """Join two datasets into one over the forcings and attributes that they share."""
    from gsm3core.assembly.sites import join
    from gsm3core.schema import open_dataset, save_dataset

    joined = join(open_dataset(first), open_dataset(second))
    save_dataset(joined, out, overwrite=overwrite)
    console.print(_describe_dataset(joined))
    console.print(f"Written to [bold]{escape(str(out))}[/].")


@app.command("run")
def run_command(
    config: Annotated[str, typer.Argument(help="A TOML file, or a preset: quick, paper, smap-temporal.")],
    dataset: Annotated[Path | None, typer.Option(help="The dataset; overrides the configuration's.")] = None,
    holdout: Annotated[str | None, typer.Option(help=f"What to hold out: {', '.join(v.HOLDOUTS)}.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")] = None,
    targets: Annotated[
        str | None, typer.Option(help="Records to learn from, with commas: sm_insitu,sm_smap.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Overrides the configuration's.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the network and the windows; the folds have their own.")
    ] = None,
    title: Annotated[str, typer.Option(help="What to call the run.")] = "",
    out: RunsFolder = Path("runs"),
) -> None:
    """Run one experiment: train, predict and score every fold, into one run directory."""
    from gsm3core.config import ExperimentConfig
    from gsm3core.experiment import create_run

    experiment = (
        ExperimentConfig.load(config)
        .replace(
            "data", dataset=str(dataset) if dataset else None, targets=targets.split(",") if targets else None
        )
        .replace("holdout", name=holdout)
        .replace("training", device=device, epochs=epochs, seed=seed)
    )
    if title:
        experiment = experiment.model_copy(update={"title": title})
    _carry_out(create_run(experiment, out))


@runs.command("list")
def runs_list(out: RunsFolder = Path("runs")) -> None:
    """List all runs, newest first."""
    from gsm3core.run import list_runs

    table = Table("id", "holdout", "state", "dataset", "R", "ubRMSE")
    for run in list_runs(out):
        finished = [e for e in run.events() if e["event"] == "run_finished"]
        medians: dict[str, Any] = next(iter(finished[-1]["medians"].values()), {}) if finished else {}
        table.add_row(
            run.id, run.config.holdout.name, run.state, run.dataset_path.name,
            *(f"{medians[m]:.3f}" if m in medians else "" for m in ("R", "ubRMSE")),
        )  # fmt: skip
    console.print(table)


@runs.command("show")
def runs_show(
    run_id: Annotated[str, typer.Argument(help="Id or path.")], out: RunsFolder = Path("runs")
) -> None:
    """Show a run's configuration, state and median scores."""
    run = _open(run_id, out)
    console.print(f"[bold]{escape(run.title)}[/]  {run.state}  {escape(str(run.folder))}")
    console.print(escape(run.config.to_toml()))
    for reference in run.references():
        console.print(_score_table(run.scores(reference), f"Against {reference}, median over sites"))


@runs.command("resume")
def runs_resume(
    run_id: Annotated[str, typer.Argument(help="Id or path.")], out: RunsFolder = Path("runs")
) -> None:
    """Go on with a run that was killed, cancelled or failed; what was finished is kept."""
    _carry_out(_open(run_id, out))


@runs.command("cancel")
def runs_cancel(run_id: Annotated[str, typer.Argument(help="Id.")], out: RunsFolder = Path("runs")) -> None:
    """Cancel a background run, queued or running."""
    from gsm3core.jobs.queue import JobQueue

    JobQueue(out).cancel(run_id)
    console.print(f"{escape(run_id)} is being cancelled; what it finished is kept.")


@app.command("predict")
def predict_command(
    run_id: Annotated[str, typer.Argument(help="Id or path of a run.")],
    dataset: Annotated[Path, typer.Argument(help="A dataset with the run's inputs.")],
    to: Annotated[Path, typer.Option("--to", help="Where to write: .nc or .zarr.")],
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    out: RunsFolder = Path("runs"),
) -> None:
    """Predict soil moisture on a dataset with a run's models (their mean, where it has several folds)."""
    from gsm3core.experiment import prepare_process
    from gsm3core.schema import open_dataset, write_whole

    prepare_process()
    from gsm3core.prediction import predict

    if to.exists():
        raise ConfigError(f"{to} exists. Choose another name.")
    predicted = predict(_open(run_id, out), open_dataset(dataset), device=device)
    write_whole(predicted.to_dataset(), to)
    console.print(
        f"{predicted.sizes[v.SITE]} sites, {predicted.attrs['comment']}. Written to [bold]{escape(str(to))}[/]."
    )


@app.command("score")
def score(
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
    console.print(_score_table(scores, "Median over sites"))
    if out:
        write_whole(scores, out)
        console.print(f"Written to [bold]{escape(str(out))}[/].")


@app.command("factors")
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

    run = _open(run_id, runs_folder)
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


@app.command("app")
def app_command(
    port: Annotated[int, typer.Option(help="On this machine alone.")] = 5006,
    data_folder: Annotated[Path, typer.Option("--data", help="Folder of datasets.")] = Path("data"),
    runs_folder: Annotated[Path, typer.Option("--runs", help="Folder of all runs.")] = Path("runs"),
    show: Annotated[bool, typer.Option("--show/--no-show", help="Open a browser.")] = True,
    first_run: Annotated[
        bool, typer.Option("--first-run/--no-first-run", help="Train a first run if there is none.")
    ] = True,
) -> None:
    """Serve the dashboard; without any data it makes a simulated demonstration world first."""
    # The library never imports the dashboard; the command starts it by name.
    from importlib import import_module

    import_module("app.main").serve(
        port=port, data=data_folder, runs=runs_folder, show=show, first_run=first_run
    )


cli_data.register(data, console, lambda ds: _describe_dataset(ds))


def _carry_out(run: Any) -> None:
    from gsm3core.experiment import execute, prepare_process

    prepare_process()
    console.print(f"Run [bold]{escape(run.id)}[/] in {escape(str(run.folder))}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=1.0)
        execute(run, listen=lambda event: _show(event, progress, task))
    for reference in run.references():
        console.print(_score_table(run.scores(reference), f"Against {reference}, median over sites"))


def _show(event: dict[str, Any], progress: Progress, task: TaskID) -> None:
    if event["event"] == "fold_started":
        filled = ", ".join(f"{n}: {c}" for n, c in event["filled"].items())
        progress.console.print(
            f"[bold]{event['fold']}[/] ({event['index'] + 1} of {event['of']}) on {event['device']}: trains on "
            + ", ".join(f"{c} sites of {n}" for n, c in event["train_sites"].items())
            + f", tests {event['test_sites']} sites"
            + (f"; missing inputs filled: {filled}" if filled else "")
        )
    elif event["event"] == "progress":
        text = f"{event['fold']} epoch {event['epoch']}/{event['epochs']}"
        if event.get("loss") is not None:
            progress.update(
                task, completed=event["fraction"], description=f"{text}, loss {event['loss']:.4f}"
            )
        else:
            progress.update(task, completed=event["fraction"])
    elif event["event"] == "run_finished":
        progress.update(task, completed=1.0, description="finished")


def _open(run_id: str, out: Path) -> Any:
    from gsm3core.run import Run

    return Run.open(run_id if (Path(run_id) / "config.toml").exists() else out / run_id)


def _score_table(scores: Any, title: str) -> Table:
    table = Table(
        "product", "R", "RMSE", "ubRMSE", "bias", "sites", "without R", title=title, title_justify="left"
    )
    for product in scores[v.PRODUCT].values:
        one = scores.sel({v.PRODUCT: product})
        table.add_row(
            str(product), *(f"{float(one[m].median()):.4f}" for m in ("R", "RMSE", "ubRMSE", "bias")),
            str(int(one["R"].notnull().sum())), str(int(one["R"].isnull().sum())),
        )  # fmt: skip
    return table


def _describe_dataset(ds: Any) -> Table:
    import numpy as np

    from gsm3core.schema import attribute_names, forcing_names, is_simulated, products, target_names

    table = Table(show_header=False, box=None)
    days = ds[v.TIME].values
    regions, counts = np.unique(ds[v.REGION].values.astype(str), return_counts=True)
    rows = {
        "title": ds.attrs.get("title", ""),
        "simulated": "yes" if is_simulated(ds) else "no",
        "sites": f"{ds.sizes[v.SITE]}: "
        + ", ".join(f"{r} {c}" for r, c in zip(regions, counts, strict=True)),
        "days": f"{ds.sizes[v.TIME]}: {str(days[0])[:10]} to {str(days[-1])[:10]}",
        "learns from": ", ".join(target_names(ds)),
        "forcings": ", ".join(forcing_names(ds)),
        "attributes": ", ".join(attribute_names(ds)),
        "products": ", ".join(products(ds)) or "none",
        "licence": ds.attrs.get("license", ""),
    }
    for key, text in rows.items():
        table.add_row(f"[bold]{key}", escape(str(text)))
    return table
