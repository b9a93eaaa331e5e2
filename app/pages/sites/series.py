"""Time series of soil moisture at one site, of every record and product, with precipitation above."""

from __future__ import annotations

import numpy as np
import panel as pn
import panel_material_ui as pmui
import param
from bokeh.models import (
    BoxAnnotation,
    ColumnDataSource,
    Glyph,
    GlyphRenderer,
    HoverTool,
    Legend,
    LegendItem,
    Range1d,
)
from bokeh.plotting import figure
from numpy.typing import NDArray

from app.pages.sites.days import BORDER, DaysPlot
from app.pages.sites.precipitation import PrecipitationPlot
from app.services.site_series import SiteSeries
from app.session.selection import Selection
from app.ui.theme import Colours, colours, product_colour, style_figure
from app.ui.workarounds.model_freeze import batched_models
from gsm3core import vocabulary as v
from gsm3core.metrics import censored_normal, gaussian_interval

_TEST, _TRAINING = ", test days", ", training days"
_VISIBLE_AT_FIRST = (v.IN_SITU, v.SMAP)
# A legend of toggle buttons, each with a patch of its line's colour; it wraps on a narrow page.
_LEGEND = {
    "flexWrap": "wrap",
    "gap": "4px",
    "& .MuiToggleButton-root": {
        "width": "auto",
        "border": "none",
        "borderRadius": "8px !important",
        "textTransform": "none",
        "fontSize": "12.5px",
        "padding": "2px 9px",
        "opacity": 0.55,
        "color": "inherit",
    },
    "& .MuiToggleButton-root[aria-pressed='true']": {
        "opacity": 1,
        "color": "inherit",
        "backgroundColor": "action.hover",
    },
    "& .MuiToggleButton-root::before": {
        "content": '""',
        "width": "11px",
        "height": "11px",
        "borderRadius": "3px",
        "marginRight": "7px",
    },
}
_PATCH = "& .MuiToggleButton-root:nth-of-type({})::before"
_DAY = np.timedelta64(1, "D")
_BAND_LEVEL = 0.9


