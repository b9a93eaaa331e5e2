"""Workaround: let a group of buttons have no selected button.

Package: panel 1.9.4, panel-material-ui 0.16.6.
Issue: none known.
Problem: a radio button group whose value is ``None`` takes its first option when it is rendered, and reports that as a
    change: a page opened with another score than those of the buttons fell back to the first of them.
Remove: when ``RadioButtonGroup`` keeps a value of ``None``.
"""

from __future__ import annotations

import panel_material_ui as pmui


def allow_no_value(widget: pmui.RadioButtonGroup) -> None:
    """Keep ``None`` as the value of a radio button group."""
    widget._allows_none = True
