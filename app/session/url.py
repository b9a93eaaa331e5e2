"""The page's address: the selection as a query string and back, so that a link opens the same view."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

import param

from app.services import polygon as area
from app.session.selection import FILTERS, Selection

IN_ADDRESS = (
    "page",
    "dataset",
    "run",
    "reference",
    "season",
    "min_days",
    "product",
    "metric",
    "limits",
    *FILTERS,
    "grouping",
    "group",
    "site",
    "experiment",
    "other",
    "other_run",
    "sample",
    "spread",
    "background",
    "factor",
    "factor_moisture",
    "theme",
)
_MOST_NAMES = 100


def to_query(selection: Selection) -> str:
    """Return the query string of a selection: only what differs from the default."""
    chosen = {n: getattr(selection, n) for n in IN_ADDRESS}
    chosen["run"] = selection.run or selection.run_shown
    told = {n: _text(n, x) for n, x in chosen.items() if x != selection.param[n].default}
    return urlencode(told, doseq=True, safe=",;")


def from_query(query: str) -> tuple[dict[str, Any], list[str]]:
    """Return the selected values of a query string, and the parts that were not understood.

    Parameters
    ----------
    query
        With or without its question mark. Names stay strings: a site may be called ``1023``.
    """
    values: dict[str, Any] = {}
    unknown = []
    for name, given in parse_qs(query.removeprefix("?")).items():
        try:
            if name not in IN_ADDRESS:
                raise ValueError(name)
            values[name] = _value(name, given)
        except ValueError:
            unknown.append(f"{name}={given[-1]}")
    return values, unknown


def follow(selection: Selection, location: param.Parameterized | Mapping[str, str]) -> None:
    """Keep the address up to date with the selection.

    Parameters
    ----------
    selection
        What is watched.
    location
        Panel's ``pn.state.location``, or anything with a ``search`` parameter.
    """

    def write(*_: param.parameterized.Event) -> None:
        query = to_query(selection)
        location.search = f"?{query}" if query else ""  # type: ignore[union-attr]

    selection.param.watch(write, [*IN_ADDRESS, "run_shown"])


def _text(name: str, value: Any) -> str | list[str]:
    """A list is given once for each of its names; a range as ``0.1..0.3``."""
    if name == "area":
        return area.to_text(value)
    if isinstance(value, tuple):
        return "..".join(f"{end:g}" for end in value)
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, list) else str(value)


def _value(name: str, given: list[str]) -> Any:
    known, last = Selection.param[name], given[-1]
    if name == "area":
        return area.from_text(last)
    if isinstance(known, param.Range):
        low, high = (float(end) for end in last.split(".."))
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(last)
        return low, high
    if isinstance(known, param.List):
        return given[:_MOST_NAMES]
    if isinstance(known, param.Integer):
        number = int(last)
        if not known.bounds[0] <= number <= known.bounds[1]:
            raise ValueError(last)
        return number
    if isinstance(known, param.Number):
        amount = float(last)
        if not known.bounds[0] <= amount <= known.bounds[1]:
            raise ValueError(last)
        return amount
    if isinstance(known, param.Selector) and last not in known.objects:
        raise ValueError(last)
    return last
