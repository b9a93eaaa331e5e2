"""The Compare page: products and runs against each other over the sites shown, by rank, in pairs, and on the map."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import panel as pn
from bokeh.plotting import figure

from app.export import tables as taken
from app.export.analysis_scripts import comparison_lines
from app.export.dialog import ExportDialog, Item
from app.pages.compare.controls import CompareControls
from app.pages.compare.maps import BestMap, DifferenceMap
from app.pages.compare.scatter import PairedScatter
from app.pages.compare.tables import PairTable, RankTable
from app.pages.compare.win_share import WinShare
from app.runtime.tasks import Latest
from app.services.comparison import Comparison
from app.services.comparison_cache import ComparisonRequest, compare, is_compared
from app.services.store import Store
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.card import card
from app.ui.map.point_map import MAP_CARD
from app.ui.page_layout import Part, side_by_side, stack
from app.ui.sidebar import Sidebar
from app.ui.status_line import StatusLine
from app.ui.visibility import while_visible

_Table = Callable[[Comparison, str, str, str, str], pd.DataFrame]


def compare_page(selection: Selection, visitor: SessionController) -> Part:
    """Return the page."""
    controls = Sidebar(selection, visitor.store)
    page = _Compare(selection, visitor)

    def look(runs_changed: bool) -> None:
        if runs_changed:
            controls.follow()
            page.controls.follow_runs()

    sidebar = pn.Column(controls.column, page.controls.column, sizing_mode="stretch_width", margin=0)
    return Part(page.main, sidebar, look)


class _Compare:
    """Computes the comparison that is asked for, and draws it."""

    def __init__(self, selection: Selection, visitor: SessionController) -> None:
        self._selection = selection
        self._store = visitor.store
        self._comparing: Latest[Comparison] = Latest(self._take, self._fail)
        self._comparison: Comparison | None = None
        self._views: _Views | None = None
        self._take_away = ExportDialog(selection, visitor.store)
        self._waiting = StatusLine()
        self.controls = CompareControls(selection, visitor.store)
        self.main = stack(self._waiting.column)
        computed = ["shown", "evaluation", "metric", "other_run", "problem"]
        while_visible(self.main, selection, computed, self._compute)
        drawn = ["product", "other", "sample", "spread", "theme"]
        self._redraw = while_visible(self.main, selection, drawn, self._draw)
        self._compute()

    def _compute(self) -> None:
        s, store = self._selection, self._store
        evaluation, shown = s.evaluation, s.shown
        if evaluation is None or shown is None:
            self._fail(s.problem) if s.problem else self._waiting.begin(s.working_on or "Reading")
            return
        runs = store.runs_of(evaluation.dataset) if evaluation.run else {}
        other_run = s.other_run if s.other_run in runs and s.other_run != evaluation.run else ""
        asked = ComparisonRequest(
            evaluation=evaluation, shown=shown, other_run=other_run, metric=s.metric, min_days=s.min_days
        )
        if is_compared(store, asked):
            self._comparing.now(lambda: compare(store, asked))
            return
        self._waiting.begin(f"Comparing every two products at {int(shown.mask.sum())} sites")
        self._comparing.later(lambda: compare(store, asked))

    def _take(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._waiting.end()
        self._redraw()

    def _fail(self, problem: str) -> None:
        self._comparison = None
        self._waiting.fail(problem, "Nothing can be compared.")
        self.main.objects = [self._waiting.column]

    def _draw(self) -> None:
        comparison, s = self._comparison, self._selection
        if comparison is None or s.evaluation is None or s.metric not in comparison.metrics:
            return
        names = comparison.products
        product = s.product if s.product in names else names[0]
        others = [name for name in names if name != product]
        other = s.other if s.other in others else others[0]
        self.controls.offer(comparison, product, other)
        self._views = self._views or _Views(s, self._store, self._take_away)
        self._views.show(comparison, product, other, simulated=s.evaluation.simulated)
        self.main.objects = [self._waiting.column, *self._views.rows, self._take_away.dialog]


class _Views:
    """Everything that is drawn of a comparison."""

    def __init__(self, selection: Selection, store: Store, take: ExportDialog) -> None:
        self._selection, self._store, self._take = selection, store, take
        self._shown: tuple[Comparison, str, str] | None = None
        self._ranks = RankTable(selection)
        self._pairs = PairTable(selection)
        self._wins = WinShare(selection)
        self._difference = DifferenceMap(selection)
        self._scatter = PairedScatter(selection)
        self._best = BestMap(selection)
        beside = {**MAP_CARD, "flex": "2 1 360px"}
        ranks = self._item("every product", {}, taken.of_ranks)
        difference = self._item("difference by site", {"Map": self._difference.figure}, taken.of_two)
        scatter = self._item("two products site by site", {"Scatter": self._scatter.figure}, taken.of_two)
        best = self._item("best product", {"Map": self._best.figure}, taken.of_best)
        pairs = self._item(
            "against each other product", {"Share of sites": self._wins.figure}, taken.of_pairs
        )
        self.rows = [
            card(take.beside(self._ranks.title, ranks), self._ranks.table),
            side_by_side(
                card(
                    take.beside(self._difference.title, difference), *self._difference.views, styles=MAP_CARD
                ),
                card(take.beside(self._scatter.title, scatter), self._scatter.pane, styles=beside),
            ),
            side_by_side(
                card(take.beside(self._best.title, best), *self._best.views, styles=MAP_CARD),
                card(
                    take.beside(self._pairs.title, pairs), self._pairs.table, self._wins.pane, styles=beside
                ),
            ),
        ]

    def show(self, comparison: Comparison, product: str, other: str, *, simulated: bool) -> None:
        self._shown = comparison, product, other
        self._ranks.show(comparison, simulated)
        self._pairs.show(comparison, product)
        self._wins.show(comparison, product)
        self._difference.show(comparison, product, other)
        self._scatter.show(comparison, product, other)
        self._best.show(comparison)

    def _item(self, title: str, figures: dict[str, figure], table: _Table) -> Item:
        def numbers() -> pd.DataFrame | None:
            s = self._selection
            return None if self._shown is None else table(*self._shown, s.sample, s.metric)

        return Item(
            title=title,
            figures=lambda: figures,
            tables={"Numbers": numbers},
            code=self._code,
            answer=lambda: None if self._shown is None else self._shown[0].found,
        )

    def _code(self) -> str:
        s = self._selection
        if self._shown is None or s.evaluation is None:
            return ""
        comparison = self._shown[0]
        return comparison_lines(
            self._store, s.evaluation, s.filters, comparison.runs,
            sample=comparison.sample(s.sample), metric=s.metric, min_days=s.min_days,
        )  # fmt: skip
