"""Data availability at one site: a bar for every unbroken period of days with values."""

from __future__ import annotations

import numpy as np
import panel as pn
import param
from bokeh.models import ColumnDataSource, FactorRange, HoverTool, Range1d
from bokeh.plotting import figure
from numpy.typing import NDArray

from app.services.site_series import SiteSeries
from app.session.selection import Selection
from app.ui.theme import colours, product_colour, style_figure
from gsm3core import vocabulary as v

_DAY = np.timedelta64(1, "D")
_HEIGHT = 62
BORDER = 84  # left of every plot on the same time axis, so that their days are aligned


class DaysPlot:
    """Two rows, in situ and the selected product, below the time series.

    Parameters
    ----------
    selection
        For the product and the theme.
    days
        Time axis shared with the soil moisture series.
    """

    def __init__(self, selection: Selection, days: Range1d) -> None:
        self._selection = selection
        self._series: SiteSeries | None = None
        self._bars = ColumnDataSource(data={"left": [], "right": [], "row": [], "colour": [], "label": []})
        self._rows = FactorRange(factors=["in situ"])
        fig = figure(
            x_range=days, y_range=self._rows, x_axis_type="datetime", height=_HEIGHT, tools="",
            sizing_mode="stretch_width", toolbar_location=None, x_axis_location=None, min_border_left=BORDER,
            min_border_bottom=2, name="days",
        )  # fmt: skip
        style_figure(fig)
        fig.xgrid.visible = fig.ygrid.visible = False
        fig.yaxis.major_tick_line_color = None
        fig.yaxis.major_label_text_font_size = "11px"
        fig.hbar(
            y="row", left="left", right="right", height=0.62, source=self._bars, fill_color="colour",
            line_color=None, name="days_with_values",
        )  # fmt: skip
        fig.add_tools(HoverTool(tooltips=[("", "@label")], limit=1))
        self.figure = fig
        self.pane = pn.pane.Bokeh(fig, sizing_mode="stretch_width", height=_HEIGHT, margin=0)
        selection.param.watch(self._update, ["product", "theme"])

    def show(self, series: SiteSeries) -> None:
        """Draw one site."""
        self._series = series
        self._update()

    def _update(self, *_: param.parameterized.Event) -> None:
        series, selection = self._series, self._selection
        if series is None:
            return
        colour_of = {v.IN_SITU: colours(selection.dark).observed}
        colour_of |= {selection.product: product_colour(selection.product, dark=selection.dark)}
        shown = [name for name in colour_of if series.of(name) is not None]
        days = np.datetime_as_string(series.time, "D").tolist()
        rows: dict[str, list[object]] = {n: [] for n in ("row", "colour", "label")}
        ends: list[tuple[int, int]] = []
        for name in shown:
            periods = valid_periods(np.isfinite(series.of(name)))  # type: ignore[arg-type]
            ends += periods
            rows["row"] += [name] * len(periods)
            rows["colour"] += [colour_of[name]] * len(periods)
            rows["label"] += [
                f"{name}: {last - first + 1} day{'s' if last > first else ''}, {days[first]} to {days[last]}"
                for first, last in periods
            ]
        at = np.array(ends, int).reshape(-1, 2)
        if self._rows.factors != shown[::-1]:
            self._rows.factors = shown[::-1]
        self._bars.data = {"left": series.time[at[:, 0]], "right": series.time[at[:, 1]] + _DAY, **rows}


def valid_periods(valid: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first and last index of every unbroken period of valid days."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
