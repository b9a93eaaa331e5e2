"""Control of the colour scale's limits, which are fixed per metric unless the user changes them."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui
import param

from app.session.selection import Selection
from app.ui.bound_widgets import UserChanges
from app.ui.theme import scale_of

_FIELD = {"size": "small", "margin": (6, 4), "width": 108}


class ScaleControl:
    """Lower and upper limit, and a reset button."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._user_changes = UserChanges()
        self.low = pmui.FloatInput(
            label="Scale from", description="Lower scores have the first colour.", **_FIELD
        )
        self.high = pmui.FloatInput(label="to", description="Higher scores have the last colour.", **_FIELD)
        self.reset = pmui.IconButton(
            icon="restart_alt", size="small", margin=(10, 0), on_click=self._reset,
            description="Reset the scale of this metric",
        )  # fmt: skip
        for field in (self.low, self.high):
            self._user_changes.watch(field, self._set_limits)
        self.column = pn.Row(
            self.low, self.high, self.reset, sizing_mode="stretch_width", margin=(0, 12, 4, 12)
        )
        selection.param.watch(self._update, ["metric", "limits"])
        self._update()

    def _update(self, *_: param.parameterized.Event) -> None:
        scale = scale_of(self._selection.metric, self._selection.limits)
        with self._user_changes.silenced():
            self.low.param.update(value=scale.low, error_state=False)
            self.high.param.update(value=scale.high, error_state=False)
            self.reset.visible = self._selection.limits is not None

    def _set_limits(self, _: float) -> None:
        if self.low.value is None or self.high.value is None:
            return
        reversed_limits = self.low.value >= self.high.value
        for field in (self.low, self.high):
            field.error_state = reversed_limits
        if not reversed_limits:
            self._selection.limits = (float(self.low.value), float(self.high.value))

    def _reset(self, _: param.parameterized.Event) -> None:
        self._selection.limits = None
