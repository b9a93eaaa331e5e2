"""The map: every site coloured by the score of one product; a click selects the nearest site."""

from __future__ import annotations

import numpy as np
import pandas as pd
import panel as pn
import param
from bokeh.events import Event, Tap
from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    CustomJS,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    Range1d,
)
from bokeh.plotting import figure

from app.basemap import Basemap
from app.state import Selection
from app.theme import SCALES, colours, quiet
from gsm3core import vocabulary as v

_CLICK_REACH = 0.02  # of the width of the map: some fifteen pixels
_SMALLEST_EXTENT = 600_000.0  # metres: a single site is shown with its surroundings
_HOVER = """
<div style="font-size:13px;line-height:1.45;max-width:280px">
<b>@station</b><br>@network &middot; @region<br>{value}</div>
"""
_SCORED = "<b>@label</b><br>@n_valid days"
_UNSCORED = "no score: @reason"

# One metre is as long up as across whatever the shape of the pane; a resize keeps what is in view.
_FIT = """
const w = fig.inner_width, h = fig.inner_height
if (!(w > 0 && h > 0)) return
const {x: [x0, x1], y: [y0, y1]} = extent.data
let cx = (x0 + x1) / 2, cy = (y0 + y1) / 2, scale = Math.max((x1 - x0) / w, (y1 - y0) / h)
const before = extent.tags[0]
if (cb_obj !== extent && before != null && before.w > 0) {
  cx = (fig.x_range.start + fig.x_range.end) / 2
  cy = (fig.y_range.start + fig.y_range.end) / 2
  scale = (fig.x_range.end - fig.x_range.start) / before.w
  if (before.untouched) scale = Math.max((x1 - x0) / w, (y1 - y0) / h)
}
const xr = {start: cx - scale * w / 2, end: cx + scale * w / 2}
const yr = {start: cy - scale * h / 2, end: cy + scale * h / 2}
extent.tags = [{w, untouched: cb_obj === extent || before == null || before.untouched}]
fig.x_range.setv({...xr, reset_start: xr.start, reset_end: xr.end})
fig.y_range.setv({...yr, reset_start: yr.start, reset_end: yr.end})
"""

# Points grow as one zooms in: small where a continent's sites share a thumbnail, large enough to click elsewhere.
_GROW = """
const metres_per_pixel = (fig.x_range.end - fig.x_range.start) / fig.inner_width
if (!(metres_per_pixel > 0)) return
const factor = Math.min(1.7, Math.max(0.55, Math.pow(14000 / metres_per_pixel, 0.35)))
const size = extent.data.size[0] * factor
for (const glyph of glyphs) {
  if (Math.abs(glyph.size.value - size) > 0.3) glyph.size = {value: size}
}
"""


