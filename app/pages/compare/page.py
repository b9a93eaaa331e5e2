"""The Compare page: products and runs against each other over the sites shown, by rank, in pairs, and on maps."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import panel as pn
from bokeh.plotting import figure

from app.export import tables
from app.export.dialog import ExportDialog, ExportItem
from app.export.scripts import comparison_script
from app.pages.compare.controls import CompareControls
from app.pages.compare.maps import BestMap, DifferenceMap
from app.pages.compare.scatter import PairedScatter
from app.pages.compare.tables import PairTable, RankTable
from app.pages.compare.win_share import WinShare
from app.runtime.tasks import LatestTask
from app.services.comparison import Comparison, ComparisonRequest, compare, is_compared
from app.services.store import Store
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.card import card
from app.ui.map.point_map import MAP_CARD
from app.ui.page_layout import PageSection, side_by_side, stack
from app.ui.sidebar import Sidebar
from app.ui.status_line import StatusLine
from app.ui.visibility import while_visible

_BESIDE_MAP = {**MAP_CARD, "flex": "2 1 360px"}
_COMPUTED_FROM = ("shown", "evaluation", "metric", "other_run", "problem")
_DRAWN_FROM = ("product", "other", "sample", "difference_limit", "theme")
_TableFunction = Callable[[Comparison, str, str, str, str], pd.DataFrame]


def compare_page(selection: Selection, controller: SessionController) -> PageSection:
    """Return the page."""
    controls = Sidebar(selection, controller.store)
    page = _ComparePage(selection, controller)

    def refresh(runs_changed: bool) -> None:
        if runs_changed:
            controls.update()
            page.controls.update_runs()

    sidebar = pn.Column(controls.column, page.controls.column, sizing_mode="stretch_width", margin=0)
    return PageSection(page.main, sidebar, refresh)


class _ComparePage:
    """Computes the comparison for the current selection and draws it."""

    def __init__(self, selection: Selection, controller: SessionController) -> None:
        self._selection = selection
        self._store = controller.store
        self._task: LatestTask[Comparison] = LatestTask(self._show, self._fail)
        self._comparison: Comparison | None = None
        self._cards: _ComparisonCards | None = None
        self._export = ExportDialog(selection, controller.store)
        self._status = StatusLine()
        self.controls = CompareControls(selection, controller.store)
        self.main = stack(self._status.column)
        while_visible(self.main, selection, _COMPUTED_FROM, self._compute)
        self._redraw = while_visible(self.main, selection, _DRAWN_FROM, self._draw)
        self._compute()

    def _compute(self) -> None:
        s, store = self._selection, self._store
        evaluation, shown = s.evaluation, s.shown
        if evaluation is None or shown is None:
            self._fail(s.problem) if s.problem else self._status.begin(s.loading_message or "Reading")
            return
        runs = store.runs_of(evaluation.dataset) if evaluation.run else {}
        other_run = s.other_run if s.other_run in runs and s.other_run != evaluation.run else ""
        request = ComparisonRequest(
            evaluation=evaluation, shown=shown, other_run=other_run, metric=s.metric, min_days=s.min_days
        )
        if is_compared(store, request):
            self._task.run_now(lambda: compare(store, request))
            return
        self._status.begin(f"Comparing all pairs of products at {int(shown.mask.sum())} sites")
        self._task.run_in_background(lambda: compare(store, request))

    def _show(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._status.end()
        self._redraw()

    def _fail(self, problem: str) -> None:
        self._comparison = None
        self._status.fail(problem, "Nothing can be compared.")
        self.main.objects = [self._status.column]

    def _draw(self) -> None:
        comparison, s = self._comparison, self._selection
        if comparison is None or s.evaluation is None or s.metric not in comparison.metrics:
            return
        names = comparison.products
        product = s.product if s.product in names else names[0]
        others = [name for name in names if name != product]
        other = s.other if s.other in others else others[0]
        self.controls.set_products(comparison, product, other)
        self._cards = self._cards or _ComparisonCards(s, self._store, self._export)
        self._cards.show(comparison, product, other, simulated=s.evaluation.simulated)
        self.main.objects = [self._status.column, *self._cards.rows, self._export.dialog]


class _ComparisonCards:
    """The cards of the page: tables, maps, scatter plot and win shares."""

    def __init__(self, selection: Selection, store: Store, export: ExportDialog) -> None:
        self._selection, self._store, self._export = selection, store, export
        self._shown: tuple[Comparison, str, str] | None = None
        self._ranks = RankTable(selection)
        self._pairs = PairTable(selection)
        self._wins = WinShare(selection)
        self._difference = DifferenceMap(selection)
        self._scatter = PairedScatter(selection)
        self._best = BestMap(selection)
        self.rows = [
            self._rank_card(),
            side_by_side(self._difference_card(), self._scatter_card()),
            side_by_side(self._best_card(), self._pair_card()),
        ]

    def show(self, comparison: Comparison, product: str, other: str, *, simulated: bool) -> None:
        """Draw a comparison, with two products selected."""
        self._shown = comparison, product, other
        self._ranks.show(comparison, simulated)
        self._pairs.show(comparison, product)
        self._wins.show(comparison, product)
        self._difference.show(comparison, product, other)
        self._scatter.show(comparison, product, other)
        self._best.show(comparison)

    def _rank_card(self) -> pn.Column:
        item = self._item("median score by product", {}, tables.rank_table)
        return card(self._export.heading_row(self._ranks.title, item), self._ranks.table)

    def _difference_card(self) -> pn.Column:
        item = self._item("difference map", {"Map": self._difference.figure}, tables.two_product_table)
        title = self._export.heading_row(self._difference.title, item)
        return card(title, *self._difference.panes, styles=MAP_CARD)

    def _scatter_card(self) -> pn.Column:
        item = self._item(
            "scores at common sites", {"Scatter": self._scatter.figure}, tables.two_product_table
        )
        title = self._export.heading_row(self._scatter.title, item)
        return card(title, self._scatter.pane, styles=_BESIDE_MAP)

    def _best_card(self) -> pn.Column:
        item = self._item("best product", {"Map": self._best.figure}, tables.best_product_table)
        title = self._export.heading_row(self._best.title, item)
        return card(title, *self._best.panes, styles=MAP_CARD)

    def _pair_card(self) -> pn.Column:
        item = self._item("pairwise comparison", {"Share of sites": self._wins.figure}, tables.pairwise_table)
        title = self._export.heading_row(self._pairs.title, item)
        return card(title, self._pairs.table, self._wins.pane, styles=_BESIDE_MAP)

    def _item(self, title: str, figures: dict[str, figure], table: _TableFunction) -> ExportItem:
        def numbers() -> pd.DataFrame | None:
            s = self._selection
            return None if self._shown is None else table(*self._shown, s.sample, s.metric)

        return ExportItem(
            title=title,
            figures=lambda: figures,
            tables={"Numbers": numbers},
            code=self._code,
            results=lambda: None if self._shown is None else self._shown[0].found,
        )

    def _code(self) -> str:
        s = self._selection
        if self._shown is None or s.evaluation is None:
            return ""
        comparison = self._shown[0]
        return comparison_script(
            self._store, s.evaluation, s.filters, comparison.runs,
            sample=comparison.sample(s.sample), metric=s.metric, min_days=s.min_days,
        )  # fmt: skip
