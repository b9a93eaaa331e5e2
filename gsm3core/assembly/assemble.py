"""A recipe carried out: sites, gridded sources in pieces, one SiteDataset written whole, with its provenance."""

from __future__ import annotations

import glob
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.assembly import provenance
from gsm3core.assembly.insitu import write_station_table
from gsm3core.assembly.merge import Sampled, compose, distances
from gsm3core.assembly.recipe import Recipe
from gsm3core.assembly.sampling import Source, Spots, sample_days, sample_static
from gsm3core.assembly.site_selection import SelectedSites, files_of, find_sites
from gsm3core.assembly.time_chunks import runs_of
from gsm3core.assembly.variable_spec import Wanted
from gsm3core.assembly.work_cache import WorkFolder, written
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.geography.site_coordinates import describe_coordinates
from gsm3core.readers.availability import source_folder
from gsm3core.readers.files import candidates, find_granules
from gsm3core.schema import check_suffix, save_dataset

Listen = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Assembled:
    """What was written: the dataset, the table of its sites, the list of the files read; pieces that were here."""

    dataset: Path
    stations: Path
    files: Path
    pieces: int
    taken_over: int


def assemble(
    recipe: Recipe,
    out: Path,
    *,
    work: Path | None = None,
    root: Path | None = None,
    overwrite: bool = False,
    listen: Listen = lambda what, done, of: None,
) -> Assembled:
    """Make a SiteDataset from in-situ records or places and gridded sources.

    Parameters
    ----------
    recipe
        What to make; see :class:`gsm3core.assembly.recipe.Recipe`.
    out
        ``.zarr`` (chunks of 256 sites and 366 days) or ``.nc``. Beside it: ``x.stations.csv``, every station with what
        was used and its distance to each source's cell, and ``x.inputs.csv``, every file read with its SHA-256.
    work
        Folder of finished pieces, ``.NAME.work`` beside the dataset by default. The same call after a kill goes on
        where it was; the pieces are removed in the end, and the folder if nothing else is in it.
    root
        Folder of all sources, see :func:`gsm3core.readers.availability.source_folder`.
    overwrite
        Replace what is there.
    listen
        Told what is being done, how many pieces of it are done, and of how many.

    Returns
    -------
    Assembled
        The same bytes from the same inputs, whether killed between or not.

    Raises
    ------
    DatasetError
        If a source is not here or lacks a variable or days, a file is damaged, or the disk is full.
    ConfigError
        If the recipe contradicts itself.
    """
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} exists. Choose another name, or pass --overwrite.")
    check_suffix(out)
    sources = _sources(recipe, recipe.wanted(), root)
    folder = WorkFolder(work or out.with_name(f".{out.name}.work"))
    with folder.held():
        return _made(recipe, out, sources, folder, overwrite, listen)


def _made(
    recipe: Recipe, out: Path, sources: list[Source], folder: WorkFolder, overwrite: bool, listen: Listen
) -> Assembled:
    sites, sites_fresh = _sites(recipe, folder, listen)
    period = _period(recipe, sites)
    wanted = recipe.wanted(period)
    spots = Spots(*(np.asarray(sites.ds[n].values) for n in (v.SITE, v.LAT, v.LON)))
    sampled = []
    for source in sources:
        mine = [w for w in wanted if w.source == source.entry.name]
        one = _sample(source, mine, spots, period, folder, listen)
        provenance.check_gaps(one, period, len(spots.site), recipe.gaps)
        sampled.append(one)
    listen("writing", 0, 1)
    days = pd.date_range(period.start, period.end, freq="D", unit="ns", name=v.TIME)
    base = (
        sites.ds.reindex({v.TIME: days})
        if v.TIME in sites.ds.dims
        else sites.ds.assign_coords({v.TIME: days})
    )
    ds, replaced = compose(_with_target(base, wanted), sampled)
    provenance.check_means(ds, sampled, recipe.gaps)
    ds = describe_coordinates(ds)
    steps = [provenance.source_step(one, period, len(spots.site)) for one in sampled]
    ds.attrs = provenance.global_attributes(recipe, sites.ds.attrs.get("references", ""), sampled)
    ds.attrs["history"] = json.dumps([*sites.steps, *steps, provenance.recipe_step(recipe, period, replaced)])
    table = sites.table
    for one in sampled:
        if (away := distances(one)) is not None:
            km = (
                table["site"]
                .map(pd.Series(away.round(3), index=spots.site))
                .where(table["outcome"] == "used")
            )
            table = table.assign(**{f"km_to_{one.source.entry.name}": km})
    inputs = out.with_name(f"{out.stem}.inputs.csv")
    with written(out):
        stations = write_station_table(table, out)
        _write_text(provenance.files_table(sampled), inputs)
        save_dataset(ds, out, overwrite=overwrite)
    ds.close()
    pieces = [p for one in sampled for p in one.pieces]
    folder.clear()
    _remove_half_written(out)
    listen("writing", 1, 1)
    here = sum(not p.fresh for p in pieces) + (not sites_fresh)
    return Assembled(out, stations, inputs, len(pieces) + 1, here)


