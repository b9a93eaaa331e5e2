"""Filters in the sidebar: sites shown, season, masks of days and minimum number of days."""

from __future__ import annotations

from html import escape

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param

from app.services.evaluation import ALL_YEAR, Evaluation
from app.services.site_filters import counts
from app.services.site_table import ASPECT, CLIMATE, LAND_COVER
from app.session.selection import FILTERS, KEEP, LEAVE_OUT, Selection
from app.ui.bound_widgets import UserChanges
from app.ui.workarounds.open_menus import update_if_changed
from gsm3core import vocabulary as v
from gsm3core.evaluation.day_masks import MASKS, missing_variables
from gsm3core.evaluation.stratified import LOCAL_SEASONS

_WIDE = {"sizing_mode": "stretch_width", "size": "small", "margin": (9, 16)}
_IN_GROUP = {**_WIDE, "margin": (9, 2)}
_LABELS = {v.REGION: "Region", v.NETWORK: "Network", LAND_COVER: "Land cover", CLIMATE: "Climate"}
_HELP = {
    v.REGION: "Only sites in these regions; all if none is selected.",
    v.NETWORK: "Only sites of these networks; all if none is selected.",
    LAND_COVER: "Only sites with these land covers; all if none is selected.",
    CLIMATE: "Only sites in these climates (Köppen-Geiger); all if none is selected.",
    "moisture_of": "Record whose mean soil moisture is filtered.",
    "moisture": "Only sites with a mean soil moisture in this range, m³ m⁻³.",
    "aspect": "Only sites with a slope aspect in this range: 1 faces the pole, −1 the equator.",
    "depth": "Only sites whose in-situ sensor is at a depth in this range, m.",
    "suspect": "Leave out sites whose in-situ record contradicts every product, or is unrelated to products that agree.",
    "season": "Scores of the days in this season at the site; July is winter in the southern hemisphere.",
    "min_days": "Scores with fewer paired days are left out.",
}
_ACCORDION = {
    "& .MuiAccordion-root": {"boxShadow": "none", "background": "none", "margin": "0 !important"},
    "& .MuiAccordionSummary-root": {"minHeight": "40px !important"},
    "& .MuiAccordionSummary-content": {"margin": "8px 0 !important", "fontSize": "14px"},
    "& .MuiAccordionDetails-root": {"padding": "0 14px 8px"},
}
_NOTE = """
:host { font-size: 12px; line-height: 1.4; color: var(--panel-on-surface-color); } p { margin: 4px 0; opacity: .85; }
"""
_TITLE = """
:host { color: var(--panel-on-surface-color); font-size: 13px; }
b { font-size: 14.5px; font-weight: 650; } span { opacity: .8; margin-left: 6px; }
"""


