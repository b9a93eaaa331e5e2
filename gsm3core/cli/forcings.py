"""``gsm3 run --compare-forcing``: one run for each alternative forcing, and the table that compares them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.progress import Progress, TaskID
from rich.table import Table

from gsm3core.cli.common import console, format_number, make_table, name_column, number_column, print_path
from gsm3core.cli.progress import progress_bar, show_event
from gsm3core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd


def run_alternatives(experiment: Any, text: str, out: Path, table: Path | None) -> None:
    """Run an experiment with each of several forcings with a progress bar, and print the comparison.

    Parameters
    ----------
    experiment
        The configuration.
    text
        ``LABEL=NAME,NAME,...``.
    out, table
        Folder of all runs, and the CSV file of the comparison.

    Raises
    ------
    ConfigError
        Before the first run, if the table cannot be written.
    """
    from gsm3core.experiment import compare_forcings, prepare_process
    from gsm3core.experiment.forcing_comparison import parse_alternatives

    if table is not None and (table.suffix != ".csv" or table.is_dir() or not table.parent.is_dir()):
        raise ConfigError(f"--comparison {table}: expected the name of a .csv file in a folder that exists.")
    label, names = parse_alternatives(text)
    prepare_process()
    with progress_bar() as (progress, task):
        found = compare_forcings(
            experiment, label, names, out=out,
            on_event=lambda event: show_event(event, progress, task),
            on_started=lambda *started: _show_start(progress, task, label, *started),
        )  # fmt: skip
    for name, run in found.runs.items():
        print_path(f"{name}:", run.folder)
    comparison = found.table()
    if len(comparison):
        resampled = " and ".join(dict.fromkeys(comparison["resampled"]))
        first = next(iter(found.runs))
        for metric in dict.fromkeys(comparison["metric"]):
            console.print(_table(comparison, metric, first))
        console.print(
            f"Against {found.reference}, over the sites and test days that all runs share. Intervals: {resampled} are "
            "resampled. p: Wilcoxon, Holm-corrected."
        )
        if table is not None:
            comparison.to_csv(table, index=False)
            print_path("Written to", table)
    for name, message in found.failures.items():
        console.print(f"[bold red]{escape(name)} failed:[/] {escape(message)}", soft_wrap=True)
    if found.failures:
        console.print("Rerun the command to resume what failed; finished runs are not repeated.")
        sys.exit(1)


def _show_start(
    progress: Progress, task: TaskID, label: str, name: str, number: int, of: int, run: Any
) -> None:
    what = f"[bold]{escape(label)}: {escape(name)}[/] ({number} of {of})"
    progress.console.print(
        what + (f", finished before: {escape(run.id)}" if run else ""), highlight=False, soft_wrap=True
    )
    progress.reset(task, description=escape(name))
    progress.update(task, completed=1.0 if run else 0.0, scores="")


def _table(comparison: pd.DataFrame, metric: str, against: str) -> Table:
    rows = comparison[comparison["metric"] == metric]
    table = make_table(
        name_column("forcing"), *map(number_column, ("median", f"minus {against}", "p", "sites")),
        title=f"{metric}: median over sites",
    )  # fmt: skip
    for _, row in rows.iterrows():
        differs = row["forcing"] != against
        table.add_row(
            escape(row["forcing"]),
            _with_interval(row["median"], row["lower"], row["upper"]),
            _with_interval(row["difference"], row["difference_lower"], row["difference_upper"])
            if differs
            else "",
            ("<0.001" if row["p_holm"] < 0.001 else f"{row['p_holm']:.3f}") if differs else "",
            str(row["sites"]),
        )
    return table


def _with_interval(middle: float, low: float, high: float) -> str:
    return f"{format_number(middle, 3)} ({format_number(low, 3)}, {format_number(high, 3)})"
