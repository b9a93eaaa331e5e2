"""The sign that something is being worked out, or went wrong: one line above what it is for."""

from __future__ import annotations

from html import escape

import panel as pn
import panel_material_ui as pmui

from app.ui.card import strip, told


class StatusLine:
    """A line that says what is being worked out, with a bar that moves; or what went wrong."""

    def __init__(self) -> None:
        self._words = strip(visible=False)
        self._bar = pmui.LinearProgress(
            variant="indeterminate", sizing_mode="stretch_width", margin=0, visible=False
        )
        self.column = pn.Column(
            self._words,
            self._bar,
            visible=False,
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[":host { gap: 8px; }"],
        )

    def begin(self, what: str) -> None:
        """Say what is being worked out."""
        text = f'<span role="status" style="font-size:13.5px;opacity:.8">{escape(what)} …</span>'
        self._words.param.update(object=text, visible=True)
        self._bar.visible = self.column.visible = True

    def end(self) -> None:
        """Take the line away."""
        self.column.visible = self._words.visible = self._bar.visible = False

    def rest(self, why: str) -> None:
        """Say why there is nothing to work out, and what to do; nothing went wrong."""
        self._bar.visible = False
        self._words.param.update(object=told("info", why), visible=True)
        self.column.visible = True

    def fail(self, problem: str, lead: str = "") -> None:
        """Say what went wrong, and what to do."""
        self._bar.visible = False
        self._words.param.update(object=told("error", problem, lead), visible=True)
        self.column.visible = True
