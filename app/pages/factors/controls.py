"""What the Factors page lets its visitor choose beside the usual: where mean soil moisture is from, and how strata are cut."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui
import param

from app.services.factor_analysis import moisture_records
from app.services.store import Store
from app.services.strata_bins import Bins
from app.session.selection import Selection
from gsm3core.errors import GSM3Error

_WIDE = {"sizing_mode": "stretch_width", "size": "small", "margin": (9, 16)}
_NOTE = """
:host { font-size: 12.5px; line-height: 1.45; color: var(--panel-on-surface-color); }
p { margin: 0; opacity: .78; } h2 { font-size: 16px; margin: 8px 0 2px 0; }
"""


class FactorControls(param.Parameterized):
    """Widgets that change how the factors are looked at.

    Parameters
    ----------
    selection, store
        Of the visitor and of the server.
    """

    bins = param.ClassSelector(class_=Bins, default=Bins(), doc="How the strata are cut.")

    def __init__(self, selection: Selection, store: Store) -> None:
        super().__init__()
        self._selection = selection
        self._store = store
        self._following = False
        self.moisture = pmui.Select(
            label="Mean soil moisture",
            options={},
            description="Mean soil moisture of which record. The mean of the record that the score was made with "
            "explains the score in part by itself.",
            **_WIDE,
        )
        start = Bins()
        self.edges = pmui.TextInput(
            label="Mean soil moisture bins",
            value=_typed(start.moisture),
            description="Edges of mean soil moisture, m³ m⁻³; the paper's are 0.08 apart.",
            **_WIDE,
        )
        self.limit = pmui.TextInput(
            label="Dry up to",
            value=f"{start.limit:g}",
            description="Mean soil moisture, m³ m⁻³, that divides dry sites from moist ones; 0.08 in the paper.",
            **_WIDE,
        )
        self.aspect = pmui.TextInput(
            label="Aspect bins",
            value=_typed(start.aspect),
            description="Edges of poleward aspect: −1 faces the equator, +1 the pole.",
            **_WIDE,
        )
        self._problem = pmui.Alert(
            severity="error", visible=False, sizing_mode="stretch_width", margin=(4, 16)
        )
        self.column = pn.Column(
            pn.pane.HTML(
                "<h2>Strata</h2><p>Edges of the bins, with commas; a value on an edge belongs below it.</p>",
                stylesheets=[_NOTE],
                margin=(4, 16, 0, 16),
                sizing_mode="stretch_width",
            ),
            self.moisture,
            self.edges,
            self.limit,
            self.aspect,
            self._problem,
            sizing_mode="stretch_width",
            margin=0,
        )
        self.moisture.param.watch(self._take_moisture, "value")
        for field in (self.edges, self.limit, self.aspect):
            field.param.watch(self._take_bins, "value")
        selection.param.watch(self._follow, ["evaluation", "factor_moisture"])
        self._follow()

    def _follow(self, *_: param.parameterized.Event) -> None:
        evaluation = self._selection.evaluation
        if evaluation is None:
            return
        try:
            records = moisture_records(self._store, evaluation.dataset)
        except (GSM3Error, OSError):
            return  # the page says what is wrong with the dataset
        chosen = self._selection.factor_moisture
        self._following = True
        self.moisture.param.update(
            options=records,
            value=chosen if chosen in records.values() else next(iter(records.values()), None),
        )
        self._following = False

    def show_moisture(self, record: str) -> None:
        """Show which record was taken, where the choice was left open."""
        records = self.moisture.options.values()
        if record in records and self._selection.factor_moisture not in records:
            self._following = True
            self.moisture.value = record
            self._following = False

    def _take_moisture(self, event: param.parameterized.Event) -> None:
        if not self._following and event.new is not None:
            self._selection.factor_moisture = event.new

    def _take_bins(self, _: param.parameterized.Event) -> None:
        try:
            self.bins = Bins.typed(self.edges.value, self.aspect.value, self.limit.value)
        except GSM3Error as error:
            self._problem.param.update(object=str(error), visible=True)
            return
        self._problem.visible = False


def _typed(edges: tuple[float, ...]) -> str:
    return ", ".join(f"{x:g}" for x in edges)
