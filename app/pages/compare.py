"""The Compare page: products and runs against each other over the sites shown, by rank, in pairs, and on the map."""

from __future__ import annotations

import panel as pn

from app.background import Latest
from app.comparing import Asked, compare, is_compared
from app.comparison import Comparison
from app.pages.part import Part, side_by_side, stack
from app.pages.sight import while_visible
from app.state import Selection
from app.views.card import card
from app.views.compare_controls import CompareControls
from app.views.compare_map import BestMap, DifferenceMap
from app.views.compare_scatter import PairedScatter
from app.views.compare_table import PairTable, RankTable
from app.views.compare_wins import WinShare
from app.views.controls import Controls
from app.views.point_map import MAP_CARD
from app.views.waiting import Waiting
from app.visitor import Visitor


def compare_page(selection: Selection, visitor: Visitor) -> Part:
    """Return the page."""
    controls = Controls(selection, visitor.store)
    page = _Compare(selection, visitor)

    def look(runs_changed: bool) -> None:
        if runs_changed:
            controls.follow()
            page.controls.follow_runs()

    sidebar = pn.Column(controls.column, page.controls.column, sizing_mode="stretch_width", margin=0)
    return Part(page.main, sidebar, look)


class _Compare:
    """Computes the comparison that is asked for, and draws it."""

    def __init__(self, selection: Selection, visitor: Visitor) -> None:
        self._selection = selection
        self._store = visitor.store
        self._comparing: Latest[Comparison] = Latest(self._take, self._fail)
        self._comparison: Comparison | None = None
        self._views: _Views | None = None
        self._waiting = Waiting()
        self.controls = CompareControls(selection, visitor.store)
        self.main = stack(self._waiting.column)
        computed = ["shown", "evaluation", "metric", "other_run", "problem"]
        while_visible(self.main, selection, computed, self._compute)
        drawn = ["product", "other", "sample", "theme"]
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
        asked = Asked(
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
        self._views = self._views or _Views(s)
        self._views.show(comparison, product, other, simulated=s.evaluation.simulated)
        self.main.objects = [self._waiting.column, *self._views.rows]


class _Views:
    """Everything that is drawn of a comparison."""

    def __init__(self, selection: Selection) -> None:
        self._ranks = RankTable(selection)
        self._pairs = PairTable(selection)
        self._wins = WinShare(selection)
        self._difference = DifferenceMap(selection)
        self._scatter = PairedScatter(selection)
        self._best = BestMap(selection)
        beside = {**MAP_CARD, "flex": "2 1 360px"}
        pairs = card(self._pairs.column, self._wins.pane, styles=beside)
        scatter = card(*self._scatter.views, styles=beside)
        self.rows = [
            self._ranks.card,
            side_by_side(self._difference.card, scatter),
            side_by_side(self._best.card, pairs),
        ]

    def show(self, comparison: Comparison, product: str, other: str, *, simulated: bool) -> None:
        self._ranks.show(comparison, simulated)
        self._pairs.show(comparison, product)
        self._wins.show(comparison, product)
        self._difference.show(comparison, product, other)
        self._scatter.show(comparison, product, other)
        self._best.show(comparison)
