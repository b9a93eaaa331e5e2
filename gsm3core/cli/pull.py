"""``gsm3 data pull``: download a source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import MofNCompleteColumn, TextColumn, TimeRemainingColumn

from gsm3core.cli.common import Overwrite, SourcesFolder, console, finish_dataset, print_path, refuse_existing
from gsm3core.cli.sources import progress_bar, show_stations
from gsm3core.errors import ConfigError

STATIONS = {"uscrn": "uscrn-daily", "scan": "scan", "snotel": "snotel"}
"""What can be pulled into a dataset -> name in the catalogue."""
_FOLDERS = {"smap": "smap-l3e", "era5": "era5"}
_STARTER = "starter"
_DOWNLOADABLE = (_STARTER, *STATIONS, *_FOLDERS)
ERA5_SERIES = "era5-timeseries"


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
        Path | None,
        typer.Option(
            "--out", help="starter, uscrn, scan, snotel: dataset to build; default: data/NAME-YEARS.zarr."
        ),
    ] = None,
    url: Annotated[
        list[str] | None,
        typer.Option(
            help="Address of another server with the same files; starter: SOURCE=URL, such as power=URL. Repeatable."
        ),
    ] = None,
    network: Annotated[
        str, typer.Option(help="starter: in-situ networks; default: uscrn-daily,scan (also: snotel).")
    ] = "",
    forcing: Annotated[
        list[str] | None, typer.Option(help="starter: daily inputs instead of power. Repeatable.")
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="starter: static inputs instead of copernicus-dem and soilgrids. Repeatable."),
    ] = None,
    root: SourcesFolder = None,
    stations: Annotated[
        str,
        typer.Option(
            help="Regular expression of station names, such as ^CA_ (uscrn), or of triplets and names, such as :CO: "
            "(scan, snotel)."
        ),
    ] = "",
    at: Annotated[
        Path | None,
        typer.Option(
            help="smap, era5: keep only what these sites need: a CSV of site, lat, lon, or a dataset."
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="smap with --at: keep the whole granules.")] = False,
    box: Annotated[str, typer.Option(help="smap, era5: west,south,east,north in degrees.")] = "",
    jobs: Annotated[int, typer.Option(help="Number of connections.")] = 4,
    timeout: Annotated[float, typer.Option(help="Seconds without data before a retry.")] = 30.0,
    refresh: Annotated[
        bool, typer.Option(help="Check whether files downloaded earlier have changed.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Download a source: uscrn, scan and snotel into a dataset, without an account; smap and era5 into a folder, with one.

    starter makes a dataset of USCRN and SCAN with weather, terrain and soil, without an account. An interrupted download
    continues when the same command is run again.
    """
    if name not in _DOWNLOADABLE:
        raise ConfigError(f"{name!r} cannot be downloaded; expected {', '.join(_DOWNLOADABLE)}.")
    if name == _STARTER:
        if days or at or keep or box or into or refresh:
            raise ConfigError(
                "starter does not use --days, --at, --keep, --box, --into or --refresh; expected --years, --network, "
                "--forcing, --attribute, --stations, --root or --out."
            )
        from gsm3core.cli.starter import run_starter

        run_starter(
            years, out or Path("data") / "starter.zarr", networks=network, forcings=forcing or [],
            attributes=attribute or [], stations=stations, urls=url or [], root=root, jobs=jobs, timeout=timeout,
            overwrite=overwrite,
        )  # fmt: skip
        return
    if network or forcing or attribute or root:
        raise ConfigError(
            f"--network, --forcing, --attribute and --root belong to starter; {name} does not use them. See --into."
        )
    if len(url or []) > 1:
        raise ConfigError(f"several --url for {name}; expected one address.")
    if not years and not days:
        raise ConfigError("no period: give the years, such as --years 2015-2020.")
    if name in STATIONS:
        if days:
            raise ConfigError(
                f"--days cannot be used for {name}, whose files contain a year each. Use --years."
            )
        if at or keep or box:
            raise ConfigError(
                f"--at, --keep and --box cannot be used for {name}; choose stations with --stations."
            )
        out = out or Path("data") / f"{name}-{years.replace(',', '_').replace(' ', '')}.zarr"
        refuse_existing(out, overwrite)
        ds, table = pull_stations(
            name,
            years,
            into,
            url="".join(url or []),
            stations=stations,
            jobs=jobs,
            timeout=timeout,
            refresh=refresh,
        )
        finish_dataset(ds, out, overwrite)
        show_stations(table, out)
        return
    from gsm3core.download import accounts

    folder, period = into or _source_folder(_FOLDERS[name]), accounts.parse_period(years, days)
    if at is not None:
        if box:
            raise ConfigError("--box and --at exclude each other: the sites say where.")
        _pull_at(name, at, period, into, keep=keep, jobs=jobs)
        return
    if keep:
        raise ConfigError("--keep belongs to --at: without it, whole granules are kept anyway.")
    pull = accounts.pull_smap if name == "smap" else accounts.pull_era5
    files = pull(period, folder, box=accounts.parse_box(box), emit=_emit)
    print_path(f"{len(files)} files in", folder)


