"""Precipitation at one site: bars from the top, above the time series of soil moisture and on its time axis."""

from __future__ import annotations

import numpy as np
import panel as pn
import param
from bokeh.models import ColumnDataSource, HoverTool, Range1d
from bokeh.plotting import figure

from app.pages.sites.days import BORDER
from app.services.site_series import SiteSeries
from app.session.selection import Selection
from app.ui.theme import colours, style_figure

_HEIGHT = 84
_WET_DAY = 0.1  # mm; smaller amounts are not drawn


class PrecipitationPlot:
    """Daily precipitation, where the dataset has it.

    Parameters
    ----------
    selection
        For the theme.
    days
        Time axis shared with the soil moisture series.
    """

    def __init__(self, selection: Selection, days: Range1d) -> None:
        self._selection = selection
        self._source = ColumnDataSource(data={"time": [], "amount": []})
        self._range = Range1d(50, 0)  # reversed: bars start at the top
        fig = figure(
            x_range=days,
            y_range=self._range,
            height=_HEIGHT,
            sizing_mode="stretch_width",
            tools="",
            toolbar_location=None,
            x_axis_location=None,
            min_border_left=BORDER,
            min_border_bottom=2,
            name="precipitation",
        )
        style_figure(fig)
        fig.xgrid.visible = fig.ygrid.visible = False
        fig.yaxis.axis_label = "precip. (mm)"
        fig.yaxis.ticker.desired_num_ticks = 2
        self._bars = fig.vbar(
            "time", width=0.9 * 86_400_000, top="amount", bottom=0, source=self._source, line_color=None
        )
        fig.add_tools(
            HoverTool(
                tooltips=[("", "@time{%F}: @amount{0.0} mm")],
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
        amount = series.precipitation
        self.pane.visible = amount is not None
        if amount is None:
            return
        wet = np.isfinite(amount) & (amount > _WET_DAY)
        self._source.data = {"time": series.time[wet], "amount": amount[wet]}
        self._range.start = max(20.0, float(amount[wet].max()) if wet.any() else 0.0)

    def _restyle(self, *_: param.parameterized.Event) -> None:
        self._bars.glyph.fill_color = colours(self._selection.dark).rain
