"""Recipe of a dataset: sites, sources and variables, from a YAML file or the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gsm3core.assembly.collocate import Method
from gsm3core.assembly.twins import Duplicates
from gsm3core.assembly.variable_spec import VariableSpec, parse_variables, selection_variables
from gsm3core.catalog import selections
from gsm3core.config import Period
from gsm3core.errors import ConfigError, did_you_mean
from gsm3core.readers.ismn.sensor_choice import Combine


class _RecipeModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SiteSpec(_RecipeModel):
    """Sites of the dataset.

    Parameters
    ----------
    kind
        ``ismn``, ``uscrn-daily``, ``scan`` or ``snotel`` (stations with their records), ``table`` (a CSV of site, lat,
        lon), or ``grid``: the 9 km cells of EASE-Grid 2.0 whose centres lie in ``box`` (west, south, east, north, degrees).
    path
        Archive, folder or table; of ``ismn`` and ``uscrn-daily`` also a list of them, read as one.
    depth, min_hours, combine, flags
        See :class:`gsm3core.readers.ismn.sensor_choice.SensorChoice`.
    """

    kind: Literal["ismn", "uscrn-daily", "scan", "snotel", "table", "grid"]
    path: Path | tuple[Path, ...] | None = None
    box: tuple[float, float, float, float] | None = None
    depth: float | None = None
    min_hours: int | None = None
    combine: Combine | None = None
    flags: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        unused = ["path" if self.kind == "grid" else "box"]
        hourly = (
            ["depth", "flags"]
            if self.kind in ("scan", "snotel")
            else ["depth", "min_hours", "combine", "flags"]
        )
        unused += [] if self.kind == "ismn" else hourly
        if given := [k for k in unused if getattr(self, k) is not None]:
            raise ValueError(f"sites of kind {self.kind!r} do not accept {', '.join(map(repr, given))}")
        if self.kind == "grid":
            if self.box is None:
                raise ValueError("sites of kind 'grid' need 'box': [west, south, east, north]")
            west, south, east, north = self.box
            if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
                raise ValueError(
                    f"invalid bounding box {self.box}; expected west < east and south < north, in degrees"
                )
        elif not self.paths:
            raise ValueError(f"sites of kind {self.kind!r} need 'path'")
        elif len(self.paths) > 1 and self.kind not in ("ismn", "uscrn-daily"):
            raise ValueError(f"sites of kind {self.kind!r} accept one path, not {len(self.paths)}")
        return self

    @property
    def paths(self) -> tuple[Path, ...]:
        """All paths."""
        return () if self.path is None else (self.path,) if isinstance(self.path, Path) else self.path


class SourceSettings(_RecipeModel):
    """How one gridded source is read.

    Parameters
    ----------
    path
        Folder of the producer's files, or a list of folders, such as of boxes on several continents; by default
        :func:`gsm3core.readers.availability.source_folder`.
    method
        ``nearest`` or ``bilinear``, see :func:`gsm3core.assembly.collocate.to_sites`; by default as in the selection.
    minimum
        Required share of a day's steps, see :func:`gsm3core.assembly.daily.to_daily`.
    url
        Address to download a source of values at points from, instead of the catalogue's.
    options
        Options of the source's reader, such as ``{overpass: PM}`` for SMAP.
    """

    path: Path | tuple[Path, ...] | None = None
    method: Method = "nearest"
    minimum: float = Field(0.75, gt=0, le=1)
    url: str = ""
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def paths(self) -> tuple[Path, ...]:
        """All folders; none for the default folder."""
        return () if self.path is None else (self.path,) if isinstance(self.path, Path) else self.path


class Recipe(_RecipeModel):
    """Recipe of a dataset.

    Parameters
    ----------
    sites
        One specification, or a list of several in-situ sources; see
        :func:`gsm3core.assembly.site_union.find_all_sites`.
    duplicates
        A station that is in several of them: ``first`` or ``second`` (the later) record is kept, ``keep`` both, or
        ``error``.
    period
        Days; by default those of the in-situ record.
    selection
        Selection of the catalogue, such as ``gsm3-paper``; its forcings and attributes come first.
    forcings, attributes, products
        ``SOURCE[:VARIABLE[@STATISTIC][=NAME],...]``; a source without variables stands for its default variables.
    sources
        Settings by source.
    mean_period
        Days of long-term means; the whole period by default. For a temporal holdout set its training days: means over
        test days would leak.
    resolution
        Degrees, such as 0.25: finer sources are averaged over the cell of this size that contains the site, coarser ones
        are not changed (:func:`gsm3core.assembly.area_mean.with_area_means`). In-situ records are not averaged.
    gaps
        ``refuse``: a forcing that lacks days of the period is an error; ``allow``: these days are missing and counted.
    """

    title: str = ""
    sites: tuple[SiteSpec, ...]
    duplicates: Duplicates = "first"
    period: Period | None = None
    selection: str = ""
    forcings: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    sources: dict[str, SourceSettings] = Field(default_factory=dict)
    mean_period: Period | None = None
    resolution: float | None = Field(None, ge=0.05, le=5)
    gaps: Literal["refuse", "allow"] = "refuse"

    @field_validator("sites", mode="before")
    @classmethod
    def _as_list(cls, given: Any) -> Any:
        if isinstance(given, (list, tuple)) and not given:
            raise ValueError("empty list; expected at least one specification of sites")
        return given if isinstance(given, (list, tuple)) else (given,)

    @field_validator("resolution")
    @classmethod
    def _divides_the_globe(cls, given: float | None) -> float | None:
        if given is not None and abs(180 / given - round(180 / given)) > 1e-6:
            raise ValueError(
                f"resolution {given:g} does not divide 180 degrees; expected such as 0.25, 0.5 or 1"
            )
        return given

    def variables(self, period: Period | None = None) -> tuple[VariableSpec, ...]:
        """Return the variables of the dataset, each name once.

        Parameters
        ----------
        period
            Days of the dataset; long-term means use them by default.

        Raises
        ------
        ConfigError
            If a text is invalid, or two variables have the same name.
        """
        found: list[VariableSpec] = [] if not self.selection else selection_variables(self.selection)
        for role, texts in (
            ("forcing", self.forcings),
            ("attribute", self.attributes),
            ("product", self.products),
        ):
            found += [w for text in texts for w in parse_variables(role, text)]  # type: ignore[arg-type]
        names: dict[tuple[bool, str], VariableSpec] = {}
        for one in found:
            key = (one.role == "product", one.name)
            if (other := names.setdefault(key, one)) != one:
                raise ConfigError(
                    f"duplicate variable name {one.name!r}: {other.variable} of {other.source}, {one.variable} of {one.source}. "
                    f"Rename one of them, for example {one.source}:{one.variable}={one.name}_{one.source.split('-')[0]}."
                )
        for source in self.sources:
            if source not in {w.source for w in found}:
                raise ConfigError(
                    f"'sources' has settings for {source!r}, but no variable uses it. "
                    f"{did_you_mean(source, {w.source for w in found})}"
                )
        days = self.mean_period or period
        return tuple(
            w if w.role != "attribute" or w.is_static or w.days else w.model_copy(update={"days": days})
            for w in names.values()
        )

    def settings(self, source: str) -> SourceSettings:
        """Return the settings of a source; its method, if not given, is that of the selection."""
        given = self.sources.get(source, SourceSettings())
        chosen = selections()[self.selection].methods if self.selection else {}
        if source in chosen and "method" not in given.model_fields_set:
            return given.model_copy(update={"method": chosen[source]})
        return given


def load_recipe(path: Path) -> Recipe:
    """Read a recipe from a YAML file; paths in it are relative to its folder.

    Raises
    ------
    ConfigError
        If the file is missing, is not YAML, or has an unknown or invalid key.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        recipe = Recipe.model_validate(content)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise ConfigError(f"{path} is not a valid recipe:\n{format_errors(error)}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a valid recipe: {error}") from error

    def resolve(given: Path | tuple[Path, ...] | None) -> Path | tuple[Path, ...] | None:
        if isinstance(given, tuple):
            return tuple(path.parent / p.expanduser() for p in given)
        return None if given is None else path.parent / given.expanduser()

    return recipe.model_copy(update={
        "sites": tuple(s.model_copy(update={"path": resolve(s.path)}) for s in recipe.sites),
        "sources": {n: s.model_copy(update={"path": resolve(s.path)}) for n, s in recipe.sources.items()},
    })  # fmt: skip


def format_errors(error: ValidationError) -> str:
    """Return the errors of a recipe, one line per key."""
    return "\n".join(
        f"  - {'.'.join(map(str, e['loc'])) or 'recipe'}: "
        + ("unknown key" if e["type"] == "extra_forbidden" else e["msg"].removeprefix("Value error, "))
        for e in error.errors()
    )
