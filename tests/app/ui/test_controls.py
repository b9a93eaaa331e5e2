"""Sidebar controls: bound to the selection, reporting only the user's changes."""

from __future__ import annotations

import panel_material_ui as pmui

from app.session.selection import Selection
from app.ui.bound_widgets import UserChanges
from app.ui.scale_control import ScaleControl
from app.ui.workarounds.open_menus import set_options, update_if_changed


def test_silenced_changes_are_not_reported():
    changes, reported = UserChanges(), []
    field = pmui.TextInput(value="a")
    changes.watch(field, reported.append)
    with changes.silenced(), changes.silenced():
        field.value = "b"
    assert reported == []
    field.value = "c"
    assert reported == ["c"]


def test_scale_limits_follow_the_metric_and_the_user():
    selection = Selection()
    control = ScaleControl(selection)
    selection.choose_metric("RMSE")
    assert (control.low.value, control.high.value) == (0, 0.15)
    assert selection.limits is None  # set by the program, not by the user
    control.high.value = 0.2
    assert selection.limits == (0, 0.2)
    control.low.value = 0.3
    assert control.low.error_state
    assert selection.limits == (0, 0.2)


def test_unchanged_widget_is_not_updated():
    menu, updates = pmui.Select(options={"A": "a", "B": "b"}, value="a"), []
    menu.param.watch(
        lambda *events: updates.extend(events), ["options", "value", "visible"], onlychanged=False
    )
    set_options(menu, {"A": "a", "B": "b"}, "a")
    update_if_changed(menu, value="a", visible=True)
    assert updates == []
    set_options(menu, {"A": "a"}, "gone")
    assert menu.value is None
