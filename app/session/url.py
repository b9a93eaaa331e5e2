"""URL of the page: the selection as a query string and back, so that a link opens the same view."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

import param

from app.services import polygon
from app.session.selection import FILTERS, Selection
from gsm3core.evaluation.day_masks import MASKS

URL_PARAMETERS = (
    "page",
    "dataset",
    "run",
    "reference",
    "season",
    "scaling",
    "masks",
    "min_days",
    "third",
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
    "difference_limit",
    "background",
    "factor",
    "factor_moisture",
    "theme",
)
_MAX_NAMES = 100


def to_query(selection: Selection) -> str:
    """Return the query string of a selection, without the parameters that have their default value."""
    values = {n: getattr(selection, n) for n in URL_PARAMETERS}
    values["run"] = selection.run or selection.run_shown
    changed = {n: _text(n, x) for n, x in values.items() if x != selection.param[n].default}
    return urlencode(changed, doseq=True, safe=",;")


def from_query(query: str) -> tuple[dict[str, Any], list[str]]:
    """Return the values of a query string, and the parameters that are not valid, as ``name=value``.

    Parameters
    ----------
    query
        With or without the question mark. Names stay strings: a site may be called ``1023``.
    """
    values: dict[str, Any] = {}
    invalid = []
    for name, given in parse_qs(query.removeprefix("?")).items():
        try:
            if name not in URL_PARAMETERS:
                raise ValueError(name)
            values[name] = _value(name, given)
        except ValueError:
            invalid.append(f"{name}={given[-1]}")
    return values, invalid


def sync_url(selection: Selection, location: param.Parameterized | Mapping[str, str]) -> None:
    """Write every change of the selection to the URL.

    Parameters
    ----------
    location
        Panel's ``pn.state.location``, or anything with a ``search`` parameter.
    """

    def write(*_: param.parameterized.Event) -> None:
        query = to_query(selection)
        location.search = f"?{query}" if query else ""  # type: ignore[union-attr]

    selection.param.watch(write, [*URL_PARAMETERS, "run_shown"])


def _text(name: str, value: Any) -> str | list[str]:
    """Return a value as URL text: a list as one parameter per name, a range as ``0.1..0.3``."""
    if name == "area":
        return polygon.to_text(value)
    if isinstance(value, tuple):
        return "..".join(f"{end:g}" for end in value)
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, list) else str(value)


def _value(name: str, given: list[str]) -> Any:
    known, last = Selection.param[name], given[-1]
    if name == "area":
        return polygon.from_text(last)
    if isinstance(known, param.Range):
        low, high = (float(end) for end in last.split(".."))
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(last)
        return low, high
    if name == "masks" and not set(given) <= set(MASKS):
        raise ValueError(last)
    if isinstance(known, param.List):
        return given[:_MAX_NAMES]
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
