"""Assemble a SiteDataset from a recipe: sites, gridded sources, provenance."""

from __future__ import annotations

import glob
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.assembly import point_sources, provenance
from gsm3core.assembly.gaps import check_gaps, check_means
from gsm3core.assembly.insitu import write_station_table
from gsm3core.assembly.mean_records import recorded_days
from gsm3core.assembly.merge import SampledSource, cell_distances, merge_sources
from gsm3core.assembly.recipe import Recipe
from gsm3core.assembly.sampling import Source, sample_days, sample_static
from gsm3core.assembly.site_selection import SelectedSites, site_files
from gsm3core.assembly.site_union import find_all_sites
from gsm3core.assembly.time_chunks import Border, split_days
from gsm3core.assembly.variable_spec import VariableSpec
from gsm3core.assembly.work_cache import WorkCache, explain_write_errors
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.download.fetch import FetchResult
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.geography.site_coordinates import describe_coordinates
from gsm3core.readers.availability import source_folder
from gsm3core.readers.file_listing import listed_once
from gsm3core.readers.granules import find_granules
from gsm3core.readers.points import Points
from gsm3core.schema import check_suffix, save_dataset

StageProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class AssemblyResult:
    """Files written by :func:`assemble`.

    Parameters
    ----------
    dataset
        The SiteDataset.
    stations
        Table of its sites.
    inputs
        Table of the files read.
    pieces, reused
        Pieces of the build, and how many of them an earlier call had finished.
    downloads
        What was downloaded for the sources of values at points, by source.
    """

    dataset: Path
    stations: Path
    inputs: Path
    pieces: int
    reused: int
    downloads: dict[str, FetchResult] = field(default_factory=dict)


def assemble(
    recipe: Recipe,
    out: Path,
    *,
    work: Path | None = None,
    root: Path | None = None,
    overwrite: bool = False,
    offline: bool = False,
    earlier_steps: Sequence[dict[str, Any]] = (),
    progress: StageProgress = lambda stage, done, total: None,
) -> AssemblyResult:
    """Assemble a SiteDataset from in-situ records or a list of sites, and gridded sources.

    Parameters
    ----------
    recipe
        See :class:`gsm3core.assembly.recipe.Recipe`.
    out
        ``.zarr`` (chunks of 256 sites and 366 days) or ``.nc``. Written beside it: ``x.stations.csv``, every station with
        the reason for its use or exclusion and its distance to each source's cell, and ``x.inputs.csv``, every file read
        with its SHA-256.
    work
        Folder of finished pieces; ``.NAME.work`` beside the dataset by default. Rerunning an interrupted call resumes
        it. The pieces are removed at the end, and the folder if nothing else is in it.
    root
        Folder of all sources, see :func:`gsm3core.readers.availability.source_folder`.
    overwrite
        Replace an existing dataset.
    offline
        Download nothing: sources of values at points are read from their folders alone.
    earlier_steps
        Entries of the dataset's history before those of this call, such as those of downloads.
    progress
        Called with the stage and its finished and total pieces.

    Returns
    -------
    AssemblyResult
        The dataset has the same bytes for the same inputs, whether or not the build was interrupted.

    Raises
    ------
    DatasetError
        If a source is not on this machine or lacks a variable or days, a file is damaged, or the disk is full.
    ConfigError
        If the recipe contradicts itself.
    """
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} exists. Choose another name, or pass --overwrite.")
    check_suffix(out)
    with listed_once():
        sources = _find_sources(recipe, recipe.variables(), root)
        cache = WorkCache(work or out.with_name(f".{out.name}.work"))
        with cache.lock():
            return _assemble(recipe, out, sources, cache, overwrite, offline, earlier_steps, progress)


