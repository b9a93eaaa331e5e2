"""What the Compare page lets its visitor choose beside the usual: the days, the two products, a second run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import panel as pn
import panel_material_ui as pmui
import param

from app.pages.compare.maps import spread_of
from app.services.comparison import Comparison
from app.services.store import Store
from app.session.selection import Selection
from app.ui.labels import distinct
from gsm3core.evaluation.pairing import PAIRWISE, SAME_SAMPLE

_WIDE = {"sizing_mode": "stretch_width", "size": "small", "margin": (9, 16)}
_NOTE = """
:host { font-size: 12.5px; line-height: 1.45; color: var(--panel-on-surface-color); }
p { margin: 0; opacity: .78; } h2 { font-size: 16px; margin: 8px 0 2px 0; }
"""
_DAYS = {
    PAIRWISE: "Each product is scored on every day that it shares with the reference: the most data, but not the "
    "same days for all.",
    SAME_SAMPLE: "Only days that every product has: fewer, but the same for all. A product with few days takes days "
    "from all others.",
}
NO_RUN = "none"


class CompareControls:
    """Widgets that change what is compared.

    Parameters
    ----------
    selection, store
        Of the visitor and of the server.
    """

    def __init__(self, selection: Selection, store: Store) -> None:
        self._selection = selection
        self._store = store
        self._following = False
        self.sample = pmui.RadioButtonGroup(
            label="Days",
            options={"Own days": PAIRWISE, "Same days": SAME_SAMPLE},
            value=selection.sample,
            size="small",
            sizing_mode="stretch_width",
            margin=(4, 16),
            sx={"& .MuiToggleButton-root": {"textTransform": "none"}},
        )
        self._days = pn.pane.HTML(stylesheets=[_NOTE], sizing_mode="stretch_width", margin=(2, 16, 8, 16))
        self.product = self._select("Product A", self._take_product, "On the maps: A minus B.")
        self.other = self._select(
            "Product B", lambda x: setattr(selection, "other", x), "What A is held against, site by site."
        )
        self.other_run = self._select(
            "Second run",
            lambda x: setattr(selection, "other_run", "" if x == NO_RUN else x),
            "Another trained model on the same dataset, beside the one chosen above. All are scored on the days that "
            "test both.",
        )
        self.spread = self._select(
            "Differences up to",
            lambda x: setattr(selection, "spread", float(x)),
            "Ends of the colours of the map of differences; larger ones take the end colour.",
        )
        self.column = pn.Column(
            pn.pane.HTML("<h2>Compare</h2>", stylesheets=[_NOTE], margin=(4, 16, 0, 16)),
            self.sample,
            self._days,
            self.product,
            self.other,
            self.spread,
            self.other_run,
            sizing_mode="stretch_width",
            margin=0,
        )
        self.sample.param.watch(
            lambda e: None if self._following else setattr(selection, "sample", e.new), "value"
        )
        selection.param.watch(self._follow_sample, "sample")
        selection.param.watch(self.follow_runs, ["evaluation", "other_run"])
        selection.param.watch(self._follow_spread, ["metric", "spread"])
        self._follow_spread()
        self._follow_sample()
        self.follow_runs()

    def offer(self, comparison: Comparison, product: str, other: str) -> None:
        """Offer the products of a comparison, two of them chosen."""
        names = {name: name for name in comparison.products}
        with self._quietly():
            self.product.param.update(options=names, value=product)
            self.other.param.update(options={n: n for n in names if n != product}, value=other)

    def follow_runs(self, *_: param.parameterized.Event) -> None:
        """Offer the other runs of the dataset."""
        evaluation = self._selection.evaluation
        runs = self._store.runs_of(evaluation.dataset) if evaluation is not None and evaluation.run else {}
        titles = distinct({i: run.title for i, run in runs.items() if i != evaluation.run})
        chosen = self._selection.other_run
        with self._quietly():
            self.other_run.param.update(
                options={"None": NO_RUN} | titles, value=chosen if chosen in titles.values() else NO_RUN
            )
            self.other_run.visible = bool(titles)

    def _take_product(self, name: str) -> None:
        self._selection.choose_product(name)

    def _follow_sample(self, *_: param.parameterized.Event) -> None:
        with self._quietly():
            self.sample.value = self._selection.sample
        self._days.object = f"<p>{_DAYS[self._selection.sample]}</p>"

    def _follow_spread(self, *_: param.parameterized.Event) -> None:
        metric, chosen = self._selection.metric, self._selection.spread
        own = spread_of(metric)
        ends = sorted({own / 4, own / 2, own, 2 * own, 5 * own, chosen or own})
        with self._quietly():
            self.spread.param.update(options={f"± {x:g}": f"{x:g}" for x in ends}, value=f"{chosen or own:g}")

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
