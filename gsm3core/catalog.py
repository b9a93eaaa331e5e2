"""Typed entries of the data catalogue: one YAML file per source, unknown keys refused."""

from __future__ import annotations

import datetime as dt
import re
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.resources import catalog_folder

KINDS = ("products", "forcings", "attributes", "insitu")


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Named(_Entry):
    name: str
    title: str


class DatasetEntry(_Named):
    """A dataset that ``gsm3 data build`` can build; citation and licence become its attributes."""

    provider: str
    license: str
    citation: str
    doi: str = ""
    reader: str = Field(description="name in gsm3core.readers")
    layout: str = Field(description="required contents of the source file")
    how_to_get: str
    notes: str = ""


class Access(_Entry):
    """One way to obtain a source."""

    kind: Literal["url", "earthdata", "cds", "service", "manual"]
    url: str = Field("", description="file or landing page; of a service, its address")
    short_name: str = Field("", description="Earthdata collection")
    version: str = Field("", description="Earthdata version")
    dataset: str = Field("", description="CDS dataset")
    request: dict[str, Any] = Field(default_factory=dict, description="CDS request; the days are added")
    registration: str = Field("none", description="required account")
    note: str = Field("", description="contents, rate limits, terms")
    tried: str = Field("", description="when the live service was last tried")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {"earthdata": ("short_name", "version"), "cds": ("dataset",)}
        for key in needed.get(self.kind, ("url",)):
            if not getattr(self, key):
                raise ValueError(f"access of kind {self.kind!r} needs {key!r}")
        return self


class Grid(_Entry):
    """The native grid of a source, its sites, or ``points``: a service gives values at any requested place."""

    kind: Literal["latlon", "ease2", "sinusoidal", "sites", "points"]
    cell: str = ""
    rows: int | None = None
    columns: int | None = None
    name: str = Field("", description="of an EASE-Grid 2.0 in gsm3core.geography.grids")
    note: str = ""

    @property
    def degrees(self) -> float | None:
        """Size of a cell in degrees; ``None`` for other grids."""
        number, _, unit = self.cell.partition(" ")
        return float(number) if self.kind == "latlon" and unit == "degree" else None

    @property
    def cell_degrees(self) -> float:
        """Approximate size of a cell in degrees."""
        number, _, unit = self.cell.partition(" ")
        return float(number or 0.1) / {"km": 111.2, "m": 111_200.0}.get(unit, 1.0)


class SourceVariable(_Entry):
    """One variable of a source: ``ours = theirs * units[stated] + offset``.

    ``units`` maps each unit that the source may state to its factor; the empty string stands for a source without
    units. Other units are an error, so that a change of units is never silent.
    """

    theirs: tuple[str, ...] = Field(min_length=1, description="names, newest version first")
    ours: str
    long_name: str = ""
    units: dict[str, float] = Field(min_length=1)
    our_units: str
    offset: float = 0.0
    valid_range: tuple[float, float] | None = Field(None, description="in our units, both ends valid")
    tolerance: float = Field(0.0, ge=0, description="values this far outside the range are set to its bound")
    fill: float | None = Field(None, description="as stored, before scale and offset of the file")
    time: Literal["instant", "interval_start", "interval_end", "day", "static"] = Field(
        description="meaning of the source's time label"
    )
    default: bool = Field(True, description="whether it is read by default")
    note: str = ""

    @model_validator(mode="after")
    def _agrees_with_the_vocabulary(self) -> Self:
        known = v.VARIABLES.get(self.ours)
        if known and known.units != self.our_units:
            raise ValueError(f"{self.ours!r} has units {self.our_units!r}; expected {known.units!r}")
        if not known and not self.long_name:
            raise ValueError(f"{self.ours!r} is not in gsm3core.vocabulary; set its long_name")
        if self.valid_range and self.valid_range[0] >= self.valid_range[1]:
            raise ValueError(
                f"empty valid_range {self.valid_range} of {self.ours!r}; expected [minimum, maximum]"
            )
        return self


class Quality(_Entry):
    """A quality flag and its default treatment by the reader."""

    flag: str
    meaning: str
    default: str


class Sibling(_Entry):
    """Another product whose files may be taken for those of a source; it is refused by its name."""

    title: str
    files: str = Field("", description="regular expression of its file names")
    attributes: str = Field(
        "", description="regular expression found in a line `name: value` of its global attributes"
    )
    advice: str = Field("", description="what to do with such files, a sentence")

    @model_validator(mode="after")
    def _can_be_recognised(self) -> Self:
        if not self.files and not self.attributes:
            raise ValueError(f"sibling {self.title!r} needs 'files' or 'attributes'")
        return self


