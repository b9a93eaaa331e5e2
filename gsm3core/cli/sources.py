"""``gsm3 data add-product`` and ``add-network``, and builds from in-situ archives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from gsm3core.cli.common import (
    Out,
    Overwrite,
    console,
    finish_dataset,
    key_value_table,
    print_path,
    refuse_existing,
    show_notes,
)

INSITU = ("ismn", "uscrn-daily", "scan", "snotel")
_MAX_REASONS = 12

Units = Annotated[str, typer.Option(help="Units if the table has no column for them: 'm3 m-3' or '%'.")]


def data_add_product(
    dataset: Annotated[Path, typer.Argument(help="Path of a dataset.")],
    file: Annotated[Path, typer.Argument(help="CSV, netCDF or parquet table with site, time, value, units.")],
    name: Annotated[str, typer.Option(help="Name of the product.")],
    out: Out,
    units: Units = "",
    overwrite: Overwrite = False,
) -> None:
    """Add a soil-moisture product to a dataset, from a table of values at its sites."""
    from gsm3core.schema import open_dataset
    from gsm3core.user_tables.add_product import add_product

    refuse_existing(out, overwrite)
    ds, step = add_product(open_dataset(dataset), file, name, units=units)
    finish_dataset(ds, out, overwrite)
    _show_step(step)


def data_add_network(
    dataset: Annotated[
        Path, typer.Argument(help="Path of a dataset, which also provides the inputs of the new sites.")
    ],
    file: Annotated[
        Path,
        typer.Argument(help="CSV, netCDF or parquet table with site, time, value, units, lat, lon."),
    ],
    name: Annotated[str, typer.Option(help="Name of the network.")],
    out: Out,
    units: Units = "",
    within_km: Annotated[
        float, typer.Option(help="Maximum distance to the nearest site of the dataset, km.")
    ] = 25.0,
    overwrite: Overwrite = False,
) -> None:
    """Add an in-situ network to a dataset; its forcings and attributes are those of the nearest sites."""
    import json

    from gsm3core.assembly.insitu import write_station_table
    from gsm3core.assembly.twins import with_twin_notes
    from gsm3core.schema import open_dataset
    from gsm3core.user_tables.add_network import add_network

    refuse_existing(out, overwrite)
    ds, table = add_network(open_dataset(dataset), file, name, within_km=within_km, units=units)
    _show_step(json.loads(ds.attrs["history"])[-1])
    ds = with_twin_notes(ds, name)
    finish_dataset(ds, out, overwrite)
    show_notes(ds)
    print_path("Sites:", write_station_table(table, out))


def build_insitu(name: str, source: list[Path], out: Path, **choice: Any) -> Any:
    """Build from an in-situ archive with a progress bar, and print how many stations were used."""
    from gsm3core.assembly.insitu import build_insitu as build
    from gsm3core.readers.ismn.sensor_choice import SensorChoice

    with progress_bar(MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("stations", total=None)
        given = {k: x for k, x in choice.items() if x is not None}
        ds, table = build(
            name, source, choice=SensorChoice(**given) if given else None,
            progress=lambda done, of: bar.update(task, completed=done, total=of),
        )  # fmt: skip
    show_stations(table, out)
    return ds


@contextmanager
def progress_bar(*columns: ProgressColumn) -> Iterator[Progress]:
    """Show a progress bar with these columns."""
    with Progress(TextColumn("{task.description}"), BarColumn(), *columns, console=console) as bar:
        yield bar


def show_stations(table: Any, out: Path) -> None:
    """Write the table of stations beside a dataset, and print how many are used and why others are not."""
    from gsm3core.assembly.insitu import write_station_table

    path = write_station_table(table, out)
    refused = table[table["outcome"] == "refused"]
    console.print(f"{len(table) - len(refused)} stations used, {len(refused)} excluded.")
    for note, count in refused["note"].value_counts().head(_MAX_REASONS).items():
        console.print(f"  {count}: {escape(str(note))}")
    print_path("All stations:", path)


def _show_step(step: dict[str, Any]) -> None:
    console.print(key_value_table(step))
