"""The starter dataset: in-situ networks, weather and terrain from services that need no account."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gsm3core.assembly.assemble import AssemblyResult, assemble
from gsm3core.assembly.recipe import Recipe
from gsm3core.download.awdb import pull_awdb
from gsm3core.download.fetch import FetchResult, RetryPolicy
from gsm3core.download.uscrn import StationPull, pull_uscrn
from gsm3core.errors import ConfigError, did_you_mean
from gsm3core.readers.availability import source_folder

StageProgress = Callable[[str, int, int], None]

_PULLS: dict[str, Callable[..., StationPull]] = {
    "uscrn-daily": pull_uscrn,
    "scan": partial(pull_awdb, "scan"),
    "snotel": partial(pull_awdb, "snotel"),
}
NETWORKS = ("uscrn-daily", "scan")
FORCINGS = ("power",)
ATTRIBUTES = ("copernicus-dem", "soilgrids")
_YEARS = 3


@dataclass(frozen=True, slots=True)
class StarterResult:
    """The files written, and what was downloaded by source."""

    assembly: AssemblyResult
    downloads: dict[str, FetchResult]


def recent_years(today: dt.date | None = None) -> list[int]:
    """Return the last three complete years."""
    last = (today or dt.datetime.now(dt.UTC).date()).year - 1
    return list(range(last - _YEARS + 1, last + 1))


def pull_starter(
    out: Path,
    years: Iterable[int],
    *,
    networks: Sequence[str] = NETWORKS,
    forcings: Sequence[str] = FORCINGS,
    attributes: Sequence[str] = ATTRIBUTES,
    stations: str = "",
    urls: Mapping[str, str] | None = None,
    root: Path | None = None,
    work: Path | None = None,
    policy: RetryPolicy | None = None,
    overwrite: bool = False,
    progress: StageProgress = lambda stage, done, total: None,
) -> StarterResult:
    """Download in-situ networks, forcings and attributes, and build one dataset of them.

    Every file is kept in its source's folder. After an interruption the same call requests only what is missing.

    Parameters
    ----------
    out
        ``.zarr`` or ``.nc``.
    years
        UTC years, without gaps; the current one up to yesterday.
    networks
        In-situ sources: ``uscrn-daily``, ``scan``, ``snotel``. A station of two networks counts once.
    forcings, attributes
        As in :class:`gsm3core.assembly.recipe.Recipe`.
    stations
        Regular expression of station names; all by default. Stations downloaded earlier are used as well.
    urls
        Source -> address of another server than the catalogue's.
    root
        Folder of all sources, see :func:`gsm3core.readers.availability.source_folder`.
    work, overwrite
        As for :func:`gsm3core.assembly.assemble.assemble`.
    policy
        Limits of the requests to the networks' servers.
    progress
        Called with the stage and its finished and total items.

    Raises
    ------
    ConfigError
        If a network is unknown, an address is of no source in use, or the years have gaps.
    DatasetError
        If something cannot be downloaded; the rest is kept.
    """
    years, urls = sorted(set(years)), dict(urls or {})
    if out.exists() and not overwrite:
        raise ConfigError(f"{out} exists. Choose another name, or pass --overwrite.")
    recipe = starter_recipe(
        years, networks=networks, forcings=forcings, attributes=attributes, urls=urls, root=root
    )
    downloads, steps = {}, []
    for name in networks:
        stage = f"{name}: download"
        progress(stage, 0, 0)
        pulled = _PULLS[name](
            years, source_folder(name, root), url=urls.get(name, ""), policy=policy, stations=stations,
            on_progress=lambda done, total, count, path, stage=stage: progress(stage, done, total),
        )  # fmt: skip
        downloads[name] = pulled.fetched
        steps.append(pulled.step)
    made = assemble(
        recipe, out, work=work, root=root, overwrite=overwrite, progress=progress, earlier_steps=steps
    )
    return StarterResult(made, downloads | made.downloads)


def starter_recipe(
    years: Sequence[int],
    *,
    networks: Sequence[str] = NETWORKS,
    forcings: Sequence[str] = FORCINGS,
    attributes: Sequence[str] = ATTRIBUTES,
    urls: Mapping[str, str] | None = None,
    root: Path | None = None,
) -> Recipe:
    """Return the recipe of the starter dataset; parameters and errors as of :func:`pull_starter`."""
    urls = urls or {}
    if list(years) != list(range(years[0], years[-1] + 1)):
        raise ConfigError(
            f"years {', '.join(map(str, years))} have gaps; expected consecutive years, such as 2020-2022."
        )
    for name in networks:
        if name not in _PULLS:
            raise ConfigError(f"unknown network {name!r}. {did_you_mean(name, _PULLS)}")
    sources = [text.partition(":")[0] for text in (*forcings, *attributes)]
    for name in urls:
        if name not in (*networks, *sources):
            raise ConfigError(
                f"an address was given for {name!r}, which is not used. {did_you_mean(name, (*networks, *sources))}"
            )
    yesterday = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    if yesterday.year < years[-1]:
        raise ConfigError(f"{years[-1]} has no complete day; expected years up to {yesterday.year}.")
    return Recipe.model_validate({
        "title": f"Starter dataset {years[0]} to {years[-1]}",
        "sites": [{"kind": name, "path": source_folder(name, root)} for name in networks],
        "period": {"start": f"{years[0]}-01-01", "end": min(dt.date(years[-1], 12, 31), yesterday)},
        "forcings": list(forcings), "attributes": list(attributes),
        "sources": {name: {"url": urls[name]} for name in dict.fromkeys(sources) if name in urls},
    })  # fmt: skip
