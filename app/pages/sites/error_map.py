"""Map of sites coloured by the score of one product; a click selects a site, the box and lasso tools an area."""

from __future__ import annotations

import numpy as np
import pandas as pd
import panel as pn
import param
from bokeh.events import Event, SelectionGeometry, Tap
from bokeh.models import (
    BoxSelectTool,
    ColorBar,
    ColumnDataSource,
    CustomJSHover,
    FixedTicker,
    HoverTool,
    LassoSelectTool,
    LinearColorMapper,
    Range1d,
)
from bokeh.plotting import figure
from numpy.typing import NDArray

from app.services.evaluation import Evaluation
from app.services.metric_labels import metric_name
from app.services.polygon import simplified_polygon
from app.session.selection import Selection
from app.ui.map.basemap import Basemap
from app.ui.map.tile_layer import TileLayer
from app.ui.map.viewport import extent, frame_sites
from app.ui.theme import SCALES, colours, scale_of, style_figure
from gsm3core import vocabulary as v
from gsm3core.geography.mercator import mercator
from gsm3core.metrics import ALL_METRICS

_CLICK_REACH = 0.02  # share of the map width: about 15 pixels
_FAINT = 0.13
_ASPECT = 2.15  # width to height: the world between 60° S and 75° N
_HOVER = """
<div style="font-size:13px;line-height:1.45;max-width:280px">
<b>@station</b><br>@network &middot; @region<br>{value}</div>
"""
_SCORED = "<b>@value{custom}</b><br>@n_valid days"
_UNSCORED = "no score: @reason"
# Formatted in the browser, for the site under the pointer: labels of all sites would be much larger than the numbers.
_FORMAT_VALUE = """
const [name, digits, units] = scale.tags, at = special_vars.index, {lower, upper} = sites.data
const ends = isFinite(lower[at]) && isFinite(upper[at])
  ? ` [${lower[at].toFixed(digits)}, ${upper[at].toFixed(digits)}]` : ''
return `${name} ${value.toFixed(digits)}${ends}${units}`
"""
_NUMBERS = ("value", "lower", "upper", "n_valid", "alpha")
_PLACE = ("x", "y", v.STATION, v.NETWORK, v.REGION)