def _assemble(
    recipe: Recipe,
    out: Path,
    sources: list[Source],
    cache: WorkCache,
    overwrite: bool,
    offline: bool,
    earlier_steps: Sequence[dict[str, Any]],
    progress: StageProgress,
) -> AssemblyResult:
    sites, sites_reused = _select_sites(recipe, cache, progress)
    period = _period(recipe, sites)
    variables = recipe.variables(period)
    points = Points(*(np.asarray(sites.ds[n].values) for n in (v.SITE, v.LAT, v.LON)))
    sampled = []
    for source in sources:
        specs = [x for x in variables if x.source == source.entry.name]
        one = _sample(source, specs, points, period, cache, progress, offline=offline, gaps=recipe.gaps)
        point_sources.check_sites(one, recipe.gaps)
        sampled.append(one)
    check_gaps(sampled, period, len(points.site), recipe.gaps)
    progress("writing", 0, 1)
    days = pd.date_range(period.start, period.end, freq="D", unit="ns", name=v.TIME)
    base = (
        sites.ds.reindex({v.TIME: days})
        if v.TIME in sites.ds.dims
        else sites.ds.assign_coords({v.TIME: days})
    )
    ds, replaced = merge_sources(_with_target(base, variables), sampled)
    check_means(ds, sampled, recipe.gaps)
    ds = describe_coordinates(ds)
    steps = [provenance.source_step(one, period, len(points.site)) for one in sampled]
    ds.attrs = provenance.global_attributes(recipe, sites.ds.attrs.get("references", ""), sampled)
    ds.attrs["history"] = json.dumps(
        [*earlier_steps, *sites.steps, *steps, provenance.recipe_step(recipe, period, replaced)]
    )
    table = sites.table
    for one in sampled:
        if (distance := cell_distances(one)) is not None:
            km = (
                table["site"]
                .map(pd.Series(distance.round(3), index=points.site))
                .where(table["outcome"] == "used")
            )
            table = table.assign(**{f"km_to_{one.source.entry.name}": km})
    inputs = out.with_name(f"{out.stem}.inputs.csv")
    with explain_write_errors(out):
        stations = write_station_table(table, out)
        _write_text(provenance.files_table(sampled), inputs)
        save_dataset(ds, out, overwrite=overwrite)
    ds.close()
    pieces = [p for one in sampled for p in one.pieces]
    cache.clear()
    _remove_incomplete(out)
    progress("writing", 1, 1)
    reused = sum(p.reused for p in pieces) + sites_reused
    downloads = {one.source.entry.name: one.download for one in sampled if one.download}
    return AssemblyResult(out, stations, inputs, len(pieces) + 1, reused, downloads)


def _find_sources(recipe: Recipe, variables: tuple[VariableSpec, ...], root: Path | None) -> list[Source]:
    """Find the files of all sources first: hours of work must not end at a missing folder."""
    found, missing = [], list[str]()
    for name in dict.fromkeys(x.source for x in variables):
        entry, settings = source_entry(name), recipe.settings(name)
        first, *more = settings.paths or (source_folder(name, root),)
        source = Source(entry, first, settings, recipe.resolution, tuple(more), recipe.gaps)
        point_sources.check_settings(source)
        if source.has_points:
            found.append(source)
            continue
        source.reader(x.variable for x in variables if x.source == name)
        try:
            find_granules(entry, source.roots)
        except DatasetError as error:
            needed = ", ".join(x.variable for x in variables if x.source == name)
            missing.append(f"{name} is needed for {needed}, but {error}")
            continue
        found.append(source)
    if missing:
        raise DatasetError("\n".join(missing))
    return found


def _select_sites(recipe: Recipe, cache: WorkCache, progress: StageProgress) -> tuple[SelectedSites, bool]:
    """Return the sites, and whether they were in the cache."""

    def compute() -> tuple[xr.Dataset, dict[str, Any], list[Path]]:
        progress("stations", 0, 0)
        found = find_all_sites(
            recipe.sites,
            recipe.period,
            recipe.duplicates,
            lambda done, total: progress("stations", done, total),
        )
        rows = json.loads(found.table.to_json(orient="records", double_precision=15))
        return found.ds, {"table": rows, "columns": list(found.table.columns), "steps": found.steps}, []

    period = recipe.period.model_dump(mode="json") if recipe.period else None
    sites = [s.model_dump(mode="json") for s in recipe.sites]
    key = {"sites": sites, "duplicates": recipe.duplicates, "period": period}
    files = [p for spec in recipe.sites for p in site_files(spec)]
    piece = cache.get_or_compute("sites", key, files, compute)
    with xr.open_dataset(piece.path, engine="h5netcdf") as opened:
        ds = opened.load()
    progress("stations", ds.sizes[v.SITE], ds.sizes[v.SITE])
    texts = {n: (a.dims, a.values.astype(str), a.attrs) for n, a in ds.coords.items() if a.dtype.kind in "OT"}
    ds = ds.assign_coords(texts).drop_encoding()
    table = pd.DataFrame(piece.metadata["table"], columns=piece.metadata["columns"])
    return SelectedSites(ds, table, piece.metadata["steps"]), piece.reused


