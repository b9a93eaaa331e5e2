"""The selected product against the reference at one site: scatter plot, error over time, mean seasonal cycle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import param
from bokeh.models import ColumnDataSource, HoverTool, Range1d, Slope, Span
from bokeh.plotting import figure
from numpy.typing import NDArray

from app.services.site_pairs import PairedDays, paired_days
from app.services.site_series import SiteSeries
from app.session.selection import Selection
from app.ui.card import heading
from app.ui.theme import colours, product_colour, style_figure

_HEIGHT = 250
_MONTH_LETTERS = ("J", "F", "M", "A", "M", "J", "J", "A", "S", "O", "N", "D")
_UNITS = "m³ m⁻³"
_BESIDE = {"flex": "1 1 260px", "min-width": "0"}


class PairPlots:
    """Scatter plot, error time series and mean seasonal cycle.

    Parameters
    ----------
    selection
        Gives the product, the reference, the season and the theme.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._series: SiteSeries | None = None
        self._day_source = ColumnDataSource(data={"time": [], "observed": [], "predicted": [], "error": []})
        self._month_source = ColumnDataSource(data={"month": [], "observed": [], "predicted": []})
        # Fixed ranges: Bokeh's data ranges log errors in the browser while there are no data.
        self._moisture_range, self._time_range = Range1d(0, 0.5), Range1d(0, 1)
        self._error_range, self._mean_range = Range1d(-0.1, 0.1), Range1d(0, 0.5)
        self.scatter = self._draw_scatter()
        self.residuals = self._draw_residuals()
        self.cycle = self._draw_cycle()
        self._titles = {name: pn.pane.HTML(margin=0, sizing_mode="stretch_width") for name in _FIGURES}
        columns = zip(self._titles.values(), (self.scatter, self.residuals, self.cycle), strict=True)
        self.row = pn.Row(
            *(_titled(title, fig) for title, fig in columns),
            sizing_mode="stretch_width",
            margin=(14, 0, 0, 0),
            stylesheets=[":host { flex-wrap: wrap; gap: 18px !important; }"],
        )
        selection.param.watch(self._update, ["product", "theme"])

    @property
    def pairs(self) -> PairedDays | None:
        """The paired days shown; None before a site is shown."""
        selection, evaluation = self._selection, self._selection.evaluation
        if self._series is None or evaluation is None:
            return None
        return paired_days(
            self._series, selection.product, evaluation.reference, evaluation.season, evaluation.scaling,
            evaluation.masks,
        )  # fmt: skip

    def show(self, series: SiteSeries) -> None:
        """Draw one site."""
        self._series = series
        self._update()

    def _update(self, *_: param.parameterized.Event) -> None:
        found, series, evaluation = self.pairs, self._series, self._selection.evaluation
        if found is None or series is None or evaluation is None:
            return
        months = found.seasonal_cycle()
        self._update_sources(found, months)
        self._update_ranges(found, months, found.time if len(found.time) else series.time)
        self._update_titles(len(found.time), evaluation.against, evaluation.conditions)
        self._colour()

    def _update_sources(self, found: PairedDays, months: pd.DataFrame) -> None:
        self._day_source.data = {
            "time": found.time,
            "observed": found.observed,
            "predicted": found.predicted,
            "error": found.predicted - found.observed,
        }
        self._month_source.data = {
            "month": np.arange(0.5, 12), "observed": months["observed"].to_numpy(),
            "predicted": months["predicted"].to_numpy(),
        }  # fmt: skip

    def _update_ranges(self, found: PairedDays, months: pd.DataFrame, days: NDArray[np.datetime64]) -> None:
        _set_range(self._time_range, days[0], days[-1], max(days[-1] - days[0], np.timedelta64(16, "D")))
        error = np.append(found.predicted - found.observed, 0.0)
        _set_range(self._error_range, error.min(), error.max(), max(np.ptp(error), 0.01))
        means = months[["observed", "predicted"]].stack().dropna().to_numpy()
        means = means if means.size else np.array([0.0, 0.5])
        _set_range(self._mean_range, means.min(), means.max(), max(np.ptp(means), 0.01))
        highest = max([0.1, *found.observed.tolist(), *found.predicted.tolist()])
        lowest = min([0.0, *found.predicted.tolist()])  # scaling may lead below 0
        self._moisture_range.update(start=1.05 * lowest, end=1.05 * highest)

    def _update_titles(self, n_days: int, reference: str, conditions: str) -> None:
        product = self._selection.product
        self.scatter.xaxis.axis_label = f"{reference} ({_UNITS})"
        self.scatter.yaxis.axis_label = f"{product} ({_UNITS})"
        explanations = (
            f"{n_days} days{conditions}; dashed: 1:1 line.",
            f"{product} minus {reference}: positive is too wet.",
            f"Mean of each month; thick line: {product}, thin line: {reference}.",
        )
        for (name, title), text in zip(self._titles.items(), explanations, strict=True):
            title.object = heading(name, text)

    def _colour(self) -> None:
        c, dark = colours(self._selection.dark), self._selection.dark
        tint = product_colour(self._selection.product, dark=dark)
        for points in (self._points, self._errors):
            points.glyph.fill_color = tint
        self._cycle_product.glyph.line_color = tint
        self._cycle_observed.glyph.line_color = c.observed
        self._equal.line_color = self._zero.line_color = c.muted

    def _draw_scatter(self) -> figure:
        fig = style_figure(
            figure(
                x_range=self._moisture_range, y_range=self._moisture_range, tools="save", height=_HEIGHT,
                sizing_mode="stretch_width", min_border_left=56, name="scatter",
            )
        )  # fmt: skip
        self._equal = Slope(gradient=1, y_intercept=0, line_dash="dashed")
        fig.add_layout(self._equal)
        self._points = fig.scatter(
            "observed",
            "predicted",
            source=self._day_source,
            size=4,
            fill_alpha=0.45,
            line_color=None,
            name="pairs",
        )
        fig.add_tools(
            HoverTool(
                tooltips=[("", "@time{%F}: @observed{0.000}, @predicted{0.000}")],
                formatters={"@time": "datetime"}, limit=1, visible=False,
            )
        )  # fmt: skip
        return fig

    def _draw_residuals(self) -> figure:
        fig = style_figure(
            figure(
                x_axis_type="datetime", x_range=self._time_range, y_range=self._error_range, height=_HEIGHT,
                tools="xpan,xwheel_zoom,reset,save", active_scroll=None,
                sizing_mode="stretch_width", min_border_left=56, name="residuals",
            )
        )  # fmt: skip
        fig.xaxis.ticker.desired_num_ticks = 3  # narrow plot
        fig.yaxis.axis_label = _UNITS
        self._zero = Span(location=0, dimension="width", line_dash="dashed")
        fig.add_layout(self._zero)
        self._errors = fig.scatter(
            "time", "error", source=self._day_source, size=3, fill_alpha=0.6, line_color=None, name="errors"
        )
        fig.add_tools(
            HoverTool(
                tooltips=[("", "@time{%F}: @error{+0.000}")],
                formatters={"@time": "datetime"}, limit=1, visible=False,
            )
        )  # fmt: skip
        return fig

    def _draw_cycle(self) -> figure:
        fig = style_figure(
            figure(
                x_range=Range1d(0, 12), y_range=self._mean_range, tools="save", height=_HEIGHT, sizing_mode="stretch_width",
                min_border_left=56, name="cycle",
            )
        )  # fmt: skip
        fig.xaxis.ticker = [k + 0.5 for k in range(12)]
        fig.xaxis.major_label_overrides = {k + 0.5: letter for k, letter in enumerate(_MONTH_LETTERS)}
        fig.xgrid.visible = False
        fig.yaxis.axis_label = _UNITS
        self._cycle_observed = fig.line("month", "observed", source=self._month_source, line_width=1.5)
        self._cycle_product = fig.line(
            "month", "predicted", source=self._month_source, line_width=3, name="months"
        )
        return fig


def _set_range(axis: Range1d, low: Any, high: Any, width: Any) -> None:
    """Set a range to an interval with a margin, also for the reset tool."""
    margin = width // 16 if isinstance(width, np.timedelta64) else width / 16
    ends = low - margin, high + margin
    axis.update(start=ends[0], end=ends[1], reset_start=ends[0], reset_end=ends[1])


_FIGURES = ("Scatter", "Error over time", "Mean seasonal cycle")


def _titled(title: pn.pane.HTML, fig: figure) -> pn.Column:
    pane = pn.pane.Bokeh(fig, sizing_mode="stretch_width", height=_HEIGHT, margin=0)
    return pn.Column(title, pane, sizing_mode="stretch_width", margin=0, styles=_BESIDE)
