"""Page shell: header, navigation and the selected page."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui
import param
from bokeh.models import CustomJS

from app.pages import PAGES
from app.runtime.batching import batched_updates
from app.runtime.session_expiry import expire_after_disconnect
from app.services.run_monitor import RunMonitor
from app.services.store import Store
from app.session.controller import SessionController
from app.session.selection import Selection
from app.session.url import from_query, sync_url
from app.ui.banner import conditions_message, simulated_data_message
from app.ui.page_layout import PageSection
from app.ui.theme import THEME
from app.ui.workarounds.accessible_names import add_accessible_names
from app.ui.workarounds.busy_flag import SessionPage
from app.ui.workarounds.loading_overlay import TRANSPARENT_OVERLAY
from app.ui.workarounds.local_resources import use_local_stylesheets
from gsm3core.resources import assets_folder

_POLL_MILLISECONDS = 1000
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


def make_page(store: Store, monitor: RunMonitor) -> SessionPage:
    """Return the page of a new session; store and monitor are shared by all sessions."""
    use_local_stylesheets(pn.state.curdoc)
    expire_after_disconnect(pn.state.curdoc)
    query, invalid = from_query(_search())
    selection = Selection(**query)
    selection.batched_updates = batched_updates
    controller = SessionController(selection, store, monitor)
    controller.load()

    main = pn.Column(
        simulated_data_message(selection),
        conditions_message(selection),
        sizing_mode="stretch_width",
        margin=0,
    )
    sidebar = pn.Column(sizing_mode="stretch_width", margin=0)
    sections: dict[str, PageSection] = {}

    def show_section(*_: param.parameterized.Event) -> None:
        # A section is built when it is first selected, which halves the time until the first page is rendered.
        if selection.page not in sections:
            section = sections[selection.page] = PAGES[selection.page](selection, controller)
            main.append(section.main)
            sidebar.append(section.sidebar)
        for name, section in sections.items():
            section.main.visible = section.sidebar.visible = name == selection.page

    def poll() -> None:
        with batched_updates():
            runs_changed = controller.poll_runs()
            for name, section in sections.items():
                if name == selection.page or runs_changed:
                    section.refresh(runs_changed)

    page = SessionPage(
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
        raw_css=[TRANSPARENT_OVERLAY],
        sx=_PAGE_STYLE,
    )
    page.param.watch(
        lambda event: setattr(selection, "theme", "dark" if event.new else "light"), "dark_theme"
    )
    selection.param.watch(show_section, "page")
    show_section()
    if pn.state.curdoc is not None and pn.state.location is not None:
        sync_url(selection, pn.state.location)
        pn.state.onload(lambda: pn.state.add_periodic_callback(poll, period=_POLL_MILLISECONDS))
        # The browser's Back button changes the URL without loading it.
        reload = CustomJS(code="window.addEventListener('popstate', () => window.location.reload())")
        pn.state.curdoc.js_on_event("document_ready", reload, add_accessible_names())
        if invalid and pn.state.notifications is not None:
            pn.state.onload(
                lambda: pn.state.notifications.warning(
                    f"Unknown values in the URL were ignored: {', '.join(invalid)}", duration=8000
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
