"""Catalogue of data sources: availability on this machine, terms of use, and how to obtain them."""

from __future__ import annotations

from html import escape

import panel as pn

from app.export.dialog import ExportDialog, ExportItem
from app.services.dataset_inventory import sources_table
from app.ui.card import card, heading
from app.ui.formatting import TABLE
from gsm3core.readers.availability import Availability

_KINDS = {
    "products": "Soil-moisture products",
    "forcings": "Meteorological forcings",
    "attributes": "Site attributes (soil, land, climate)",
    "insitu": "In-situ networks",
}
_STYLE = """
:host { color: var(--panel-on-surface-color); }
h3 { font-size: 14px; margin: 14px 0 4px; }
details { font-size: 13px; border-top: 1px solid color-mix(in srgb, currentColor 16%, transparent); padding: 6px 2px; }
summary { cursor: pointer; line-height: 1.5; }
.available, .missing { font-size: 11.5px; font-weight: 600; border-radius: 9px; padding: 1px 8px; margin-left: 8px; }
.available { background: color-mix(in srgb, #00875f 25%, transparent); }
.missing { background: color-mix(in srgb, currentColor 12%, transparent); }
dl { display: grid; grid-template-columns: 130px 1fr; gap: 3px 14px; margin: 8px 0 4px 16px; }
dt { opacity: .75; } dd { margin: 0; white-space: pre-line; overflow-wrap: anywhere; }
"""


class Catalogue:
    """Expandable list of the sources by kind."""

    def __init__(self, export: ExportDialog) -> None:
        self._sources: dict[str, list[tuple[str, Availability, dict[str, str]]]] = {}
        self._list = pn.pane.HTML(
            stylesheets=[TABLE, _STYLE], margin=0, sizing_mode="stretch_width", css_classes=["catalogue"]
        )
        title = heading(
            "Data sources",
            "Supported sources and their availability on this machine. Expand one for license, variables, quality flags and "
            "how to obtain it; gsm3 data pull downloads those that need no account.",
        )
        item = ExportItem(
            title="data sources",
            tables={"Sources": lambda: sources_table(self._sources)},
            code=lambda: "gsm3 data list",
            code_title="Command line:",
            about=lambda: ["GSM3: data sources and their availability on this machine"],
        )
        self.card = card(
            export.heading_row(pn.pane.HTML(title, margin=0, sizing_mode="stretch_width"), item), self._list
        )

    def show(self, sources_by_kind: dict[str, list[tuple[str, Availability, dict[str, str]]]]) -> None:
        """List the sources."""
        self._sources = sources_by_kind
        parts = []
        for kind, sources in sources_by_kind.items():
            available = sum(p.available for _, p, _ in sources)
            parts.append(
                f"<h3>{escape(_KINDS.get(kind, kind))} ({available} of {len(sources)} available)</h3>"
            )
            parts += [_source(*source) for source in sources]
        self._list.object = "".join(parts)


def _source(title: str, availability: Availability, details: dict[str, str]) -> str:
    badge = (
        f'<span class="available">available: {availability.files} files, {availability.bytes / 1e6:,.1f} MB</span>'
        if availability.available
        else f'<span class="missing">{"requested by a build" if availability.on_request else "not available"}</span>'
    )
    rows = "".join(
        f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in details.items() if key != "title"
    )
    return f"<details><summary><b>{escape(availability.name)}</b> {escape(title)}{badge}</summary><dl>{rows}</dl></details>"
