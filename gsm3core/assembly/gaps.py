"""Checks of an assembled dataset for gaps: days that a source lacks, and variables without any value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core.assembly.merge import SampledSource, cell_distances
from gsm3core.assembly.provenance import count_values
from gsm3core.assembly.variable_spec import VariableSpec
from gsm3core.config import Period
from gsm3core.errors import DatasetError

_NOT_REMOVED = ("read", "kept", "fill", "found")
_SHOWN = 3
_ALLOW = "accept missing values with --allow-gaps (gaps: allow)"


def check_gaps(sampled: Sequence[SampledSource], period: Period, sites: int, gaps: str) -> None:
    """Raise if a forcing lacks days, or a variable has no value at any site; all of them are named at once.

    Parameters
    ----------
    gaps
        ``allow``: missing days are no error, a variable without any value is.

    Raises
    ------
    DatasetError
        Naming source, variable and days; where all values were removed, the rule and its bounds.
    """
    problems, empty = [], False
    for one in sampled:
        for spec in one.variables:
            counts = count_values(one, spec, period, sites)
            if text := _problem(one, spec, counts, period, sites, gaps):
                problems.append(f"{_name(one, spec)} {text}")
                empty |= not counts["present"] or "interval" in counts
    if not problems:
        return
    advice = (
        "Add the missing files or change the period."
        if empty
        else f"Add the missing files, change the period, or {_ALLOW}."
    )
    if len(problems) == 1:
        raise DatasetError(f"{problems[0]}. {advice}")
    listed = "".join(f"\n  - {p}." for p in problems)
    raise DatasetError(f"{len(problems)} variables lack values:{listed}\n{advice}")


def check_means(ds: xr.Dataset, sampled: Sequence[SampledSource], gaps: str) -> None:
    """Raise if a long-term mean is missing at all sites.

    Raises
    ------
    DatasetError
        Naming source, variable and the number of days that a mean needs.
    """
    for one in sampled:
        for spec in one.variables:
            if gaps == "refuse" and spec.days is not None and not bool(ds[spec.name].notnull().any()):
                raise DatasetError(
                    f"{_name(one, spec)} has no mean at any site ({ds[spec.name].attrs['averaged']}). Add files or days, or "
                    f"{_ALLOW}."
                )


def _name(one: SampledSource, spec: VariableSpec) -> str:
    given = f", for {spec.name}," if spec.name != spec.variable else ""
    return f"{one.source.entry.name} ({one.source.where}): {spec.variable}{given}"


def _problem(
    one: SampledSource, spec: VariableSpec, counts: Mapping[str, Any], period: Period, sites: int, gaps: str
) -> str:
    """Return what is wrong with a variable, or an empty text."""
    span = f"{period.start} to {period.end}"
    if counts.get("interval") == "P1M" and spec.role != "attribute":
        return f"has one value a month, but a {spec.role} needs daily values; it can be used as an attribute"
    if not counts["present"]:
        days = len(pd.date_range(period.start, period.end))
        distance = cell_distances(one)
        outside = 0 if distance is None else int(np.isnan(distance).sum())
        reasons = [
            f"it lacks all {days} days"
            if counts.get("days_lacking") == days and spec.role != "attribute"
            else "",
            f"{outside} of the {sites} sites lie outside its grid" if outside else "",
            _screened(one, spec, counts["screening"]),
            _unserved(one, spec, counts["screening"]),
            str(counts.get("absent") or counts.get("reason", "")).rstrip("."),
            *(n.rstrip(".") for n in _notes(one, spec)),
        ]
        return f"has no value at any site from {span}" + _sentences(reasons)
    if spec.role == "forcing" and counts["days_lacking"] and gaps != "allow":
        days = len(pd.date_range(period.start, period.end))
        reasons = [n for n in _notes(one, spec) if n.startswith("not read") or "steps a day" in n]
        lacking = f"lacks {counts['days_lacking']} of the {days} days of {span}: {counts['lacking']}"
        return lacking + _sentences([n.rstrip(".") for n in reasons])
    return ""


def _sentences(reasons: Sequence[str]) -> str:
    """Return reasons as further sentences; the names of variables and sources keep their small letters."""
    return "".join(f". {r if '_' in r.split(':')[0] else r[0].upper() + r[1:]}" for r in reasons if r)


def _notes(one: SampledSource, spec: VariableSpec) -> list[str]:
    """Return what the reader says about files that it did not read, or about this variable."""
    notes = dict.fromkeys(n for p in one.pieces for n in p.metadata.get("notes", []))
    others = {x.variable for x in one.variables} - {spec.variable}
    return [n for n in notes if not n.startswith(tuple(f"{o}:" for o in others))][:_SHOWN]


def _unserved(one: SampledSource, spec: VariableSpec, screening: Mapping[str, Any]) -> str:
    """Return that a service answered without any value, and what the catalogue says of the variable."""
    if not one.source.has_points or not screening.get("read") or screening["read"] != screening.get("fill"):
        return ""
    note = one.source.entry.variable(spec.variable).note
    return "the service has no value there for these days" + (f" ({note})" if note else "")


def _screened(one: SampledSource, spec: VariableSpec, screening: Mapping[str, Any]) -> str:
    """Return by which rules all values were removed, or an empty text if some were kept or none was read."""
    removed = {k: x for k, x in screening.items() if k not in _NOT_REMOVED and isinstance(x, int) and x}
    if screening.get("kept") or not removed:
        return ""
    rules = []
    for rule, count in removed.items():
        text = f"{count:,} by {rule}"
        variable = one.source.entry.variable(spec.variable)
        if rule == "outside_valid_range" and variable.valid_range:
            low, high = variable.valid_range
            text += f" ({low:g} to {high:g} {variable.our_units}"
            found = screening.get("found")
            text += f"; found {found[0]:.4g} to {found[1]:.4g})" if found else ")"
        rules.append(text)
    read = screening["read"] - screening.get("fill", 0)
    return f"all {read:,} values of its maps were removed: {', '.join(rules)}"