class SiteMap:
    """Map of the sites that pass the filters.

    Parameters
    ----------
    selection
        Gives the scores; a click changes its site, the box and lasso tools its area.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._scored = ColumnDataSource(data=_columns(_no_sites(), *_NUMBERS))
        self._unscored = ColumnDataSource(data=_columns(_no_sites(), "reason", "alpha"))
        self._selected = ColumnDataSource(data={"x": [], "y": []})
        self._outline = ColumnDataSource(data={"x": [], "y": []})
        self._mapper = LinearColorMapper(palette=list(SCALES["R"].palette), low=0, high=1)
        self._shown_sites: tuple[Evaluation | None, NDArray[np.bool_] | None] = (None, None)
        self._shown_product = ""
        self._ticker = FixedTicker(ticks=[])
        self._bar = ColorBar(
            color_mapper=self._mapper, ticker=self._ticker, width=10, margin=0, padding=8, bar_line_color=None
        )
        self.figure = self._make_figure()
        self.background = TileLayer(selection, self.figure)
        self.pane = pn.pane.Bokeh(self.figure, sizing_mode="scale_width", aspect_ratio=_ASPECT, margin=0)
        selection.param.watch(
            self._show_scores, ["shown", "product", "metric", "limits", "grouping", "group", "moisture_of"]
        )
        selection.param.watch(self._show_selected, ["site_shown", "evaluation"])
        selection.param.watch(self._show_area, "area")
        selection.param.watch(self._restyle, "theme")
        self._show_scores()
        self._show_selected()
        self._show_area()

    def _make_figure(self) -> figure:
        c = colours(self._selection.dark)
        fig = figure(
            x_range=Range1d(-1.4e7, 1.8e7),
            y_range=Range1d(-5.5e6, 1.1e7),
            x_axis_location=None,
            y_axis_location=None,
            tools="pan,wheel_zoom,box_zoom,reset,save",
            active_scroll="wheel_zoom",
            sizing_mode="scale_width",
            aspect_ratio=_ASPECT,
            min_border=0,
            name="site_map",
            lod_threshold=None,
        )
        style_figure(fig)
        fig.toolbar.autohide = False  # keeps the lasso tool visible
        fig.grid.visible = False
        self._basemap = Basemap(fig, c)
        self._area = fig.patch(
            "x", "y", source=self._outline, fill_alpha=0.07, line_width=1.5, line_dash="dashed"
        )
        self._add_points(fig)
        self._add_hover(fig)
        # Without renderers the tools only report the geometry; the selection decides which sites are inside.
        fig.add_tools(BoxSelectTool(renderers=[]), LassoSelectTool(renderers=[], continuous=False))
        fig.add_layout(self._bar, "right")
        self._extent = frame_sites(fig, [self._points.glyph, self._hollow.glyph])
        fig.on_event(Tap, self._click)
        fig.on_event(SelectionGeometry, self._select_area)
        self._colour()
        return fig

    def _add_points(self, fig: figure) -> None:
        self._hollow = fig.scatter(
            "x", "y", source=self._unscored, size=7, fill_alpha=0, line_width=1.2, line_alpha="alpha",
            name="without_score",
        )  # fmt: skip
        self._points = fig.scatter(
            "x", "y", source=self._scored, size=7, line_width=0.5, name="sites", alpha="alpha",
            fill_color={"field": "value", "transform": self._mapper},
        )  # fmt: skip
        self._halo = fig.scatter("x", "y", source=self._selected, size=18, fill_alpha=0, line_width=5)
        self._ring = fig.scatter("x", "y", source=self._selected, size=18, fill_alpha=0, line_width=2.5)
        for renderer in (self._area, self._hollow, self._points, self._halo, self._ring):
            renderer.nonselection_glyph = None

    def _add_hover(self, fig: figure) -> None:
        format_value = CustomJSHover(args={"scale": self._mapper, "sites": self._scored}, code=_FORMAT_VALUE)
        for renderer, value, formats in (
            (self._points, _SCORED, {"@value": format_value}),
            (self._hollow, _UNSCORED, {}),
        ):
            fig.add_tools(
                HoverTool(
                    renderers=[renderer], tooltips=_HOVER.replace("{value}", value), formatters=formats, limit=1,
                    visible=False,
                )
            )  # fmt: skip

    def _show_scores(self, *events: param.parameterized.Event) -> None:
        selection, evaluation = self._selection, self._selection.evaluation
        if evaluation is None or selection.shown is None:
            self._shown_sites = (None, None)
            self._scored.data = _columns(_no_sites(), *_NUMBERS)
            self._unscored.data = _columns(_no_sites(), "reason", "alpha")
            return
        on_map = selection.shown.on_map
        before, was_on_map = self._shown_sites
        same_sites = before is evaluation and was_on_map is not None and np.array_equal(was_on_map, on_map)
        numbers = self._numbers(evaluation)
        scored = on_map & ~np.isnan(numbers["value"])
        ids = evaluation.sites.index.to_numpy()
        if same_sites and ids[scored].tolist() == self._scored.data[v.SITE]:
            _patch(self._scored, {name: x[scored] for name, x in numbers.items()})
        else:
            self._scored.data = _columns(evaluation.sites.assign(**numbers)[scored], *_NUMBERS)
        self._show_unscored(evaluation, on_map & ~scored, numbers["alpha"])
        self._bar.visible = bool(evaluation.products)
        # Update the models in place: a new model makes Bokeh traverse the whole document.
        scale = scale_of(selection.metric, selection.limits)
        units = "" if ALL_METRICS[selection.metric].units == "1" else " m³ m⁻³"
        self._mapper.update(
            palette=list(scale.palette), low=scale.low, high=scale.high,
            tags=[metric_name(selection.metric), scale.digits, units],
        )  # fmt: skip
        self._ticker.ticks = list(scale.ticks)
        if not same_sites:
            self._shown_sites = (evaluation, on_map)
            frame = extent(evaluation.sites[on_map])
            if frame != self._extent.data:
                self._extent.data = frame

    def _numbers(self, evaluation: Evaluation) -> dict[str, NDArray[np.float64]]:
        """Return the numeric columns of every site of the evaluation."""
        product, metric = self._selection.product, self._selection.metric
        lower, upper = evaluation.ends(product, metric)
        return {
            "value": evaluation.values(product, metric),
            "lower": lower,
            "upper": upper,
            "n_valid": evaluation.values(product, "n_valid"),
            "alpha": self._alphas(evaluation),
        }

    def _show_unscored(
        self, evaluation: Evaluation, without: NDArray[np.bool_], alpha: NDArray[np.float64]
    ) -> None:
        product = self._selection.product
        same = self._shown_sites[0] is evaluation and self._shown_product == product
        if same and evaluation.sites.index[without].tolist() == self._unscored.data[v.SITE]:
            _patch(self._unscored, {"alpha": alpha[without]})
            return
        self._shown_product = product
        self._unscored.data = _columns(
            evaluation.table(product, self._selection.metric).assign(alpha=alpha)[without], "reason", "alpha"
        )

    def _alphas(self, evaluation: Evaluation) -> NDArray[np.float64]:
        """Return opaque for sites in the area and the highlighted group, faint for the others."""
        selection = self._selection
        strong = selection.shown.mask.copy()
        if selection.group:
            labels, order = evaluation.groups(selection.grouping, selection.moisture_of)
            strong &= (labels == selection.group) | (selection.group not in order)
        return np.where(strong, 1.0, _FAINT)

    def _show_selected(self, *_: param.parameterized.Event) -> None:
        evaluation, site = self._selection.evaluation, self._selection.site_shown
        here = evaluation is not None and site in evaluation.sites.index
        row = evaluation.sites.loc[site] if here else None
        self._selected.data = {"x": [], "y": []} if row is None else {"x": [row["x"]], "y": [row["y"]]}

    def _show_area(self, *_: param.parameterized.Event) -> None:
        corners = np.asarray(self._selection.area, float).reshape(-1, 2)
        x, y = mercator(corners[:, 0], corners[:, 1])
        self._outline.data = {"x": list(x), "y": list(y)}

    def _click(self, event: Event) -> None:
        evaluation = self._selection.evaluation
        if evaluation is None or event.x is None:
            return
        within = _CLICK_REACH * (self.figure.x_range.end - self.figure.x_range.start)
        site = evaluation.nearest_site(event.x, event.y, within, self._selection.shown.on_map)
        if site:
            self._selection.choose_site(site)

    def _select_area(self, event: SelectionGeometry) -> None:
        geometry = event.geometry
        if not event.final:
            return
        if geometry["type"] == "rect":
            x0, x1, y0, y1 = (geometry[end] for end in ("x0", "x1", "y0", "y1"))
            self._selection.area = simplified_polygon([x0, x1, x1, x0], [y0, y0, y1, y1])
        elif geometry["type"] == "poly":
            self._selection.area = simplified_polygon(list(geometry["x"]), list(geometry["y"]))

    def _restyle(self, *_: param.parameterized.Event) -> None:
        self._basemap.restyle(colours(self._selection.dark))
        self._colour()

    def _colour(self) -> None:
        c = colours(self._selection.dark)
        self._points.glyph.line_color = c.outline
        self._hollow.glyph.line_color = c.hollow
        self._ring.glyph.line_color = c.accent
        self._halo.glyph.line_color = c.surface
        self._area.glyph.update(line_color=c.accent, fill_color=c.accent)


def _no_sites() -> pd.DataFrame:
    names = (*_PLACE, *_NUMBERS, "reason")
    return pd.DataFrame({name: [] for name in names}).rename_axis(v.SITE)


def _columns(table: pd.DataFrame, *more: str) -> dict[str, list[str] | NDArray[np.float64]]:
    columns: dict[str, list[str] | NDArray[np.float64]] = {v.SITE: [str(s) for s in table.index]}
    for name in (*_PLACE, *more):
        values = table[name].to_numpy()
        numeric = name in ("x", "y", *_NUMBERS)
        columns[name] = values.astype(np.float64) if numeric else [str(s) for s in values]
    return columns


def _patch(source: ColumnDataSource, columns: dict[str, NDArray[np.float64]]) -> None:
    """Send only the columns that differ."""
    changed = {n: x for n, x in columns.items() if not np.array_equal(x, source.data[n], equal_nan=True)}
    if changed and len(source.data[v.SITE]):
        source.patch({n: [(slice(0, len(x)), x)] for n, x in changed.items()})
