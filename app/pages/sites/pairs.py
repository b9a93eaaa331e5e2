"""One product at one site: against in situ, its error in time, and its mean seasonal cycle."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
import param
from bokeh.models import ColumnDataSource, HoverTool, Range1d, Slope, Span
from bokeh.plotting import figure

from app.services.site_pairs import Pairs, pairs
from app.services.site_series import SiteSeries
from app.session.selection import Selection
from app.ui.card import heading
from app.ui.theme import colours, product_colour, quiet

_HEIGHT = 250
_MONTHS = ("J", "F", "M", "A", "M", "J", "J", "A", "S", "O", "N", "D")
_UNITS = "m³ m⁻³"
_BESIDE = {"flex": "1 1 260px", "min-width": "0"}


class PairPlots:
    """Scatter, residuals and seasonal cycle of the selected product.

    Parameters
    ----------
    selection
        Of the visitor.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._series: SiteSeries | None = None
        self._days = ColumnDataSource(data={"time": [], "observed": [], "predicted": [], "error": []})
        self._months = ColumnDataSource(data={"month": [], "observed": [], "predicted": []})
        # Ranges of their own: Bokeh's, which follow the data, complain in the browser as long as there are none.
        self._level, self._span = Range1d(0, 0.5), Range1d(0, 1)
        self._error, self._mean = Range1d(-0.1, 0.1), Range1d(0, 0.5)
        self.scatter = self._draw_scatter()
        self.residuals = self._draw_residuals()
        self.cycle = self._draw_cycle()
        self._titles = {name: pn.pane.HTML(margin=0, sizing_mode="stretch_width") for name in _FIGURES}
        parts = zip(self._titles.values(), (self.scatter, self.residuals, self.cycle), strict=True)
        self.row = pn.Row(
            *(_part(title, fig) for title, fig in parts),
            sizing_mode="stretch_width",
            margin=(14, 0, 0, 0),
            stylesheets=[":host { flex-wrap: wrap; gap: 18px !important; }"],
        )
        selection.param.watch(self._update, ["product", "theme"])

    @property
    def pairs(self) -> Pairs | None:
        """What is drawn."""
        selection, evaluation = self._selection, self._selection.evaluation
        if self._series is None or evaluation is None:
            return None
        return pairs(self._series, selection.product, evaluation.reference, evaluation.season)

    def show(self, series: SiteSeries) -> None:
        """Draw one site."""
        self._series = series
        self._update()

    def _update(self, *_: param.parameterized.Event) -> None:
        found, selection = self.pairs, self._selection
        series = self._series
        if found is None or series is None or selection.evaluation is None:
            return
        self._days.data = {
            "time": found.time,
            "observed": found.observed,
            "predicted": found.predicted,
            "error": found.predicted - found.observed,
        }
        months = found.months()
        self._months.data = {
            "month": np.arange(0.5, 12), "observed": months["observed"].to_numpy(),
            "predicted": months["predicted"].to_numpy(),
        }  # fmt: skip
        days = found.time if len(found.time) else series.time
        _spread(self._span, days[0], days[-1], max(days[-1] - days[0], np.timedelta64(16, "D")))
        error = np.append(found.predicted - found.observed, 0.0)
        _spread(self._error, error.min(), error.max(), max(np.ptp(error), 0.01))
        means = months[["observed", "predicted"]].stack().dropna().to_numpy()
        means = means if means.size else np.array([0.0, 0.5])
        _spread(self._mean, means.min(), means.max(), max(np.ptp(means), 0.01))
        highest = max([0.1, *found.observed.tolist(), *found.predicted.tolist()])
        self._level.end = 1.05 * highest
        against = selection.evaluation.against
        self.scatter.xaxis.axis_label = f"{against} ({_UNITS})"
        self.scatter.yaxis.axis_label = f"{selection.product} ({_UNITS})"
        words = (
            f"{len(found.time)} days; on the line they are equal.",
            f"{selection.product} minus {against}: above 0 is too wet.",
            f"Mean of each month: {selection.product} thick, {against} thin.",
        )
        for (name, title), text in zip(self._titles.items(), words, strict=True):
            title.object = heading(name, text)
        self._colour()

    def _colour(self) -> None:
        c, dark = colours(self._selection.dark), self._selection.dark
        tint = product_colour(self._selection.product, dark=dark)
        for points in (self._points, self._errors):
            points.glyph.fill_color = tint
        self._cycle_product.glyph.line_color = tint
        self._cycle_observed.glyph.line_color = c.observed
        self._equal.line_color = self._zero.line_color = c.muted

    def _draw_scatter(self) -> figure:
        fig = quiet(
            figure(
                x_range=self._level, y_range=self._level, tools="save", height=_HEIGHT,
                sizing_mode="stretch_width", min_border_left=56, name="scatter",
            )
        )  # fmt: skip
        self._equal = Slope(gradient=1, y_intercept=0, line_dash="dashed")
        fig.add_layout(self._equal)
        self._points = fig.scatter(
            "observed", "predicted", source=self._days, size=4, fill_alpha=0.45, line_color=None, name="pairs"
        )
        fig.add_tools(
            HoverTool(
                tooltips=[("", "@time{%F}: @observed{0.000}, @predicted{0.000}")],
                formatters={"@time": "datetime"}, limit=1, visible=False,
            )
        )  # fmt: skip
        return fig

    def _draw_residuals(self) -> figure:
        fig = quiet(
            figure(
                x_axis_type="datetime", x_range=self._span, y_range=self._error, height=_HEIGHT,
                tools="xpan,xwheel_zoom,reset,save", active_scroll=None,
                sizing_mode="stretch_width", min_border_left=56, name="residuals",
            )
        )  # fmt: skip
        fig.xaxis.ticker.desired_num_ticks = 3  # the plot is narrow
        fig.yaxis.axis_label = _UNITS
        self._zero = Span(location=0, dimension="width", line_dash="dashed")
        fig.add_layout(self._zero)
        self._errors = fig.scatter(
            "time", "error", source=self._days, size=3, fill_alpha=0.6, line_color=None, name="errors"
        )
        fig.add_tools(
            HoverTool(
                tooltips=[("", "@time{%F}: @error{+0.000}")],
                formatters={"@time": "datetime"}, limit=1, visible=False,
            )
        )  # fmt: skip
        return fig

    def _draw_cycle(self) -> figure:
        fig = quiet(
            figure(
                x_range=Range1d(0, 12), y_range=self._mean, tools="save", height=_HEIGHT, sizing_mode="stretch_width",
                min_border_left=56, name="cycle",
            )
        )  # fmt: skip
        fig.xaxis.ticker = [k + 0.5 for k in range(12)]
        fig.xaxis.major_label_overrides = {k + 0.5: letter for k, letter in enumerate(_MONTHS)}
        fig.xgrid.visible = False
        fig.yaxis.axis_label = _UNITS
        self._cycle_observed = fig.line("month", "observed", source=self._months, line_width=1.5)
        self._cycle_product = fig.line("month", "predicted", source=self._months, line_width=3, name="months")
        return fig


def _spread(shown: Range1d, low: Any, high: Any, width: Any) -> None:
    """Show what lies between two ends, and a little around it; the reset tool comes back to it."""
    around = width // 16 if isinstance(width, np.timedelta64) else width / 16
    ends = low - around, high + around
    shown.update(start=ends[0], end=ends[1], reset_start=ends[0], reset_end=ends[1])


_FIGURES = ("Scatter", "Error in time", "Mean seasonal cycle")


def _part(title: pn.pane.HTML, fig: figure) -> pn.Column:
    pane = pn.pane.Bokeh(fig, sizing_mode="stretch_width", height=_HEIGHT, margin=0)
    return pn.Column(title, pane, sizing_mode="stretch_width", margin=0, styles=_BESIDE)
