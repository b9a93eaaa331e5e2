"""Third product of triple collocation: the choice, and the triplet of the product shown."""

from __future__ import annotations

from html import escape

import panel as pn
import panel_material_ui as pmui
import param

from app.session.selection import Selection
from app.ui.bound_widgets import UserChanges
from app.ui.workarounds.open_menus import set_options
from gsm3core.evaluation.triplets import AUTOMATIC
from gsm3core.metrics import TRIPLE_METRICS

_NOTE = """
:host { font-size: 12.5px; line-height: 1.45; color: var(--panel-on-surface-color); } p { margin: 0; opacity: .85; }
"""
_HELP = (
    "Errors of the three must be independent. Automatic: for each product one that shares neither satellite band nor "
    "precipitation nor training data with it; a model for a satellite, a satellite for a model."
)


class TripletControl:
    """A menu, and a line that says which triplet is used; visible with a score of triple collocation."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._user_changes = UserChanges()
        self.third = pmui.Select(
            label="Third product", options={}, description=_HELP, sizing_mode="stretch_width", size="small", margin=(9, 16)
        )  # fmt: skip
        self._note = pn.pane.HTML(stylesheets=[_NOTE], sizing_mode="stretch_width", margin=(2, 16, 6, 16))
        self.column = pn.Column(self.third, self._note, sizing_mode="stretch_width", margin=0)
        self._user_changes.watch(self.third, lambda name: setattr(selection, "third", name or AUTOMATIC))
        selection.param.watch(self._update, ["evaluation", "product", "metric", "third"])
        self._update()

    def _update(self, *_: param.parameterized.Event) -> None:
        selection, evaluation = self._selection, self._selection.evaluation
        self.column.visible = selection.metric in TRIPLE_METRICS and evaluation is not None
        if evaluation is None:
            return
        options = {"Automatic": AUTOMATIC} | {name: name for name in evaluation.products}
        with self._user_changes.silenced():
            set_options(self.third, options, selection.third)
        text = evaluation.triplet(selection.product)
        self._note.object = f"<p>{escape(text)}.</p>" if text else ""
