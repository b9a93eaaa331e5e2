"""One variable of a dataset to be made, and the short text that asks for it: ``SOURCE:VARIABLE@STATISTIC=NAME``."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from gsm3core import vocabulary as v
from gsm3core.assembly.daily import Statistic
from gsm3core.catalog import Input, selections, source_entry
from gsm3core.config import Period
from gsm3core.errors import ConfigError, did_you_mean
from gsm3core.user_tables.add_product import RESERVED, check_name

Role = Literal["forcing", "attribute", "product"]

_STATIC = "static"
_TERM = re.compile(r"^(?P<variable>\w+)(@(?P<statistic>\w+))?(=(?P<name>\w+))?$")
_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]{0,63}$")
_TAKEN = {v.SITE, v.TIME, v.PRODUCT, *v.SITE_COORDINATES, *v.SOIL_MOISTURE}


class Wanted(BaseModel):
    """One variable of the dataset to be made.

    Parameters
    ----------
    role
        What it becomes.
    source, variable
        Of the catalogue.
    name
        In the dataset; of a product, what it is called.
    statistic
        Of the day.
    days
        Of an attribute that is a long-term mean, and of no other: the days it averages.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    source: str
    variable: str
    name: str
    statistic: Statistic = "mean"
    days: Period | None = None

    @property
    def static(self) -> bool:
        """Tell whether the source itself has no time."""
        return source_entry(self.source).step == _STATIC

    def averages(self, run: Period) -> bool:
        """Tell whether a run of days belongs to this long-term mean."""
        return self.days is not None and self.days.start <= run.start <= self.days.end

    @property
    def daily_name(self) -> str:
        """Name of the daily values in the pieces of the source."""
        return f"{self.variable}_{self.statistic}"


def parse_wanted(role: Role, text: str) -> list[Wanted]:
    """Return the variables that ``SOURCE[:VARIABLE[@STATISTIC][=NAME],...]`` asks for.

    Raises
    ------
    ConfigError
        If the text is of another form, or a product is not soil moisture.
    """
    source, _, terms = text.strip().partition(":")
    entry = source_entry(source)
    if entry.grid.kind == "sites":
        raise ConfigError(
            f"{source} is an in-situ network; it makes the sites of a dataset, not a {role} of them."
        )
    moisture = {x.ours for x in entry.variables} & set(v.SOIL_MOISTURE)
    if not terms:
        names = [x.ours for x in entry.variables if x.default and (x.ours in moisture) == (role == "product")]
        if not names:
            raise ConfigError(
                f"{source} gives no {role} unless it is named: {source}:VARIABLE, of "
                f"{', '.join(x.ours for x in entry.variables)}."
            )
        terms = ",".join(names)
    return [_term(role, source, term.strip()) for term in terms.split(",")]


def _term(role: Role, source: str, term: str) -> Wanted:
    if (found := _TERM.match(term)) is None:
        raise ConfigError(f"{term!r} is no variable: expected VARIABLE, VARIABLE=NAME or VARIABLE@max=NAME.")
    entry = source_entry(source)
    variable, statistic = entry.variable(found["variable"]).ours, found["statistic"] or "mean"
    if role == "product":
        if variable not in v.SOIL_MOISTURE:
            raise ConfigError(f"{variable} of {source} is not soil moisture, so it cannot be a product.")
        if found["name"]:
            check_name(found["name"], RESERVED, "product")
        name = found["name"] or (v.SM_SMAP if variable == v.SM_SMAP else entry.product)
    else:
        mean = role == "attribute" and entry.step != _STATIC and variable not in v.ATTRIBUTES
        extreme = f"{variable}_{statistic}" if statistic in ("min", "max") else variable
        name = found["name"] or (f"mean_{variable}" if mean else extreme)
        if not _NAME.match(name) or name in _TAKEN:
            raise ConfigError(
                f"{name!r} cannot be the name of a {role}: 1 to 64 letters, digits and _, and none of "
                f"{', '.join(sorted(_TAKEN))}."
            )
        if role == "forcing" and entry.step in (_STATIC, "P1M"):
            raise ConfigError(
                f"{source} has no daily values (its step is {entry.step}); it can give attributes."
            )
    try:
        return Wanted(role=role, source=source, variable=variable, name=name, statistic=statistic)
    except ValidationError as error:
        raise ConfigError(
            f"statistic {statistic!r} in {term!r} is not known. Known: mean, sum, min, max."
        ) from error


def wanted_of_selection(name: str) -> list[Wanted]:
    """Return the variables of a catalogue's selection.

    Raises
    ------
    ConfigError
        If there is no such selection.
    """
    if name not in selections():
        raise ConfigError(f"selection {name!r} is not in the catalogue. {did_you_mean(name, selections())}")
    chosen = selections()[name]
    roles: tuple[tuple[Role, tuple[Input, ...]], ...] = (
        ("forcing", chosen.forcings),
        ("attribute", chosen.attributes),
    )
    return [_of_input(role, x) for role, items in roles for x in items]


def _of_input(role: Role, item: Input) -> Wanted:
    extremes: dict[str, Statistic] = {"maximum of the day": "max", "minimum of the day": "min"}
    dates = re.fullmatch(r"mean (\d{4}-\d\d-\d\d) to (\d{4}-\d\d-\d\d)", item.statistic)
    if not dates and item.statistic not in ("", "long-term mean", *extremes):
        raise ConfigError(f"statistic {item.statistic!r} of {item.name!r} in the catalogue cannot be made.")
    days = Period.model_validate({"start": dates[1], "end": dates[2]}) if dates else None
    return Wanted(
        role=role, source=item.source, variable=item.variable, name=item.name,
        statistic=extremes.get(item.statistic, "mean"), days=days,
    )  # fmt: skip
