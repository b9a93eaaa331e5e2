"""How the expected score changes along one factor, with the number of sites that it is known from."""

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
from app.ui.theme import colours, quiet

_HEIGHT = 300


class EffectPlot:
    """A curve for a quantity, a point per class for a class; each with its interval.

    Parameters
    ----------
    selection
        Of the visitor.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._plot = pn.Column(sizing_mode="stretch_width", margin=0)
        self.figures: dict[str, figure] = {}
        self.column = pn.Column(self._plot, sizing_mode="stretch_width", margin=0)

    def show(self, found: xr.Dataset) -> None:
        """Draw :func:`gsm3core.factors.factor_effect`."""
        name, metric = found.attrs["factor"], found.attrs["metric"]
        is_class = "class" in found.dims
        how = (
            "Expected score were every site of that class."
            if is_class
            else "Local steps between sites that are there, added up (ALE). Grey below: where the sites are."
        )
        self.title.object = heading(
            f"{metric_label(metric)} along {factor_label(name)}",
            f"{how} Interval: 95 %, clusters of sites drawn again. Association, not cause.",
        )
        fig = self._classes(found) if is_class else self._curve(found)
        self.figures = {f"Effect of {factor_label(name)}": fig}
        self._plot.objects = [pn.pane.Bokeh(fig, sizing_mode="stretch_width", height=fig.height, margin=0)]

    def _curve(self, found: xr.Dataset) -> figure:
        c = colours(self._selection.dark)
        edges, average = found["edge"].values, float(found["average"])
        lines = {n: found[n].values + average for n in ("effect", "lower", "upper")}
        known = np.isfinite(lines["lower"]) & np.isfinite(lines["upper"])
        reached = np.concatenate([lines["effect"], lines["lower"][known], lines["upper"][known]])
        low, high = float(reached.min()), float(reached.max())
        span = max(high - low, 0.02)
        floor = low - 0.35 * span
        fig = _figure(
            self._selection, Range1d(float(edges[0]), float(edges[-1])), Range1d(floor, high + 0.1 * span)
        )
        density = found["sites"].values / np.maximum(np.diff(edges), 1e-12)
        # A narrow bin of many like sites would leave all others flat.
        density = np.minimum(density, 4 * np.median(density))
        tall = 0.22 * span / max(float(density.max()), 1e-12)
        fig.quad(
            left=edges[:-1], right=edges[1:], bottom=floor, top=floor + tall * density, fill_color=c.muted,
            fill_alpha=0.45, line_color=None,
        )  # fmt: skip
        source = ColumnDataSource(data={"x": edges, **lines})
        if known.any():
            fig.varea("x", "lower", "upper", source=source, fill_color=c.shade, fill_alpha=0.22)
        fig.line("x", "effect", source=source, line_color=c.shade, line_width=2.5, name="effect")
        fig.add_layout(Span(location=average, dimension="width", line_dash="dashed", line_color=c.muted))
        fig.xaxis.axis_label = factor_axis(found.attrs["factor"])
        fig.yaxis.axis_label = f"expected {metric_label(found.attrs['metric'])}"
        return fig

    def _classes(self, found: xr.Dataset) -> figure:
        c = colours(self._selection.dark)
        average = float(found["average"])
        rows = [f"{n} ({int(k)})" for n, k in zip(found["class"].values, found["sites"].values, strict=True)]
        lines = {n: found[n].values + average for n in ("effect", "lower", "upper")}
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
        fig.xaxis.axis_label = f"expected {metric_label(found.attrs['metric'])}"
        return fig


def _figure(selection: Selection, x: object, y: object, *, height: int = _HEIGHT) -> figure:
    fig = figure(
        x_range=x, y_range=y, height=height, sizing_mode="stretch_width", tools="save", toolbar_location="above",
        min_border_left=60, name="effect_figure",
    )  # fmt: skip
    quiet(fig)
    return fig
