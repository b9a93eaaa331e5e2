"""Controls of the Factors page: source of mean soil moisture and bins of the strata."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui
import param

from app.services.factor_analysis import moisture_records
from app.services.store import Store
from app.services.strata_bins import Bins
from app.session.selection import Selection
from app.ui.bound_widgets import UserChanges
from gsm3core.errors import GSM3Error

_WIDE = {"sizing_mode": "stretch_width", "size": "small", "margin": (9, 16)}
_NOTE = """
:host { font-size: 12.5px; line-height: 1.45; color: var(--panel-on-surface-color); }
p { margin: 0; opacity: .78; } h2 { font-size: 16px; margin: 8px 0 2px 0; }
"""


class FactorControls(param.Parameterized):
    """Widgets for mean soil moisture and the bins of the strata."""

    bins = param.ClassSelector(class_=Bins, default=Bins(), doc="Bins of the strata.")

    def __init__(self, selection: Selection, store: Store) -> None:
        super().__init__()
        self._selection = selection
        self._store = store
        self._changes = UserChanges()
        start = Bins()
        self.moisture = pmui.Select(
            label="Mean soil moisture",
            options={},
            description="Record whose mean is used as mean soil moisture. The mean of the reference record is "
            "circular: its errors are also in the score.",
            **_WIDE,
        )
        self.edges = _text_input(
            "Mean soil moisture bins",
            _format_edges(start.moisture),
            "Bin edges of mean soil moisture (m³ m⁻³); the paper's are 0.08 apart.",
        )
        self.limit = _text_input(
            "Dry up to",
            f"{start.limit:g}",
            "Largest mean soil moisture (m³ m⁻³) of a dry site; 0.08 in the paper.",
        )
        self.aspect = _text_input(
            "Aspect bins",
            _format_edges(start.aspect),
            "Bin edges of poleward aspect: −1 faces the equator, +1 the pole.",
        )
        self._problem = pmui.Alert(
            severity="error", visible=False, sizing_mode="stretch_width", margin=(4, 16)
        )
        self.column = self._layout()
        self._changes.watch(self.moisture, self._select_moisture)
        for field in (self.edges, self.limit, self.aspect):
            field.param.watch(self._update_bins, "value")
        selection.param.watch(self._update_moisture, ["evaluation", "factor_moisture"])
        self._update_moisture()

    def show_moisture(self, record: str) -> None:
        """Show the record that is used, where the selection names none."""
        records = self.moisture.options.values()
        if record in records and self._selection.factor_moisture not in records:
            with self._changes.silenced():
                self.moisture.value = record

    def _layout(self) -> pn.Column:
        explanation = pn.pane.HTML(
            "<h2>Strata</h2><p>Bin edges, separated by commas. A value equal to an edge is in the lower bin.</p>",
            stylesheets=[_NOTE],
            margin=(4, 16, 0, 16),
            sizing_mode="stretch_width",
        )
        widgets = (self.moisture, self.edges, self.limit, self.aspect)
        return pn.Column(explanation, *widgets, self._problem, sizing_mode="stretch_width", margin=0)

    def _update_moisture(self, *_: param.parameterized.Event) -> None:
        evaluation = self._selection.evaluation
        if evaluation is None:
            return
        try:
            records = moisture_records(self._store, evaluation.dataset)
        except (GSM3Error, OSError):
            return  # the page reports the problem with the dataset
        chosen = self._selection.factor_moisture
        with self._changes.silenced():
            self.moisture.param.update(
                options=records,
                value=chosen if chosen in records.values() else next(iter(records.values()), None),
            )

    def _select_moisture(self, record: str) -> None:
        self._selection.factor_moisture = record

    def _update_bins(self, _: param.parameterized.Event) -> None:
        try:
            self.bins = Bins.typed(self.edges.value, self.aspect.value, self.limit.value)
        except GSM3Error as error:
            self._problem.param.update(object=str(error), visible=True)
            return
        self._problem.visible = False


def _text_input(label: str, value: str, description: str) -> pmui.TextInput:
    return pmui.TextInput(label=label, value=value, description=description, **_WIDE)


def _format_edges(edges: tuple[float, ...]) -> str:
    return ", ".join(f"{x:g}" for x in edges)
