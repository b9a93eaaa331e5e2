"""``gsm3 data``: what there is, and datasets made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from gsm3core.cli.build import PLACES, recipe_from, run_recipe, show_history
from gsm3core.cli.common import (
    Overwrite,
    SourcesFolder,
    console,
    describe_dataset,
    finish_dataset,
    name_column,
)
from gsm3core.cli.sources import INSITU, build_insitu
from gsm3core.errors import ConfigError, DatasetError, did_you_mean

data = typer.Typer(help="Build, join and describe datasets.", no_args_is_help=True)


@data.command("list")
def data_list(root: SourcesFolder = None) -> None:
    """List the data sets that can be built, and the sources: which are here, where, and what is missing."""
    from gsm3core.catalog import KINDS, dataset_entries, sources_of
    from gsm3core.readers.availability import presence

    table = Table(
        name_column("name"), "what", "provider", "terms", title="Can be built", title_justify="left"
    )
    for entry in dataset_entries().values():
        table.add_row(entry.name, entry.title, entry.provider, entry.license)
    console.print(table)
    table = Table(
        name_column("name"),
        "kind",
        "what",
        "here",
        Column("where, or what is missing", overflow="fold"),
        title="Sources",
        title_justify="left",
    )
    for kind in KINDS:
        for name, source in sources_of(kind).items():
            found = presence(name, root)
            here = f"{found.files} files" if found.here else "no"
            table.add_row(name, kind, source.title, here, escape(found.missing or str(found.folder)))
    console.print(table)


@data.command("describe")
def data_describe(
    name: Annotated[str, typer.Argument(help="A catalogue name, or the path of a dataset.")],
    root: SourcesFolder = None,
) -> None:
    """Say what a catalogue entry is, or what a dataset on disk holds."""
    if Path(name).exists():
        from gsm3core.schema import open_dataset

        ds = open_dataset(name)
        console.print(describe_dataset(ds))
        show_history(ds)
        return
    from gsm3core.catalog import dataset_entries, selections, source_entries
    from gsm3core.readers.availability import describe_source

    rows: dict[str, Any]
    if name in dataset_entries():
        rows = dataset_entries()[name].model_dump()
    elif name in source_entries():
        rows = describe_source(name, root)
    elif name in selections():
        chosen = selections()[name]
        rows = {"title": chosen.title, "reference": chosen.reference, "notes": chosen.notes}
        rows |= {
            what: "\n".join(
                f"{x.name}: {x.variable} of {x.source}"
                + (f", {x.statistic}" if x.statistic else "")
                + ("" if x.named_by_paper else " (not named by the paper)")
                for x in items
            )
            for what, items in (("forcings", chosen.forcings), ("attributes", chosen.attributes))
        }
    else:
        known = {*dataset_entries(), *source_entries(), *selections()}
        raise DatasetError(f"{name!r} is not in the catalogue and not a file. {did_you_mean(name, known)}")
    table = Table(show_header=False, box=None)
    for key, text in rows.items():
        table.add_row(f"[bold]{key}", escape(str(text)))
    console.print(table)


@data.command("build")
def data_build(
    name: Annotated[
        str,
        typer.Argument(
            help="conus-smap, uscrn, ismn, uscrn-daily or demo; table or grid (places without records); "
            "a selection, such as gsm3-paper; or a recipe (.yaml). See `gsm3 data list`."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Where to write: .zarr or .nc.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="The producer's file, archive or folder; a table of places.")
    ] = None,
    in_situ: Annotated[
        str, typer.Option(help="Stations of a selection: ismn=PATH or uscrn-daily=PATH.")
    ] = "",
    forcing: Annotated[
        list[str] | None,
        typer.Option(
            help="SOURCE, or SOURCE:VARIABLE[@max][=NAME],...: daily inputs at the sites. Repeatable."
        ),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="The same for static inputs; of daily sources their long-term mean."),
    ] = None,
    product: Annotated[
        list[str] | None, typer.Option(help="Soil-moisture products, such as smap-l3e or gldas-noah025.")
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option("--source", help="SOURCE=FOLDER of its files, where not in data/sources."),
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="SOURCE=bilinear instead of the nearest cell.")
    ] = None,
    days: Annotated[str, typer.Option(help="2015-04-01:2020-12-31; the record's own by default.")] = "",
    box: Annotated[str, typer.Option(help="grid: west,south,east,north in degrees (cells of 9 km).")] = "",
    allow_gaps: Annotated[bool, typer.Option("--allow-gaps", help="Take lacking days as missing.")] = False,
    work: Annotated[
        Path | None, typer.Option(help="Folder of finished pieces, beside --out by default.")
    ] = None,
    root: SourcesFolder = None,
    sites: Annotated[int, typer.Option(help="Number of sites (demo alone).")] = 400,
    seed: Annotated[int, typer.Option(help="Seed (demo alone).")] = 0,
    depth: Annotated[float | None, typer.Option(help="ismn: wanted depth of the sensors, m (0.05).")] = None,
    min_hours: Annotated[int | None, typer.Option(help="ismn: fewest good hours of a day (6).")] = None,
    combine: Annotated[
        str | None, typer.Option(help="ismn: several sensors at one depth: best or mean (best).")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Build a dataset from the producers' files; ``demo`` simulates one and needs none.

    After a kill the same command goes on where it was.
    """
    from gsm3core.catalog import selections

    sensors = {"depth": depth, "min_hours": min_hours, "combine": combine}
    inputs = {"forcing": forcing or [], "attribute": attribute or [], "product": product or []}
    several = any(inputs.values()) or in_situ or name in PLACES or name.endswith((".yaml", ".yml"))
    several = several or (days and name in INSITU)
    if several or name in selections():
        recipe = recipe_from(
            name, source=source, in_situ=in_situ, box=box, days=days, inputs=inputs, places=files or [],
            methods=method or [], allow_gaps=allow_gaps, sensors=sensors,
        )  # fmt: skip
        run_recipe(recipe, out, work=work, root=root, overwrite=overwrite)
        return
    if name == "demo":
        from gsm3core.demo import demo_dataset

        with console.status(f"Simulating {sites} sites ..."):
            ds = demo_dataset(n_sites=sites, seed=seed)
    elif name in INSITU:
        if source is None:
            raise ConfigError(f"{name} is built from an archive or a folder: give it with --from.")
        ds = build_insitu(name, source, out, **sensors)
    else:
        from gsm3core.assembly.sites import build
        from gsm3core.catalog import dataset_entries

        entries = dataset_entries()
        if name not in entries:
            known = {*entries, *INSITU, *PLACES, "demo"}
            raise DatasetError(
                f"{name!r} is nothing that can be built, and no recipe. {did_you_mean(name, known)}"
            )
        entry = entries[name]
        if source is None:
            raise ConfigError(f"{name} is built from a file: give it with --from. Expected: {entry.layout}")
        with console.status(f"Reading {source} ..."):
            ds = build(name, source)
    finish_dataset(ds, out, overwrite)


@data.command("join")
def data_join(
    first: Annotated[Path, typer.Argument(help="A dataset.")],
    second: Annotated[Path, typer.Argument(help="Another, with other sites.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write: .zarr or .nc.")],
    inputs: Annotated[
        str, typer.Option(help="shared: forcings and attributes that both have; all: those of either.")
    ] = "shared",
    overwrite: Overwrite = False,
) -> None:
    """Join two datasets into one over the forcings and attributes that they share, or over all of them."""
    from gsm3core.assembly.sites import join
    from gsm3core.schema import open_dataset

    if inputs not in ("shared", "all"):
        raise ConfigError(f"--inputs is {inputs!r}; expected shared or all.")
    joined = join(open_dataset(first), open_dataset(second), inputs="all" if inputs == "all" else "shared")
    finish_dataset(joined, out, overwrite)
