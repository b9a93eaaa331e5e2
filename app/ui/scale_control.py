"""The ends of the score's scale: fixed, so that two maps can be compared, unless a visitor changes them."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui
import param

from app.session.selection import Selection
from app.ui.theme import scale_of

_FIELD = {"size": "small", "margin": (6, 4), "width": 108}


class ScaleControl:
    """Two numbers, and a button that takes them back.

    Parameters
    ----------
    selection
        Of the visitor.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._following = False
        self.low = pmui.FloatInput(
            label="Scale from", description="Scores below take the first colour.", **_FIELD
        )
        self.high = pmui.FloatInput(label="to", description="Scores above take the last colour.", **_FIELD)
        self.back = pmui.IconButton(
            icon="restart_alt", size="small", margin=(10, 0), on_click=self._take_back,
            description="Back to the usual scale of this score",
        )  # fmt: skip
        for field in (self.low, self.high):
            field.param.watch(self._take, "value")
        self.column = pn.Row(
            self.low, self.high, self.back, sizing_mode="stretch_width", margin=(0, 12, 4, 12)
        )
        selection.param.watch(self._follow, ["metric", "limits"])
        self._follow()

    def _follow(self, *_: param.parameterized.Event) -> None:
        scale = scale_of(self._selection.metric, self._selection.limits)
        self._following = True
        try:
            self.low.param.update(value=scale.low, error_state=False)
            self.high.param.update(value=scale.high, error_state=False)
            self.back.visible = self._selection.limits is not None
        finally:
            self._following = False

    def _take(self, _: param.parameterized.Event) -> None:
        if self._following or self.low.value is None or self.high.value is None:
            return
        upside_down = self.low.value >= self.high.value
        for field in (self.low, self.high):
            field.error_state = upside_down
        if not upside_down:
            self._selection.limits = (float(self.low.value), float(self.high.value))

    def _take_back(self, _: param.parameterized.Event) -> None:
        self._selection.limits = None