def _sources(recipe: Recipe, wanted: tuple[Wanted, ...], root: Path | None) -> list[Source]:
    """Find all sources before any is read: hours of work must not end at a folder that is not there."""
    found = []
    for name in dict.fromkeys(w.source for w in wanted):
        entry, settings = source_entry(name), recipe.settings(name)
        source = Source(entry, settings.path or source_folder(name, root), settings)
        source.reader(w.variable for w in wanted if w.source == name)
        try:
            find_granules(entry, source.root)
        except DatasetError as error:
            told = ", ".join(w.variable for w in wanted if w.source == name)
            raise DatasetError(f"{name} is wanted for {told}, but {error}") from error
        found.append(source)
    return found


def _sites(recipe: Recipe, folder: WorkFolder, listen: Listen) -> tuple[SelectedSites, bool]:
    def make() -> tuple[xr.Dataset, dict[str, Any], list[Path]]:
        listen("stations", 0, 0)
        found = find_sites(recipe.sites, recipe.period, lambda done, of: listen("stations", done, of))
        rows = json.loads(found.table.to_json(orient="records", double_precision=15))
        return found.ds, {"table": rows, "columns": list(found.table.columns), "steps": found.steps}, []

    period = recipe.period.model_dump(mode="json") if recipe.period else None
    key = {"sites": recipe.sites.model_dump(mode="json"), "period": period}
    piece = folder.piece("sites", key, files_of(recipe.sites), make)
    with xr.open_dataset(piece.path, engine="h5netcdf") as opened:
        ds = opened.load()
    texts = {n: (a.dims, a.values.astype(str), a.attrs) for n, a in ds.coords.items() if a.dtype.kind in "OT"}
    table = pd.DataFrame(piece.account["table"], columns=piece.account["columns"])
    return SelectedSites(ds.assign_coords(texts).drop_encoding(), table, piece.account["steps"]), piece.fresh


def _period(recipe: Recipe, sites: SelectedSites) -> Period:
    if recipe.period:
        return recipe.period
    if v.TIME not in sites.ds.dims:
        raise ConfigError(f"sites of kind {recipe.sites.kind!r} have no days of their own: give the period.")
    first, last = (str(sites.ds[v.TIME].values[k])[:10] for k in (0, -1))
    return Period.model_validate({"start": first, "end": last})


def _sample(
    source: Source, wanted: list[Wanted], spots: Spots, period: Period, folder: WorkFolder, listen: Listen
) -> Sampled:
    name = source.entry.name
    key = {
        "source": name, "root": str(source.root.resolve()), "entry": source.entry.model_dump(mode="json"),
        "settings": source.settings.model_dump(mode="json"),
        "sites": spots.fingerprint,
    }  # fmt: skip
    one = Sampled(source, wanted)
    if source.entry.step == "static":
        variables = sorted({w.variable for w in wanted})
        listen(name, 0, 1)
        one.static = folder.piece(
            name, key | {"variables": variables}, candidates(source.entry, source.root, None),
            lambda: sample_static(source, spots, variables),
        )  # fmt: skip
        listen(name, 1, 1)
        return one
    terms = sorted({(w.variable, w.statistic) for w in wanted})
    means = [w.days for w in wanted if w.days is not None]
    daily = period if any(w.role != "attribute" for w in wanted) else means[0]
    runs = runs_of(daily, means, sites=len(spots.site), terms=len(terms), step=source.entry.step)
    for k, (run, inside) in enumerate(runs):
        listen(name, k, len(runs))
        piece = folder.piece(
            f"{name}-{run.start:%Y%m%d}", key | {"run": run.model_dump(mode="json"), "terms": terms},
            candidates(source.entry, source.root, run),
            lambda run=run: sample_days(source, spots, run, terms),  # type: ignore[misc]
        )  # fmt: skip
        one.days.append((run, inside, piece))
    listen(name, len(runs), len(runs))
    return one


def _with_target(base: xr.Dataset, wanted: tuple[Wanted, ...]) -> xr.Dataset:
    """Give places without any record of soil moisture an empty one, so that a model can be run there."""
    if any(t in base for t in v.TARGETS) or any(w.name == v.SM_SMAP for w in wanted):
        return base
    known = v.VARIABLES[v.SM_SMAP]
    empty = xr.DataArray(np.nan).expand_dims({v.SITE: base[v.SITE], v.TIME: base[v.TIME]}).astype(np.float32)
    attrs = {"units": known.units, "long_name": known.long_name, "source": "none: these places are for prediction alone",
             "license": "none"}  # fmt: skip
    return base.assign({v.SM_SMAP: empty.assign_attrs(attrs)})


def _remove_half_written(out: Path) -> None:
    """Remove what a killed call of the same command left beside the dataset."""
    for left in out.parent.glob(f".{glob.escape(out.name)}.????????{out.suffix}"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def _write_text(text: str, path: Path) -> None:
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
