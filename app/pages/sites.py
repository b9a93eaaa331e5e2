"""The Sites page: scores, map, boxplots, the series of one site, and the table of all."""

from __future__ import annotations

import panel as pn
import param

from app.pages.part import SIDE_BY_SIDE, STRETCHED, Part, stack
from app.state import Selection
from app.views import boxplots
from app.views.banner import Banner
from app.views.card import card
from app.views.controls import Controls
from app.views.heading import BoxHeading, MapHeading, TableHeading
from app.views.headline import Headline
from app.views.site_map import SiteMap
from app.views.site_panel import SitePanel
from app.views.site_table import SiteTable
from app.visitor import Visitor


def sites(selection: Selection, visitor: Visitor) -> Part:
    """Return the page."""
    banner = Banner(selection, visitor)
    controls = Controls(selection, visitor.store)
    main = stack(banner.column)
    views = _Views(selection, visitor)

    def look(runs_changed: bool) -> None:
        if runs_changed:
            controls.follow()
        banner.look()

    def arrange(*_: param.parameterized.Event) -> None:
        # A plot that is drawn out of sight, or changed before it is drawn, has no size and fails in the browser:
        # what has nothing to show is therefore not on the page at all, rather than hidden.
        if not main.visible:
            return
        wanted = [banner.column, *views.with_something_to_show()]
        if main.objects != wanted:
            main.objects = wanted

    selection.param.watch(arrange, "evaluation")
    main.param.watch(arrange, "visible")
    arrange()
    return Part(main, controls.column, look)


class _Views:
    """The views of the page, each made when there is something to draw in it for the first time."""

    def __init__(self, selection: Selection, visitor: Visitor) -> None:
        self._selection = selection
        self._visitor = visitor
        self._compared: list[pn.viewable.Viewable] = []
        self._alone: list[pn.viewable.Viewable] = []

    def with_something_to_show(self) -> list[pn.viewable.Viewable]:
        """Return, from top to bottom, what can be drawn of what was loaded."""
        evaluation = self._selection.evaluation
        if evaluation is None:
            return []
        if not evaluation.products:
            self._alone = self._alone or [self._map(), self._site_panel()]
            return self._alone
        self._compared = self._compared or self._all()
        return self._compared

    def _all(self) -> list[pn.viewable.Viewable]:
        selection = self._selection
        boxes = card(
            BoxHeading(selection, by_region=True).pane,
            boxplots.by_region(selection).pane,
            BoxHeading(selection, by_region=False).pane,
            boxplots.by_product(selection).pane,
            styles=STRETCHED | {"flex": "2 1 360px"},
        )
        above = pn.Row(self._map(), boxes, sizing_mode="stretch_width", stylesheets=[SIDE_BY_SIDE], margin=0)
        table = card(TableHeading(selection).pane, SiteTable(selection).table)
        return [Headline(selection).column, above, self._site_panel(), table]

    def _map(self) -> pn.Column:
        selection = self._selection
        return card(
            MapHeading(selection).pane, SiteMap(selection).pane, styles=STRETCHED | {"flex": "3 1 500px"}
        )

    def _site_panel(self) -> pn.Column:
        return SitePanel(self._selection, self._visitor.store).card
