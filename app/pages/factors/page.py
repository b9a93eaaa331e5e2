"""The Factors page: factors associated with a product's scores at the sites shown."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui
import xarray as xr

from app.pages.factors.caveats import association_note, factor_note
from app.pages.factors.controls import FactorControls
from app.pages.factors.exports import EFFECT, EXPECTED, IMPORTANCE, STRATA, SURFACE, FactorExports
from app.pages.factors.labels import factor_label
from app.pages.factors.views import FactorViews, expected_heading
from app.services import factor_analysis
from app.services.factor_analysis import FactorQuery
from app.services.store import Store
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.async_panel import AsyncPanel
from app.ui.bound_widgets import UserChanges
from app.ui.card import card, message_pane
from app.ui.map.point_map import MAP_CARD
from app.ui.page_layout import PageSection, side_by_side, stack
from app.ui.sidebar import Sidebar
from app.ui.status_line import StatusLine
from app.ui.visibility import while_visible
from gsm3core.factors import SkillModel
from gsm3core.factors.columns import MEAN, POLEWARD_ASPECT
from gsm3core.factors.importance import NOISE

_EFFORTS = {
    "Quick: 1 to 2 minutes": factor_analysis.QUICK,
    "Thorough: many minutes": factor_analysis.THOROUGH,
}
_SMALL = {"size": "small", "margin": (4, 12, 8, 0), "width": 260}
_BESIDE = {**MAP_CARD, "flex": "2 1 380px"}


def factors_page(selection: Selection, controller: SessionController) -> PageSection:
    """Return the page."""
    sidebar = Sidebar(selection, controller.store)
    page = _FactorsPage(selection, controller.store)

    def refresh(runs_changed: bool) -> None:
        if runs_changed:
            sidebar.update()

    column = pn.Column(sidebar.column, page.controls.column, sizing_mode="stretch_width", margin=0)
    return PageSection(page.main, column, refresh)


class _FactorsPage:
    """Requests the factor query for the selection; each panel then computes its result independently."""

    def __init__(self, selection: Selection, store: Store) -> None:
        self._selection, self._store = selection, store
        self._query: FactorQuery | None = None
        self._changes = UserChanges()
        self.controls = FactorControls(selection, store)
        self._note = message_pane()
        self._note.object = association_note()
        self._status = StatusLine()
        self.main = stack(self._note, self._status.column)
        self._make_panels()
        self._make_widgets()
        self._views = FactorViews(selection)
        self._exports = FactorExports(
            selection, store, self._views, lambda: self.controls.bins, lambda: str(self.effort.value),
            lambda: str(self.factor.value),
        )  # fmt: skip
        self._rows = self._layout()
        self._changes.watch(self.factor, self._select_factor)
        for widget in (self.first, self.second):
            self._changes.watch(widget, lambda _: self._compute_surface())
        self.controls.param.watch(lambda _: self._compute_strata(), "bins")
        inputs = ["shown", "evaluation", "metric", "product", "factor_moisture", "problem"]
        while_visible(self.main, selection, inputs, self._request_query)
        while_visible(self.main, selection, ["factor"], self._update_factor)
        self._request_query()

    def _make_panels(self) -> None:
        main, selection = self.main, self._selection
        self._query_panel: AsyncPanel[FactorQuery] = AsyncPanel(
            main, selection, "Building the factor table", self._show_query
        )
        self._strata: AsyncPanel[xr.Dataset] = AsyncPanel(
            main, selection, "Testing differences between strata", self._show_strata
        )
        self._effect: AsyncPanel[xr.Dataset] = AsyncPanel(
            main, selection, "Computing the effect of the factor", self._show_effect, long=True
        )
        self._surface: AsyncPanel[xr.Dataset] = AsyncPanel(
            main, selection, "Computing the joint effect of two factors", self._show_surface, long=True
        )
        self._importance: AsyncPanel[xr.Dataset] = AsyncPanel(
            main, selection, "Cross-validating models with three hold-out schemes; this takes a minute or more",
            self._show_importance, long=True,
        )  # fmt: skip
        self._skill: AsyncPanel[tuple[SkillModel, xr.Dataset]] = AsyncPanel(
            main, selection, "Fitting expected skill, cross-validated by network", self._show_skill, long=True
        )

    def _make_widgets(self) -> None:
        self.factor = _select("Factor", "Factor shown on the map and in the effect plot.", {})
        self.first = _select("Horizontal axis", "First factor of the joint effect.", {})
        self.second = _select("Vertical axis", "Second factor of the joint effect.", {})
        self.effort = _select("Repeats", "More repeats give narrower intervals and take longer.", _EFFORTS)
        self.effort.value = factor_analysis.QUICK

    def _layout(self) -> list[pn.viewable.Viewable]:
        compute_importance = pmui.Button(
            label="Compute importance", variant="contained", icon="bar_chart", margin=(8, 12, 8, 0),
            on_click=lambda _: self._compute_importance(),
        )  # fmt: skip
        compute_skill = pmui.Button(
            label="Compute expected skill", variant="contained", icon="map", margin=(8, 12, 8, 0),
            on_click=lambda _: self._compute_skill(),
        )  # fmt: skip
        return [
            card(self._strata.column),
            side_by_side(
                card(self._exports.map, *self._views.map.views, styles=MAP_CARD),
                card(self.factor, self._effect.column, styles=_BESIDE),
            ),
            card(
                self._exports.importance,
                pn.Row(self.effort, compute_importance, margin=0),
                self._importance.column,
            ),
            card(pn.Row(self.first, self.second, margin=0), self._surface.column),
            card(expected_heading(), compute_skill, self._skill.column),
        ]

    def _request_query(self) -> None:
        s, store = self._selection, self._store
        evaluation, shown, product, metric = s.evaluation, s.shown, s.product, s.metric
        if evaluation is None or shown is None:
            self.main.objects = [self._note, self._status.column]
            self._status.fail(s.problem) if s.problem else self._status.begin(s.loading_message or "Reading")
            return
        self._status.end()
        for panel in (self._strata, self._effect, self._surface, self._importance, self._skill):
            panel.clear()
        self._exports.results.clear()
        self.main.objects = [self._note, self._query_panel.column]
        if product not in evaluation.products:
            self._status.show_hint("No product has scores to analyse. Choose a run or add a product.")
            self.main.objects = [self._note, self._status.column]
            return
        records = {*factor_analysis.moisture_records(store, evaluation.dataset).values(), ""}
        moisture = s.factor_moisture if s.factor_moisture in records else ""
        self._query_panel.compute(
            lambda: factor_analysis.factor_query(store, evaluation, shown, product, metric, moisture)
        )

    def _show_query(self, query: FactorQuery) -> list[pn.viewable.Viewable]:
        if self._query_panel.column not in self.main.objects:
            return []  # a new theme: the other panels redraw themselves
        self._query = self._exports.query = query
        self._note.object = factor_note(query)
        self._update_widgets(query)
        self.controls.show_moisture(query.table.moisture.removeprefix(MEAN))
        self.main.objects = [self._note, *self._rows, self._exports.dialog]
        self._compute_strata()
        self._update_factor()
        self._compute_surface()
        for effort in _EFFORTS.values():
            if factor_analysis.is_cached(query, "importance", effort):
                self.effort.value = effort
                self._compute_importance(quick=True)
        if factor_analysis.is_cached(query, "skill"):
            self._compute_skill(quick=True)
        return []

    def _update_widgets(self, query: FactorQuery) -> None:
        quantities = {factor_label(n): n for n in query.quantities}
        factors = query.table.factors
        chosen = self._selection.factor
        preferred = (POLEWARD_ASPECT, query.table.moisture, *query.quantities)
        defaults = [n for n in preferred if n in query.quantities]
        with self._changes.silenced():
            self.factor.param.update(
                options={factor_label(n): n for n in factors},
                value=chosen if chosen in factors else next(iter([*defaults, *factors])),
            )
            for widget, default in ((self.first, defaults[:1]), (self.second, defaults[1:2])):
                value = widget.value if widget.value in query.quantities else next(iter(default), None)
                widget.param.update(options=quantities, value=value)

    def _select_factor(self, factor: str) -> None:
        self._selection.factor = factor

    def _update_factor(self) -> None:
        query, chosen = self._query, self._selection.factor
        if query is None:
            return
        if chosen in query.table.factors and self.factor.value != chosen:
            with self._changes.silenced():
                self.factor.value = chosen
        name = self.factor.value
        self._views.map.show(query, name, self._selection.metric)
        self._effect.compute(
            lambda: factor_analysis.effect(query, name),
            immediate=factor_analysis.is_cached(query, "effect", name),
        )

    def _compute_strata(self) -> None:
        query, bins = self._query, self.controls.bins
        if query is not None:
            self._strata.compute(
                lambda: factor_analysis.strata(query, bins),
                immediate=factor_analysis.is_cached(query, "strata", bins),
            )

    def _compute_surface(self) -> None:
        query, first, second = self._query, self.first.value, self.second.value
        if query is None or not first or not second:
            return
        quick = factor_analysis.is_cached(query, "surface", first, second)
        self._surface.compute(lambda: factor_analysis.surface(query, first, second), immediate=quick)

    def _compute_importance(self, *, quick: bool = False) -> None:
        query, effort = self._query, self.effort.value
        if query is not None:
            self._importance.compute(lambda: factor_analysis.importance(query, effort), immediate=quick)

    def _compute_skill(self, *, quick: bool = False) -> None:
        query = self._query
        if query is not None:
            self._skill.compute(lambda: factor_analysis.skill(query), immediate=quick)

    def _show_strata(self, strata: xr.Dataset) -> list[pn.viewable.Viewable]:
        s, query = self._selection, self._query
        if query is not None:
            self._views.strata.show(strata, query.product, query.words, simulated=s.evaluation.simulated)
        self._exports.results[STRATA] = strata
        return [self._exports.strata, self._views.strata.column]

    def _show_effect(self, effect: xr.Dataset) -> list[pn.viewable.Viewable]:
        self._views.effect.show(effect)
        self._exports.results[EFFECT] = effect
        return [self._exports.effect, self._views.effect.column]

    def _show_surface(self, surface: xr.Dataset) -> list[pn.viewable.Viewable]:
        self._views.surface.show(surface)
        self._exports.results[SURFACE] = surface
        return [self._exports.surface, self._views.surface.column]

    def _show_importance(self, importance: xr.Dataset) -> list[pn.viewable.Viewable]:
        self._views.importance.show(importance)
        self._views.cross_validation.show(importance)
        self._exports.results[IMPORTANCE] = importance
        top = [n for n in self._views.importance.order if n != NOISE]
        if top and not self._selection.factor:
            self._selection.factor = top[0]
        return [self._views.importance.column, self._views.cross_validation.column]

    def _show_skill(self, result: tuple[SkillModel, xr.Dataset]) -> list[pn.viewable.Viewable]:
        model, expected = result
        if self._query is not None:
            self._views.skill.show(self._query, model, expected, self._selection.metric)
        self._exports.results[EXPECTED] = expected
        return [self._exports.expected, *self._views.skill.views]


def _select(label: str, description: str, options: dict[str, str]) -> pmui.Select:
    return pmui.Select(label=label, description=description, options=options, **_SMALL)
