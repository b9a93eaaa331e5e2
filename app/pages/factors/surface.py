"""Joint effect of two factors on the expected score; cells without a site are blank."""

from __future__ import annotations

import numpy as np
import panel as pn
import xarray as xr
from bokeh.models import ColorBar, ColumnDataSource, HoverTool, LinearColorMapper, Range1d
from bokeh.plotting import figure

from app.pages.factors.labels import factor_axis, factor_label
from app.services.metric_labels import metric_label
from app.session.selection import Selection
from app.ui.card import heading
from app.ui.theme import SCALES, colours, style_figure

_HOVER = '<div style="font-size:13px">expected @value{0.000}<br>@sites sites<br>@first_label<br>@second_label</div>'


class SurfacePlot:
    """Grid of two factors, coloured by the expected score."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._plot = pn.Column(sizing_mode="stretch_width", margin=0)
        self.figures: dict[str, figure] = {}
        self.column = pn.Column(self._plot, sizing_mode="stretch_width", margin=0)

    def show(self, found: xr.Dataset) -> None:
        """Draw :func:`gsm3core.factors.effect_surface`."""
        first, second, metric = (found.attrs[n] for n in ("first", "second", "metric"))
        self.title.object = heading(
            f"Joint effect of {factor_label(first)} and {factor_label(second)} on {metric_label(metric)}",
            "Expected score at each pair of values; cells without a site are blank. Hover for the number of sites. "
            "Association, not cause.",
        )
        c = colours(self._selection.dark)
        data = _cells(found)
        values = np.array(data["value"], float)
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
        mapper = LinearColorMapper(
            palette=list(SCALES[metric].palette), low=low, high=max(high, low + 1e-6), nan_color="#00000000"
        )
        x, y = found["first_edge"].values, found["second_edge"].values
        fig = figure(
            x_range=Range1d(float(x[0]), float(x[-1])), y_range=Range1d(float(y[0]), float(y[-1])), height=330,
            sizing_mode="stretch_width", tools="save", toolbar_location="above", min_border_left=60, name="surface",
        )  # fmt: skip
        style_figure(fig)
        fig.grid.visible = False
        cells = fig.quad(
            left="left", right="right", bottom="bottom", top="top", source=ColumnDataSource(data=data),
            fill_color={"field": "value", "transform": mapper}, line_color=c.surface, line_width=0.5, name="cells",
        )  # fmt: skip
        fig.add_tools(HoverTool(renderers=[cells], tooltips=_HOVER, limit=1, visible=False))
        fig.add_layout(ColorBar(color_mapper=mapper, width=10, padding=8, bar_line_color=None), "right")
        fig.xaxis.axis_label, fig.yaxis.axis_label = factor_axis(first), factor_axis(second)
        self.figures = {"Joint effect of two factors": fig}
        self._plot.objects = [pn.pane.Bokeh(fig, sizing_mode="stretch_width", height=330, margin=0)]


def _cells(found: xr.Dataset) -> dict[str, list[object]]:
    """Return the cells with at least one site; a cell's value is the mean of its corners."""
    effect = found["effect"].values + float(found["average"])
    middle = (effect[:-1, :-1] + effect[1:, :-1] + effect[:-1, 1:] + effect[1:, 1:]) / 4
    x, y, sites = found["first_edge"].values, found["second_edge"].values, found["sites"].values
    first, second = (factor_label(found.attrs[n]) for n in ("first", "second"))
    occupied = np.argwhere(sites > 0)
    return {
        "left": [float(x[i]) for i, _ in occupied],
        "right": [float(x[i + 1]) for i, _ in occupied],
        "bottom": [float(y[j]) for _, j in occupied],
        "top": [float(y[j + 1]) for _, j in occupied],
        "value": [float(middle[i, j]) for i, j in occupied],
        "sites": [int(sites[i, j]) for i, j in occupied],
        "first_label": [f"{first} {x[i]:.3g} to {x[i + 1]:.3g}" for i, _ in occupied],
        "second_label": [f"{second} {y[j]:.3g} to {y[j + 1]:.3g}" for _, j in occupied],
    }
