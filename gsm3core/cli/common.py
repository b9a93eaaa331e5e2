"""What all commands share: where they print, their common options, and the tables they show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from gsm3core import vocabulary as v
from gsm3core.errors import ConfigError

console = Console()

RunsFolder = Annotated[Path, typer.Option("--out", "--runs", help="Folder of all runs.")]
SourcesFolder = Annotated[
    Path | None, typer.Option("--root", help="Folder of the producers' files ($GSM3_SOURCES, data/sources).")
]
Out = Annotated[Path, typer.Option("--out", help="Where to write: .zarr or .nc.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def name_column(title: str = "") -> Column:
    """Return a column of names, which a narrow terminal must not break: they are typed again."""
    return Column(title, no_wrap=True)


def refuse_existing(out: Path, overwrite: bool) -> None:
    """Say before hours of work, not after, that the name is taken."""
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} exists. Choose another name, or pass --overwrite.")


def finish_dataset(ds: Any, out: Path, overwrite: bool) -> None:
    """Write a dataset and say what it holds."""
    from gsm3core.schema import save_dataset

    save_dataset(ds, out, overwrite=overwrite)
    console.print(describe_dataset(ds))
    console.print(f"Written to [bold]{escape(str(out))}[/].")


def open_run(run_id: str, out: Path) -> Any:
    """Open a run by its path, or by its id in the folder of runs."""
    from gsm3core.run import Run

    return Run.open(run_id if (Path(run_id) / "config.toml").exists() else out / run_id)


def score_table(scores: Any, title: str) -> Table:
    """Tabulate medians over sites, one row for each product."""
    table = Table(
        name_column("product"),
        "R",
        "RMSE",
        "ubRMSE",
        "bias",
        "sites",
        "without R",
        title=title,
        title_justify="left",
    )
    for product in scores[v.PRODUCT].values:
        one = scores.sel({v.PRODUCT: product})
        table.add_row(
            str(product), *(f"{float(one[m].median()):.4f}" for m in ("R", "RMSE", "ubRMSE", "bias")),
            str(int(one["R"].notnull().sum())), str(int(one["R"].isnull().sum())),
        )  # fmt: skip
    return table


def describe_dataset(ds: Any) -> Table:
    """Tabulate what a dataset holds."""
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
