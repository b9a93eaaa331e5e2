"""Shared by all commands: console, common options, tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from gsm3core import vocabulary as v
from gsm3core.errors import ConfigError

console = Console()

RunsFolder = Annotated[Path, typer.Option("--out", "--runs", help="Folder of all runs.")]
SourcesFolder = Annotated[
    Path | None,
    typer.Option("--root", help="Folder of the source files; default $GSM3_SOURCES or data/sources."),
]
Out = Annotated[Path, typer.Option("--out", help="Output file: .zarr or .nc.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing output.")]


def make_table(*columns: str | Column, title: str = "") -> Table:
    """Return a table without vertical lines, which fits 80 columns and whose headers are never truncated."""
    table = Table(
        title=f"\n{escape(title)}" if title else None, title_justify="left", title_style="bold",
        box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for column in columns:
        column = column if isinstance(column, Column) else Column(column, overflow="fold")
        column.min_width = max(len(word) for word in ["", *str(column.header).split()])
        table.columns.append(column)
        column._index = len(table.columns) - 1
    return table


def name_column(title: str = "") -> Column:
    """Return a column of names, which are not wrapped so that they can be copied."""
    return Column(title, no_wrap=True, overflow="fold")


def number_column(title: str) -> Column:
    """Return a column of numbers."""
    return Column(title, justify="right", no_wrap=True, overflow="fold")


def format_number(value: float, digits: int) -> str:
    """Return a number with fixed decimals, or an empty text if it is not finite."""
    return f"{value:.{digits}f}" if math.isfinite(value) else ""


def print_path(label: str, path: Path | str, rest: str = "") -> None:
    """Print a path in bold on one line, so that it can be copied."""
    console.print(f"{label} [bold]{escape(str(path))}[/]{escape(rest)}", soft_wrap=True, highlight=False)


def refuse_existing(out: Path, overwrite: bool) -> None:
    """Raise an error before the work starts if the output exists."""
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} exists already. Choose another name, or pass --overwrite.")


def finish_dataset(ds: Any, out: Path, overwrite: bool) -> None:
    """Write a dataset and print its contents."""
    from gsm3core.schema import save_dataset

    save_dataset(ds, out, overwrite=overwrite)
    console.print(describe_dataset(ds))
    print_path("Written to", out)


def open_run(run_id: str, out: Path) -> Any:
    """Open a run by its path, or by its id in the folder of runs."""
    from gsm3core.run import Run

    return Run.open(run_id if (Path(run_id) / "config.toml").exists() else out / run_id)


def score_table(scores: Any, reference: str) -> Table:
    """Return the table of median scores over sites, one row per product."""
    numbers = ("R", "RMSE", "ubRMSE", "bias")
    table = make_table(
        name_column("product"), *map(number_column, (*numbers, "sites")), number_column("without R"),
        title=f"Scores against {reference}: median over sites",
    )  # fmt: skip
    for product in scores[v.PRODUCT].values:
        one = scores.sel({v.PRODUCT: product})
        table.add_row(
            escape(str(product)), *(format_number(float(one[m].median()), 4) for m in numbers),
            str(int(one["R"].notnull().sum())), str(int(one["R"].isnull().sum())),
        )  # fmt: skip
    return table


def describe_dataset(ds: Any) -> Table:
    """Return the table of a dataset's contents."""
    import numpy as np

    from gsm3core.schema import attribute_names, forcing_names, is_simulated, products, target_names

    days = ds[v.TIME].values
    regions, counts = np.unique(ds[v.REGION].values.astype(str), return_counts=True)
    rows = {
        "title": ds.attrs.get("title", ""),
        "simulated": "yes" if is_simulated(ds) else "no",
        "sites": f"{ds.sizes[v.SITE]}: "
        + ", ".join(f"{r} {c}" for r, c in zip(regions, counts, strict=True)),
        "days": f"{ds.sizes[v.TIME]}: {str(days[0])[:10]} to {str(days[-1])[:10]}",
        "training targets": ", ".join(target_names(ds)),
        "forcings": ", ".join(forcing_names(ds)),
        "attributes": ", ".join(attribute_names(ds)),
        "products": ", ".join(products(ds)) or "none",
        "license": ds.attrs.get("license", ""),
    }
    return key_value_table(rows)


def key_value_table(rows: dict[str, Any]) -> Table:
    """Return a table of two columns without a header; empty values are left out."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for key, value in rows.items():
        if value not in ("", None, [], {}):
            table.add_row(escape(key.replace("_", " ")), escape(str(value)))
    return table
