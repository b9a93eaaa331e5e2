"""``gsm3 data pull``, ``add-product`` and ``add-network``, and builds from in-situ archives."""

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

from gsm3core.cli.common import (
    Out,
    Overwrite,
    console,
    finish_dataset,
    key_value_table,
    print_path,
    refuse_existing,
)
from gsm3core.errors import ConfigError

INSITU = ("ismn", "uscrn-daily")
_DOWNLOADABLE = ("uscrn", "smap", "era5")
_MAX_REASONS = 12

Units = Annotated[str, typer.Option(help="Units if the table has no column for them: 'm3 m-3' or '%'.")]


def data_pull(
    name: Annotated[str, typer.Argument(help=f"Source: {', '.join(_DOWNLOADABLE)}.")],
    years: Annotated[str, typer.Option(help="Years, such as 2015-2020 or 2015,2018.")] = "",
    days: Annotated[
        str, typer.Option(help="smap, era5: period instead of years, such as 2015-04-01:2015-04-30.")
    ] = "",
    into: Annotated[
        Path | None, typer.Option(help="Folder of the downloaded files; default: data/sources/NAME.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="uscrn: dataset to build; default: data/uscrn-YEARS.zarr.")
    ] = None,
    url: Annotated[
        str, typer.Option(help="uscrn: URL of another server's folder with one subfolder per year.")
    ] = "",
    stations: Annotated[
        str, typer.Option(help="uscrn: regular expression of station names, such as ^CA_.")
    ] = "",
    box: Annotated[str, typer.Option(help="smap, era5: west,south,east,north in degrees.")] = "",
    jobs: Annotated[int, typer.Option(help="Number of connections.")] = 4,
    timeout: Annotated[float, typer.Option(help="Seconds without data before a retry.")] = 30.0,
    refresh: Annotated[
        bool, typer.Option(help="Check whether files downloaded earlier have changed.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Download a source: uscrn into a dataset, without an account; smap and era5 into a folder, with one."""
    if name not in _DOWNLOADABLE:
        raise ConfigError(f"{name!r} cannot be downloaded; expected {', '.join(_DOWNLOADABLE)}.")
    if not years and not days:
        raise ConfigError("no period: give the years, such as --years 2015-2020.")
    if name == "uscrn":
        from gsm3core.download.uscrn import parse_years

        if days:
            raise ConfigError(
                "--days cannot be used for uscrn, whose files contain a year each. Use --years."
            )
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
        emit=lambda text: console.print(escape(text)),
    )
    print_path(f"{len(files)} files in", folder)


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
    from gsm3core.schema import open_dataset
    from gsm3core.user_tables.add_network import add_network

    refuse_existing(out, overwrite)
    ds, table = add_network(open_dataset(dataset), file, name, within_km=within_km, units=units)
    finish_dataset(ds, out, overwrite)
    _show_step(json.loads(ds.attrs["history"])[-1])
    print_path("Sites:", write_station_table(table, out))


def build_insitu(name: str, source: Path, out: Path, **choice: Any) -> Any:
    """Build from an in-situ archive with a progress bar, and print how many stations were used."""
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
    from gsm3core.download.fetch import RetryPolicy
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
        task = bar.add_task("listing files", total=None)

        def show_progress(done: int, of: int, count: int, path: str) -> None:
            # Counted in files, as sizes are not known in advance; the speed is in bytes.
            bar.update(task, completed=done, total=of, description=path.rpartition("/")[2][:44])

        pulled = pull_uscrn(
            years, folder, url=url, stations=stations, refresh=refresh, on_progress=show_progress,
            policy=RetryPolicy(jobs=jobs, timeout=timeout, max_bytes=4 << 20),
        )  # fmt: skip
    got = pulled.fetched
    console.print(
        f"{len(got.new)} files downloaded ({got.bytes / 1e6:.1f} MB), {len(got.replaced)} replaced, {len(got.kept)} unchanged, "
        f"{got.retries} retries"
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
    console.print(f"{len(table) - len(refused)} stations used, {len(refused)} excluded.")
    for note, count in refused["note"].value_counts().head(_MAX_REASONS).items():
        console.print(f"  {count}: {escape(str(note))}")
    print_path("All stations:", path)


def _show_step(step: dict[str, Any]) -> None:
    console.print(key_value_table(step))


def _source_folder(name: str) -> Path:
    from gsm3core.readers.availability import source_folder

    return source_folder(name)
