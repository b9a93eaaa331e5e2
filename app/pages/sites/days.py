"""Which days of a site have a value: a bar for every stretch of days, so that gaps are seen as gaps."""

from __future__ import annotations

import numpy as np
import panel as pn
import param
from bokeh.models import ColumnDataSource, FactorRange, HoverTool, Range1d
from bokeh.plotting import figure
from numpy.typing import NDArray

from app.services.site_series import SiteSeries
from app.session.selection import Selection
from app.ui.theme import colours, product_colour, quiet
from gsm3core import vocabulary as v

_DAY = np.timedelta64(1, "D")
_HEIGHT = 62
BORDER = 84  # left of every plot on the same axis of time, so that their days lie above each other


class DaysPlot:
    """Two rows, in situ and the selected product, below a series and on its axis of time.

    Parameters
    ----------
    selection
        Of the visitor.
    days
        The axis of time of the series.
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
        quiet(fig)
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
        tints = {v.IN_SITU: colours(selection.dark).observed}
        tints |= {selection.product: product_colour(selection.product, dark=selection.dark)}
        shown = [name for name in tints if series.of(name) is not None]
        days = np.datetime_as_string(series.time, "D").tolist()
        rows: dict[str, list[object]] = {n: [] for n in ("row", "colour", "label")}
        ends: list[tuple[int, int]] = []
        for name in shown:
            found = stretches(np.isfinite(series.of(name)))  # type: ignore[arg-type]
            ends += found
            rows["row"] += [name] * len(found)
            rows["colour"] += [tints[name]] * len(found)
            rows["label"] += [
                f"{name}: {last - first + 1} day{'s' if last > first else ''}, {days[first]} to {days[last]}"
                for first, last in found
            ]
        at = np.array(ends, int).reshape(-1, 2)
        if self._rows.factors != shown[::-1]:
            self._rows.factors = shown[::-1]
        self._bars.data = {"left": series.time[at[:, 0]], "right": series.time[at[:, 1]] + _DAY, **rows}


def stretches(valid: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first and last position of every unbroken stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
