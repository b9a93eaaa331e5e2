"""The layout of the page: header, sidebar, the Sites page and the Experiments page."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui
import param
from bokeh.models import CustomJS

from app import address
from app.activity import Activity
from app.state import EXPERIMENTS, SITES, Selection
from app.store import Store
from app.theme import THEME
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
from gsm3core.resources import assets_folder

_LOOK_EVERY = 1000  # milliseconds
_STACK = ":host { gap: 14px; padding: 18px 20px; box-sizing: border-box; }"
_SIDE_BY_SIDE = ":host { flex-wrap: wrap; gap: 14px !important; align-items: stretch; }"
_STRETCHED = {"min-width": "0", "height": "auto", "align-self": "stretch"}
_NAVIGATION = {"Sites": SITES, "Experiments": EXPERIMENTS}
_PAGE_STYLE = {
    "& .header": {
        "backgroundColor": "#124d5a",
        "backgroundImage": "none",
        "color": "#ffffff",
        "boxShadow": "none",
    },
    "&.mui-dark .header": {"backgroundColor": "#12343c"},
    "& .main": {"backgroundColor": "background.default"},
    "& .header .title": {"fontSize": "1.35rem", "fontWeight": 650},
}


class Page(pmui.Page):
    """The page of this application.

    pmui's own page follows Panel's busy flag, of which there is one for the whole process: every action of
    every visitor then updates everybody's page, and keeps the pages of those who have left. Not this one.
    """

    busy = param.Parameter(default=False, allow_refs=False, doc="Always false.")

    def __init__(self, **params: object) -> None:
        super().__init__(**params)
        self.busy = False


def make_page(store: Store, activity: Activity) -> Page:
    """Return the page of one visitor.

    Parameters
    ----------
    store, activity
        Of the server.
    """
    query, unknown = address.from_query(_search())
    selection = Selection(**query)
    visitor = Visitor(selection, store, activity)
    visitor.load()

    banner = Banner(selection, visitor)
    controls = Controls(selection, store)
    form = ExperimentForm(selection, store, activity)
    detail = ExperimentDetail(selection, activity)
    experiments = ExperimentList(selection, activity)
    sites_page = _sites(selection, store, banner)
    experiments_page = pn.Column(
        detail.card, experiments.card, sizing_mode="stretch_width", stylesheets=[_STACK], margin=0
    )

    def turn(*_: param.parameterized.Event) -> None:
        on_sites = selection.page == SITES
        sites_page.visible = controls.column.visible = on_sites
        experiments_page.visible = form.column.visible = not on_sites

    def look() -> None:
        if visitor.look():
            controls.follow()
        banner.look()
        if selection.page == EXPERIMENTS:
            detail.look()
            experiments.look()

    page = Page(
        title="GSM3",
        logo=assets_folder() / "logo.svg",
        favicon=assets_folder() / "favicon.svg",
        header=[_navigation(selection)],
        sidebar=[controls.column, form.column],
        sidebar_width=300,
        main=[sites_page, experiments_page],
        theme_config=THEME,
        dark_theme=selection.dark,
        busy_indicator=None,
        sx=_PAGE_STYLE,
    )
    page.param.watch(
        lambda event: setattr(selection, "theme", "dark" if event.new else "light"), "dark_theme"
    )
    selection.param.watch(turn, "page")
    turn()
    look()
    if pn.state.curdoc is not None and pn.state.location is not None:
        address.follow(selection, pn.state.location)
        pn.state.add_periodic_callback(look, period=_LOOK_EVERY)
        # The browser's Back button changes the address alone: load the view that it stands for.
        back = CustomJS(code="window.addEventListener('popstate', () => window.location.reload())")
        pn.state.curdoc.js_on_event("document_ready", back)
        if unknown and pn.state.notifications is not None:
            pn.state.onload(
                lambda: pn.state.notifications.warning(
                    f"The address was not understood: {', '.join(unknown)}", duration=8000
                )
            )
    return page


def _sites(selection: Selection, store: Store, banner: Banner) -> pn.Column:
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
    table = card(TableHeading(selection).pane, SiteTable(selection).table)
    return pn.Column(
        banner.column,
        Headline(selection).row,
        above,
        SitePanel(selection, store).card,
        table,
        sizing_mode="stretch_width",
        stylesheets=[_STACK],
        margin=0,
    )


def _navigation(selection: Selection) -> pmui.RadioButtonGroup:
    buttons = pmui.RadioButtonGroup(
        options=_NAVIGATION,
        value=selection.page,
        size="small",
        margin=(0, 24),
        color="light",
        sx={
            "& .MuiToggleButton-root": {
                "color": "rgba(255,255,255,.75)",
                "borderColor": "rgba(255,255,255,.35)",
                "textTransform": "none",
                "fontSize": "0.95rem",
                "padding": "4px 16px",
            },
            "& .MuiToggleButton-root.Mui-selected": {
                "color": "#ffffff",
                "backgroundColor": "rgba(255,255,255,.18)",
            },
        },
    )
    buttons.param.watch(lambda event: setattr(selection, "page", event.new), "value")
    selection.param.watch(lambda event: setattr(buttons, "value", event.new), "page")
    return buttons


def _search() -> str:
    return str(pn.state.location.search) if pn.state.location is not None else ""
