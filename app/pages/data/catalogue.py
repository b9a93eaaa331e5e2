"""The catalogue: every source of data that can be read, whether it is here, and how to get it."""

from __future__ import annotations

from html import escape

import panel as pn

from app.export.dialog import ExportDialog, Item
from app.services.dataset_inventory import sources_table
from app.ui.card import card, heading
from app.ui.formatting import TABLE
from gsm3core.readers.availability import Presence

_KINDS = {
    "products": "Soil-moisture products",
    "forcings": "Weather, the daily inputs",
    "attributes": "Soil, land and climate, the site attributes",
    "insitu": "In-situ networks",
}
_STYLE = """
:host { color: var(--panel-on-surface-color); }
h3 { font-size: 14px; margin: 14px 0 4px; }
details { font-size: 13px; border-top: 1px solid color-mix(in srgb, currentColor 16%, transparent); padding: 6px 2px; }
summary { cursor: pointer; line-height: 1.5; }
.here, .missing { font-size: 11.5px; font-weight: 600; border-radius: 9px; padding: 1px 8px; margin-left: 8px; }
.here { background: color-mix(in srgb, #00875f 25%, transparent); }
.missing { background: color-mix(in srgb, currentColor 12%, transparent); }
dl { display: grid; grid-template-columns: 130px 1fr; gap: 3px 14px; margin: 8px 0 4px 16px; }
dt { opacity: .75; } dd { margin: 0; white-space: pre-line; overflow-wrap: anywhere; }
"""


class Catalogue:
    """Sources by kind, each to be unfolded.

    Parameters
    ----------
    take
        Lets a visitor take the list away.
    """

    def __init__(self, take: ExportDialog) -> None:
        self._found: dict[str, list[tuple[str, Presence, dict[str, str]]]] = {}
        self._list = pn.pane.HTML(
            stylesheets=[TABLE, _STYLE], margin=0, sizing_mode="stretch_width", css_classes=["catalogue"]
        )
        title = heading(
            "Catalogue of sources",
            "What can be read, whether its files are on this machine, and how to get them. Unfold one for its terms, variables "
            "and quality flags. gsm3 data pull fetches what needs no account.",
        )
        item = Item(
            title="catalogue of sources",
            tables={"Sources": lambda: sources_table(self._found)},
            code=lambda: "gsm3 data list",
            code_title="The same in a terminal:",
            about=lambda: ["GSM3: catalogue of sources, and which are on this machine"],
        )
        self.card = card(
            take.beside(pn.pane.HTML(title, margin=0, sizing_mode="stretch_width"), item), self._list
        )

    def show(self, found: dict[str, list[tuple[str, Presence, dict[str, str]]]]) -> None:
        """List the sources."""
        self._found = found
        parts = []
        for kind, sources in found.items():
            here = sum(p.here for _, p, _ in sources)
            parts.append(f"<h3>{escape(_KINDS.get(kind, kind))} ({here} of {len(sources)} here)</h3>")
            parts += [_source(*source) for source in sources]
        self._list.object = "".join(parts)


def _source(title: str, found: Presence, told: dict[str, str]) -> str:
    badge = (
        f'<span class="here">here: {found.files} files, {found.bytes / 1e6:,.1f} MB</span>'
        if found.here
        else '<span class="missing">not here</span>'
    )
    rows = "".join(
        f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in told.items() if key != "title"
    )
    return f"<details><summary><b>{escape(found.name)}</b> {escape(title)}{badge}</summary><dl>{rows}</dl></details>"
