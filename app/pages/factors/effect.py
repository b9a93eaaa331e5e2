"""Effect of one factor on the expected score, with the density of sites."""

from __future__ import annotations

import numpy as np
import panel as pn
import xarray as xr
from bokeh.models import ColumnDataSource, FactorRange, Range1d, Span
from bokeh.plotting import figure

from app.pages.factors.labels import factor_axis, factor_label
from app.services.metric_labels import metric_label
from app.session.selection import Selection
from app.ui.card import heading
from app.ui.theme import colours, style_figure

_HEIGHT = 300


class EffectPlot:
    """Plot of a factor's effect: a curve for a quantity, a point per class; each with its interval."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._plot = pn.Column(sizing_mode="stretch_width", margin=0)
        self.figures: dict[str, figure] = {}
        self.column = pn.Column(self._plot, sizing_mode="stretch_width", margin=0)

    def show(self, effect: xr.Dataset) -> None:
        """Draw :func:`gsm3core.factors.factor_effect`."""
        name, metric = effect.attrs["factor"], effect.attrs["metric"]
        is_class = "class" in effect.dims
        method = (
            "Expected score if every site were of that class."
            if is_class
            else "Accumulated local effects (ALE). Grey: density of sites."
        )
        self.title.object = heading(
            f"Effect of {factor_label(name)} on {metric_label(metric)}",
            f"{method} Interval: 95 %, clusters of sites resampled. Association, not cause.",
        )
        fig = self._classes(effect) if is_class else self._curve(effect)
        self.figures = {f"Effect of {factor_label(name)}": fig}
        self._plot.objects = [pn.pane.Bokeh(fig, sizing_mode="stretch_width", height=fig.height, margin=0)]

    def _curve(self, effect: xr.Dataset) -> figure:
        c = colours(self._selection.dark)
        edges, average = effect["edge"].values, float(effect["average"])
        lines = {n: effect[n].values + average for n in ("effect", "lower", "upper")}
        known = np.isfinite(lines["lower"]) & np.isfinite(lines["upper"])
        drawn = np.concatenate([lines["effect"], lines["lower"][known], lines["upper"][known]])
        low, high = float(drawn.min()), float(drawn.max())
        span = max(high - low, 0.02)
        floor = low - 0.35 * span
        fig = _figure(
            self._selection, Range1d(float(edges[0]), float(edges[-1])), Range1d(floor, high + 0.1 * span)
        )
        density = effect["sites"].values / np.maximum(np.diff(edges), 1e-12)
        # Cap the density: one narrow bin with many similar sites would flatten all others.
        density = np.minimum(density, 4 * np.median(density))
        scale = 0.22 * span / max(float(density.max()), 1e-12)
        fig.quad(
            left=edges[:-1], right=edges[1:], bottom=floor, top=floor + scale * density, fill_color=c.muted,
            fill_alpha=0.45, line_color=None,
        )  # fmt: skip
        source = ColumnDataSource(data={"x": edges, **lines})
        if known.any():
            fig.varea("x", "lower", "upper", source=source, fill_color=c.shade, fill_alpha=0.22)
        fig.line("x", "effect", source=source, line_color=c.shade, line_width=2.5, name="effect")
        fig.add_layout(Span(location=average, dimension="width", line_dash="dashed", line_color=c.muted))
        fig.xaxis.axis_label = factor_axis(effect.attrs["factor"])
        fig.yaxis.axis_label = f"expected {metric_label(effect.attrs['metric'])}"
        return fig

    def _classes(self, effect: xr.Dataset) -> figure:
        c = colours(self._selection.dark)
        average = float(effect["average"])
        rows = [
            f"{n} ({int(k)})" for n, k in zip(effect["class"].values, effect["sites"].values, strict=True)
        ]
        lines = {n: effect[n].values + average for n in ("effect", "lower", "upper")}
        finite = np.concatenate([x[np.isfinite(x)] for x in lines.values()])
        pad = max(0.1 * float(np.ptp(finite)), 0.01)
        fig = _figure(
            self._selection,
            Range1d(float(finite.min()) - pad, float(finite.max()) + pad),
            FactorRange(factors=rows[::-1]),
            height=max(150, 60 + 26 * len(rows)),
        )
        source = ColumnDataSource(data={"row": rows, **lines})
        fig.segment("lower", "row", "upper", "row", source=source, line_color=c.shade, line_width=2)
        fig.scatter(
            "effect", "row", source=source, fill_color=c.shade, line_color=None, size=9, name="effect"
        )
        fig.add_layout(Span(location=average, dimension="height", line_dash="dashed", line_color=c.muted))
        fig.xaxis.axis_label = f"expected {metric_label(effect.attrs['metric'])}"
        return fig


def _figure(selection: Selection, x: object, y: object, *, height: int = _HEIGHT) -> figure:
    fig = figure(
        x_range=x, y_range=y, height=height, sizing_mode="stretch_width", tools="save", toolbar_location="above",
        min_border_left=60, name="effect_figure",
    )  # fmt: skip
    style_figure(fig)
    return fig
