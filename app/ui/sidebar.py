"""The selections of the sidebar: dataset, run, reference, product, score, and the filters below them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import panel as pn
import panel_material_ui as pmui
import param

from app.runtime.tasks import soon
from app.services.evaluation import REFERENCES
from app.services.metric_labels import metric_name
from app.services.store import Store
from app.session.selection import NEWEST, PRODUCTS_ONLY, Selection
from app.ui.filter_panel import FilterPanel
from app.ui.labels import distinct
from app.ui.scale_control import ScaleControl
from gsm3core.metrics import ALL_METRICS, METRICS, MORE_METRICS

_DEFINITION = """
:host { font-size: 12.5px; line-height: 1.45; color: var(--panel-on-surface-color); }
p { margin: 0; opacity: .85; }
"""
_WIDE = {"sizing_mode": "stretch_width", "size": "small", "margin": (9, 16)}
_MORE = "Further scores"
_HELP = {
    "Dataset": "The sites and days that everything on this page is about.",
    "Run": "A trained model. Its prediction is compared on the days and sites that it did not learn from.",
    "Compared with": "The record that every product is held against.",
    "Product on the map": "Whose scores colour the sites, fill the table and are grouped in the boxes.",
    _MORE: "Beyond the paper's four; computing them takes some seconds the first time.",
}


class Sidebar:
    """Widgets that change a selection and follow it.

    Parameters
    ----------
    selection
        Of the visitor.
    store
        Says what there is to choose from.
    """

    def __init__(self, selection: Selection, store: Store) -> None:
        self._selection = selection
        self._store = store
        self._following = False
        self.dataset = self._select("Dataset", self._take_dataset)
        self.run = self._select("Run", lambda run: setattr(selection, "run", run))
        self.reference = self._select("Compared with", lambda name: setattr(selection, "reference", name))
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
        self.metric.param.watch(
            lambda e: None if self._following or not e.new else selection.choose_metric(e.new), "value"
        )
        self.more = self._select(_MORE, lambda name: selection.choose_metric(name or "R"))
        self.more.options = {"–": ""} | {metric_name(name): name for name in MORE_METRICS}
        self._definition = pn.pane.HTML(
            stylesheets=[_DEFINITION], sizing_mode="stretch_width", margin=(2, 16, 6, 16)
        )
        self._of_score = pn.Column(
            self.product,
            self.metric,
            self._definition,
            self.more,
            ScaleControl(selection).column,
            sizing_mode="stretch_width",
            margin=0,
        )
        self.column = pn.Column(
            self.dataset,
            self.run,
            self.reference,
            self._of_score,
            sizing_mode="stretch_width",
            margin=(10, 0),
        )
        soon(lambda: self.column.append(FilterPanel(selection).column))
        selection.param.watch(self.follow, "evaluation")
        selection.param.watch(self._follow_product, "product")
        selection.param.watch(self._follow_metric, "metric")
        self.follow()
        self._follow_metric()

    def follow(self, *_: param.parameterized.Event) -> None:
        """Show what is selected, and what there is to choose from."""
        selection, evaluation = self._selection, self._selection.evaluation
        with self._quietly():
            datasets = distinct({name: name.rsplit(".", 1)[0] for name in self._store.datasets()})
            shown = evaluation.dataset if evaluation else selection.dataset
            _offer(
                self.dataset,
                datasets,
                shown if shown in datasets.values() else next(iter(datasets.values()), ""),
            )
            self.run.visible = evaluation is not None
            self._of_score.visible = evaluation is not None and bool(evaluation.products)
            self.reference.visible = False
            if evaluation is None:
                return
            runs = distinct({i: run.title for i, run in self._store.runs_of(evaluation.dataset).items()})
            _offer(self.run, {"Products only": PRODUCTS_ONLY} | runs, evaluation.run or PRODUCTS_ONLY)
            references = self._store.references(evaluation.dataset, evaluation.run)
            _offer(
                self.reference, {_capital(REFERENCES.get(r, r)): r for r in references}, evaluation.reference
            )
            self.reference.visible = len(references) > 1
            _offer(self.product, {name: name for name in evaluation.products}, selection.product)

    def _follow_product(self, *_: param.parameterized.Event) -> None:
        with self._quietly():
            _offer(self.product, self.product.options, self._selection.product)

    def _follow_metric(self, *_: param.parameterized.Event) -> None:
        metric = self._selection.metric
        with self._quietly():
            self.metric.value = metric if metric in METRICS else None
            self.more.value = metric if metric in MORE_METRICS else ""
        self._definition.object = f"<p>{ALL_METRICS[metric].meaning}</p>"

    def _select(self, label: str, take: Callable[[str], None]) -> pmui.Select:
        widget = pmui.Select(label=label, options={}, description=_HELP[label], **_WIDE)
        widget.param.watch(
            lambda event: None if self._following or event.new is None else take(event.new), "value"
        )
        return widget

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        self._following = True
        try:
            yield
        finally:
            self._following = False

    def _take_dataset(self, name: str) -> None:
        if name != self._selection.dataset:
            self._selection.change(dataset=name, run=NEWEST, reference="", site="")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _offer(widget: pmui.Select, options: dict[str, str], value: str) -> None:
    """Give a widget its options and value; one that has them already is left alone, its menu open."""
    if widget.options != options:
        widget.param.update(options=options, value=value if value in options.values() else None)
    elif widget.value != value and value in options.values():
        widget.value = value
