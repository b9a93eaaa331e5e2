"""``gsm3 data``: list sources; build, join and describe datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from gsm3core.cli.build import SITE_TABLES, recipe_from, run_recipe, show_history
from gsm3core.cli.common import (
    Out,
    Overwrite,
    SourcesFolder,
    console,
    describe_dataset,
    finish_dataset,
    key_value_table,
    make_table,
    name_column,
    print_path,
    show_notes,
)
from gsm3core.cli.sources import INSITU, build_insitu
from gsm3core.errors import ConfigError, DatasetError, did_you_mean

data = typer.Typer(help="Build, join and describe datasets.", no_args_is_help=True)


@data.command("list")
def data_list(root: SourcesFolder = None) -> None:
    """List the datasets that can be built, the data sources, and which sources are on this machine."""
    from gsm3core.catalog import KINDS, dataset_entries, sources_of
    from gsm3core.readers.availability import check_availability

    table = make_table(name_column("name"), "title", "provider", "license", title="Datasets")
    for entry in dataset_entries().values():
        table.add_row(entry.name, entry.title, entry.provider, entry.license)
    console.print(table)
    table = make_table(name_column("name"), "kind", "title", "files", title="Sources")
    for kind in KINDS:
        for name, source in sources_of(kind).items():
            found = check_availability(name, root)
            files = (
                f"{found.files} files" if found.available else found.missing.removesuffix(f" {found.folder}")
            )
            table.add_row(name, kind, source.title, escape(files))
    console.print(table)
    print_path("Files of a source are searched in", found.folder.parent / "NAME", " (change with --root).")


@data.command("describe")
def data_describe(
    name: Annotated[str, typer.Argument(help="Name in the catalogue, or path of a dataset.")],
    root: SourcesFolder = None,
) -> None:
    """Describe a catalogue entry, or the contents and provenance of a dataset."""
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
        raise DatasetError(f"{name!r} is not in the catalogue and is no path. {did_you_mean(name, known)}")
    console.print(key_value_table(rows))


@data.command("build")
def data_build(
    name: Annotated[
        str,
        typer.Argument(
            help="conus-smap, uscrn, ismn, uscrn-daily, scan, snotel or demo; table or grid (sites without in-situ data); "
            "stations (those of --in-situ); "
            "a selection of inputs, such as gsm3-paper; or a recipe (.yaml). See `gsm3 data list`."
        ),
    ],
    out: Out,
    source: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            help="Source file, archive or folder; for table: CSV with site, lat, lon. Repeatable for ismn and uscrn-daily: "
            "several archives are read as one.",
        ),
    ] = None,
    in_situ: Annotated[
        list[str] | None,
        typer.Option(
            help="In-situ sites of a selection, or of `stations`: ismn=PATH, uscrn-daily=PATH or scan=PATH. Repeatable."
        ),
    ] = None,
    forcing: Annotated[
        list[str] | None,
        typer.Option(help="Daily inputs: SOURCE, or SOURCE:VARIABLE\\[@max]\\[=NAME],... Repeatable."),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            help="Static inputs, written likewise; the long-term mean of daily sources. Repeatable."
        ),
    ] = None,
    product: Annotated[
        list[str] | None,
        typer.Option(help="Soil-moisture products, such as smap-l3e or gldas-noah025. Repeatable."),
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            help="SOURCE=FOLDER, if its files are not in data/sources. Repeatable; several folders of a source are one archive.",
        ),
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="SOURCE=bilinear, instead of the nearest cell. Repeatable.")
    ] = None,
    resolution: Annotated[
        float | None,
        typer.Option(
            help="Degrees, such as 0.25: sources with finer cells are averaged over the cell of this size that contains the "
            "site; coarser ones and in-situ records are not changed."
        ),
    ] = None,
    days: Annotated[
        str, typer.Option(help="Period, such as 2015-04-01:2020-12-31; default: that of the in-situ data.")
    ] = "",
    box: Annotated[str, typer.Option(help="grid: west,south,east,north in degrees (9 km cells).")] = "",
    allow_gaps: Annotated[
        bool,
        typer.Option(
            "--allow-gaps", help="Treat missing days of a forcing as missing values instead of an error."
        ),
    ] = False,
    url: Annotated[
        list[str] | None,
        typer.Option(help="SOURCE=ADDRESS: another server for a source of values at points. Repeatable."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Download nothing: read the folders of the sources alone.")
    ] = False,
    work: Annotated[
        Path | None, typer.Option(help="Folder of intermediate files; default: next to --out.")
    ] = None,
    root: SourcesFolder = None,
    sites: Annotated[int, typer.Option(help="demo: number of sites.")] = 400,
    seed: Annotated[int, typer.Option(help="demo: random seed.")] = 0,
    depth: Annotated[float | None, typer.Option(help="ismn: sensor depth in m (default 0.05).")] = None,
    min_hours: Annotated[
        int | None, typer.Option(help="ismn, scan, snotel: minimum number of good hours per day (default 6).")
    ] = None,
    combine: Annotated[
        str | None,
        typer.Option(
            help="ismn, scan, snotel: several sensors at one depth: best (the one with the most days), mean, or join "
            "(best, and those that precede or follow it).",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Build a dataset from source files, or simulate one (demo).

    An interrupted build continues when the same command is run again.
    """
    from gsm3core.catalog import selections

    sensors = {"depth": depth, "min_hours": min_hours, "combine": combine}
    inputs = {"forcing": forcing or [], "attribute": attribute or [], "product": product or []}
    several = any(inputs.values()) or bool(in_situ) or name in SITE_TABLES or name.endswith((".yaml", ".yml"))
    several = several or (bool(days) and name in INSITU)
    if resolution is not None and not several and name not in selections():
        raise ConfigError(
            "--resolution needs gridded sources: name some with --forcing, --attribute or --product."
        )
    if several or name in selections():
        recipe = recipe_from(
            name, source=source or [], in_situ=in_situ or [], box=box, days=days, inputs=inputs, folders=files or [],
            methods=method or [], allow_gaps=allow_gaps, sensors=sensors, resolution=resolution,
            urls=url or [],
        )  # fmt: skip
        run_recipe(recipe, out, work=work, root=root, overwrite=overwrite, offline=offline)
        return
    if name == "demo":
        from gsm3core.demo import demo_dataset

        with console.status(f"Simulating {sites} sites ..."):
            ds = demo_dataset(n_sites=sites, seed=seed)
    elif name in INSITU:
        if not source:
            raise ConfigError(f"{name} is built from an archive or a folder: give its path with --from.")
        ds = build_insitu(name, source, out, **sensors)
    else:
        from gsm3core.assembly.sites import build
        from gsm3core.catalog import dataset_entries

        entries = dataset_entries()
        if name not in entries:
            known = {*entries, *INSITU, *SITE_TABLES, "demo"}
            raise DatasetError(f"unknown dataset name {name!r}. {did_you_mean(name, known)}")
        entry = entries[name]
        if not source or len(source) > 1:
            raise ConfigError(
                f"{name} is built from one file: give its path with --from. Expected: {entry.layout}"
            )
        with console.status(f"Reading {source[0]} ..."):
            ds = build(name, source[0])
    finish_dataset(ds, out, overwrite)
    show_notes(ds)


@data.command("join")
def data_join(
    first: Annotated[Path, typer.Argument(help="Path of a dataset.")],
    second: Annotated[Path, typer.Argument(help="Path of a dataset with other sites.")],
    out: Out,
    inputs: Annotated[
        str,
        typer.Option(help="Forcings and attributes to keep: shared (in both datasets) or all (in either)."),
    ] = "shared",
    duplicates: Annotated[
        str,
        typer.Option(
            help="A station that is in both datasets, from its place, name and record: keep the site of the first or the second, "
            "keep both, or error."
        ),
    ] = "first",
    overwrite: Overwrite = False,
) -> None:
    """Join the sites of two datasets; a station that is in both counts once."""
    from gsm3core.assembly.sites import join
    from gsm3core.schema import open_dataset

    if inputs not in ("shared", "all"):
        raise ConfigError(f"invalid --inputs {inputs!r}; expected shared or all.")
    joined = join(
        open_dataset(first), open_dataset(second), inputs="all" if inputs == "all" else "shared",
        duplicates=duplicates,  # type: ignore[arg-type]  # checked by join
    )  # fmt: skip
    finish_dataset(joined, out, overwrite)
    show_notes(joined)
