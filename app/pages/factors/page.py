"""The Factors page: what goes along with good and bad scores, at the sites shown. Association, not cause."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui
import xarray as xr

from app.pages.factors.caveats import factor_note
from app.pages.factors.controls import FactorControls
from app.pages.factors.exports import EFFECT, EXPECTED, RANKING, STRATA, SURFACE, FactorExports
from app.pages.factors.labels import factor_label
from app.pages.factors.views import FactorViews, expected_heading
from app.services import factor_analysis as explaining
from app.services.factor_analysis import FactorQuery
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.async_panel import AsyncPanel
from app.ui.card import card, strip, told
from app.ui.map.point_map import MAP_CARD
from app.ui.page_layout import Part, side_by_side, stack
from app.ui.sidebar import Sidebar
from app.ui.status_line import StatusLine
from app.ui.visibility import while_visible
from gsm3core.factors import SkillModel
from gsm3core.factors.columns import MEAN, POLEWARD_ASPECT
from gsm3core.factors.importance import NOISE
from gsm3core.factors.table import ASSOCIATION

_EFFORTS = {"Quick: a minute or two": explaining.QUICK, "Thorough: many minutes": explaining.THOROUGH}
_SMALL = {"size": "small", "margin": (4, 12, 8, 0), "width": 260}
_BESIDE = {**MAP_CARD, "flex": "2 1 380px"}


def factors_page(selection: Selection, visitor: SessionController) -> Part:
    """Return the page."""
    controls = Sidebar(selection, visitor.store)
    page = _Factors(selection, visitor)

    def look(runs_changed: bool) -> None:
        if runs_changed:
            controls.follow()

    sidebar = pn.Column(controls.column, page.controls.column, sizing_mode="stretch_width", margin=0)
    return Part(page.main, sidebar, look)


class _Factors:
    """Puts the question, and lets each part of the page answer it in its own time."""

    def __init__(self, selection: Selection, visitor: SessionController) -> None:
        self._selection, self._store = selection, visitor.store
        self._question: FactorQuery | None = None
        self._following = False
        self.controls = FactorControls(selection, visitor.store)
        self._note = strip()
        self._waiting = StatusLine()
        self.main = stack(self._note, self._waiting.column)
        self._note.object = told(
            "warning", ASSOCIATION.partition(": ")[2].capitalize(), "Association, not cause."
        )
        self._asking: AsyncPanel[FactorQuery] = AsyncPanel(
            self.main, selection, "Putting every site's score beside its factors", self._take
        )
        self._strata: AsyncPanel[xr.Dataset] = AsyncPanel(
            self.main, selection, "Testing the strata", self._show_strata
        )
        self._effect: AsyncPanel[xr.Dataset] = AsyncPanel(
            self.main, selection, "Working out the effect of the factor", self._show_effect, long=True
        )
        self._surface: AsyncPanel[xr.Dataset] = AsyncPanel(
            self.main,
            selection,
            "Working out the effect of two factors together",
            self._show_surface,
            long=True,
        )
        self._importance: AsyncPanel[xr.Dataset] = AsyncPanel(
            self.main, selection, "Fitting models with sites held out in three ways; this takes a minute or more",
            self._show_importance, long=True,
        )  # fmt: skip
        self._skill: AsyncPanel[tuple[SkillModel, xr.Dataset]] = AsyncPanel(
            self.main,
            selection,
            "Fitting the expected score, with networks held out",
            self._show_skill,
            long=True,
        )
        self._views = FactorViews(selection)
        self.factor = _select("Factor", "Colours the map, and its effect is drawn below.", {})
        self.first = _select("Across", "One of the two factors whose effect together is drawn.", {})
        self.second = _select("Up", "The other one.", {})
        self.effort = _select(
            "How thorough", "More repeats give narrower intervals, and take longer.", _EFFORTS
        )
        self.effort.value = explaining.QUICK
        self._heads = FactorExports(
            selection, self._store, self._views, lambda: self.controls.bins, lambda: str(self.effort.value),
            lambda: str(self.factor.value),
        )  # fmt: skip
        self._rows = self._arrange()
        self.factor.param.watch(self._take_factor, "value")
        self.first.param.watch(lambda _: self._ask_surface(), "value")
        self.second.param.watch(lambda _: self._ask_surface(), "value")
        self.controls.param.watch(lambda _: self._ask_strata(), "bins")
        asked = ["shown", "evaluation", "metric", "product", "factor_moisture", "problem"]
        while_visible(self.main, selection, asked, self._ask)
        while_visible(self.main, selection, ["factor"], self._follow_factor)
        self._ask()

    def _arrange(self) -> list[pn.viewable.Viewable]:
        rank = pmui.Button(
            label="Rank the factors", variant="contained", icon="bar_chart", margin=(8, 12, 8, 0),
            on_click=lambda _: self._ask_importance(),
        )  # fmt: skip
        expect = pmui.Button(
            label="Work out the expected score", variant="contained", icon="map", margin=(8, 12, 8, 0),
            on_click=lambda _: self._ask_skill(),
        )  # fmt: skip
        return [
            card(self._strata.column),
            side_by_side(
                card(self._heads.map, *self._views.map.views, styles=MAP_CARD),
                card(self.factor, self._effect.column, styles=_BESIDE),
            ),
            card(self._heads.ranking, pn.Row(self.effort, rank, margin=0), self._importance.column),
            card(pn.Row(self.first, self.second, margin=0), self._surface.column),
            card(expected_heading(), expect, self._skill.column),
        ]

    def _ask(self) -> None:
        s, store = self._selection, self._store
        evaluation, shown, product, metric, moisture = (
            s.evaluation,
            s.shown,
            s.product,
            s.metric,
            s.factor_moisture,
        )
        if evaluation is None or shown is None:
            self.main.objects = [self._note, self._waiting.column]
            self._waiting.fail(s.problem) if s.problem else self._waiting.begin(s.working_on or "Reading")
            return
        self._waiting.end()
        for step in (self._strata, self._effect, self._surface, self._importance, self._skill):
            step.clear()
        self._heads.found.clear()
        self.main.objects = [self._note, self._asking.column]
        if product not in evaluation.products:
            self._waiting.rest(
                "There is no product whose scores could be explained. Choose a run, or add a product."
            )
            self.main.objects = [self._note, self._waiting.column]
            return
        known = {*explaining.moisture_records(store, evaluation.dataset).values(), ""}
        moisture = moisture if moisture in known else ""
        self._asking.ask(lambda: explaining.question(store, evaluation, shown, product, metric, moisture))

    def _take(self, asked: FactorQuery) -> list[pn.viewable.Viewable]:
        if self._asking.column not in self.main.objects:
            return []  # a new theme: the other steps draw themselves again
        self._question = self._heads.question = asked
        self._note.object = factor_note(asked)
        self._offer(asked)
        self.controls.show_moisture(asked.table.moisture.removeprefix(MEAN))
        self.main.objects = [self._note, *self._rows, self._heads.dialog]
        self._ask_strata()
        self._follow_factor()
        self._ask_surface()
        for effort in _EFFORTS.values():
            if explaining.is_kept(asked, "importance", effort):
                self.effort.value = effort
                self._ask_importance(quick=True)
        if explaining.is_kept(asked, "skill"):
            self._ask_skill(quick=True)
        return []

    def _offer(self, asked: FactorQuery) -> None:
        quantities = {factor_label(n): n for n in asked.quantities}
        chosen = self._selection.factor
        usual = [
            n for n in (POLEWARD_ASPECT, asked.table.moisture, *asked.quantities) if n in asked.quantities
        ]
        self._following = True
        self.factor.param.update(
            options={factor_label(n): n for n in asked.table.factors},
            value=chosen if chosen in asked.table.factors else next(iter([*usual, *asked.table.factors])),
        )
        for widget, otherwise in ((self.first, usual[:1]), (self.second, usual[1:2])):
            value = widget.value if widget.value in asked.quantities else next(iter(otherwise), None)
            widget.param.update(options=quantities, value=value)
        self._following = False

    def _take_factor(self, _: object) -> None:
        if not self._following and self.factor.value is not None:
            self._selection.factor = self.factor.value

    def _follow_factor(self) -> None:
        asked, chosen = self._question, self._selection.factor
        if asked is None:
            return
        if chosen in asked.table.factors and self.factor.value != chosen:
            self._following = True
            self.factor.value = chosen
            self._following = False
        name = self.factor.value
        self._views.map.show(asked, name, self._selection.metric)
        self._effect.ask(
            lambda: explaining.effect(asked, name), quick=explaining.is_kept(asked, "effect", name)
        )

    def _ask_strata(self) -> None:
        asked, bins = self._question, self.controls.bins
        if asked is not None:
            self._strata.ask(
                lambda: explaining.strata(asked, bins), quick=explaining.is_kept(asked, "strata", bins)
            )

    def _ask_surface(self) -> None:
        asked, first, second = self._question, self.first.value, self.second.value
        if asked is None or self._following or not first or not second:
            return
        quick = explaining.is_kept(asked, "surface", first, second)
        self._surface.ask(lambda: explaining.surface(asked, first, second), quick=quick)

    def _ask_importance(self, *, quick: bool = False) -> None:
        asked, effort = self._question, self.effort.value
        if asked is not None:
            self._importance.ask(lambda: explaining.importance(asked, effort), quick=quick)

    def _ask_skill(self, *, quick: bool = False) -> None:
        asked = self._question
        if asked is not None:
            self._skill.ask(lambda: explaining.skill(asked), quick=quick)

    def _show_strata(self, found: xr.Dataset) -> list[pn.viewable.Viewable]:
        s, asked = self._selection, self._question
        if asked is not None:
            self._views.strata.show(found, asked.product, asked.words, simulated=s.evaluation.simulated)
        self._heads.found[STRATA] = found
        return [self._heads.strata, self._views.strata.column]

    def _show_effect(self, found: xr.Dataset) -> list[pn.viewable.Viewable]:
        self._views.effect.show(found)
        self._heads.found[EFFECT] = found
        return [self._heads.effect, self._views.effect.column]

    def _show_surface(self, found: xr.Dataset) -> list[pn.viewable.Viewable]:
        self._views.surface.show(found)
        self._heads.found[SURFACE] = found
        return [self._heads.surface, self._views.surface.column]

    def _show_importance(self, found: xr.Dataset) -> list[pn.viewable.Viewable]:
        self._views.ranking.show(found)
        self._views.fits.show(found)
        self._heads.found[RANKING] = found
        top = [n for n in self._views.ranking.order if n != NOISE]
        if top and not self._selection.factor:
            self._selection.factor = top[0]
        return [self._views.ranking.column, self._views.fits.column]

    def _show_skill(self, found: tuple[SkillModel, xr.Dataset]) -> list[pn.viewable.Viewable]:
        if self._question is not None:
            self._views.skill.show(self._question, *found, self._selection.metric)
        self._heads.found[EXPECTED] = found[1]
        return [self._heads.expected, *self._views.skill.views]


def _select(label: str, description: str, options: dict[str, str]) -> pmui.Select:
    return pmui.Select(label=label, description=description, options=options, **_SMALL)
