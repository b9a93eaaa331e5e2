"""The rain at one site: bars that hang from above the series, on its axis of time."""

from __future__ import annotations

import numpy as np
import panel as pn
import param
from bokeh.models import ColumnDataSource, HoverTool, Range1d
from bokeh.plotting import figure

from app.pages.sites.days import BORDER
from app.services.site_series import SiteSeries
from app.session.selection import Selection
from app.ui.theme import colours, quiet

_HEIGHT = 84
_WET = 0.1  # mm: less is no rain


class RainPlot:
    """Precipitation, where the dataset has it.

    Parameters
    ----------
    selection
        Of the visitor.
    days
        The axis of time of the series.
    """

    def __init__(self, selection: Selection, days: Range1d) -> None:
        self._selection = selection
        self._rain = ColumnDataSource(data={"time": [], "rain": []})
        self._level = Range1d(50, 0)  # bars hang from the top, as rain does
        fig = figure(
            x_range=days,
            y_range=self._level,
            height=_HEIGHT,
            sizing_mode="stretch_width",
            tools="",
            toolbar_location=None,
            x_axis_location=None,
            min_border_left=BORDER,
            min_border_bottom=2,
            name="rain",
        )
        quiet(fig)
        fig.xgrid.visible = fig.ygrid.visible = False
        fig.yaxis.axis_label = "rain (mm)"
        fig.yaxis.ticker.desired_num_ticks = 2
        self._bars = fig.vbar(
            "time", width=0.9 * 86_400_000, top="rain", bottom=0, source=self._rain, line_color=None
        )
        fig.add_tools(
            HoverTool(
                tooltips=[("", "@time{%F}: @rain{0.0} mm")],
                formatters={"@time": "datetime"},
                mode="vline",
                limit=1,
            )
        )
        self.figure = fig
        self.pane = pn.pane.Bokeh(fig, sizing_mode="stretch_width", height=_HEIGHT, margin=0)
        selection.param.watch(self._restyle, "theme")
        self._restyle()

    def show(self, series: SiteSeries) -> None:
        """Draw one site."""
        rain = series.precipitation
        self.pane.visible = rain is not None
        if rain is None:
            return
        wet = np.isfinite(rain) & (rain > _WET)
        self._rain.data = {"time": series.time[wet], "rain": rain[wet]}
        self._level.start = max(20.0, float(rain[wet].max()) if wet.any() else 0.0)

    def _restyle(self, *_: param.parameterized.Event) -> None:
        self._bars.glyph.fill_color = colours(self._selection.dark).rain
