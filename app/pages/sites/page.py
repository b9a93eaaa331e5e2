"""The Sites page: scores, map, boxplots, the series of one site, and the table of all."""

from __future__ import annotations

import pandas as pd
import panel as pn
import param

from app.export.dialog import ExportDialog, Item
from app.export.tables import of_groups, of_sites
from app.pages.sites import boxplots
from app.pages.sites.error_map import SiteMap
from app.pages.sites.grouping import Grouping
from app.pages.sites.headings import BoxHeading, MapHeading, TableHeading
from app.pages.sites.median_cards import MedianCards
from app.pages.sites.site_panel import SitePanel
from app.pages.sites.table import SiteTable
from app.runtime.tasks import soon
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.banner import Banner
from app.ui.card import card
from app.ui.page_layout import SIDE_BY_SIDE, STRETCHED, Part, stack
from app.ui.sidebar import Sidebar

_HALF = STRETCHED | {"flex": "1 1 440px"}
_SCROLLS = {"max-height": "480px", "overflow-y": "auto"}


def sites(selection: Selection, visitor: SessionController) -> Part:
    """Return the page."""
    banner = Banner(selection, visitor)
    controls = Sidebar(selection, visitor.store)
    main = stack(banner.column)
    views = _Views(selection, visitor)
    drawn = False

    def look(runs_changed: bool) -> None:
        if runs_changed:
            controls.follow()
        banner.look()

    def arrange(*_: param.parameterized.Event) -> None:
        # A plot that is drawn out of sight, or changed before it is drawn, has no size and fails in the browser:
        # what has nothing to show is therefore not on the page at all, rather than hidden.
        if not main.visible:
            return
        wanted = [banner.column, *(views.with_something_to_show() if drawn else views.first())]
        if main.objects != wanted:
            main.objects = wanted

    def arrange_all() -> None:
        nonlocal drawn
        drawn = True
        arrange()

    selection.param.watch(arrange, "evaluation")
    main.param.watch(arrange, "visible")
    arrange()
    # What is read first is drawn first; what lies below it comes when the browser has drawn that.
    soon(arrange_all)
    return Part(main, controls.column, look)


class _Views:
    """The views of the page, each made when there is something to draw in it for the first time."""

    def __init__(self, selection: Selection, visitor: SessionController) -> None:
        self._selection = selection
        self._visitor = visitor
        self._take = ExportDialog(selection, visitor.store)
        self._top: list[pn.viewable.Viewable] = []
        self._compared: list[pn.viewable.Viewable] = []
        self._alone: list[pn.viewable.Viewable] = []

    def first(self) -> list[pn.viewable.Viewable]:
        """Return the medians and the map alone, of what was loaded."""
        evaluation = self._selection.evaluation
        if evaluation is None:
            return []
        if not evaluation.products:
            return self.with_something_to_show()
        self._top = self._top or [MedianCards(self._selection).column, self._map()]
        return self._top

    def with_something_to_show(self) -> list[pn.viewable.Viewable]:
        """Return, from top to bottom, what can be drawn of what was loaded."""
        evaluation = self._selection.evaluation
        if evaluation is None:
            return []
        if not evaluation.products:
            self._alone = self._alone or [self._map(), self._site_panel(compared=False), self._take.dialog]
            return self._alone
        self._compared = self._compared or [*self.first(), *self._below()]
        return self._compared

    def _below(self) -> list[pn.viewable.Viewable]:
        selection, take = self._selection, self._take
        by_group, by_product = boxplots.by_group(selection), boxplots.by_product(selection)
        kinds = card(
            take.beside(
                BoxHeading(selection, by_group=True).pane,
                Item(
                    title="scores by kind of site",
                    figures=lambda: {"Boxes": by_group.figure},
                    tables={
                        "Numbers": lambda: of_groups(by_group.values, selection.metric, selection.grouping)
                    },
                ),
            ),
            Grouping(selection).widget,
            pn.Column(by_group.pane, styles=_SCROLLS, sizing_mode="stretch_width", margin=0),
            styles=_HALF,
        )
        products = card(
            take.beside(
                BoxHeading(selection, by_group=False).pane,
                Item(
                    title="scores by product",
                    figures=lambda: {"Boxes": by_product.figure},
                    tables={"Numbers": lambda: of_groups(by_product.values, selection.metric, "product")},
                ),
            ),
            by_product.pane,
            styles=_HALF,
        )
        boxes = pn.Row(kinds, products, sizing_mode="stretch_width", stylesheets=[SIDE_BY_SIDE], margin=0)
        listed = Item(title="table of sites", tables={"Numbers": self._sites})
        table = card(take.beside(TableHeading(selection).pane, listed), SiteTable(selection).table)
        return [boxes, self._site_panel(compared=True), table, take.dialog]

    def _map(self) -> pn.Column:
        site_map = SiteMap(self._selection)
        item = Item(
            title="map of sites", figures=lambda: {"Map": site_map.figure}, tables={"Numbers": self._sites}
        )
        return card(
            self._take.beside(MapHeading(self._selection).pane, item),
            site_map.background.switch,
            site_map.pane,
        )

    def _site_panel(self, *, compared: bool) -> pn.Column:
        return SitePanel(self._selection, self._visitor.store, self._take, compared=compared).card

    def _sites(self) -> pd.DataFrame:
        selection = self._selection
        return of_sites(selection.evaluation, selection.shown, selection.product)