class SeriesPlot:
    """Time series of one site, with a legend whose buttons show and hide the lines.

    Parameters
    ----------
    selection
        Gives the selected product, always shown, and the theme.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._time_range = Range1d(0, 1)
        self._moisture_range = Range1d(0, 0.5)
        self._run_product = ""
        self._sources: dict[str, ColumnDataSource] = {}
        self._renderers: dict[str, GlyphRenderer] = {}
        self.legend = pmui.CheckButtonGroup(
            options=[],
            value=[],
            size="small",
            variant="outlined",
            sizing_mode="stretch_width",
            margin=(2, 0, 2, 80),
            sx=_LEGEND,
        )
        self.legend.param.watch(self._toggle, "value")
        self._band_source = ColumnDataSource(data={"time": [], "low": [], "high": []})
        self.days = DaysPlot(selection, self._time_range)
        self.precipitation = PrecipitationPlot(selection, self._time_range)
        self.figure = self._make_figure()
        self.pane = pn.Column(
            self.legend,
            self.precipitation.pane,
            pn.pane.Bokeh(self.figure, sizing_mode="stretch_width", height=330, margin=0),
            self.days.pane,
            sizing_mode="stretch_width",
            margin=0,
        )
        selection.param.watch(self._restyle, "theme")
        selection.param.watch(self._show_selected, "product")

    def show(self, series: SiteSeries) -> None:
        """Draw one site."""
        columns = _columns(series)
        self._run_product = series.own
        if list(columns) != list(self._sources):
            self._replace_lines_in_batch(list(columns))
        for name, values in columns.items():
            self._sources[name].data = {"time": series.time, "value": values}
        self._time_range.update(start=series.time[0] - 5 * _DAY, end=series.time[-1] + 5 * _DAY)
        self._time_range.update(
            reset_start=self._time_range.start,
            reset_end=self._time_range.end,
            bounds=(series.time[0] - 60 * _DAY, series.time[-1] + 60 * _DAY),
        )
        highest = max((float(np.nanmax(x)) for x in columns.values() if np.isfinite(x).any()), default=0.5)
        self._moisture_range.update(start=0, end=max(0.1, 1.06 * highest))
        self.precipitation.show(series)
        self._show_band(series)
        self.days.show(series)
        start, end = _test_span(series)
        # Unset edges of a box annotation are Bokeh models of their own; set them only where it is visible.
        if start is not None:
            self._test.update(left=start, right=end)
        self._test.visible = start is not None

    def _show_band(self, series: SiteSeries) -> None:
        self._band.visible = series.predicted is not None and series.std is not None
        if series.predicted is None or series.std is None:
            self._band_source.data = {"time": [], "low": [], "high": []}
            return
        both = np.isfinite(series.predicted) & np.isfinite(series.std)
        location, scale = censored_normal(series.predicted[both], series.std[both])
        low, high = gaussian_interval(location, scale, _BAND_LEVEL, low=0.0, high=1.0)
        self._band_source.data = {"time": series.time[both], "low": low, "high": high}

    def _make_figure(self) -> figure:
        fig = figure(
            x_axis_type="datetime",
            x_range=self._time_range,
            y_range=self._moisture_range,
            height=330,
            sizing_mode="stretch_width",
            tools="xpan,xwheel_zoom,xbox_zoom,reset,save",
            active_scroll=None,
            min_border_left=BORDER,
            name="series",
        )
        style_figure(fig)
        fig.yaxis.axis_label = "soil moisture (m³ m⁻³)"
        self._test = BoxAnnotation(fill_alpha=0.07, line_color=None, level="underlay", visible=False)
        fig.add_layout(self._test)
        # The page has a legend of buttons; an exported picture has this one.
        self._export_legend = Legend(
            name="for_pictures", visible=False, orientation="horizontal", border_line_color=None
        )
        fig.add_layout(self._export_legend, "above")
        self._band = fig.varea(
            "time", "low", "high", source=self._band_source, fill_alpha=0.22, level="underlay", name="prediction_interval",
            visible=False,
        )  # fmt: skip
        fig.add_tools(
            HoverTool(
                tooltips=[("", "$name"), ("", "@time{%F}: @value{0.000}")],
                formatters={"@time": "datetime"},
                limit=4,
                visible=False,
            )
        )
        return fig

    def _replace_lines_in_batch(self, names: list[str]) -> None:
        with batched_models(self.figure.document):
            self._replace_lines(names)

    def _replace_lines(self, names: list[str]) -> None:
        self.figure.renderers = [self._band]
        self._sources = {name: ColumnDataSource(data={"time": [], "value": []}) for name in names}
        self._renderers = {name: self._renderer(name) for name in names}
        self._export_legend.items = [LegendItem(label=n, renderers=[r]) for n, r in self._renderers.items()]
        # Other products are hidden at first to keep the plot readable.
        visible = [n for n in names if n in _VISIBLE_AT_FIRST or self._is_run_product(n)]
        self.legend.param.update(options=names, value=visible)
        self._restyle()
        self._show_selected()

    def _renderer(self, name: str) -> GlyphRenderer:
        # Hidden until the legend is updated, so that no line appears for a moment only.
        kind = {"source": self._sources[name], "name": name, "visible": False}
        if name == v.SMAP:
            return self.figure.scatter("time", "value", size=3.6, line_color=None, **kind)
        return self.figure.line("time", "value", **kind)

    def _toggle(self, *_: param.parameterized.Event) -> None:
        for name, renderer in self._renderers.items():
            renderer.visible = name in self.legend.value
        for item, renderer in zip(self._export_legend.items, self._renderers.values(), strict=True):
            item.visible = renderer.visible

    def _show_selected(self, *_: param.parameterized.Event) -> None:
        product = self._selection.product
        if product in self._renderers and product not in self.legend.value:
            self.legend.value = [*self.legend.value, product]
        self._toggle()

    def _restyle(self, *_: param.parameterized.Event) -> None:
        c, dark = colours(self._selection.dark), self._selection.dark
        for name, renderer in self._renderers.items():
            _style(renderer.glyph, name, self._colour_of(name, c))
        self._band.glyph.fill_color = product_colour(self._run_product, dark=dark)
        self._test.fill_color = c.shade
        self.legend.sx = _LEGEND | {
            _PATCH.format(k): {"backgroundColor": self._colour_of(name, c)}
            for k, name in enumerate(self._renderers, start=1)
        }

    def _is_run_product(self, name: str) -> bool:
        own = self._run_product
        return bool(own) and name in (own + _TEST, own + _TRAINING)

    def _colour_of(self, name: str, c: Colours) -> str:
        if name == v.IN_SITU:
            return c.observed
        return product_colour(
            self._run_product if self._is_run_product(name) else name, dark=self._selection.dark
        )


def _style(glyph: Glyph, name: str, colour: str) -> None:
    if name == v.SMAP:
        glyph.update(fill_color=colour, fill_alpha=0.75)
        return
    width, alpha = 1.3, 0.95
    if name == v.IN_SITU:
        width, alpha = 1.5, 0.85
    elif name.endswith(_TRAINING):
        width, alpha = 1.0, 0.55
    elif name.endswith(_TEST):
        width = 1.9
    glyph.update(line_color=colour, line_width=width, line_alpha=alpha)


def _columns(series: SiteSeries) -> dict[str, NDArray[np.floating]]:
    columns = dict(series.records)
    if series.predicted is not None and series.in_test is not None:
        if not series.in_test.all():
            # One day of overlap, so that the line has no gap between training and test days.
            padded = np.pad(series.in_test, 1, mode="edge")
            inside = padded[:-2] & series.in_test & padded[2:]
            columns[series.own + _TRAINING] = np.where(inside, np.nan, series.predicted)
        columns[series.own + _TEST] = np.where(series.in_test, series.predicted, np.nan)
    return columns


def _test_span(series: SiteSeries) -> tuple[np.datetime64 | None, np.datetime64 | None]:
    """Return the first and last test day where only some days are test days; otherwise None, None."""
    if series.in_test is None or series.in_test.all() or not series.in_test.any():
        return None, None
    days = series.time[series.in_test]
    return days[0], days[-1]
