"""One part of the page: what it shows, what its visitor chooses, and how it is kept up to date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import panel as pn

STACK = ":host { gap: 14px; padding: 18px 20px; box-sizing: border-box; }"
SIDE_BY_SIDE = ":host { flex-wrap: wrap; gap: 14px !important; align-items: stretch; }"
STRETCHED = {"min-width": "0", "height": "auto", "align-self": "stretch"}


@dataclass(frozen=True)
class Part:
    """One part of the page.

    Parameters
    ----------
    main, sidebar
        What it shows, and what its visitor chooses.
    look
        Called now and then to show what has happened; told whether there are other runs to choose from.
    """

    main: pn.Column
    sidebar: pn.Column
    look: Callable[[bool], None]


def stack(*contents: pn.viewable.Viewable) -> pn.Column:
    """Return views one below the other, with room between them."""
    return pn.Column(*contents, sizing_mode="stretch_width", stylesheets=[STACK], margin=0)


def side_by_side(*contents: pn.viewable.Viewable) -> pn.Row:
    """Return views beside each other, one below the other where the page is narrow."""
    return pn.Row(*contents, sizing_mode="stretch_width", stylesheets=[SIDE_BY_SIDE], margin=0)
