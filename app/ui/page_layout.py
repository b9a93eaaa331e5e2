"""Layout of a page: its section (views, sidebar, refresh), stacks and rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import panel as pn

STACK = ":host { gap: 14px; padding: 18px 20px; box-sizing: border-box; }"
SIDE_BY_SIDE = ":host { flex-wrap: wrap; gap: 14px !important; align-items: stretch; }"
STRETCHED = {"min-width": "0", "height": "auto", "align-self": "stretch"}


@dataclass(frozen=True)
class PageSection:
    """Section of the page that one navigation button shows.

    Parameters
    ----------
    main, sidebar
        Views, and controls.
    refresh
        Called periodically; its argument is whether the list of runs has changed.
    """

    main: pn.Column
    sidebar: pn.Column
    refresh: Callable[[bool], None]


def stack(*contents: pn.viewable.Viewable) -> pn.Column:
    """Return views one below the other."""
    return pn.Column(*contents, sizing_mode="stretch_width", stylesheets=[STACK], margin=0)


def side_by_side(*contents: pn.viewable.Viewable) -> pn.Row:
    """Return views in a row that wraps on a narrow page."""
    return pn.Row(*contents, sizing_mode="stretch_width", stylesheets=[SIDE_BY_SIDE], margin=0)
