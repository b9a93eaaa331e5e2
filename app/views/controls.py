"""The selections of the Sites page: dataset, run, reference, product, metric, region."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import panel as pn
import panel_material_ui as pmui
import param

from app.choices import distinct
from app.evaluation import ALL_REGIONS, REFERENCES
from app.state import NEWEST, PRODUCTS_ONLY, Selection
from app.store import Store
from gsm3core.metrics import METRICS

_DEFINITION = """
:host { font-size: 12.5px; line-height: 1.45; color: var(--panel-on-surface-color); }
p { margin: 0; opacity: .78; }
"""
_WIDE = {"sizing_mode": "stretch_width", "size": "small", "margin": (9, 16)}


class Controls:
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
        self.run = self._select(
            "Run",
            self._take_run,
            "A trained model. Its prediction is compared on the days and sites that it did not learn from.",
        )
        self.reference = self._select("Compared with", self._take_reference)
        self.product = self._select("Product on the map", selection.choose_product)
        self.region = self._select("Region", self._take_region)
        self.metric = pmui.RadioButtonGroup(
            label="Score",
            options=list(METRICS),
            value=selection.metric,
            size="small",
            sizing_mode="stretch_width",
            margin=(4, 16),
            sx={"& .MuiToggleButton-root": {"textTransform": "none"}},
        )
        self.metric.param.watch(
            lambda e: None if self._following else setattr(selection, "metric", e.new), "value"
        )
        self._definition = pn.pane.HTML(
            stylesheets=[_DEFINITION], sizing_mode="stretch_width", margin=(2, 16, 10, 16)
        )
        self.column = pn.Column(
            self.dataset,
            self.run,
            self.reference,
            self.product,
            self.metric,
            self._definition,
            self.region,
            sizing_mode="stretch_width",
            margin=(10, 0),
        )
        selection.param.watch(self.follow, ["evaluation", "product", "region"])
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
            self.run.visible = self.region.visible = evaluation is not None
            compared = evaluation is not None and bool(evaluation.products)
            self.product.visible = self.metric.visible = self._definition.visible = compared
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
            regions = {ALL_REGIONS: sum(evaluation.regions.values())} | evaluation.regions
            _offer(
                self.region, {f"{n.replace('_', ' ')} ({k})": n for n, k in regions.items()}, selection.region
            )

    def _follow_metric(self, *_: param.parameterized.Event) -> None:
        metric = self._selection.metric
        with self._quietly():
            self.metric.value = metric
        self._definition.object = f"<p>{METRICS[metric].meaning}</p>"

    def _select(self, label: str, take: Callable[[str], None], description: str | None = None) -> pmui.Select:
        widget = pmui.Select(label=label, options={}, description=description, **_WIDE)
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
            self._selection.param.update(dataset=name, run=NEWEST, reference="", site="")

    def _take_run(self, run: str) -> None:
        self._selection.run = run

    def _take_reference(self, reference: str) -> None:
        self._selection.reference = reference

    def _take_region(self, region: str) -> None:
        self._selection.region = region


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _offer(widget: pmui.Select, options: dict[str, str], value: str) -> None:
    """Give a widget its options and value; one that has them already is left alone, its menu open."""
    if widget.options != options:
        widget.param.update(options=options, value=value if value in options.values() else None)
    elif widget.value != value and value in options.values():
        widget.value = value
