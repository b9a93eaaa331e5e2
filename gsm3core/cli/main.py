"""The ``gsm3`` command: its groups, and how errors are told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from gsm3core.cli import evaluate as analysis
from gsm3core.cli import runs
from gsm3core.cli import sources as stations
from gsm3core.cli.common import console
from gsm3core.cli.data import data
from gsm3core.errors import CancelledError, GSM3Error

app = typer.Typer(
    help="Train, test and diagnose a global multitask LSTM of surface soil moisture.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(data, name="data")
app.add_typer(runs.runs, name="runs")
data.command("pull")(stations.data_pull)
data.command("add-product")(stations.data_add_product)
data.command("add-network")(stations.data_add_network)
app.command("run")(runs.run_command)
app.command("finetune")(runs.finetune_command)
app.command("predict")(runs.predict_command)
app.command("score")(analysis.score_command)
app.command("factors")(analysis.factors_command)
app.command("report")(analysis.report_command)


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


@app.command("app")
def app_command(
    port: Annotated[int, typer.Option(help="Where the dashboard listens.")] = 5006,
    host: Annotated[
        str, typer.Option(help="Another address than this machine's own needs --auth and --allow-origin.")
    ] = "127.0.0.1",
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="host[:port] under which others see the dashboard; needs passwords."),
    ] = None,
    auth: Annotated[
        Path | None, typer.Option(help="File of name:password lines; or set GSM3_APP_PASSWORD.")
    ] = None,
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

    import_module("app.server.serve").serve(
        host,
        port,
        data=data_folder,
        runs=runs_folder,
        show=show,
        first_run=first_run,
        origins=allow_origin or (),
        auth=auth,
    )
