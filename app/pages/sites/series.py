"""One site: soil moisture in time, of every product, with the rain above."""

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
from app.pages.sites.precipitation import RainPlot
from app.runtime.batching import batched_models
from app.services.site_series import SiteSeries
from app.session.selection import Selection
from app.ui.theme import Colours, colours, product_colour, quiet
from gsm3core import vocabulary as v

_TEST, _TRAINING = ", test days", ", training days"
_AT_FIRST = (v.IN_SITU, v.SMAP)
# A legend of buttons, each with a patch of its line's colour: it wraps where the page is narrow.
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
_NINETY = (
    1.645  # standard deviations either side of the mean, within which nine in ten values of a Gaussian lie
)


class SeriesPlot:
    """The record of one site, with a legend that shows and hides.

    Parameters
    ----------
    selection
        For the product that is shown and the colours.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._days = Range1d(0, 1)
        self._level = Range1d(0, 0.5)
        self._own = ""
        self._lines: dict[str, ColumnDataSource] = {}
        self._drawn: dict[str, GlyphRenderer] = {}
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
        self._spread = ColumnDataSource(data={"time": [], "low": [], "high": []})
        self.days = DaysPlot(selection, self._days)
        self.rain = RainPlot(selection, self._days)
        self.figure = self._draw()
        self.pane = pn.Column(
            self.legend,
            self.rain.pane,
            pn.pane.Bokeh(self.figure, sizing_mode="stretch_width", height=330, margin=0),
            self.days.pane,
            sizing_mode="stretch_width",
            margin=0,
        )
        selection.param.watch(self._restyle, "theme")
        selection.param.watch(self._show_chosen, "product")

    def show(self, series: SiteSeries) -> None:
        """Draw one site."""
        columns = _columns(series)
        self._own = series.own
        if list(columns) != list(self._lines):
            self._rebuild(list(columns))
        for name, values in columns.items():
            self._lines[name].data = {"time": series.time, "value": values}
        self._days.update(start=series.time[0] - 5 * _DAY, end=series.time[-1] + 5 * _DAY)
        self._days.update(
            reset_start=self._days.start,
            reset_end=self._days.end,
            bounds=(series.time[0] - 60 * _DAY, series.time[-1] + 60 * _DAY),
        )
        highest = max((float(np.nanmax(x)) for x in columns.values() if np.isfinite(x).any()), default=0.5)
        self._level.update(start=0, end=max(0.1, 1.06 * highest))
        self.rain.show(series)
        self._show_spread(series)
        self.days.show(series)
        start, end = _test_span(series)
        # Its ends are models of their own where they are not set: only what is shown has ends.
        if start is not None:
            self._test.update(left=start, right=end)
        self._test.visible = start is not None

    def _show_spread(self, series: SiteSeries) -> None:
        self._band.visible = series.predicted is not None and series.spread is not None
        if series.predicted is None or series.spread is None:
            self._spread.data = {"time": [], "low": [], "high": []}
            return
        both = np.isfinite(series.predicted) & np.isfinite(series.spread)
        middle, half = series.predicted[both], _NINETY * series.spread[both]
        self._spread.data = {
            "time": series.time[both], "low": np.clip(middle - half, 0, None), "high": np.clip(middle + half, None, 1)
        }  # fmt: skip

    def _draw(self) -> figure:
        fig = figure(
            x_axis_type="datetime",
            x_range=self._days,
            y_range=self._level,
            height=330,
            sizing_mode="stretch_width",
            tools="xpan,xwheel_zoom,xbox_zoom,reset,save",
            active_scroll=None,
            min_border_left=BORDER,
            name="series",
        )
        quiet(fig)
        fig.yaxis.axis_label = "soil moisture (m³ m⁻³)"
        self._test = BoxAnnotation(fill_alpha=0.07, line_color=None, level="underlay", visible=False)
        fig.add_layout(self._test)
        # On the page the names above show and hide the lines; a picture that is taken away has this legend.
        self._in_picture = Legend(
            name="for_pictures", visible=False, orientation="horizontal", border_line_color=None
        )
        fig.add_layout(self._in_picture, "above")
        self._band = fig.varea(
            "time", "low", "high", source=self._spread, fill_alpha=0.22, level="underlay", name="spread",
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

    def _rebuild(self, names: list[str]) -> None:
        with batched_models(self.figure.document):
            self._replace_lines(names)

    def _replace_lines(self, names: list[str]) -> None:
        self.figure.renderers = [self._band]
        self._lines = {name: ColumnDataSource(data={"time": [], "value": []}) for name in names}
        self._drawn = {name: self._renderer(name) for name in names}
        self._in_picture.items = [LegendItem(label=n, renderers=[r]) for n, r in self._drawn.items()]
        # The others are hidden at first, more lines than the eye can follow; a click on a name brings its line.
        self.legend.param.update(options=names, value=[n for n in names if n in _AT_FIRST or self._is_own(n)])
        self._restyle()
        self._show_chosen()

    def _renderer(self, name: str) -> GlyphRenderer:
        # Hidden until it is known which are shown: no line is seen that is taken away at once.
        kind = {"source": self._lines[name], "name": name, "visible": False}
        if name == v.SMAP:
            return self.figure.scatter("time", "value", size=3.6, line_color=None, **kind)
        return self.figure.line("time", "value", **kind)

    def _toggle(self, *_: param.parameterized.Event) -> None:
        for name, drawn in self._drawn.items():
            drawn.visible = name in self.legend.value
        for item, drawn in zip(self._in_picture.items, self._drawn.values(), strict=True):
            item.visible = drawn.visible

    def _show_chosen(self, *_: param.parameterized.Event) -> None:
        product = self._selection.product
        if product in self._drawn and product not in self.legend.value:
            self.legend.value = [*self.legend.value, product]
        self._toggle()

    def _restyle(self, *_: param.parameterized.Event) -> None:
        c, dark = colours(self._selection.dark), self._selection.dark
        for name, drawn in self._drawn.items():
            _style(drawn.glyph, name, self._tint(name, c))
        self._band.glyph.fill_color = product_colour(self._own, dark=dark)
        self._test.fill_color = c.shade
        self.legend.sx = _LEGEND | {
            _PATCH.format(k): {"backgroundColor": self._tint(name, c)}
            for k, name in enumerate(self._drawn, start=1)
        }

    def _is_own(self, name: str) -> bool:
        return bool(self._own) and name in (self._own + _TEST, self._own + _TRAINING)

    def _tint(self, name: str, c: Colours) -> str:
        if name == v.IN_SITU:
            return c.observed
        return product_colour(self._own if self._is_own(name) else name, dark=self._selection.dark)


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
            # One day of overlap, so that the line does not break where testing begins or ends.
            padded = np.pad(series.in_test, 1, mode="edge")
            inside = padded[:-2] & series.in_test & padded[2:]
            columns[series.own + _TRAINING] = np.where(inside, np.nan, series.predicted)
        columns[series.own + _TEST] = np.where(series.in_test, series.predicted, np.nan)
    return columns


def _test_span(series: SiteSeries) -> tuple[np.datetime64 | None, np.datetime64 | None]:
    """Return the first and last test day where only a part of the record tests; else nothing to shade."""
    if series.in_test is None or series.in_test.all() or not series.in_test.any():
        return None, None
    days = series.time[series.in_test]
    return days[0], days[-1]