class SiteMap:
    """Sites on a map.

    Parameters
    ----------
    selection
        What to show; a click changes its site.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._scored = ColumnDataSource(data=_columns(_no_sites()))
        self._unscored = ColumnDataSource(data=_columns(_no_sites()))
        self._chosen = ColumnDataSource(data={"x": [], "y": []})
        self._extent = ColumnDataSource(data=_extent(_no_sites()))
        self._mapper = LinearColorMapper(palette=list(SCALES["R"].palette), low=0, high=1)
        self._metric_shown = ""
        self._ticker = FixedTicker(ticks=[])
        self._bar = ColorBar(
            color_mapper=self._mapper, ticker=self._ticker, width=10, margin=0, padding=8, bar_line_color=None
        )
        self.figure = self._draw()
        self.pane = pn.pane.Bokeh(self.figure, sizing_mode="stretch_both", min_height=430, margin=0)
        selection.param.watch(self._show_scores, ["shown", "product", "metric"])
        selection.param.watch(self._show_chosen, ["site_shown", "evaluation"])
        selection.param.watch(self._restyle, "theme")
        self._show_scores()
        self._show_chosen()

    def _draw(self) -> figure:
        c = colours(self._selection.dark)
        fig = figure(
            x_range=Range1d(-1.4e7, 1.8e7),
            y_range=Range1d(-5.5e6, 1.1e7),
            x_axis_location=None,
            y_axis_location=None,
            tools="pan,wheel_zoom,box_zoom,reset,save",
            active_scroll="wheel_zoom",
            sizing_mode="stretch_both",
            min_height=430,
            min_border=0,
            name="site_map",
            lod_threshold=None,
        )
        quiet(fig)
        fig.grid.visible = False
        self._basemap = Basemap(fig, c)
        self._hollow = fig.scatter("x", "y", source=self._unscored, size=7, fill_alpha=0, line_width=1.2)
        self._points = fig.scatter(
            "x",
            "y",
            source=self._scored,
            size=7,
            line_width=0.5,
            name="sites",
            fill_color={"field": "value", "transform": self._mapper},
        )
        self._halo = fig.scatter("x", "y", source=self._chosen, size=18, fill_alpha=0, line_width=5)
        self._ring = fig.scatter("x", "y", source=self._chosen, size=18, fill_alpha=0, line_width=2.5)
        for glyph in (self._hollow, self._points, self._halo, self._ring):
            glyph.nonselection_glyph = None
        for renderer, value in ((self._points, _SCORED), (self._hollow, _UNSCORED)):
            fig.add_tools(
                HoverTool(
                    renderers=[renderer], tooltips=_HOVER.replace("{value}", value), limit=1, visible=False
                )
            )
        fig.add_layout(self._bar, "right")
        fit = CustomJS(args={"fig": fig, "extent": self._extent}, code=_FIT)
        self._extent.js_on_change("data", fit)
        fig.js_on_change("inner_width", fit)
        fig.js_on_change("inner_height", fit)
        grow = CustomJS(
            args={"fig": fig, "extent": self._extent, "glyphs": [self._points.glyph, self._hollow.glyph]},
            code=_GROW,
        )
        fig.x_range.js_on_change("end", grow)
        self._extent.js_on_change("data", grow)
        fig.on_event(Tap, self._click)
        self._colour(c.outline, c.hollow, c.accent, c.surface)
        return fig

    def _show_scores(self, *events: param.parameterized.Event) -> None:
        selection, evaluation = self._selection, self._selection.evaluation
        if evaluation is None:
            self._scored.data = self._unscored.data = _columns(_no_sites())
            return
        table = evaluation.table(selection.product)[selection.shown.mask]
        self._bar.visible = bool(evaluation.products)
        table["value"] = table[selection.metric]
        table["label"] = _labels(table, selection.metric)
        has = table["value"].notna().to_numpy()
        changed = {e.name for e in events}
        scored = _columns(table[has])
        if changed == {"metric"} and scored[v.SITE] == self._scored.data[v.SITE]:
            whole = slice(0, len(scored[v.SITE]))
            self._scored.patch({name: [(whole, scored[name])] for name in ("value", "label")})
        else:
            self._scored.data = scored
            self._unscored.data = _columns(table[~has])
        if self._metric_shown != selection.metric:
            # The models stay and only their values change: a new model makes Bokeh walk the whole document.
            self._metric_shown, scale = selection.metric, SCALES[selection.metric]
            self._mapper.update(palette=list(scale.palette), low=scale.low, high=scale.high)
            self._ticker.ticks = list(scale.ticks)
        if not changed or "shown" in changed:
            self._extent.data = _extent(table)

    def _show_chosen(self, *_: param.parameterized.Event) -> None:
        evaluation, site = self._selection.evaluation, self._selection.site_shown
        here = evaluation is not None and site in evaluation.sites.index
        row = evaluation.sites.loc[site] if here else None
        self._chosen.data = {"x": [], "y": []} if row is None else {"x": [row["x"]], "y": [row["y"]]}

    def _click(self, event: Event) -> None:
        evaluation = self._selection.evaluation
        if evaluation is None or event.x is None:
            return
        within = _CLICK_REACH * (self.figure.x_range.end - self.figure.x_range.start)
        site = evaluation.nearest_site(event.x, event.y, within, self._selection.shown.mask)
        if site:
            self._selection.choose_site(site)

    def _restyle(self, *_: param.parameterized.Event) -> None:
        c = colours(self._selection.dark)
        self._basemap.restyle(c)
        self._colour(c.outline, c.hollow, c.accent, c.surface)

    def _colour(self, outline: str, hollow: str, accent: str, surface: str) -> None:
        self._points.glyph.line_color = outline
        self._hollow.glyph.line_color = hollow
        self._ring.glyph.line_color = accent
        self._halo.glyph.line_color = surface


_COLUMNS = ("x", "y", "value", "label", v.STATION, v.NETWORK, v.REGION, "n_valid", "reason")


def _no_sites() -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in _COLUMNS}).rename_axis(v.SITE)


def _columns(table: pd.DataFrame) -> dict[str, list[object] | np.ndarray]:
    columns: dict[str, list[object] | np.ndarray] = {v.SITE: [str(s) for s in table.index]}
    for name in _COLUMNS:
        values = table[name].to_numpy()
        columns[name] = (
            values.astype(np.float64) if name in ("x", "y", "value", "n_valid") else [str(s) for s in values]
        )
    return columns


def _labels(table: pd.DataFrame, metric: str) -> list[str]:
    digits = SCALES[metric].digits
    values = [f"{metric} {x:.{digits}f}" for x in table[metric]]
    if metric != "R":
        return [f"{x} m³ m⁻³" for x in values]
    ends = zip(values, table["R_lower"], table["R_upper"], strict=True)
    return [f"{x} [{low:.2f}, {high:.2f}]" for x, low, high in ends]


def _point_size(count: int) -> float:
    return 12.0 if count <= 150 else 9.0 if count <= 500 else 6.5


def _extent(table: pd.DataFrame) -> dict[str, list[float]]:
    """Return what the map shows, the sites with a margin and their surroundings; and the points' size."""
    box = {"x": [-1.4e7, 1.8e7], "y": [-5.5e6, 1.1e7], "size": [_point_size(len(table))] * 2}
    for axis in ("x", "y") if len(table) else ():
        low, high = float(table[axis].min()), float(table[axis].max())
        margin = max(0.08 * (high - low), (_SMALLEST_EXTENT - (high - low)) / 2)
        box[axis] = [low - margin, high + margin]
    return box