class SourceEntry(_Named):
    """A data source as its producer distributes it."""

    provider: str
    license: str
    citation: str
    doi: str = Field(pattern=r"^(10\.\d{4,9}/\S+)?$")
    access: tuple[Access, ...] = Field(min_length=1)
    format: str
    reader: str = Field("", description="name in gsm3core.readers; empty if there is none")
    product: str = Field("", description="name of a soil-moisture product in scores and plots")
    files: str = Field(description="regular expression of the file names")
    example: str = Field(description="a file name of the producer")
    variables: tuple[SourceVariable, ...]
    quality: tuple[Quality, ...] = ()
    siblings: tuple[Sibling, ...] = Field((), description="products with similar files that are not read")
    grid: Grid
    step: str = Field(pattern=r"^(P(\d+[DMY]|T\d+[HM])|static)$", description="ISO 8601 duration")
    start: dt.date | None = None
    end: dt.date | None = Field(None, description="none for an ongoing source")
    day: str = Field("", description="assignment of values to UTC days, with the reason")
    paper: str = Field("", description="use in the GSM3 paper")
    notes: str = ""
    checked: str = Field(
        "", description="sources that the entry was checked against, and what could not be verified"
    )

    @model_validator(mode="after")
    def _example_fits(self) -> Self:
        if not re.search(self.files, self.example):
            raise ValueError(f"example {self.example!r} does not match files = {self.files!r}")
        if others := [s.title for s in self.siblings if s.files and re.search(s.files, self.example)]:
            raise ValueError(f"example {self.example!r} matches the sibling {others[0]!r}")
        return self

    def variable(self, ours: str) -> SourceVariable:
        """Return the variable with the name ``ours``.

        Raises
        ------
        DatasetError
            If the source does not have it.
        """
        table = {x.ours: x for x in self.variables}
        if ours in table:
            return table[ours]
        raise DatasetError(f"{self.name} has no variable {ours!r}. {did_you_mean(ours, table)}")


class Input(_Entry):
    """One input of a selection, by its name in a SiteDataset."""

    name: str
    source: str
    variable: str
    statistic: str = Field("", description="reduction of a daily variable to a static one")
    named_by_paper: bool
    note: str = ""


class Selection(_Named):
    """A named set of inputs, such as the paper's."""

    reference: str
    forcings: tuple[Input, ...]
    attributes: tuple[Input, ...]
    methods: dict[str, Literal["nearest", "bilinear"]] = Field(
        default_factory=dict, description="source -> collocation, where it is not that of the nearest cell"
    )
    notes: str = ""


class RegionPart(_Entry):
    """Countries or whole continents, or the part of them within a ring."""

    countries: tuple[str, ...] = Field((), description="names of the scheme countries")
    continents: tuple[str, ...] = Field((), description="names of the scheme continents")
    within: tuple[tuple[float, float], ...] = Field((), description="corners (longitude, latitude) of a ring")


class RegionSchemeEntry(_Named):
    """A division of the land into named regions: polygons of a file, classes of a raster, or parts of countries."""

    citation: str
    license: str
    notes: str = ""
    polygons: str = Field("", description="GeoJSON file beside the entry, each feature a region")
    raster: str = Field(
        "", description="PNG file beside the entry: global, from 90 N and 180 W, 0 where there is no region"
    )
    classes: dict[str, int] = Field(default_factory=dict, description="region -> value in the raster")
    regions: dict[str, tuple[RegionPart, ...]] = Field(
        default_factory=dict,
        description="region -> its parts; land belongs to the first part that contains it",
    )
    nearest_km: float = Field(
        0.0, ge=0, description="a point at sea belongs to the region of the nearest land within this distance"
    )

    @model_validator(mode="after")
    def _one_geometry(self) -> Self:
        if sum(map(bool, (self.polygons, self.raster, self.regions))) != 1:
            raise ValueError("expected exactly one of 'polygons', 'raster' and 'regions'")
        return self


_T = TypeVar("_T", bound=_Named)


@cache
def dataset_entries() -> dict[str, DatasetEntry]:
    """Return all entries of ``data_catalog/datasets`` by name.

    Raises
    ------
    DatasetError
        From this and the functions below: if an entry is invalid or a name is unknown.
    """
    return _folder("datasets", DatasetEntry)


def dataset_entry(name: str) -> DatasetEntry:
    """Return one entry of :func:`dataset_entries`."""
    return _named(name, dataset_entries(), "dataset")


@cache
def source_entries() -> dict[str, SourceEntry]:
    """Return all sources by name: products, forcings, attributes, in-situ networks."""
    return {name: entry for kind in KINDS for name, entry in sources_of(kind).items()}


@cache
def sources_of(kind: str) -> dict[str, SourceEntry]:
    """Return the sources of one kind (one of :data:`KINDS`) by name."""
    return _folder(kind, SourceEntry)


def source_entry(name: str) -> SourceEntry:
    """Return one entry of :func:`source_entries`."""
    return _named(name, source_entries(), "source")


@cache
def selections() -> dict[str, Selection]:
    """Return the selections of inputs by name, each input checked against its source."""
    found = _folder("selections", Selection)
    for selection in found.values():
        for item in (*selection.forcings, *selection.attributes):
            source_entry(item.source).variable(item.variable)
    return found


@cache
def region_entries() -> dict[str, RegionSchemeEntry]:
    """Return the region schemes of ``data_catalog/regions`` by name."""
    return _folder("regions", RegionSchemeEntry)


def _named(name: str, entries: dict[str, _T], what: str) -> _T:
    if name in entries:
        return entries[name]
    raise DatasetError(f"unknown {what} name {name!r}. {did_you_mean(name, entries)}")


def _folder(kind: str, model: type[_T]) -> dict[str, _T]:
    entries = {path: _load(path, model) for path in sorted((catalog_folder() / kind).glob("*.yaml"))}
    for path, entry in entries.items():
        if entry.name != path.stem:
            raise DatasetError(f"{path} has the name {entry.name!r}; expected {path.stem!r}.")
    return {entry.name: entry for entry in entries.values()}


def _load(path: Path, model: type[_T] = DatasetEntry) -> _T:  # type: ignore[assignment]
    try:
        return model.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise DatasetError(f"invalid catalogue entry {path}: {error}") from error
