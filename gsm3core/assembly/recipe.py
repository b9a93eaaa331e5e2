"""What a dataset is to be made of: sites, sources and variables, from a YAML file or from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gsm3core.assembly.collocate import Method
from gsm3core.assembly.variable_spec import Wanted, parse_wanted, wanted_of_selection
from gsm3core.config import Period
from gsm3core.errors import ConfigError, did_you_mean


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Places(_Part):
    """Where the dataset's sites are.

    Parameters
    ----------
    kind
        ``ismn`` or ``uscrn-daily`` (with their records), ``table`` (a CSV of site, lat, lon), or ``grid``: the cells
        of EASE-Grid 2.0, 9 km, whose centres lie in ``box`` (west, south, east, north, degrees).
    path
        The archive, the folder or the table.
    depth, min_hours, combine, flags
        Of :class:`gsm3core.readers.ismn.sensor_choice.SensorChoice`.
    """

    kind: Literal["ismn", "uscrn-daily", "table", "grid"]
    path: Path | None = None
    box: tuple[float, float, float, float] | None = None
    depth: float | None = None
    min_hours: int | None = None
    combine: Literal["best", "mean"] | None = None
    flags: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        unused = ["path" if self.kind == "grid" else "box"]
        unused += [] if self.kind == "ismn" else ["depth", "min_hours", "combine", "flags"]
        if given := [k for k in unused if getattr(self, k) is not None]:
            raise ValueError(f"sites of kind {self.kind!r} take no {', '.join(map(repr, given))}")
        if self.kind == "grid":
            if self.box is None:
                raise ValueError("sites of kind 'grid' need 'box': [west, south, east, north]")
            west, south, east, north = self.box
            if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
                raise ValueError(f"the box {self.box} is none: west < east and south < north, in degrees")
        elif self.path is None:
            raise ValueError(f"sites of kind {self.kind!r} need 'path'")
        return self


class SourceSettings(_Part):
    """How one gridded source is read.

    Parameters
    ----------
    path
        Folder of the producer's files; by default where :func:`gsm3core.readers.availability.source_folder` expects them.
    method
        ``nearest`` or ``bilinear``, see :func:`gsm3core.assembly.collocate.to_sites`.
    minimum
        Share of a day's steps that a day needs, see :func:`gsm3core.assembly.daily.to_daily`.
    options
        Of the source's reader, such as ``{overpass: PM}`` for SMAP.
    """

    path: Path | None = None
    method: Method = "nearest"
    minimum: float = Field(0.75, gt=0, le=1)
    options: dict[str, Any] = Field(default_factory=dict)


class Recipe(_Part):
    """A dataset to be made.

    Parameters
    ----------
    title
        Of the dataset.
    sites
        See :class:`Places`.
    period
        Days; by default those of the in-situ record.
    selection
        Of the catalogue, such as ``gsm3-paper``: its forcings and attributes come first.
    forcings, attributes, products
        Texts ``SOURCE[:VARIABLE[@STATISTIC][=NAME],...]``; a source alone stands for its default variables.
    sources
        Settings by source.
    mean_period
        Days of long-term means; the whole period by default. For a temporal holdout give its training days, or the
        means know the test.
    gaps
        ``refuse``: a forcing that lacks days of the period is an error; ``allow``: they are missing and counted.
    """

    title: str = ""
    sites: Places
    period: Period | None = None
    selection: str = ""
    forcings: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    sources: dict[str, SourceSettings] = Field(default_factory=dict)
    mean_period: Period | None = None
    gaps: Literal["refuse", "allow"] = "refuse"

    def wanted(self, period: Period | None = None) -> tuple[Wanted, ...]:
        """Return the variables to be made, each name once.

        Parameters
        ----------
        period
            Days of the dataset, which long-term means average where nothing else is said.

        Raises
        ------
        ConfigError
            If a text cannot be understood, or two variables have one name.
        """
        found: list[Wanted] = [] if not self.selection else wanted_of_selection(self.selection)
        for role, texts in (
            ("forcing", self.forcings),
            ("attribute", self.attributes),
            ("product", self.products),
        ):
            found += [w for text in texts for w in parse_wanted(role, text)]  # type: ignore[arg-type]
        names: dict[tuple[bool, str], Wanted] = {}
        for one in found:
            key = (one.role == "product", one.name)
            if (other := names.setdefault(key, one)) != one:
                raise ConfigError(
                    f"{one.name!r} would be both {other.variable} of {other.source} and {one.variable} of {one.source}; "
                    f"give one of them another name, such as {one.source}:{one.variable}={one.name}_{one.source.split('-')[0]}."
                )
        for source in self.sources:
            if source not in {w.source for w in found}:
                raise ConfigError(
                    f"'sources' has settings for {source!r}, of which nothing is wanted. "
                    f"{did_you_mean(source, {w.source for w in found})}"
                )
        days = self.mean_period or period
        return tuple(
            w if w.role != "attribute" or w.static or w.days else w.model_copy(update={"days": days})
            for w in names.values()
        )

    def settings(self, source: str) -> SourceSettings:
        """Return how a source is read."""
        return self.sources.get(source, SourceSettings())


def load_recipe(path: Path) -> Recipe:
    """Read a recipe from a YAML file; paths in it are relative to its folder.

    Raises
    ------
    ConfigError
        If the file is missing, is not YAML, or has an unknown or wrong key (named).
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        recipe = Recipe.model_validate(content)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise ConfigError(f"{path} is not a recipe:\n{explained(error)}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a recipe: {error}") from error

    def beside(one: Path | None) -> Path | None:
        return None if one is None else path.parent / one.expanduser()

    return recipe.model_copy(update={
        "sites": recipe.sites.model_copy(update={"path": beside(recipe.sites.path)}),
        "sources": {n: s.model_copy(update={"path": beside(s.path)}) for n, s in recipe.sources.items()},
    })  # fmt: skip


def explained(error: ValidationError) -> str:
    """Return what is wrong with a recipe, one line for each key."""
    return "\n".join(
        f"  - {'.'.join(map(str, e['loc'])) or 'recipe'}: "
        + ("no such key" if e["type"] == "extra_forbidden" else e["msg"].removeprefix("Value error, "))
        for e in error.errors()
    )
