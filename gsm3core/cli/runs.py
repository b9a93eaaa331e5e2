"""``gsm3 run``, ``gsm3 runs`` and ``gsm3 predict``: experiments, and what their models predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from gsm3core import vocabulary as v
from gsm3core.cli.common import RunsFolder, console, name_column, open_run, score_table
from gsm3core.errors import ConfigError

runs = typer.Typer(help="List, show, resume and cancel runs.", no_args_is_help=True)


def run_command(
    config: Annotated[
        str, typer.Argument(help="A TOML file, or a preset: gsm3, quick, paper, smap-temporal.")
    ],
    dataset: Annotated[Path | None, typer.Option(help="The dataset; overrides the configuration's.")] = None,
    holdout: Annotated[str | None, typer.Option(help=f"What to hold out: {', '.join(v.HOLDOUTS)}.")] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda, cuda:N, or several: cuda:0,cuda:1 or cuda:all.")
    ] = None,
    folds_at_once: Annotated[
        str | None, typer.Option(help="Folds trained at once on each device: a number, or auto.")
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="Records to learn from, with commas: sm_insitu,sm_smap.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Overrides the configuration's.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the network and the windows; the folds have their own.")
    ] = None,
    model: Annotated[str | None, typer.Option(help=f"{', '.join(v.MODEL_PRODUCTS)}.")] = None,
    members: Annotated[int | None, typer.Option(help="Networks per fold; their mean predicts.")] = None,
    head: Annotated[
        str | None, typer.Option(help="point (a value a day) or gaussian (a value and its spread).")
    ] = None,
    heads: Annotated[
        str | None, typer.Option(help="How the teachers share the network: shared, separate or affine.")
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
            "data",
            dataset=str(dataset) if dataset else None,
            targets=[t.strip() for t in targets.split(",")] if targets else None,
        )
        .replace("holdout", name=holdout)
        .replace("model", name=model, head=head, heads=heads)
        .replace(
            "training",
            device=device,
            folds_at_once=folds_at_once,
            epochs=epochs,
            seed=seed,
            members=members,
        )
    )
    if title:
        experiment = experiment.model_copy(update={"title": title})
    network_alone = {"--members": members, "--head": head, "--heads": heads}
    if experiment.model.name != "multitask_lstm" and (
        given := [option for option, value in network_alone.items() if value is not None]
    ):
        raise ConfigError(
            f"{given[0]} is an option of the network; model {experiment.model.name!r} has nothing like it. Leave it out."
        )
    _carry_out(create_run(experiment, out))


@runs.command("list")
def runs_list(out: RunsFolder = Path("runs")) -> None:
    """List all runs, newest first."""
    from gsm3core.run import list_runs

    table = Table(name_column("id"), "holdout", "state", "dataset", "R", "ubRMSE")
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
    run = open_run(run_id, out)
    console.print(f"[bold]{escape(run.title)}[/]  {run.state}  {escape(str(run.folder))}")
    console.print(escape(run.config.to_toml()))
    for reference in run.references():
        console.print(score_table(run.scores(reference), f"Against {reference}, median over sites"))


@runs.command("resume")
def runs_resume(
    run_id: Annotated[str, typer.Argument(help="Id or path.")], out: RunsFolder = Path("runs")
) -> None:
    """Go on with a run that was killed, cancelled or failed; what was finished is kept."""
    _carry_out(open_run(run_id, out))


@runs.command("cancel")
def runs_cancel(run_id: Annotated[str, typer.Argument(help="Id.")], out: RunsFolder = Path("runs")) -> None:
    """Cancel a background run, queued or running."""
    from gsm3core.jobs.queue import JobQueue

    JobQueue(out).cancel(run_id)
    console.print(f"{escape(run_id)} is being cancelled; what it finished is kept.")


@runs.command("export-tensorboard")
def runs_export_tensorboard(
    run_id: Annotated[str, typer.Argument(help="Id or path.")],
    to: Annotated[Path, typer.Option("--to", help="Folder for TensorBoard's files.")],
    out: RunsFolder = Path("runs"),
) -> None:
    """Write a run's losses, scores and speed for TensorBoard (`pip install tensorboard`)."""
    from gsm3core.experiment.tensorboard import export_tensorboard

    written = export_tensorboard(open_run(run_id, out), to)
    console.print(
        f"Written to [bold]{escape(str(written))}[/]; see it with: tensorboard --logdir {escape(str(to))}"
    )


