"""The ``gsm3`` command: its groups, and how errors and warnings are printed."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from gsm3core.cli import evaluate, pull, runs, score, sources
from gsm3core.cli.common import console
from gsm3core.cli.data import data
from gsm3core.cli.single_values import refuse_repeated_options
from gsm3core.errors import CancelledError, DatasetWarning, GSM3Error

app = typer.Typer(
    help="Train, test and diagnose a global multitask LSTM of surface soil moisture.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(data, name="data")
app.add_typer(runs.runs, name="runs")
data.command("pull")(pull.data_pull)
data.command("add-product")(sources.data_add_product)
data.command("add-network")(sources.data_add_network)
app.command("run")(runs.run_command)
app.command("finetune")(runs.finetune_command)
app.command("predict")(runs.predict_command)
app.command("score")(score.score_command)
app.command("factors")(evaluate.factors_command)
app.command("report")(evaluate.report_command)


def main() -> None:
    """Run the command; a :class:`GSM3Error` is printed as one message without a traceback."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning(warnings.showwarning)
            app()
    except CancelledError as error:
        console.print(f"[yellow]Cancelled.[/] {escape(str(error))}")
        sys.exit(130)
    except GSM3Error as error:
        Console(stderr=True).print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)


def _show_warning(default: Any) -> Any:
    """Return a ``warnings.showwarning`` that prints each dataset warning once, on one line, without its location in the code."""
    shown = set[str]()

    def show(message: Warning | str, category: type[Warning], *location: Any, **options: Any) -> None:
        if not issubclass(category, DatasetWarning):
            default(message, category, *location, **options)
        elif str(message) not in shown:
            shown.add(str(message))
            Console(stderr=True).print(f"[yellow]Warning:[/] {escape(str(message))}", soft_wrap=True)

    return show


@app.command("app")
def app_command(
    port: Annotated[int, typer.Option(help="Port of the dashboard.")] = 5006,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; any other than this machine's own needs --auth and --allow-origin."
        ),
    ] = "127.0.0.1",
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="host[:port] under which other machines open the dashboard; needs --auth. Repeatable."
        ),
    ] = None,
    auth: Annotated[
        Path | None, typer.Option(help="File with name:password lines; or set GSM3_APP_PASSWORD.")
    ] = None,
    data_folder: Annotated[Path, typer.Option("--data", help="Folder of datasets.")] = Path("data"),
    runs_folder: Annotated[Path, typer.Option("--runs", help="Folder of all runs.")] = Path("runs"),
    show: Annotated[bool, typer.Option("--show/--no-show", help="Open a browser.")] = True,
    first_run: Annotated[
        bool, typer.Option("--first-run/--no-first-run", help="Train a first run if there are no runs.")
    ] = True,
) -> None:
    """Start the dashboard; if there are no datasets, a simulated demonstration dataset is created first."""
    # Imported by name, because the library does not depend on the dashboard.
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


refuse_repeated_options(app)
