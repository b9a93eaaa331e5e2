"""The layout of the page: header, navigation, and the part that is turned to."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui
import param
from bokeh.models import CustomJS
from panel.io.resources import LOCAL_DIST

from app.pages import PAGES
from app.runtime.batching import batched_updates
from app.runtime.session_expiry import expire_after_disconnect
from app.services.run_monitor import RunMonitor
from app.services.store import Store
from app.session import url as address
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.banner import simulated_strip
from app.ui.page_layout import Part
from app.ui.theme import THEME
from app.ui.workarounds.accessible_names import add_accessible_names
from gsm3core.resources import assets_folder

_LOOK_EVERY = 1000  # milliseconds
# The page shows through while it is drawn, instead of lying in the dark until the last plot is there. It takes no
# click before that: the answer would cross the first drawing on the wire (app.runtime.tasks.when_drawn).
_CALM_LOADER = """
#loader { background: none; cursor: progress; }
#loader .spinner { width: 34px; height: 34px; border-color: rgba(127,127,127,.25); border-top-color: #0f6b7b; }
"""
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


def make_page(store: Store, activity: RunMonitor) -> Page:
    """Return the page of one visitor.

    Parameters
    ----------
    store, activity
        Of the server.
    """
    if pn.state.curdoc is not None:
        # A browser so slow that its session has expired gets a new one, which Panel would point to its CDN.
        pn.state.curdoc.template_variables.setdefault("dist_url", LOCAL_DIST)
    expire_after_disconnect(pn.state.curdoc)
    query, unknown = address.from_query(_search())
    selection = Selection(**query)
    selection.batched_updates = batched_updates
    visitor = SessionController(selection, store, activity)
    visitor.load()

    main = pn.Column(simulated_strip(selection), sizing_mode="stretch_width", margin=0)
    sidebar = pn.Column(sizing_mode="stretch_width", margin=0)
    built: dict[str, Part] = {}

    def turn(*_: param.parameterized.Event) -> None:
        # A part is built when it is first turned to: the first visit then has half as much to draw.
        if selection.page not in built:
            part = built[selection.page] = PAGES[selection.page](selection, visitor)
            main.append(part.main)
            sidebar.append(part.sidebar)
        for name, part in built.items():
            part.main.visible = part.sidebar.visible = name == selection.page

    def look() -> None:
        with batched_updates():
            runs_changed = visitor.look()
            for name, part in built.items():
                if name == selection.page or runs_changed:
                    part.look(runs_changed)

    page = Page(
        title="GSM3",
        logo=assets_folder() / "logo.svg",
        favicon=assets_folder() / "favicon.svg",
        header=[_navigation(selection)],
        sidebar=[sidebar],
        sidebar_width=300,
        main=[main],
        theme_config=THEME,
        dark_theme=selection.dark,
        busy_indicator=None,
        raw_css=[_CALM_LOADER],
        sx=_PAGE_STYLE,
    )
    page.param.watch(
        lambda event: setattr(selection, "theme", "dark" if event.new else "light"), "dark_theme"
    )
    selection.param.watch(turn, "page")
    turn()
    if pn.state.curdoc is not None and pn.state.location is not None:
        address.follow(selection, pn.state.location)
        pn.state.onload(lambda: pn.state.add_periodic_callback(look, period=_LOOK_EVERY))
        # The browser's Back button changes the address alone: load the view that it stands for.
        back = CustomJS(code="window.addEventListener('popstate', () => window.location.reload())")
        pn.state.curdoc.js_on_event("document_ready", back, add_accessible_names())
        if unknown and pn.state.notifications is not None:
            pn.state.onload(
                lambda: pn.state.notifications.warning(
                    f"The address was not understood: {', '.join(unknown)}", duration=8000
                )
            )
    return page


def _navigation(selection: Selection) -> pmui.RadioButtonGroup:
    buttons = pmui.RadioButtonGroup(
        options={name.capitalize(): name for name in PAGES},
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
