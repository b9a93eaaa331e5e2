"""The Overview page: loaded data, product skill, warnings, and the comparison with the published Table 1."""

from __future__ import annotations

import panel as pn

from app.export.dialog import ExportDialog
from app.pages.overview.error_types_card import ErrorTypesCard
from app.pages.overview.loaded_data import LoadedDataCard
from app.pages.overview.product_skill import ProductSkillCard
from app.pages.overview.published_table import PublishedTableCard
from app.pages.overview.report_card import ReportCard
from app.pages.overview.warnings_card import WarningsCard
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.banner import Banner
from app.ui.page_layout import PageSection, stack
from app.ui.sidebar import Sidebar
from app.ui.visibility import while_visible

_WATCHED = ("shown", "product", "metric", "theme")


def overview_page(selection: Selection, controller: SessionController) -> PageSection:
    """Return the page."""
    banner = Banner(selection, controller)
    controls = Sidebar(selection, controller.store)
    cards = _OverviewCards(selection, controller)
    main = stack(banner.column, cards.column)
    while_visible(main, selection, _WATCHED, cards.update)
    cards.update()

    def refresh(runs_changed: bool) -> None:
        if runs_changed:
            controls.update()
            cards.update()
        banner.refresh()
        cards.warnings.refresh()

    return PageSection(main, controls.column, refresh)


class _OverviewCards:
    """The cards of the page: text and tables, which may be drawn while the page is hidden."""

    def __init__(self, selection: Selection, controller: SessionController) -> None:
        self._selection = selection
        store, export = controller.store, ExportDialog(selection, controller.store)
        self._loaded_data = LoadedDataCard(store)
        self._skill = ProductSkillCard(selection, store, export)
        self._published = PublishedTableCard(store, export)
        self._error_types = ErrorTypesCard(store, export)
        self.warnings = WarningsCard(selection, controller.monitor)
        self.column = pn.Column(
            self._loaded_data.card,
            self._skill.card,
            self.warnings.card,
            self._published.card,
            self._error_types.card,
            ReportCard(selection, store).card,
            export.dialog,
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[":host { gap: 14px; }"],
            visible=False,
        )

    def update(self) -> None:
        """Show the current selection."""
        evaluation, shown = self._selection.evaluation, self._selection.shown
        self.column.visible = evaluation is not None
        if evaluation is None or shown is None:
            return
        self._loaded_data.update(evaluation)
        self.warnings.update(evaluation, shown)
        self._skill.update(evaluation, shown)
        self._published.update(evaluation)
        self._error_types.update(evaluation, self._selection.metric)
