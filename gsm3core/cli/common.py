"""Shared by all commands: console, common options, tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
ScalingOption = Annotated[
    str,
    typer.Option(
        "--scaling",
        help="Scaling of each product to the reference at every site before scoring: none, mean_std or cdf. Bias is then 0 "
        "by construction.",
    ),
]
MasksOption = Annotated[
    str,
    typer.Option(
        "--mask",
        help="Days to leave out, separated by commas: frozen, snow, flagged (not recommended by the producer).",
    ),
]
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


def show_notes(ds: Any, steps: int = 1) -> None:
    """Print the notes in the last steps of a dataset's history, one line each.

    Parameters
    ----------
    steps
        Number of steps.
    """
    import json

    history = json.loads(ds.attrs.get("history", "[]"))
    print_notes([str(note) for step in history[-steps:] for note in step.get("notes", [])])


def print_notes(lines: Sequence[str]) -> None:
    """Print notes on what was left out or assumed, one line each; nothing if there are none."""
    if lines:
        console.print("\n[bold]Please note[/]")
        for line in lines:
            console.print(f"- {escape(line)}", highlight=False, soft_wrap=True)


def open_run(run_id: str, out: Path) -> Any:
    """Open a run by its path, or by its id in the folder of runs."""
    from gsm3core.run import Run

    return Run.open(run_id if (Path(run_id) / "config.toml").exists() else out / run_id)


def comma_list(text: str | None) -> list[str]:
    """Return the names in a text separated by commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def parse_urls(texts: Sequence[str]) -> dict[str, str]:
    """Return the addresses of ``SOURCE=URL`` by source.

    Raises
    ------
    ConfigError
        If a text has another form, or a source has two addresses.
    """
    urls: dict[str, str] = {}
    for text in texts:
        name, _, url = text.partition("=")
        if not url.startswith(("https://", "http://")):
            raise ConfigError(
                f"invalid --url {text!r}; expected SOURCE=URL, such as power=https://example.org/api."
            )
        if name in urls:
            raise ConfigError(f"two addresses for {name!r}; expected one.")
        urls[name] = url
    return urls


def parse_range(option: str, text: str) -> tuple[float, float] | None:
    """Return the ends of a range such as ``0:0.1``; ``None`` for an empty text."""
    if not text:
        return None
    try:
        low, high = (float(end) for end in text.split(":"))
    except ValueError:
        raise ConfigError(f"invalid {option} {text!r}; expected LOW:HIGH, such as 0:0.1.") from None
    return low, high


def print_conditions(scores: Any, reference: str) -> None:
    """Print the season, the masks with the number of days that they remove, and the scaling of scores."""
    from gsm3core.evaluation.conditions import conditions_of

    if text := conditions_of(scores, reference):
        console.print(f"These scores: {escape(text)}.", highlight=False, soft_wrap=True)
    if "n_masked" in scores:
        for product in scores[v.PRODUCT].values:
            one = scores.sel({v.PRODUCT: product})
            removed, left = int(one["n_masked"].sum()), int(one["n_valid"].sum())
            line = f"{product}: {removed} of {removed + left} paired days left out"
            console.print(escape(line), highlight=False, soft_wrap=True)


def score_table(
    scores: Any, reference: str, metrics: Sequence[str] = ("R", "RMSE", "ubRMSE", "bias")
) -> Table:
    """Return the table of median scores over sites, one row per product, with the number of sites that have the first."""
    first = metrics[0]
    table = make_table(
        name_column("product"), *map(number_column, (*metrics, "sites")), number_column(f"without {first}"),
        title=f"Scores against {reference}: median over sites",
    )  # fmt: skip
    for product in scores[v.PRODUCT].values:
        one = scores.sel({v.PRODUCT: product})
        table.add_row(
            escape(str(product)), *(format_number(float(one[m].median()), 4) for m in metrics),
            str(int(one[first].notnull().sum())), str(int(one[first].isnull().sum())),
        )  # fmt: skip
    return table


def describe_dataset(ds: Any) -> Table:
    """Return the table of a dataset's contents."""
    from gsm3core.geography.site_coordinates import sites_by_region
    from gsm3core.schema import attribute_names, forcing_names, is_simulated, products, target_names

    days = ds[v.TIME].values
    rows = {
        "title": ds.attrs.get("title", ""),
        "simulated": "yes" if is_simulated(ds) else "no",
        "sites": str(ds.sizes[v.SITE]),
        **{
            f"sites by region, {scheme}": ", ".join(f"{r} {c}" for r, c in counts.items())
            for scheme, counts in sites_by_region(ds).items()
        },
        "region changed": _changed(ds),
        "days": f"{ds.sizes[v.TIME]}: {str(days[0])[:10]} to {str(days[-1])[:10]}",
        "training targets": ", ".join(target_names(ds)),
        "forcings": ", ".join(forcing_names(ds)),
        "attributes": ", ".join(attribute_names(ds)),
        "products": ", ".join(products(ds)) or "none",
        "license": ds.attrs.get("license", ""),
    }
    return key_value_table(rows)


def _changed(ds: Any) -> str:
    """Return which sites have a stored region that is not that of the catalogue's polygons today."""
    from gsm3core.geography.site_coordinates import changed_regions

    changed = changed_regions(ds)
    if not changed:
        return ""
    shown = ", ".join(f"{site} ({what})" for site, what in list(changed.items())[:3])
    more = ", ..." if len(changed) > 3 else ""
    return f"{len(changed)} sites were stored under other polygons: {shown}{more}. Build the dataset again to change them."


def key_value_table(rows: dict[str, Any]) -> Table:
    """Return a table of two columns without a header; empty values are left out."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for key, value in rows.items():
        if value not in ("", None, [], {}):
            table.add_row(escape(key.replace("_", " ")), escape(str(value)))
    return table
