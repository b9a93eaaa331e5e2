"""Share of the common sites where one product is better than each of the others."""

from __future__ import annotations

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource, FactorRange, HoverTool, Range1d, Span
from bokeh.plotting import figure

from app.pages.compare.colours import compared_colour
from app.services.comparison import Comparison
from app.session.selection import Selection
from app.ui.theme import colours, style_figure

_ROW_HEIGHT, _MARGIN = 30, 44
_HOVER = '<div style="font-size:13px">@product is better at <b>@percent{0} %</b><br>of @n sites, @other at the rest</div>'


class WinShare:
    """One bar per other product; the dashed line marks 50 % of the sites.

    Parameters
    ----------
    selection
        Gives the metric, the days and the theme.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._source = ColumnDataSource(data={})
        self._rows = FactorRange(factors=[])
        fig = figure(
            x_range=Range1d(0, 100),
            y_range=self._rows,
            tools="",
            toolbar_location=None,
            sizing_mode="stretch_width",
            height=_MARGIN,
            min_border_right=14,
            name="win_share",
        )
        style_figure(fig)
        fig.grid.visible = False
        fig.xaxis.axis_label = "share of sites with the better score (%)"
        wins = fig.hbar(
            y="row", left=0, right="percent", height=0.6, source=self._source, fill_color="colour", line_color=None,
            name="wins",
        )  # fmt: skip
        fig.hbar(
            y="row", left="percent", right=100, height=0.6, source=self._source, fill_color="other_colour",
            fill_alpha=0.35, line_color=None,
        )  # fmt: skip
        self._half = Span(location=50, dimension="height", line_dash="dashed", line_width=1)
        fig.add_layout(self._half)
        fig.add_tools(HoverTool(renderers=[wins], tooltips=_HOVER, limit=1, visible=False))
        self.figure = fig
        self.pane = pn.pane.Bokeh(fig, sizing_mode="stretch_width", margin=0)

    def show(self, comparison: Comparison, product: str) -> None:
        """Draw the shares of one product."""
        s = self._selection
        table = comparison.against_others(s.sample, s.metric, product)
        table = table[np.isfinite(table["win_share"])]
        rows = [f"{name} ({int(n)})" for name, n in table["n_common"].items()]
        self._rows.factors = rows[::-1]
        self.figure.height = _MARGIN + _ROW_HEIGHT * max(len(rows), 1)
        self._source.data = {
            "row": rows,
            "product": [product] * len(rows),
            "other": [str(name) for name in table.index],
            "percent": (100 * table["win_share"]).tolist(),
            "n": table["n_common"].astype(int).tolist(),
            "colour": [compared_colour(comparison, product, dark=s.dark)] * len(rows),
            "other_colour": [compared_colour(comparison, str(name), dark=s.dark) for name in table.index],
        }
        self._half.line_color = colours(s.dark).ink
