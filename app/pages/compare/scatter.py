"""Scatter plot of the scores of two products at their common sites, with the 1:1 line."""

from __future__ import annotations

import numpy as np
import panel as pn
from bokeh.events import Event, Tap
from bokeh.models import ColumnDataSource, HoverTool, Range1d
from bokeh.plotting import figure

from app.pages.compare.colours import compared_colour
from app.services.comparison import Comparison
from app.services.metric_labels import metric_label
from app.session.selection import Selection
from app.ui.card import heading
from app.ui.theme import SCALES, colours, style_figure
from gsm3core import vocabulary as v

_HOVER = """
<div style="font-size:13px;line-height:1.45"><b>@station</b><br>@network &middot; @region<br>@label</div>
"""


class PairedScatter:
    """Scatter plot with one point per site.

    Parameters
    ----------
    selection
        Gives the metric and the days; a click changes its site.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._source = ColumnDataSource(data={"x": [], "y": []})
        self._equal = ColumnDataSource(data={"x": [0, 1], "y": [0, 1]})
        self._x, self._y = Range1d(0, 1), Range1d(0, 1)
        fig = figure(
            x_range=self._x,
            y_range=self._y,
            tools="pan,wheel_zoom,box_zoom,reset,save",
            active_scroll=None,
            sizing_mode="stretch_both",
            min_height=380,
            name="paired_scatter",
        )
        style_figure(fig)
        self._line = fig.line("x", "y", source=self._equal, line_dash="dashed", line_width=1.5)
        self._points = fig.scatter(
            "x", "y", source=self._source, size=6, fill_alpha=0.55, line_width=0.4, name="pairs"
        )
        fig.add_tools(HoverTool(renderers=[self._points], tooltips=_HOVER, limit=3, visible=False))
        fig.on_event(Tap, self._click)
        self.figure = fig
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self.pane = pn.pane.Bokeh(fig, sizing_mode="stretch_both", min_height=380, margin=0)

    def show(self, comparison: Comparison, product: str, other: str) -> None:
        """Draw one product (y axis) against another (x axis)."""
        s = self._selection
        a = comparison.scores(s.sample, s.metric, product)
        b = comparison.scores(s.sample, s.metric, other)
        both = np.isfinite(a) & np.isfinite(b)
        sites, digits = comparison.sites[both], SCALES[s.metric].digits
        self._source.data = {
            v.SITE: [str(i) for i in sites.index],
            "x": b[both],
            "y": a[both],
            "label": [
                f"{product} {p:.{digits}f}, {other} {q:.{digits}f}"
                for p, q in zip(a[both], b[both], strict=True)
            ],
            **{n: [str(t) for t in sites[n]] for n in (v.STATION, v.NETWORK, v.REGION)},
        }
        scale = SCALES[s.metric]
        low = float(min([scale.low, *a[both], *b[both]]))
        high = float(max([scale.high, *a[both], *b[both]]))
        pad = 0.03 * (high - low)
        for axis in (self._x, self._y):
            axis.update(start=low - pad, end=high + pad, reset_start=low - pad, reset_end=high + pad)
        self._equal.data = {"x": [low - pad, high + pad], "y": [low - pad, high + pad]}
        label = metric_label(s.metric)
        self.title.object = heading(
            "Scores at common sites",
            f"{product} (y axis) against {other} (x axis) at {int(both.sum())} sites; dashed: 1:1 line.",
        )
        self.figure.xaxis.axis_label = f"{label}, {other}"
        self.figure.yaxis.axis_label = f"{label}, {product}"
        c = colours(s.dark)
        self._line.glyph.line_color = c.muted
        self._points.glyph.update(
            fill_color=compared_colour(comparison, product, dark=s.dark), line_color=c.outline
        )

    def _click(self, event: Event) -> None:
        x, y = np.asarray(self._source.data["x"], float), np.asarray(self._source.data["y"], float)
        if event.x is None or not x.size:
            return
        span = self._x.end - self._x.start
        distance = np.hypot(x - event.x, y - event.y)
        nearest = int(distance.argmin())
        if distance[nearest] <= 0.03 * span:
            self._selection.choose_site(self._source.data[v.SITE][nearest])