def _period(recipe: Recipe, sites: SelectedSites) -> Period:
    if recipe.period:
        return recipe.period
    if v.TIME not in sites.ds.dims:
        raise ConfigError(
            f"sites of kind {recipe.sites[0].kind!r} have no record: give the period (--days or the recipe)."
        )
    first, last = (str(sites.ds[v.TIME].values[k])[:10] for k in (0, -1))
    return Period.model_validate({"start": first, "end": last})


def _sample(
    source: Source,
    specs: list[VariableSpec],
    points: Points,
    period: Period,
    cache: WorkCache,
    progress: StageProgress,
    *,
    offline: bool,
    gaps: str,
) -> SampledSource:
    name = source.entry.name
    key = {
        "source": name, "root": " ".join(str(p.resolve()) for p in source.roots), "entry": source.entry.model_dump(mode="json"),
        "settings": source.settings.model_dump(mode="json", exclude={"url"}), "resolution": source.resolution,
        "sites": points.fingerprint,
    }  # fmt: skip
    sampled = SampledSource(source, specs)
    names = sorted({x.variable for x in specs})

    def pull(chunks: list[Period]) -> None:
        if source.has_points:
            sampled.download = point_sources.pull_missing(
                source, points, chunks, names, offline=offline, gaps=gaps, progress=progress
            )

    if source.entry.step == "static":
        pull([])
        progress(name, 0, 1)
        sampled.static = cache.get_or_compute(
            name, key | {"variables": names}, source.files(points, None, names),
            lambda: sample_static(source, points, names),
        )  # fmt: skip
        progress(name, 1, 1)
        return sampled
    daily = sorted({(x.variable, x.statistic) for x in specs})
    mean_periods = [x.days for x in specs if x.days is not None]
    only_means = all(x.role == "attribute" for x in specs)
    recorded = recorded_days(period, mean_periods) if only_means else period
    chunks = split_days(
        recorded or mean_periods[0], mean_periods, sites=len(points.site), variables=len(daily),
        step=source.entry.step, border=_border(source),
    )  # fmt: skip
    pull([chunk for chunk, _ in chunks])
    for k, (chunk, inside) in enumerate(chunks):
        in_period = inside and recorded is not None
        progress(name, k, len(chunks))
        piece = cache.get_or_compute(
            f"{name}-{chunk.start:%Y%m%d}", key | {"chunk": chunk.model_dump(mode="json"), "variables": daily},
            source.files(points, chunk, names),
            lambda chunk=chunk: sample_days(source, points, chunk, daily),  # type: ignore[misc]
        )  # fmt: skip
        sampled.chunks.append((chunk, in_period, piece))
    progress(name, len(chunks), len(chunks))
    return sampled


def _border(source: Source) -> Border:
    """Return where chunks of days end: files of points have a year of hours, or many years of days."""
    return "month" if not source.has_points else "none" if source.entry.step == "P1D" else "year"


def _with_target(base: xr.Dataset, variables: tuple[VariableSpec, ...]) -> xr.Dataset:
    """Add an empty target to sites without any soil-moisture record, so that a model can be run there."""
    if any(t in base for t in v.TARGETS) or any(x.name == v.SM_SMAP for x in variables):
        return base
    known = v.VARIABLES[v.SM_SMAP]
    empty = xr.DataArray(np.nan).expand_dims({v.SITE: base[v.SITE], v.TIME: base[v.TIME]}).astype(np.float32)
    attrs = {"units": known.units, "long_name": known.long_name, "source": "none: sites for prediction only",
             "license": "none"}  # fmt: skip
    return base.assign({v.SM_SMAP: empty.assign_attrs(attrs)})


def _remove_incomplete(out: Path) -> None:
    """Remove the incomplete datasets of interrupted calls of the same command."""
    for path in out.parent.glob(f".{glob.escape(out.name)}.????????{out.suffix}"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _write_text(text: str, path: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
