"""Workaround: a page that does not follow Panel's busy flag.

Package: panel-material-ui 0.16.6.
Issue: none known.
Problem: ``pmui.Page`` binds ``busy`` to ``pn.state.busy``, of which the process has one. Every action of one session then
    updates the pages of all sessions, and the watcher keeps the pages of closed sessions in memory.
Remove: when the flag is one per session, or ``busy_indicator=None`` leaves it unbound.
"""

from __future__ import annotations

import panel_material_ui as pmui
import param


class SessionPage(pmui.Page):
    """Page of one session, independent of the other sessions' activity."""

    busy = param.Parameter(default=False, allow_refs=False, doc="Always false.")

    def __init__(self, **params: object) -> None:
        super().__init__(**params)
        self.busy = False
