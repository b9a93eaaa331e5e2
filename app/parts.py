"""The two parts of the page, Sites and Experiments: what stands where, each with its sidebar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import panel as pn
import param

from app.state import EXPERIMENTS, SITES, Selection
from app.views import boxplots
from app.views.banner import Banner
from app.views.card import card
from app.views.controls import Controls
from app.views.experiment_detail import ExperimentDetail
from app.views.experiment_form import ExperimentForm
from app.views.experiment_list import ExperimentList
from app.views.heading import BoxHeading, MapHeading, TableHeading
from app.views.headline import Headline
from app.views.site_map import SiteMap
from app.views.site_panel import SitePanel
from app.views.site_table import SiteTable
from app.visitor import Visitor

_STACK = ":host { gap: 14px; padding: 18px 20px; box-sizing: border-box; }"
_SIDE_BY_SIDE = ":host { flex-wrap: wrap; gap: 14px !important; align-items: stretch; }"
_STRETCHED = {"min-width": "0", "height": "auto", "align-self": "stretch"}


@dataclass(frozen=True)
class Part:
    """One part of the page.

    Parameters
    ----------
    main, sidebar
        What it shows, and what its visitor chooses.
    look
        Called now and then to show what has happened; told whether there are other runs to choose from.
    """

    main: pn.Column
    sidebar: pn.Column
    look: Callable[[bool], None]


def sites(selection: Selection, visitor: Visitor) -> Part:
    """Return the scores, the map and the series of the sites."""
    banner = Banner(selection, visitor)
    controls = Controls(selection, visitor.store)

    def look(runs_changed: bool) -> None:
        if runs_changed:
            controls.follow()
        banner.look()

    site_map = card(
        MapHeading(selection).pane, SiteMap(selection).pane, styles=_STRETCHED | {"flex": "3 1 500px"}
    )
    regions, products = boxplots.by_region(selection), boxplots.by_product(selection)
    boxes = card(
        BoxHeading(selection, by_region=True).pane,
        regions.pane,
        BoxHeading(selection, by_region=False).pane,
        products.pane,
        styles=_STRETCHED | {"flex": "2 1 360px"},
    )
    above = pn.Row(site_map, boxes, sizing_mode="stretch_width", stylesheets=[_SIDE_BY_SIDE], margin=0)
    site_panel = SitePanel(selection, visitor.store)
    table = card(TableHeading(selection).pane, SiteTable(selection).table)
    headline = Headline(selection)
    main = pn.Column(
        banner.column,
        headline.column,
        above,
        site_panel.card,
        table,
        sizing_mode="stretch_width",
        stylesheets=[_STACK],
        margin=0,
    )

    def leave_out_what_is_empty(*_: param.parameterized.Event) -> None:
        evaluation = selection.evaluation
        above.visible = site_panel.card.visible = evaluation is not None
        compared = evaluation is not None and bool(evaluation.products)
        headline.column.visible = boxes.visible = table.visible = compared

    selection.param.watch(leave_out_what_is_empty, "evaluation")
    leave_out_what_is_empty()
    return Part(main, controls.column, look)


def experiments(selection: Selection, visitor: Visitor) -> Part:
    """Return the form of a new experiment, the one that is followed, and the list of all."""
    form = ExperimentForm(selection, visitor.store, visitor.activity)
    detail = ExperimentDetail(selection, visitor.activity)
    listed = ExperimentList(selection, visitor.activity)

    def look(_: bool) -> None:
        detail.look()
        listed.look()

    main = pn.Column(detail.card, listed.card, sizing_mode="stretch_width", stylesheets=[_STACK], margin=0)
    return Part(main, form.column, look)


PARTS: dict[str, Callable[[Selection, Visitor], Part]] = {SITES: sites, EXPERIMENTS: experiments}
