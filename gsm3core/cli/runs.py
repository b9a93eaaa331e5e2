"""``gsm3 run``, ``gsm3 runs``, ``gsm3 finetune`` and ``gsm3 predict``: experiments and predictions of their models."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from gsm3core import vocabulary as v
from gsm3core.cli.common import (
    RunsFolder,
    console,
    format_number,
    make_table,
    name_column,
    number_column,
    open_run,
    print_path,
    score_table,
)
from gsm3core.cli.forcings import run_alternatives
from gsm3core.cli.progress import progress_bar, show_event
from gsm3core.errors import ConfigError
from gsm3core.resources import presets

runs = typer.Typer(help="List, show, resume and cancel runs.", no_args_is_help=True)


def run_command(
    config: Annotated[str, typer.Argument(help=f"TOML file, or preset: {', '.join(presets())}.")],
    dataset: Annotated[
        Path | None, typer.Option(help="Path of the dataset; overrides the configuration.")
    ] = None,
    holdout: Annotated[str | None, typer.Option(help=f"Holdout: {', '.join(v.HOLDOUTS)}.")] = None,
    folds: Annotated[
        int | None,
        typer.Option(help="Folds of random_spatial and spatial_block; overrides the configuration."),
    ] = None,
    regions: Annotated[
        str | None,
        typer.Option(
            help="Regions of cross_continental: gsm3-paper, continents, climates, countries, or a GeoJSON file."
        ),
    ] = None,
    buffer_km: Annotated[
        float | None,
        typer.Option(help="Buffer around the held-out region in km, whose sites neither train nor test."),
    ] = None,
    outside: Annotated[
        str | None, typer.Option(help="Sites in no region: fold (tested as fold Other) or exclude.")
    ] = None,
    group_km: Annotated[
        float | None,
        typer.Option(
            help="Sites up to this distance apart are held out together, km; 33: footprint of SMAP."
        ),
    ] = None,
    group_grid: Annotated[
        str | None,
        typer.Option(help="Cells that hold out their sites together: M09 or M36; default: those of SMAP."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Device: auto, cpu, cuda, cuda:N, or several: cuda:0,cuda:1 or cuda:all."),
    ] = None,
    folds_at_once: Annotated[
        str | None, typer.Option(help="Number of folds trained at once on each device, or auto.")
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="Training targets, separated by commas: sm_insitu,sm_smap.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs; overrides the configuration.")] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Random seed of the network and its training windows; folds have their own (holdout.seed)."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help=f"Model: {', '.join(v.MODEL_PRODUCTS)}.")] = None,
    members: Annotated[
        int | None, typer.Option(help="Ensemble size: networks per fold, whose mean is the prediction.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="Output: point, or gaussian (mean and standard deviation).")
    ] = None,
    heads: Annotated[
        str | None, typer.Option(help="Output layers of the training targets: shared, separate or affine.")
    ] = None,
    compare_forcing: Annotated[
        str | None,
        typer.Option(
            help="LABEL=NAME,NAME,...: one run with each of these forcings and none of the others, then one table. Such as "
            "precipitation=precipitation,precipitation_imerg,precipitation_era5."
        ),
    ] = None,
    comparison: Annotated[
        Path | None, typer.Option(help="With --compare-forcing: write its table to this file (.csv).")
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the run.")] = "",
    out: RunsFolder = Path("runs"),
) -> None:
    """Run an experiment: train, predict and score every fold; the results are one run folder."""
    from gsm3core.config import ExperimentConfig
    from gsm3core.experiment import run_experiment

    experiment = (
        ExperimentConfig.load(config)
        .replace(
            "data",
            dataset=str(dataset) if dataset else None,
            targets=[t.strip() for t in targets.split(",")] if targets else None,
        )
        .replace(
            "holdout",
            name=holdout,
            folds=folds,
            regions=regions,
            buffer_km=buffer_km,
            outside=outside,
            group_km=group_km,
            group_grid=group_grid,
        )
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
    only_with = {
        "--folds": (folds, ("random_spatial", "spatial_block")),
        "--regions": (regions, ("cross_continental",)),
        "--buffer-km": (buffer_km, ("cross_continental",)),
        "--outside": (outside, ("cross_continental",)),
    }
    for option, (value, holdouts) in only_with.items():
        if value is not None and experiment.holdout.name not in holdouts:
            raise ConfigError(
                f"{option}: only for holdout {' or '.join(holdouts)}, not for {experiment.holdout.name}. Add --holdout "
                f"{holdouts[0]}, or leave it out."
            )
    if title:
        experiment = experiment.model_copy(update={"title": title})
    lstm_only = {"--members": members, "--head": head, "--heads": heads}
    if experiment.model.name != "multitask_lstm" and (
        given := [option for option, value in lstm_only.items() if value is not None]
    ):
        raise ConfigError(
            f"{', '.join(given)}: only for model 'multitask_lstm', not for {experiment.model.name!r}. Leave it out."
        )
    if comparison is not None and compare_forcing is None:
        raise ConfigError("--comparison needs --compare-forcing. Give both, or neither.")
    if compare_forcing is not None:
        run_alternatives(experiment, compare_forcing, out, comparison)
        return
    _with_progress(
        lambda on_event: run_experiment(experiment, out=out, on_event=on_event, on_created=_show_run)
    )


@runs.command("list")
def runs_list(out: RunsFolder = Path("runs")) -> None:
    """List all runs, newest first."""
    from gsm3core.run import list_runs

    table = make_table(
        name_column("id"), name_column("state"), number_column("R"), number_column("ubRMSE"), "dataset"
    )
    for run in list_runs(out):
        finished = [e for e in run.events() if e["event"] == "run_finished"]
        medians: dict[str, Any] = next(iter(finished[-1]["medians"].values()), {}) if finished else {}
        table.add_row(
            run.id, run.state, *(format_number(medians.get(m, math.nan), 3) for m in ("R", "ubRMSE")),
            escape(run.dataset_path.stem),
        )  # fmt: skip
    if not table.row_count:
        print_path("No runs in", out)
        return
    console.print(table)
    console.print(
        "R and ubRMSE: median over sites against sm_insitu, or sm_smap where there are no in-situ data."
    )


@runs.command("show")
def runs_show(
    run_id: Annotated[str, typer.Argument(help="Id or path.")], out: RunsFolder = Path("runs")
) -> None:
    """Show a run's state, configuration and median scores."""
    run = open_run(run_id, out)
    print_path("Run", run.title)
    failures = [e.get("message", "") for e in run.events() if e["event"] == "run_failed"]
    console.print(f"State: {run.state}" + (f": {escape(failures[-1])}" if run.state == "failed" else ""))
    print_path("Folder:", run.folder)
    for note in run.notes:
        console.print(escape(note), highlight=False)
    console.print()
    console.print(escape(run.config.to_toml()), soft_wrap=True)
    _print_scores(run)


