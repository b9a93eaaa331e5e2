"""Sidebar: dataset, run, reference, product and metric, with the site filters below."""

from __future__ import annotations

from collections.abc import Callable

import panel as pn
import panel_material_ui as pmui
import param

from app.runtime.tasks import run_after_render
from app.services.evaluation import REFERENCES
from app.services.metric_labels import metric_name
from app.services.store import Store
from app.session.selection import NEWEST, PRODUCTS_ONLY, Selection
from app.ui.bound_widgets import UserChanges
from app.ui.filter_panel import FilterPanel
from app.ui.labels import unique_labels
from app.ui.scale_control import ScaleControl
from app.ui.triplet_control import TripletControl
from app.ui.workarounds.no_value import allow_no_value
from app.ui.workarounds.open_menus import set_options
from gsm3core.evaluation.reference_scaling import SCALING_NAMES
from gsm3core.metrics import ALL_METRICS, METRICS

_DEFINITION = """
:host { font-size: 12.5px; line-height: 1.45; color: var(--panel-on-surface-color); }
p { margin: 0; opacity: .85; }
"""
_WIDE = {"sizing_mode": "stretch_width", "size": "small", "margin": (9, 16)}
_REFERENCE = "Reference"
_FURTHER = "Further scores"
_SCALING = "Scaling to the reference"
_HELP = {
    "Dataset": "Sites and days of all results on this page.",
    "Run": "A trained model. Its prediction is scored on its test days and sites.",
    _REFERENCE: "Record that all products are scored against.",
    "Product on the map": "Product whose scores are shown on the map, in the table and in the grouped boxplots.",
    _SCALING: "Each product is scaled to the reference at every site, with its paired test days, before it is scored.",
    _FURTHER: "Beyond the paper's four; computing them takes some seconds the first time.",
}


class Sidebar:
    """Widgets bound to the selection; the store lists their options."""

    def __init__(self, selection: Selection, store: Store) -> None:
        self._selection = selection
        self._store = store
        self._user_changes = UserChanges()
        self.dataset = self._select("Dataset", self._set_dataset)
        self.run = self._select("Run", lambda run: setattr(selection, "run", run))
        self.reference = self._select(_REFERENCE, lambda name: setattr(selection, "reference", name))
        self.scaling = self._select(_SCALING, lambda name: setattr(selection, "scaling", name))
        self.scaling.options = {_capitalise(text): name for name, text in SCALING_NAMES.items()}
        self.product = self._select("Product on the map", selection.choose_product)
        self.metric = pmui.RadioButtonGroup(
            label="Score",
            options=list(METRICS),
            value=selection.metric if selection.metric in METRICS else None,
            size="small",
            sizing_mode="stretch_width",
            margin=(4, 16),
            sx={"& .MuiToggleButton-root": {"textTransform": "none"}},
        )
        allow_no_value(self.metric)
        self._user_changes.watch(self.metric, lambda name: selection.choose_metric(name) if name else None)
        self.further_metric = self._select(_FURTHER, lambda name: selection.choose_metric(name or "R"))
        self.further_metric.options = {"–": ""} | {
            metric_name(name): name for name in ALL_METRICS if name not in METRICS
        }
        self._definition = pn.pane.HTML(
            stylesheets=[_DEFINITION], sizing_mode="stretch_width", margin=(2, 16, 6, 16)
        )
        self._score_controls = pn.Column(
            self.product,
            self.metric,
            self._definition,
            self.further_metric,
            TripletControl(selection).column,
            self.scaling,
            ScaleControl(selection).column,
            sizing_mode="stretch_width",
            margin=0,
        )
        self.column = pn.Column(
            self.dataset,
            self.run,
            self.reference,
            self._score_controls,
            sizing_mode="stretch_width",
            margin=(10, 0),
        )
        run_after_render(lambda: self.column.append(FilterPanel(selection).column))
        selection.param.watch(self.update, "evaluation")
        selection.param.watch(self._update_product, "product")
        selection.param.watch(self._update_metric, "metric")
        selection.param.watch(self._update_scaling, "scaling")
        self.update()
        self._update_metric()
        self._update_scaling()

    def update(self, *_: param.parameterized.Event) -> None:
        """Show the options and the selected values."""
        selection, evaluation = self._selection, self._selection.evaluation
        with self._user_changes.silenced():
            datasets = unique_labels({name: name.rsplit(".", 1)[0] for name in self._store.datasets()})
            dataset = evaluation.dataset if evaluation else selection.dataset
            default = next(iter(datasets.values()), "")
            set_options(self.dataset, datasets, dataset if dataset in datasets.values() else default)
            self.run.visible = evaluation is not None
            self._score_controls.visible = evaluation is not None and bool(evaluation.products)
            self.reference.visible = False
            if evaluation is None:
                return
            titles = {i: run.title for i, run in self._store.runs_of(evaluation.dataset).items()}
            runs = {"Products only": PRODUCTS_ONLY} | unique_labels(titles)
            set_options(self.run, runs, evaluation.run or PRODUCTS_ONLY)
            references = self._store.references(evaluation.dataset, evaluation.run)
            labels = {_capitalise(REFERENCES.get(r, r)): r for r in references}
            set_options(self.reference, labels, evaluation.reference)
            self.reference.visible = len(references) > 1
            set_options(self.product, {name: name for name in evaluation.products}, selection.product)

    def _update_product(self, *_: param.parameterized.Event) -> None:
        with self._user_changes.silenced():
            set_options(self.product, self.product.options, self._selection.product)

    def _update_metric(self, *_: param.parameterized.Event) -> None:
        metric = self._selection.metric
        with self._user_changes.silenced():
            self.metric.value = metric if metric in METRICS else None
            self.further_metric.value = metric if metric not in METRICS else ""
        self._definition.object = f"<p>{ALL_METRICS[metric].meaning}</p>"

    def _update_scaling(self, *_: param.parameterized.Event) -> None:
        with self._user_changes.silenced():
            set_options(self.scaling, self.scaling.options, self._selection.scaling)

    def _select(self, label: str, handler: Callable[[str], None]) -> pmui.Select:
        widget = pmui.Select(label=label, options={}, description=_HELP[label], **_WIDE)
        self._user_changes.watch(widget, handler)
        return widget

    def _set_dataset(self, name: str) -> None:
        if name != self._selection.dataset:
            self._selection.change(dataset=name, run=NEWEST, reference="", site="")


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]