def finetune_command(
    run_id: Annotated[str, typer.Argument(help="Id or path of the run to start from.")],
    dataset: Annotated[Path, typer.Option(help="The dataset whose training sites teach now.")],
    holdout: Annotated[
        str | None,
        typer.Option(help="What to hold out of it: a name, or a TOML file with a [holdout] section."),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="A tenth of the first run's by default.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="The first run's by default.")] = None,
    title: Annotated[str, typer.Option(help="What to call the new run.")] = "",
    out: RunsFolder = Path("runs"),
) -> None:
    """Go on from a run's networks and scaling on the sites of another dataset, as a new run."""
    from gsm3core.config import ExperimentConfig
    from gsm3core.experiment import create_finetune

    chosen = None
    if holdout in v.HOLDOUTS:
        chosen = ExperimentConfig.from_mapping({"holdout": {"name": holdout}}).holdout
    elif holdout:
        chosen = ExperimentConfig.load(holdout).holdout
    run = create_finetune(
        open_run(run_id, out), dataset, out,
        holdout=chosen, learning_rate=learning_rate, epochs=epochs, title=title,
    )  # fmt: skip
    _carry_out(run)


def predict_command(
    run_id: Annotated[str, typer.Argument(help="Id or path of a run.")],
    dataset: Annotated[Path, typer.Argument(help="A dataset with the run's inputs.")],
    to: Annotated[Path, typer.Option("--to", help="Where to write: .nc or .zarr.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "cpu",
    out: RunsFolder = Path("runs"),
) -> None:
    """Predict soil moisture on a dataset with a run's networks: their mean, over all folds and members, and its spread."""
    from gsm3core.experiment import prepare_process
    from gsm3core.files import atomic_write
    from gsm3core.schema import open_dataset

    prepare_process()
    from gsm3core.prediction import predict_dataset

    if to.exists():
        raise ConfigError(f"{to} exists. Choose another name.")
    if to.suffix not in (".nc", ".zarr"):
        raise ConfigError(f"{to} names no format: expected .nc (netCDF-4) or .zarr.")
    predicted = predict_dataset(open_run(run_id, out), open_dataset(dataset), device=device)
    atomic_write(predicted, to)
    said = predicted[v.SM_PREDICTED].attrs["comment"]
    said += ", with its spread" if v.SM_PREDICTED_STD in predicted else ""
    said += f"; missing inputs filled: {predicted.attrs['filled']}" if predicted.attrs["filled"] else ""
    console.print(f"{predicted.sizes[v.SITE]} sites, {said}. Written to [bold]{escape(str(to))}[/].")


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
        console.print(score_table(run.scores(reference), f"Against {reference}, median over sites"))


def _show(event: dict[str, Any], progress: Progress, task: TaskID) -> None:
    if event["event"] == "fold_started":
        filled = ", ".join(f"{n}: {c}" for n, c in event["filled"].items())
        progress.console.print(
            f"[bold]{event['fold']}[/] ({event['index'] + 1} of {event['of']}) on {event['device']}: trains on "
            + ", ".join(f"{c} sites of {n}" for n, c in event["train_sites"].items())
            + (f", watches {event['validation_sites']}" if event.get("validation_sites") else "")
            + f", tests {event['test_sites']} sites"
            + (f"; missing inputs filled: {filled}" if filled else "")
        )
    elif event["event"] == "progress":
        text = f"{event['fold']} epoch {event['epoch']}/{event['epochs']}"
        if event.get("members", 1) > 1:
            text = f"{text} of {event['member'] + 1}/{event['members']}"
        if event.get("loss") is not None:
            text += f", loss {event['loss']:.4f}"
            if "validation_RMSE" in event:
                text += f", held back R {event['validation_R']:.3f} RMSE {event['validation_RMSE']:.4f}"
            progress.update(task, completed=event["fraction"], description=text)
        else:
            progress.update(task, completed=event["fraction"])
    elif event["event"] == "run_finished":
        progress.update(task, completed=1.0, description="finished")
