"""Sidebar controls of the Compare page: days, products, colour limits, and a second run."""

from __future__ import annotations

from collections.abc import Callable

import panel as pn
import panel_material_ui as pmui
import param

from app.pages.compare.maps import default_limit
from app.services.comparison import Comparison
from app.services.store import Store
from app.session.selection import Selection
from app.ui.bound_widgets import UserChanges
from app.ui.labels import unique_labels
from gsm3core.evaluation.pairing import PAIRWISE, SAME_SAMPLE

_WIDE = {"sizing_mode": "stretch_width", "size": "small", "margin": (9, 16)}
_NOTE = """
:host { font-size: 12.5px; line-height: 1.45; color: var(--panel-on-surface-color); }
p { margin: 0; opacity: .78; } h2 { font-size: 16px; margin: 8px 0 2px 0; }
"""
_SAMPLE_NOTES = {
    PAIRWISE: "Each product is scored on all days that it shares with the reference: most data, but different days "
    "for each product.",
    SAME_SAMPLE: "All products are scored on the days that every product has: fewer days, but the same for all. "
    "A product with few days reduces the days of all others.",
}
NO_RUN = "none"


class CompareControls:
    """Widgets for the part of the selection that only the Compare page uses.

    Parameters
    ----------
    selection
        Changed by the widgets.
    store
        Lists the runs.
    """

    def __init__(self, selection: Selection, store: Store) -> None:
        self._selection = selection
        self._store = store
        self._user_changes = UserChanges()
        self.sample = pmui.RadioButtonGroup(
            label="Days",
            options={"Paired days": PAIRWISE, "Common days": SAME_SAMPLE},
            value=selection.sample,
            size="small",
            sizing_mode="stretch_width",
            margin=(4, 16),
            sx={"& .MuiToggleButton-root": {"textTransform": "none"}},
        )
        self._user_changes.watch(self.sample, lambda name: setattr(selection, "sample", name))
        self._sample_note = pn.pane.HTML(
            stylesheets=[_NOTE], sizing_mode="stretch_width", margin=(2, 16, 8, 16)
        )
        self.product = self._select("Product A", selection.choose_product, "The maps show A minus B.")
        self.other = self._select(
            "Product B", lambda name: setattr(selection, "other", name), "Product that A is compared with."
        )
        self.difference_limit = self._select(
            "Colour limits",
            lambda limit: setattr(selection, "difference_limit", float(limit)),
            "Limits of the colour scale of the difference map; larger differences have the end colour.",
        )
        self.other_run = self._select(
            "Second run",
            lambda run: setattr(selection, "other_run", "" if run == NO_RUN else run),
            "Another run on the same dataset. All products are then scored on the test days of both runs.",
        )
        self.column = pn.Column(
            pn.pane.HTML("<h2>Compare</h2>", stylesheets=[_NOTE], margin=(4, 16, 0, 16)),
            self.sample,
            self._sample_note,
            self.product,
            self.other,
            self.difference_limit,
            self.other_run,
            sizing_mode="stretch_width",
            margin=0,
        )
        selection.param.watch(self._update_sample, "sample")
        selection.param.watch(self.update_runs, ["evaluation", "other_run"])
        selection.param.watch(self._update_limits, ["metric", "difference_limit"])
        self._update_limits()
        self._update_sample()
        self.update_runs()

    def set_products(self, comparison: Comparison, product: str, other: str) -> None:
        """Set the products to choose from, and the two that are selected."""
        names = {name: name for name in comparison.products}
        with self._user_changes.silenced():
            self.product.param.update(options=names, value=product)
            self.other.param.update(options={n: n for n in names if n != product}, value=other)

    def update_runs(self, *_: param.parameterized.Event) -> None:
        """Set the other runs of the dataset as options of the second run."""
        evaluation = self._selection.evaluation
        runs = self._store.runs_of(evaluation.dataset) if evaluation is not None and evaluation.run else {}
        titles = unique_labels({i: run.title for i, run in runs.items() if i != evaluation.run})
        selected = self._selection.other_run
        with self._user_changes.silenced():
            self.other_run.param.update(
                options={"None": NO_RUN} | titles, value=selected if selected in titles.values() else NO_RUN
            )
            self.other_run.visible = bool(titles)

    def _update_sample(self, *_: param.parameterized.Event) -> None:
        with self._user_changes.silenced():
            self.sample.value = self._selection.sample
        self._sample_note.object = f"<p>{_SAMPLE_NOTES[self._selection.sample]}</p>"

    def _update_limits(self, *_: param.parameterized.Event) -> None:
        default = default_limit(self._selection.metric)
        selected = self._selection.difference_limit or default
        limits = sorted({default / 4, default / 2, default, 2 * default, 5 * default, selected})
        with self._user_changes.silenced():
            self.difference_limit.param.update(
                options={f"± {x:g}": f"{x:g}" for x in limits}, value=f"{selected:g}"
            )

    def _select(self, label: str, on_change: Callable[[str], None], description: str) -> pmui.Select:
        widget = pmui.Select(label=label, options={}, description=description, **_WIDE)
        self._user_changes.watch(widget, on_change)
        return widget
