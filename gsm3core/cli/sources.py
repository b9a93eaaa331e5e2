"""``gsm3 data pull``, ``add-product``, ``add-network``, and building from in-situ archives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from gsm3core.cli.common import Out, Overwrite, console, finish_dataset, refuse_existing
from gsm3core.errors import ConfigError

INSITU = ("ismn", "uscrn-daily")
_PULLED = ("uscrn", "smap", "era5")
_SHOWN = 12

Units = Annotated[str, typer.Option(help="For a table without a column of units: 'm3 m-3' or '%'.")]


def data_pull(
    name: Annotated[str, typer.Argument(help=f"{', '.join(_PULLED)}.")],
    years: Annotated[str, typer.Option(help="2015-2020, or 2015,2018.")] = "",
    days: Annotated[str, typer.Option(help="smap, era5: 2015-04-01:2015-04-30, instead of years.")] = "",
    into: Annotated[
        Path | None, typer.Option(help="Folder of the files; data/sources/NAME by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="uscrn: the dataset to build; data/uscrn-YEARS.zarr.")
    ] = None,
    url: Annotated[str, typer.Option(help="uscrn: another server's folder of year folders.")] = "",
    stations: Annotated[
        str, typer.Option(help="uscrn: regular expression of station names, like ^CA_.")
    ] = "",
    box: Annotated[str, typer.Option(help="smap, era5: west,south,east,north in degrees.")] = "",
    jobs: Annotated[int, typer.Option(help="Connections at once.")] = 4,
    timeout: Annotated[float, typer.Option(help="Seconds without a byte before a new try.")] = 30.0,
    refresh: Annotated[bool, typer.Option(help="Ask whether files that are here have changed.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Download a source: USCRN without an account, into a dataset; SMAP and ERA5 with one, into a folder."""
    if name not in _PULLED:
        raise ConfigError(f"{name!r} cannot be pulled. Known: {', '.join(_PULLED)}.")
    if not years and not days:
        raise ConfigError("give the years to pull, such as --years 2015-2020.")
    if name == "uscrn":
        from gsm3core.download.uscrn import parse_years

        if days:
            raise ConfigError("uscrn is pulled by --years: its files hold a year each.")
        wanted = parse_years(years)
        out = out or Path("data") / f"uscrn-{years.replace(',', '_').replace(' ', '')}.zarr"
        refuse_existing(out, overwrite)
        ds, table = _pull_uscrn(wanted, into, url, stations, jobs, timeout, refresh)
        finish_dataset(ds, out, overwrite)
        _show_stations(table, out)
        return
    from gsm3core.download import accounts

    pull = accounts.pull_smap if name == "smap" else accounts.pull_era5
    folder = into or _source_folder("smap-l3e" if name == "smap" else "era5")
    files = pull(
        accounts.parse_period(years, days),
        folder,
        box=accounts.parse_box(box),
        tell=lambda text: console.print(escape(text)),
    )
    console.print(f"{len(files)} files in [bold]{escape(str(folder))}[/].")


def data_add_product(
    dataset: Annotated[Path, typer.Argument(help="A dataset.")],
    file: Annotated[
        Path, typer.Argument(help="CSV, netCDF or parquet with columns site, time, value, units.")
    ],
    name: Annotated[str, typer.Option(help="What to call the product.")],
    out: Out,
    units: Units = "",
    overwrite: Overwrite = False,
) -> None:
    """Add your own soil-moisture product, a table of values at the dataset's sites."""
    from gsm3core.schema import open_dataset
    from gsm3core.user_tables.add_product import add_product

    refuse_existing(out, overwrite)
    ds, step = add_product(open_dataset(dataset), file, name, units=units)
    finish_dataset(ds, out, overwrite)
    _show_step(step)


