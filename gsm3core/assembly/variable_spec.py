"""Specification of a dataset's variable, and its short form ``SOURCE:VARIABLE@STATISTIC=NAME``."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from gsm3core import vocabulary as v
from gsm3core.assembly.daily import Statistic
from gsm3core.catalog import Input, selections, source_entry
from gsm3core.config import Period
from gsm3core.errors import ConfigError, did_you_mean
from gsm3core.user_tables.add_product import RESERVED_NAMES, check_name

Role = Literal["forcing", "attribute", "product"]

_STATIC = "static"
_TERM = re.compile(r"^(?P<variable>\w+)(@(?P<statistic>\w+))?(=(?P<name>\w+))?$")
_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]{0,63}$")
_RESERVED_INPUTS = {v.SITE, v.TIME, v.PRODUCT, *v.SITE_COORDINATES, *v.SOIL_MOISTURE}


class VariableSpec(BaseModel):
    """Specification of one variable of a dataset.

    Parameters
    ----------
    source, variable
        Names in the catalogue.
    name
        Name in the dataset; the label of a product.
    statistic
        Daily statistic.
    days
        Days averaged, for an attribute that is a long-term mean; otherwise None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    source: str
    variable: str
    name: str
    statistic: Statistic = "mean"
    days: Period | None = None

    @property
    def is_static(self) -> bool:
        """Whether the source has no time axis."""
        return source_entry(self.source).step == _STATIC

    def averages(self, chunk: Period) -> bool:
        """Return whether a chunk of days is part of this long-term mean."""
        return self.days is not None and self.days.start <= chunk.start <= self.days.end

    @property
    def daily_name(self) -> str:
        """Name of the daily values in the sampled source."""
        return f"{self.variable}_{self.statistic}"


def parse_variables(role: Role, text: str) -> list[VariableSpec]:
    """Return the variables of ``SOURCE[:VARIABLE[@STATISTIC][=NAME],...]``.

    Raises
    ------
    ConfigError
        If the text has another form, or a product is not soil moisture.
    """
    source, _, terms = text.strip().partition(":")
    entry = source_entry(source)
    if entry.grid.kind == "sites":
        raise ConfigError(
            f"{source} is an in-situ network and cannot be a {role}; use it for the sites of a dataset."
        )
    moisture = {x.ours for x in entry.variables} & set(v.SOIL_MOISTURE)
    if not terms:
        names = [x.ours for x in entry.variables if x.default and (x.ours in moisture) == (role == "product")]
        if not names:
            raise ConfigError(
                f"{source} has no default {role}; name one, {source}:VARIABLE, of "
                f"{', '.join(x.ours for x in entry.variables)}."
            )
        terms = ",".join(names)
    return [_parse_variable(role, source, term.strip()) for term in terms.split(",")]


def _parse_variable(role: Role, source: str, term: str) -> VariableSpec:
    if (found := _TERM.match(term)) is None:
        raise ConfigError(
            f"invalid variable {term!r}; expected VARIABLE, VARIABLE=NAME or VARIABLE@max=NAME."
        )
    entry = source_entry(source)
    variable, statistic = entry.variable(found["variable"]).ours, found["statistic"] or "mean"
    if role == "product":
        if variable not in v.SOIL_MOISTURE:
            raise ConfigError(f"{variable} of {source} is not soil moisture, so it cannot be a product.")
        if found["name"]:
            check_name(found["name"], RESERVED_NAMES, "product")
        name = found["name"] or (v.SM_SMAP if variable == v.SM_SMAP else entry.product)
    else:
        mean = role == "attribute" and entry.step != _STATIC and variable not in v.ATTRIBUTES
        extreme = f"{variable}_{statistic}" if statistic in ("min", "max") else variable
        name = found["name"] or (f"mean_{variable}" if mean else extreme)
        if not _NAME.match(name) or name in _RESERVED_INPUTS:
            raise ConfigError(
                f"invalid {role} name {name!r}; expected 1 to 64 letters, digits and _, and none of "
                f"{', '.join(sorted(_RESERVED_INPUTS))}."
            )
        if role == "forcing" and entry.step in (_STATIC, "P1M"):
            raise ConfigError(
                f"{source} has no daily values (its time step is {entry.step}); use it for attributes."
            )
    try:
        return VariableSpec(role=role, source=source, variable=variable, name=name, statistic=statistic)
    except ValidationError as error:
        raise ConfigError(
            f"unknown statistic {statistic!r} in {term!r}. Known: mean, sum, min, max."
        ) from error


def selection_variables(name: str) -> list[VariableSpec]:
    """Return the variables of a selection of the catalogue.

    Raises
    ------
    ConfigError
        If the selection is unknown.
    """
    if name not in selections():
        raise ConfigError(f"unknown selection {name!r}. {did_you_mean(name, selections())}")
    chosen = selections()[name]
    roles: tuple[tuple[Role, tuple[Input, ...]], ...] = (
        ("forcing", chosen.forcings),
        ("attribute", chosen.attributes),
    )
    return [_from_input(role, x) for role, items in roles for x in items]


def _from_input(role: Role, item: Input) -> VariableSpec:
    extremes: dict[str, Statistic] = {"maximum of the day": "max", "minimum of the day": "min"}
    dates = re.fullmatch(r"mean (\d{4}-\d\d-\d\d) to (\d{4}-\d\d-\d\d)", item.statistic)
    if not dates and item.statistic not in ("", "long-term mean", *extremes):
        raise ConfigError(f"statistic {item.statistic!r} of {item.name!r} in the catalogue is not supported.")
    days = Period.model_validate({"start": dates[1], "end": dates[2]}) if dates else None
    return VariableSpec(
        role=role, source=item.source, variable=item.variable, name=item.name,
        statistic=extremes.get(item.statistic, "mean"), days=days,
    )  # fmt: skip
