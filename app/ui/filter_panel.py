"""The filters in the sidebar: which sites are shown, and of which days their scores are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param

from app.services.evaluation import ALL_YEAR
from app.services.site_filters import counts
from app.services.site_table import ASPECT, CLIMATE, LAND_COVER
from app.session.selection import FILTERS, Selection
from gsm3core import vocabulary as v
from gsm3core.evaluation.stratified import LOCAL_SEASONS

_WIDE = {"sizing_mode": "stretch_width", "size": "small", "margin": (9, 16)}
_IN_GROUP = {**_WIDE, "margin": (9, 2)}
_LABELS = {v.REGION: "Region", v.NETWORK: "Network", LAND_COVER: "Land cover", CLIMATE: "Climate"}
_HELP = {
    v.REGION: "Only sites in these regions; all where none is chosen.",
    v.NETWORK: "Only sites of these networks; all where none is chosen.",
    LAND_COVER: "Only sites with these land covers; all where none is chosen.",
    CLIMATE: "Only sites in these climates (Köppen-Geiger); all where none is chosen.",
    "moisture_of": "Which record's mean soil moisture tells how wet a site is.",
    "moisture": "Only sites whose mean soil moisture lies in this range, m³ m⁻³.",
    "aspect": "Which way the slope faces: 1 to the pole (shaded), −1 to the equator (sunny).",
    "season": "Scores of these months only, as the season is at the site: July is winter in the south.",
    "min_days": "Scores made of fewer days than this are left out.",
}
_ACCORDION = {
    "& .MuiAccordion-root": {"boxShadow": "none", "background": "none", "margin": "0 !important"},
    "& .MuiAccordionSummary-root": {"minHeight": "40px !important"},
    "& .MuiAccordionSummary-content": {"margin": "8px 0 !important", "fontSize": "14px"},
    "& .MuiAccordionDetails-root": {"padding": "0 14px 8px"},
}
_TITLE = """
:host { color: var(--panel-on-surface-color); font-size: 13px; }
b { font-size: 14.5px; font-weight: 650; } span { opacity: .8; margin-left: 6px; }
"""


class FilterPanel:
    """Widgets that change the filters of a selection and follow it.

    Parameters
    ----------
    selection
        Of the visitor.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._following = False
        self.kinds = {kind: self._choice(kind) for kind in _LABELS}
        self.moisture_of = pmui.Select(
            label="Mean soil moisture by", options=[], description=_HELP["moisture_of"], **_IN_GROUP
        )
        self.moisture = self._range("Mean soil moisture", "moisture", (0.0, 0.5), 0.01)
        self.aspect = self._range("Poleward aspect", "aspect", (-1.0, 1.0), 0.05)
        self.season = pmui.Select(
            label="Season",
            options={"All year": ALL_YEAR} | {s.capitalize(): s for s in LOCAL_SEASONS},
            value=selection.season,
            description=_HELP["season"],
            **_IN_GROUP,
        )
        self.min_days = pmui.IntInput(
            label="Fewest days",
            start=0,
            end=10_000,
            step=30,
            value=selection.min_days,
            description=_HELP["min_days"],
            **_IN_GROUP,
        )
        self._title = pn.pane.HTML(stylesheets=[_TITLE], margin=(14, 0, 0, 0), sizing_mode="stretch_width")
        self.reset = pmui.Button(
            label="Reset", variant="text", size="small", margin=(8, 0, 0, 0), on_click=self._reset
        )
        self.clear_area = pmui.Button(
            label="Clear the area on the map",
            variant="outlined",
            size="small",
            margin=(4, 16),
            on_click=self._clear_area,
        )
        groups = pmui.Accordion(
            ("Network, land cover, climate", self._group(*list(self.kinds.values())[1:])),
            ("Mean soil moisture and aspect", self._group(self.moisture_of, self.moisture, self.aspect)),
            ("Season and days", self._group(self.season, self.min_days)),
            active=[],
            title_variant="body2",
            margin=(0, 4),
            sizing_mode="stretch_width",
            sx=_ACCORDION,
        )
        self.column = pn.Column(
            pn.Row(self._title, self.reset, sizing_mode="stretch_width", margin=(0, 6, 0, 16)),
            self.clear_area,
            self.kinds[v.REGION],
            groups,
            sizing_mode="stretch_width",
            margin=0,
        )
        self.season.param.watch(self._taker(lambda value: setattr(selection, "season", value)), "value")
        self.min_days.param.watch(
            self._taker(lambda value: setattr(selection, "min_days", value or 0)), "value"
        )
        self.moisture_of.param.watch(
            self._taker(lambda value: setattr(selection, "moisture_of", value)), "value"
        )
        selection.param.watch(self.follow, ["evaluation", "shown", *FILTERS, "season", "min_days"])
        self.follow()

    def follow(self, *_: param.parameterized.Event) -> None:
        """Show what is selected, and how many sites each choice would leave."""
        selection, evaluation = self._selection, self._selection.evaluation
        self.column.visible = evaluation is not None
        if evaluation is None or selection.shown is None:
            return
        filters = selection.filters
        with self._quietly():
            for kind, widget in self.kinds.items():
                found = counts(evaluation, filters, kind)
                options = {f"{name.replace('_', ' ')} ({n})": name for name, n in found.items()}
                _set(widget, options=options, value=list(getattr(filters, kind)), visible=len(found) > 1)
            records = [str(name) for name in evaluation.moisture]
            wettest = evaluation.moisture.max(axis=None) if records else np.nan
            end = max(0.1, np.ceil(20 * wettest) / 20) if np.isfinite(wettest) else 0.5
            _set(self.moisture_of, options=records, value=filters.moisture_of)
            _set(self.moisture, end=float(end), value=filters.moisture or (0.0, float(end)))
            known = evaluation.sites[ASPECT].notna().any()
            _set(self.aspect, value=filters.aspect or (-1.0, 1.0), visible=bool(known))
            _set(self.season, value=selection.season)
            _set(self.min_days, value=selection.min_days)
        left, every = int(selection.shown.mask.sum()), len(evaluation.sites)
        self._title.object = f"<b>Filters</b><span>{left} of {every} sites</span>"
        asked = left < every or selection.season != ALL_YEAR or selection.min_days > 0
        _set(self.reset, disabled=not asked)
        _set(self.clear_area, visible=bool(filters.area))

    def _choice(self, kind: str) -> pmui.MultiChoice:
        widget = pmui.MultiChoice(
            label=_LABELS[kind],
            options={},
            value=[],
            description=_HELP[kind],
            searchable=True,
            **{k: x for k, x in (_WIDE if kind == v.REGION else _IN_GROUP).items() if k != "size"},
        )
        widget.param.watch(self._taker(lambda value: setattr(self._selection, kind, list(value))), "value")
        return widget

    def _range(self, label: str, name: str, ends: tuple[float, float], step: float) -> pmui.RangeSlider:
        slider = pmui.RangeSlider(
            label=label,
            start=ends[0],
            end=ends[1],
            value=ends,
            step=step,
            description=_HELP[name],
            **_IN_GROUP,
        )

        def take(value: tuple[float, float]) -> None:
            # The whole range asks nothing: sites where the value is not known are then shown too.
            whole = value[0] <= slider.start and value[1] >= slider.end
            setattr(self._selection, name, None if whole else tuple(value))

        slider.param.watch(self._taker(take), "value_throttled")
        return slider

    def _group(self, *widgets: pn.viewable.Viewable) -> pn.Column:
        return pn.Column(*widgets, sizing_mode="stretch_width", margin=0)

    def _taker(self, take: Callable[[Any], None]) -> Callable[[param.parameterized.Event], None]:
        def taker(event: param.parameterized.Event) -> None:
            if not self._following and event.new is not None:
                take(event.new)

        return taker

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        self._following = True
        try:
            yield
        finally:
            self._following = False

    def _reset(self, _: param.parameterized.Event) -> None:
        self._selection.reset_filters()

    def _clear_area(self, _: param.parameterized.Event) -> None:
        self._selection.area = ()


def _set(widget: pn.viewable.Viewable, **values: object) -> None:
    """Change only what differs: what is sent to the browser closes an open menu."""
    changed = {name: value for name, value in values.items() if getattr(widget, name) != value}
    if changed:
        widget.param.update(**changed)