class FilterPanel:
    """Widgets bound to the filters of the selection."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._user_changes = UserChanges()
        self.attributes = {kind: self._multi_choice(kind) for kind in _LABELS}
        self.moisture_of = pmui.Select(
            label="Mean soil moisture by", options=[], description=_HELP["moisture_of"], **_IN_GROUP
        )
        self.moisture = self._range_slider("Mean soil moisture", "moisture", (0.0, 0.5), 0.01)
        self.aspect = self._range_slider("Poleward aspect", "aspect", (-1.0, 1.0), 0.05)
        self.depth = self._range_slider("Sensor depth", "depth", (0.0, 0.1), 0.01)
        self.masks = {name: self._mask(name) for name in MASKS}
        self._mask_note = pn.pane.HTML(stylesheets=[_NOTE], margin=(0, 2), sizing_mode="stretch_width")
        self.season = pmui.Select(
            label="Season",
            options={"All year": ALL_YEAR} | {s.capitalize(): s for s in LOCAL_SEASONS},
            value=selection.season,
            description=_HELP["season"],
            **_IN_GROUP,
        )
        self.min_days = pmui.IntInput(
            label="Minimum days",
            start=0,
            end=10_000,
            step=30,
            value=selection.min_days,
            description=_HELP["min_days"],
            **_IN_GROUP,
        )
        self.suspect = pmui.Checkbox(
            label="", value=False, size="small", description=_HELP["suspect"], margin=(2, 16),
            sizing_mode="stretch_width",
        )  # fmt: skip
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
            ("Network, land cover, climate", self._group(*list(self.attributes.values())[1:])),
            (
                "Mean soil moisture, aspect, depth",
                self._group(self.moisture_of, self.moisture, self.aspect, self.depth),
            ),
            (
                "Season and days",
                self._group(self.season, self.min_days, *self.masks.values(), self._mask_note),
            ),
            active=[],
            title_variant="body2",
            margin=(0, 4),
            sizing_mode="stretch_width",
            sx=_ACCORDION,
        )
        self.column = pn.Column(
            pn.Row(self._title, self.reset, sizing_mode="stretch_width", margin=(0, 6, 0, 16)),
            self.clear_area,
            self.attributes[v.REGION],
            self.suspect,
            groups,
            sizing_mode="stretch_width",
            margin=0,
        )
        self._user_changes.watch(
            self.suspect, lambda leave_out: setattr(selection, "suspect", LEAVE_OUT if leave_out else KEEP)
        )
        self._user_changes.watch(self.season, lambda value: setattr(selection, "season", value))
        self._user_changes.watch(self.min_days, lambda value: setattr(selection, "min_days", value or 0))
        self._user_changes.watch(self.moisture_of, lambda value: setattr(selection, "moisture_of", value))
        selection.param.watch(
            self.update, ["evaluation", "shown", "product", *FILTERS, "season", "masks", "min_days"]
        )
        self.update()

    def update(self, *_: param.parameterized.Event) -> None:
        """Show the selected filters, and how many sites each option leaves."""
        selection, evaluation = self._selection, self._selection.evaluation
        self.column.visible = evaluation is not None
        if evaluation is None or selection.shown is None:
            return
        filters = selection.filters
        with self._user_changes.silenced():
            for kind, widget in self.attributes.items():
                sites_left = counts(evaluation, filters, kind)
                options = {f"{name.replace('_', ' ')} ({n})": name for name, n in sites_left.items()}
                update_if_changed(
                    widget, options=options, value=list(getattr(filters, kind)), visible=len(sites_left) > 1
                )
            records = [str(name) for name in evaluation.moisture]
            wettest = evaluation.moisture.max(axis=None) if records else np.nan
            end = max(0.1, np.ceil(20 * wettest) / 20) if np.isfinite(wettest) else 0.5
            update_if_changed(self.moisture_of, options=records, value=filters.moisture_of)
            update_if_changed(self.moisture, end=float(end), value=filters.moisture or (0.0, float(end)))
            has_aspect = evaluation.sites[ASPECT].notna().any()
            update_if_changed(self.aspect, value=filters.aspect or (-1.0, 1.0), visible=bool(has_aspect))
            self._update_depth(evaluation, filters.depth)
            flagged = int((evaluation.sites["suspect"] != "").sum())
            update_if_changed(
                self.suspect, label=f"Without suspect in-situ records ({flagged})", value=filters.without_suspect,
                visible=bool(flagged) or filters.without_suspect,
            )  # fmt: skip
            self._update_masks(evaluation)
            update_if_changed(self.season, value=selection.season)
            update_if_changed(self.min_days, value=selection.min_days)
        shown, total = int(selection.shown.mask.sum()), len(evaluation.sites)
        self._title.object = f"<b>Filters</b><span>{shown} of {total} sites</span>"
        filtered = (
            shown < total or selection.season != ALL_YEAR or selection.min_days > 0 or bool(selection.masks)
        )
        update_if_changed(self.reset, disabled=not filtered)
        update_if_changed(self.clear_area, visible=bool(filters.polygon))

    def _mask(self, name: str) -> pmui.Checkbox:
        mask = MASKS[name]
        box = pmui.Checkbox(
            label=f"Without {mask.words}", value=False, size="small", description=mask.meaning, margin=(2, 2),
            sizing_mode="stretch_width",
        )  # fmt: skip

        def choose(chosen: bool) -> None:
            others = [n for n in self._selection.masks if n != name]
            self._selection.masks = [n for n in MASKS if n in [*others, *([name] if chosen else [])]]

        self._user_changes.watch(box, choose)
        return box

    def _update_masks(self, evaluation: Evaluation) -> None:
        """Show which masks are applied and how many days they remove, and why others cannot be."""
        for name, box in self.masks.items():
            update_if_changed(
                box, value=name in evaluation.masks, disabled=not evaluation.mask_sources.get(name)
            )
        lines = [
            f"No mask for {MASKS[name].words}: {why}."
            for name, why in missing_variables(evaluation.mask_sources).items()
        ]
        s = self._selection
        if evaluation.masks and s.product in evaluation.products:
            removed, total = evaluation.masked_days(s.product, s.shown.mask)
            lines.insert(0, f"Left out: {removed:,} of {total:,} paired days of {s.product}.")
        self._mask_note.object = "".join(f"<p>{escape(line)}</p>" for line in lines)

    def _update_depth(self, evaluation: Evaluation, limits: tuple[float, float] | None) -> None:
        depths = evaluation.sites[v.DEPTH].dropna()
        known = len(depths) > 0 and depths.min() < depths.max()
        # The slider has one centimetre steps: its ends are the depths rounded outwards.
        start, end = (
            (np.floor(100 * depths.min()) / 100, np.ceil(100 * depths.max()) / 100) if known else (0.0, 0.1)
        )
        value = limits or (float(start), float(end))
        update_if_changed(
            self.depth, start=float(start), end=float(end), value=value, visible=bool(known or limits)
        )

    def _multi_choice(self, kind: str) -> pmui.MultiChoice:
        widget = pmui.MultiChoice(
            label=_LABELS[kind],
            options={},
            value=[],
            description=_HELP[kind],
            searchable=True,
            **{k: x for k, x in (_WIDE if kind == v.REGION else _IN_GROUP).items() if k != "size"},
        )
        self._user_changes.watch(widget, lambda value: setattr(self._selection, kind, list(value)))
        return widget

    def _range_slider(
        self, label: str, name: str, ends: tuple[float, float], step: float
    ) -> pmui.RangeSlider:
        slider = pmui.RangeSlider(
            label=label,
            start=ends[0],
            end=ends[1],
            value=ends,
            step=step,
            description=_HELP[name],
            **_IN_GROUP,
        )

        def set_range(value: tuple[float, float]) -> None:
            # The whole range is no filter: it also shows sites without a value.
            whole = value[0] <= slider.start and value[1] >= slider.end
            setattr(self._selection, name, None if whole else tuple(value))

        self._user_changes.watch(slider, set_range, parameter="value_throttled")
        return slider

    def _group(self, *widgets: pn.viewable.Viewable) -> pn.Column:
        return pn.Column(*widgets, sizing_mode="stretch_width", margin=0)

    def _reset(self, _: param.parameterized.Event) -> None:
        self._selection.reset_filters()

    def _clear_area(self, _: param.parameterized.Event) -> None:
        self._selection.area = ()
