"""``gsm3 data pull starter``: a dataset of several networks from services that need no account."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape

from gsm3core.cli.build import progress_bar, show_history, show_losses, show_terms
from gsm3core.cli.common import (
    comma_list,
    console,
    describe_dataset,
    make_table,
    name_column,
    number_column,
    parse_urls,
    print_path,
    refuse_existing,
)

NETWORKS = {"uscrn": "uscrn-daily"}
"""Name of ``gsm3 data pull`` -> name in the catalogue, where they differ."""


def run_starter(
    years: str,
    out: Path,
    *,
    networks: str,
    forcings: Sequence[str],
    attributes: Sequence[str],
    stations: str,
    urls: Sequence[str],
    root: Path | None,
    jobs: int,
    timeout: float,
    overwrite: bool,
) -> None:
    """Download and build the starter dataset with a progress bar; print its contents and what was downloaded.

    Raises
    ------
    ConfigError
        If an option is invalid.
    """
    from gsm3core.assembly import starter
    from gsm3core.download.fetch import RetryPolicy
    from gsm3core.download.uscrn import parse_years
    from gsm3core.schema import open_dataset

    wanted = parse_years(years) if years else starter.recent_years()
    if not years:
        console.print(
            f"Years {wanted[0]} to {wanted[-1]}, the last complete ones; choose others with --years."
        )
    refuse_existing(out, overwrite)
    choice: dict[str, Any] = {
        "networks": [NETWORKS.get(n, n) for n in comma_list(networks)] or starter.NETWORKS,
        "forcings": forcings or starter.FORCINGS,
        "attributes": attributes or starter.ATTRIBUTES,
        "urls": {NETWORKS.get(name, name): url for name, url in parse_urls(urls).items()},
        "root": root,
    }
    show_terms(starter.starter_recipe(wanted, **choice))
    started = time.monotonic()
    with progress_bar() as progress:
        made = starter.pull_starter(
            out, wanted, stations=stations, policy=RetryPolicy(jobs=jobs, timeout=timeout), overwrite=overwrite,
            progress=progress, **choice,
        )  # fmt: skip
    ds = open_dataset(made.assembly.dataset)
    console.print(describe_dataset(ds))
    show_history(ds)
    show_losses(ds)
    show_downloads(made.downloads, time.monotonic() - started)
    print_path("Sites:", made.assembly.stations)
    print_path("Files read:", made.assembly.inputs)
    print_path("Written to", made.assembly.dataset)


def show_downloads(downloads: dict[str, Any], seconds: float) -> None:
    """Print files, requests and bytes by source."""
    table = make_table(
        name_column("source"),
        *map(number_column, ("files", "new", "requests", "retries", "MB")),
        title="Downloads",
    )
    for name, got in downloads.items():
        table.add_row(
            escape(name), str(len(got.available)), str(len(got.new) + len(got.replaced)), str(got.requests),
            str(got.retries), f"{got.bytes / 1e6:.1f}",
        )  # fmt: skip
    console.print(table)
    console.print(f"{seconds:.0f} s in all.")
