"""Workaround: update a widget without closing its open menu.

Package: panel-material-ui 0.16.6.
Issue: none known.
Problem: any message about a menu widget, also one with unchanged values, closes its open menu in the browser.
Remove: when unchanged values are not sent or an open menu survives an update.
"""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui


def update_if_changed(widget: pn.viewable.Viewable, **values: object) -> None:
    """Set only the parameters whose value differs."""
    changed = {name: value for name, value in values.items() if getattr(widget, name) != value}
    if changed:
        widget.param.update(**changed)


def set_options(widget: pmui.Select, options: dict[str, str], value: str) -> None:
    """Set a select's options and value; a value that is no option becomes ``None``, or is ignored if the options stay."""
    if widget.options != options:
        widget.param.update(options=options, value=value if value in options.values() else None)
    elif widget.value != value and value in options.values():
        widget.value = value
