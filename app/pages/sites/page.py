"""The Sites page: median scores, error map, boxplots, time series of one site, and the table of sites."""

from __future__ import annotations

import pandas as pd
import panel as pn
import param

from app.export.dialog import ExportDialog, ExportItem
from app.export.tables import group_table, score_table
from app.pages.sites import boxplots
from app.pages.sites.error_map import SiteMap
from app.pages.sites.grouping import GroupingSelect
from app.pages.sites.headings import BoxHeading, MapHeading, TableHeading
from app.pages.sites.median_cards import MedianCards
from app.pages.sites.site_panel import SitePanel
from app.pages.sites.table import SiteTable
from app.runtime.tasks import run_after_render
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.banner import Banner
from app.ui.card import card
from app.ui.page_layout import SIDE_BY_SIDE, STRETCHED, PageSection, stack
from app.ui.sidebar import Sidebar

_HALF = STRETCHED | {"flex": "1 1 440px"}
_SCROLLS = {"max-height": "480px", "overflow-y": "auto"}


def sites_page(selection: Selection, controller: SessionController) -> PageSection:
    """Return the page."""
    banner = Banner(selection, controller)
    controls = Sidebar(selection, controller.store)
    main = stack(banner.column)
    cards = _SiteCards(selection, controller)
    complete = False

    def refresh(runs_changed: bool) -> None:
        if runs_changed:
            controls.update()
        banner.refresh()

    def arrange(*_: param.parameterized.Event) -> None:
        # A plot that is rendered while hidden, or changed before it is rendered, has no size and fails in the
        # browser: a card without data is therefore removed from the page rather than hidden.
        if not main.visible:
            return
        wanted = [banner.column, *(cards.all_cards() if complete else cards.first_cards())]
        if main.objects != wanted:
            main.objects = wanted

    def arrange_all() -> None:
        nonlocal complete
        complete = True
        arrange()

    selection.param.watch(arrange, "evaluation")
    main.param.watch(arrange, "visible")
    arrange()
    # The top of the page is rendered first; the rest follows once the browser has rendered that.
    run_after_render(arrange_all)
    return PageSection(main, controls.column, refresh)


class _SiteCards:
    """The cards of the page, each created when there are data for it for the first time."""

    def __init__(self, selection: Selection, controller: SessionController) -> None:
        self._selection = selection
        self._store = controller.store
        self._export = ExportDialog(selection, controller.store)
        self._first: list[pn.viewable.Viewable] = []
        self._with_products: list[pn.viewable.Viewable] = []
        self._without_products: list[pn.viewable.Viewable] = []

    def first_cards(self) -> list[pn.viewable.Viewable]:
        """Return the top of the page: medians and map."""
        evaluation = self._selection.evaluation
        if evaluation is None:
            return []
        if not evaluation.products:
            return self.all_cards()
        self._first = self._first or [MedianCards(self._selection).column, self._map_card()]
        return self._first

    def all_cards(self) -> list[pn.viewable.Viewable]:
        """Return every card for which the evaluation has data, from top to bottom."""
        evaluation = self._selection.evaluation
        if evaluation is None:
            return []
        if not evaluation.products:
            self._without_products = self._without_products or [
                self._map_card(),
                self._site_panel(has_products=False),
                self._export.dialog,
            ]
            return self._without_products
        self._with_products = self._with_products or [
            *self.first_cards(),
            self._boxplot_row(),
            self._site_panel(has_products=True),
            self._table_card(),
            self._export.dialog,
        ]
        return self._with_products

    def _map_card(self) -> pn.Column:
        site_map = SiteMap(self._selection)
        item = ExportItem(
            title="map of sites",
            figures=lambda: {"Map": site_map.figure},
            tables={"Numbers": self._shown_sites},
        )
        return card(
            self._export.heading_row(MapHeading(self._selection).pane, item),
            site_map.background.switch,
            site_map.pane,
        )

    def _boxplot_row(self) -> pn.Row:
        cards = self._boxplots_by_group(), self._boxplots_by_product()
        return pn.Row(*cards, sizing_mode="stretch_width", stylesheets=[SIDE_BY_SIDE], margin=0)

    def _boxplots_by_group(self) -> pn.Column:
        selection, boxes = self._selection, boxplots.by_group(self._selection)
        item = ExportItem(
            title="scores by group of sites",
            figures=lambda: {"Boxplots": boxes.figure},
            tables={"Numbers": lambda: group_table(boxes.values, selection.metric, selection.grouping)},
        )
        return card(
            self._export.heading_row(BoxHeading(selection, by_group=True).pane, item),
            GroupingSelect(selection).widget,
            pn.Column(boxes.pane, styles=_SCROLLS, sizing_mode="stretch_width", margin=0),
            styles=_HALF,
        )

    def _boxplots_by_product(self) -> pn.Column:
        selection, boxes = self._selection, boxplots.by_product(self._selection)
        item = ExportItem(
            title="scores by product",
            figures=lambda: {"Boxplots": boxes.figure},
            tables={"Numbers": lambda: group_table(boxes.values, selection.metric, "product")},
        )
        heading = BoxHeading(selection, by_group=False).pane
        return card(self._export.heading_row(heading, item), boxes.pane, styles=_HALF)

    def _site_panel(self, *, has_products: bool) -> pn.Column:
        return SitePanel(self._selection, self._store, self._export, has_products=has_products).card

    def _table_card(self) -> pn.Column:
        item = ExportItem(title="table of sites", tables={"Numbers": self._shown_sites})
        heading = TableHeading(self._selection).pane
        return card(self._export.heading_row(heading, item), SiteTable(self._selection).table)

    def _shown_sites(self) -> pd.DataFrame:
        selection = self._selection
        return score_table(selection.evaluation, selection.shown, selection.product)