def _emit(text: str) -> None:
    console.print(escape(text))


def _pull_at(name: str, at: Path, period: Any, into: Path | None, *, keep: bool, jobs: int) -> None:
    """Download SMAP or ERA5 for some sites."""
    points = points_of(at)
    columns = (MofNCompleteColumn(), TextColumn("files"), TimeRemainingColumn())
    with progress_bar(*columns) as bar:
        task = bar.add_task(f"{len(points)} sites", total=None)
        if name == "smap":
            from gsm3core.download.smap_points import pull_smap_at

            folder = into or _source_folder(_FOLDERS[name])
            made = pull_smap_at(
                points, period, folder, keep=keep, jobs=jobs, emit=_emit,
                on_progress=lambda done, of, text: bar.update(task, completed=done, total=of, description=text[:44]),
            )  # fmt: skip
            new, kept, size = len(made.new), len(made.kept), made.bytes
        else:
            from gsm3core.catalog import source_entry
            from gsm3core.download.points import pull_points

            folder = into or _source_folder(ERA5_SERIES)
            got = pull_points(
                source_entry(ERA5_SERIES), points, folder, period=period,
                on_progress=lambda done, of, size, text: bar.update(task, completed=done, total=of, description=text[:44]),
            )  # fmt: skip
            new, kept, size = len(got.new) + len(got.replaced), len(got.kept), got.bytes
    console.print(f"{new} files downloaded ({size / 1e6:.1f} MB kept), {kept} unchanged")
    print_path("Files in", folder)


def points_of(path: Path) -> Any:
    """Return the sites of a dataset, or of a CSV of site, lat, lon."""
    from gsm3core import vocabulary as v
    from gsm3core.assembly.recipe import SiteSpec
    from gsm3core.assembly.site_selection import find_sites
    from gsm3core.readers.points import Points
    from gsm3core.schema import open_dataset

    is_dataset = path.suffix in (".zarr", ".nc")
    ds = open_dataset(path) if is_dataset else find_sites(SiteSpec(kind="table", path=path), None).ds
    return Points(*(ds[n].values for n in (v.SITE, v.LAT, v.LON)))


def pull_stations(
    name: str,
    years: str,
    into: Path | None = None,
    *,
    url: str = "",
    stations: str = "",
    jobs: int = 4,
    timeout: float = 30.0,
    refresh: bool = False,
) -> tuple[Any, Any]:
    """Download an in-situ source with a progress bar; return its dataset and its table of stations."""
    from gsm3core.assembly.insitu import build_insitu
    from gsm3core.download import awdb, uscrn
    from gsm3core.download.fetch import RetryPolicy

    entry = STATIONS[name]
    folder = into or _source_folder(entry)
    columns = (
        MofNCompleteColumn(),
        TextColumn("files"),
        TextColumn("{task.fields[size]}"),
        TimeRemainingColumn(),
    )
    with progress_bar(*columns) as bar:
        task = bar.add_task("listing files", total=None, size="")

        def show_progress(done: int, of: int, count: int, path: str) -> None:
            # Counted in files, as sizes are not known in advance.
            name, size = path.rpartition("/")[2][:44], f"{count / 1e6:.1f} MB"
            bar.update(task, completed=done, total=of, description=name, size=size)

        policy = RetryPolicy(jobs=jobs, timeout=timeout, max_bytes=(4 if name == "uscrn" else 16) << 20)
        options: dict[str, Any] = {"url": url, "stations": stations, "refresh": refresh, "policy": policy}
        options["on_progress"] = show_progress
        if name == "uscrn":
            pulled = uscrn.pull_uscrn(uscrn.parse_years(years), folder, **options)
        else:
            wanted = uscrn.parse_years(years, name.upper(), awdb.FIRST_YEAR)
            pulled = awdb.pull_awdb(name, wanted, folder, **options)
    got = pulled.fetched
    console.print(
        f"{len(got.new)} files downloaded ({got.bytes / 1e6:.1f} MB), {len(got.replaced)} replaced, {len(got.kept)} unchanged, "
        f"{got.retries} retries"
        + (f"; not on the server: {', '.join(sorted(got.missing)[:5])}" if got.missing else "")
    )
    with console.status("Reading the files ..."):
        return build_insitu(entry, folder, period=pulled.period, pulled=pulled.step)


def _source_folder(name: str) -> Path:
    from gsm3core.readers.availability import source_folder

    return source_folder(name)