def data_add_network(
    dataset: Annotated[Path, typer.Argument(help="A dataset, whose forcings the new sites take.")],
    file: Annotated[
        Path,
        typer.Argument(help="CSV, netCDF or parquet with columns site, time, value, units, lat, lon."),
    ],
    name: Annotated[str, typer.Option(help="What to call the network.")],
    out: Out,
    units: Units = "",
    within_km: Annotated[float, typer.Option(help="How far the nearest site of the dataset may be.")] = 25.0,
    overwrite: Overwrite = False,
) -> None:
    """Add your own in-situ network; its forcings and attributes are those of the nearest sites."""
    import json

    from gsm3core.assembly.insitu import write_station_table
    from gsm3core.schema import open_dataset
    from gsm3core.user_tables.add_network import add_network

    refuse_existing(out, overwrite)
    ds, table = add_network(open_dataset(dataset), file, name, within_km=within_km, units=units)
    finish_dataset(ds, out, overwrite)
    _show_step(json.loads(ds.attrs["history"])[-1])
    console.print(f"Its sites: [bold]{escape(str(write_station_table(table, out)))}[/].")


def build_insitu(name: str, source: Path, out: Path, **choice: Any) -> Any:
    """Build from an in-situ archive with a progress bar, and say which stations were used."""
    from gsm3core.assembly.insitu import build_insitu as build
    from gsm3core.readers.ismn.sensor_choice import SensorChoice

    with _bar(MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("stations", total=None)
        given = {k: x for k, x in choice.items() if x is not None}
        ds, table = build(
            name, source, choice=SensorChoice(**given) if given else None,
            progress=lambda done, of: bar.update(task, completed=done, total=of),
        )  # fmt: skip
    _show_stations(table, out)
    return ds


def _pull_uscrn(
    years: list[int], into: Path | None, url: str, stations: str, jobs: int, timeout: float, refresh: bool
) -> tuple[Any, Any]:  # fmt: skip
    from gsm3core.assembly.insitu import build_insitu as build
    from gsm3core.download.http import RetryPolicy
    from gsm3core.download.uscrn import pull_uscrn

    folder = into or _source_folder("uscrn-daily")
    columns = (
        MofNCompleteColumn(),
        TextColumn("files"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with _bar(*columns) as bar:
        task = bar.add_task("looking at the listings", total=None)

        def listen(done: int, of: int, count: int, path: str) -> None:
            # Files make the bar, as sizes are not known before; bytes tell the speed.
            bar.update(task, completed=done, total=of, description=path.rpartition("/")[2][:44])

        pulled = pull_uscrn(
            years, folder, url=url, stations=stations, refresh=refresh, listen=listen,
            manners=RetryPolicy(jobs=jobs, timeout=timeout, largest=4 << 20),
        )  # fmt: skip
    got = pulled.fetched
    console.print(
        f"{len(got.new)} files fetched ({got.bytes / 1e6:.1f} MB), {len(got.replaced)} replaced, {len(got.kept)} were here, "
        f"{len(got.resumed)} gone on with, {got.retries} tries repeated"
        + (f"; not on the server: {', '.join(sorted(got.missing)[:5])}" if got.missing else "")
    )
    with console.status("Reading the files ..."):
        return build("uscrn-daily", folder, period=pulled.period, pulled=pulled.step)


@contextmanager
def _bar(*columns: ProgressColumn) -> Iterator[Progress]:
    with Progress(TextColumn("{task.description}"), BarColumn(), *columns, console=console) as bar:
        yield bar


def _show_stations(table: Any, out: Path) -> None:
    from gsm3core.assembly.insitu import write_station_table

    path = write_station_table(table, out)
    refused = table[table["outcome"] == "refused"]
    console.print(
        f"{len(table) - len(refused)} stations used, {len(refused)} refused; all of them: [bold]{escape(str(path))}[/]."
    )
    for note, count in refused["note"].value_counts().head(_SHOWN).items():
        console.print(f"  {count} refused: {escape(str(note))}")


def _show_step(step: dict[str, Any]) -> None:
    table = Table(show_header=False, box=None)
    for key, value in step.items():
        table.add_row(f"[bold]{key.replace('_', ' ')}", escape(str(value)))
    console.print(table)


def _source_folder(name: str) -> Path:
    from gsm3core.readers.availability import source_folder

    return source_folder(name)
