"""Training loss (in situ and SMAP) and validation RMSE by epoch."""

from __future__ import annotations

import numpy as np
import panel as pn
import param
from bokeh.models import ColumnDataSource, DataRange1d, HoverTool, Legend, LegendItem
from bokeh.plotting import figure

from app.services.run_progress import LossHistory
from app.session.selection import Selection
from app.ui.theme import colours, product_colour, style_figure
from gsm3core import vocabulary as v


class LossCurve:
    """In-situ and satellite loss of one run, and RMSE at the validation sites."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._source = ColumnDataSource(data=_columns(LossHistory()))
        self._shown = LossHistory()
        fig = figure(
            height=260,
            sizing_mode="stretch_width",
            tools="",
            toolbar_location=None,
            x_range=DataRange1d(start=0),
            y_range=DataRange1d(start=0),
            name="loss",
        )
        style_figure(fig)
        fig.xaxis.axis_label = "epoch, all folds and members"
        fig.yaxis.axis_label = "RMSE (m³ m⁻³)"
        self._insitu = fig.line("epoch", "insitu", source=self._source, line_width=2)
        self._satellite = fig.line("epoch", "satellite", source=self._source, line_width=2)
        self._validation = fig.line(
            "epoch", "validation", source=self._source, line_width=2, line_dash="dashed"
        )
        items = [
            LegendItem(label="in situ", renderers=[self._insitu]),
            LegendItem(label="SMAP", renderers=[self._satellite]),
            LegendItem(label="validation sites", renderers=[self._validation]),
        ]
        self._legend = Legend(items=items[:2], orientation="horizontal", padding=2, margin=2)
        self._all_items = items
        fig.add_layout(self._legend, "above")
        tips = [("epoch", "@epoch{0}"), ("in situ", "@insitu{0.000}"), ("SMAP", "@satellite{0.000}")]
        tips += [("validation", "@validation{0.000}")]
        fig.add_tools(HoverTool(tooltips=tips, mode="vline", limit=1, renderers=[self._insitu]))
        self.figure = fig
        self.pane = pn.pane.Bokeh(fig, sizing_mode="stretch_width", height=260, margin=0)
        selection.param.watch(self._restyle, "theme")
        self._restyle()

    def show(self, losses: LossHistory) -> None:
        """Draw the losses, sending only new epochs."""
        before, self._shown = self._shown, losses
        if losses == before:
            return
        if np.isfinite(losses.validation).any() and len(self._legend.items) < len(self._all_items):
            self._legend.items = self._all_items
        old = len(before.epoch)
        if old and losses.epoch[:old] == before.epoch:
            self._source.stream({n: x[old:] for n, x in _columns(losses).items()})
        else:
            self._source.data = _columns(losses)

    def _restyle(self, *_: param.parameterized.Event) -> None:
        self._insitu.glyph.line_color = colours(self._selection.dark).observed
        self._satellite.glyph.line_color = product_colour(v.SMAP, dark=self._selection.dark)
        self._validation.glyph.line_color = colours(self._selection.dark).accent


def _columns(losses: LossHistory) -> dict[str, np.ndarray]:
    return {
        "epoch": np.array(losses.epoch),
        "insitu": np.array(losses.insitu),
        "satellite": np.array(losses.satellite),
        "validation": np.array(losses.validation),
    }