@runs.command("resume")
def runs_resume(
    run_id: Annotated[str, typer.Argument(help="Id or path.")], out: RunsFolder = Path("runs")
) -> None:
    """Resume a run that was killed, cancelled or failed; finished folds are kept."""
    _execute(open_run(run_id, out))


@runs.command("cancel")
def runs_cancel(run_id: Annotated[str, typer.Argument(help="Id.")], out: RunsFolder = Path("runs")) -> None:
    """Cancel a background run, queued or running."""
    from gsm3core.jobs.queue import JobQueue

    JobQueue(out).cancel(run_id)
    console.print(f"Cancelling {escape(run_id)}; finished folds and checkpoints are kept.")


@runs.command("export-tensorboard")
def runs_export_tensorboard(
    run_id: Annotated[str, typer.Argument(help="Id or path.")],
    to: Annotated[Path, typer.Option("--to", help="Output folder.")],
    out: RunsFolder = Path("runs"),
) -> None:
    """Export a run's losses, validation scores and speed for TensorBoard (needs the package tensorboard)."""
    from gsm3core.experiment.tensorboard import export_tensorboard

    written = export_tensorboard(open_run(run_id, out), to)
    print_path("Written to", written, f"; open it with: tensorboard --logdir {to}")


def finetune_command(
    run_id: Annotated[str, typer.Argument(help="Id or path of the run to start from.")],
    dataset: Annotated[Path, typer.Option(help="Path of the dataset to train on.")],
    holdout: Annotated[
        str | None,
        typer.Option(
            help="Holdout of that dataset: a name, or a TOML file with a holdout section; default: as in the first run."
        ),
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Default: a tenth of the first run's.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Number of epochs; default: as in the first run.")
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the new run.")] = "",
    out: RunsFolder = Path("runs"),
) -> None:
    """Fine-tune a run's networks on another dataset, as a new run with the same scaling."""
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
    _execute(run)


def predict_command(
    run_id: Annotated[str, typer.Argument(help="Id or path of a run.")],
    dataset: Annotated[Path, typer.Argument(help="Path of a dataset with the run's inputs.")],
    to: Annotated[Path, typer.Option("--to", help="Output file: .nc or .zarr.")],
    device: Annotated[str, typer.Option(help="Device: auto, cpu, cuda or cuda:N.")] = "cpu",
    out: RunsFolder = Path("runs"),
) -> None:
    """Predict soil moisture on a dataset: mean and standard deviation over the networks of all folds and members of a run."""
    from gsm3core.experiment import prepare_process
    from gsm3core.files import atomic_write
    from gsm3core.schema import open_dataset

    prepare_process()
    from gsm3core.prediction import predict_dataset

    if to.exists():
        raise ConfigError(f"{to} exists already. Choose another name.")
    if to.suffix not in (".nc", ".zarr"):
        raise ConfigError(f"unknown format of {to}; expected .nc (netCDF-4) or .zarr.")
    predicted = predict_dataset(open_run(run_id, out), open_dataset(dataset), device=device)
    atomic_write(predicted, to)
    text = f"{predicted.sizes[v.SITE]} sites, {predicted[v.SM_PREDICTED].attrs['comment']}"
    text += ", with standard deviation" if v.SM_PREDICTED_STD in predicted else ""
    console.print(f"{text}.", soft_wrap=True)
    if filled := predicted.attrs["filled"]:
        count = len(filled.split(", "))
        console.print(
            f"Missing inputs were filled in {count} variable(s): see attribute 'filled' of the file."
        )
    print_path("Written to", to)


def _show_run(run: Any) -> None:
    print_path("Run", run.folder)


def _execute(run: Any) -> None:
    from gsm3core.experiment import execute

    _show_run(run)
    _with_progress(lambda on_event: execute(run, on_event=on_event))


def _with_progress(work: Callable[[Callable[[dict[str, Any]], None]], Any]) -> None:
    """Execute a run with a progress bar, and print its scores."""
    from gsm3core.experiment import prepare_process

    prepare_process()
    with progress_bar() as (progress, task):
        run = work(lambda event: show_event(event, progress, task))
    _print_scores(run)


def _print_scores(run: Any) -> None:
    from gsm3core.evaluation.scoring import score_run
    from gsm3core.evaluation.training_scores import append_training_scores, score_training

    for reference in run.references():
        scores = score_run(run, reference=reference)
        if run.training_scores(reference) is not None:
            scores = append_training_scores(scores, score_training(run, reference=reference))
        console.print(score_table(scores, reference))
