"""The page's address: the selection as a query string and back, so that a link opens the same view."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode

import param

from app.state import Selection

IN_ADDRESS = (
    "page",
    "dataset",
    "run",
    "reference",
    "product",
    "metric",
    "region",
    "site",
    "experiment",
    "theme",
)


def to_query(selection: Selection) -> str:
    """Return the query string of a selection: only what differs from the default."""
    chosen = {n: getattr(selection, n) for n in IN_ADDRESS}
    chosen["run"] = selection.run or selection.run_shown
    return urlencode({n: value for n, value in chosen.items() if value != selection.param[n].default})


def from_query(query: str) -> tuple[dict[str, str], list[str]]:
    """Return the selected values of a query string, and the parts that were not understood.

    Parameters
    ----------
    query
        With or without its question mark. Values stay strings: a site may be called ``1023``.
    """
    values: dict[str, str] = {}
    unknown = []
    for name, given in parse_qs(query.removeprefix("?")).items():
        known = Selection.param[name] if name in IN_ADDRESS else None
        if known is None or (isinstance(known, param.Selector) and given[-1] not in known.objects):
            unknown.append(f"{name}={given[-1]}")
        else:
            values[name] = given[-1]
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
