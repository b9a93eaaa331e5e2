"""The frame around every view: a quiet box, and a heading that says where data are simulated."""

from __future__ import annotations

from html import escape
from typing import Any

import panel as pn

_CARD = """
:host { box-sizing: border-box; background: var(--panel-surface-color); border-radius: 12px;
  padding: 14px 16px;
  border: 1px solid color-mix(in srgb, var(--panel-on-surface-color) 16%, transparent); }
"""
COMPACT = (
    ":host .tabulator { font-size: 13px; } :host .tabulator .tabulator-row { cursor: pointer; }"
    ":host .tabulator .tabulator-placeholder .tabulator-placeholder-contents { color: var(--panel-on-surface-color); "
    "font-size: 14px; font-weight: 400; }"
)
_SIMULATED = (
    '<span title="Made by a model of a made-up world, not measured" style="font-size:11px;font-weight:600;'
    "letter-spacing:.02em;padding:2px 9px;margin-left:10px;border-radius:10px;vertical-align:2px;"
    'background:#f2c14e;color:#3d2c00">'
    "Simulated</span>"
)


_STRIP = """
.strip { border-radius: 10px; padding: 9px 14px; font-size: 13.5px; line-height: 1.45; white-space: pre-line;
  border-left: 5px solid var(--tint); color: var(--panel-on-surface-color);
  background: color-mix(in srgb, var(--tint) 14%, var(--panel-surface-color)); }
"""
_TINTS = {"error": "#d64545", "warning": "#e0a020", "info": "#2b8fb0"}


def strip(**layout: Any) -> pn.pane.HTML:
    """Return an empty message that runs across the page; :func:`told` fills it."""
    return pn.pane.HTML(stylesheets=[_STRIP], sizing_mode="stretch_width", margin=0, **layout)


def told(kind: str, text: str, lead: str = "") -> str:
    """Return the HTML of a message: ``error``, ``warning`` or ``info``, its first words in bold."""
    bold = f"<b>{escape(lead)}</b> " if lead else ""
    return f'<div class="strip" role="status" style="--tint:{_TINTS[kind]}">{bold}{escape(text)}</div>'


def card(*contents: pn.viewable.Viewable, **layout: object) -> pn.Column:
    """Return a box around views, as wide as there is room."""
    return pn.Column(
        *contents, **{"sizing_mode": "stretch_width", "stylesheets": [_CARD], "margin": 0} | layout
    )


def heading(title: str, explanation: str = "", *, simulated: bool = False) -> str:
    """Return the HTML of a view's title, with one line that explains it."""
    badge = _SIMULATED if simulated else ""
    return (
        '<div style="margin-bottom:8px;line-height:1.4;color:var(--panel-on-surface-color)">'
        f'<h2 style="display:inline;margin:0;font-size:16px;font-weight:650">{escape(title)}</h2>{badge}'
        f'<div style="font-size:12.5px;opacity:.75">{escape(explanation)}</div></div>'
    )
