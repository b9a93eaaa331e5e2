"""Status line above a view: what is being computed, why there is no result, or an error."""

from __future__ import annotations

from html import escape

import panel as pn
import panel_material_ui as pmui

from app.ui.card import message_html, message_pane


class StatusLine:
    """Message with an indeterminate progress bar while computing."""

    def __init__(self) -> None:
        self._message = message_pane(visible=False)
        self._bar = pmui.LinearProgress(
            variant="indeterminate", sizing_mode="stretch_width", margin=0, visible=False
        )
        self.column = pn.Column(
            self._message,
            self._bar,
            visible=False,
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[":host { gap: 8px; }"],
        )

    def begin(self, message: str) -> None:
        """Show what is being computed, with the progress bar."""
        text = f'<span role="status" style="font-size:13.5px;opacity:.8">{escape(message)} …</span>'
        self._message.param.update(object=text, visible=True)
        self._bar.visible = self.column.visible = True

    def end(self) -> None:
        """Hide the line."""
        self.column.visible = self._message.visible = self._bar.visible = False

    def show_hint(self, hint: str) -> None:
        """Show why there is nothing to compute, and what to do; not an error."""
        self._bar.visible = False
        self._message.param.update(object=message_html("info", hint), visible=True)
        self.column.visible = True

    def fail(self, problem: str, lead: str = "") -> None:
        """Show an error, and what to do."""
        self._bar.visible = False
        self._message.param.update(object=message_html("error", problem, lead), visible=True)
        self.column.visible = True
