"""The two terms of the loss, epoch by epoch."""

from __future__ import annotations

import numpy as np
import panel as pn
import param
from bokeh.models import ColumnDataSource, DataRange1d, HoverTool, Legend, LegendItem
from bokeh.plotting import figure

from app.progress import Losses
from app.state import Selection
from app.theme import colours, product_colour, quiet
from gsm3core import vocabulary as v


class LossCurve:
    """In-situ and satellite loss of one run.

    Parameters
    ----------
    selection
        For the colours.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._source = ColumnDataSource(data=_columns(Losses()))
        self._shown = Losses()
        fig = figure(
            height=260,
            sizing_mode="stretch_width",
            tools="",
            toolbar_location=None,
            x_range=DataRange1d(start=0),
            y_range=DataRange1d(start=0),
            name="loss",
        )
        quiet(fig)
        fig.xaxis.axis_label = "epochs, all folds"
        fig.yaxis.axis_label = "loss"
        self._insitu = fig.line("epoch", "insitu", source=self._source, line_width=2)
        self._satellite = fig.line("epoch", "satellite", source=self._source, line_width=2)
        ends = [
            LegendItem(label="in situ", renderers=[self._insitu]),
            LegendItem(label="SMAP", renderers=[self._satellite]),
        ]
        fig.add_layout(Legend(items=ends, orientation="horizontal", padding=2, margin=2), "above")
        tips = [("epoch", "@epoch{0}"), ("in situ", "@insitu{0.000}"), ("SMAP", "@satellite{0.000}")]
        fig.add_tools(HoverTool(tooltips=tips, mode="vline", limit=1, renderers=[self._insitu]))
        self.figure = fig
        self.pane = pn.pane.Bokeh(fig, sizing_mode="stretch_width", height=260, margin=0)
        selection.param.watch(self._restyle, "theme")
        self._restyle()

    def show(self, losses: Losses) -> None:
        """Draw the losses, sending only what is new."""
        before, self._shown = self._shown, losses
        if losses == before:
            return
        old = len(before.epoch)
        if old and losses.epoch[:old] == before.epoch:
            self._source.stream({n: x[old:] for n, x in _columns(losses).items()})
        else:
            self._source.data = _columns(losses)

    def _restyle(self, *_: param.parameterized.Event) -> None:
        self._insitu.glyph.line_color = colours(self._selection.dark).observed
        self._satellite.glyph.line_color = product_colour(v.SMAP, dark=self._selection.dark)


def _columns(losses: Losses) -> dict[str, np.ndarray]:
    return {
        "epoch": np.array(losses.epoch),
        "insitu": np.array(losses.insitu),
        "satellite": np.array(losses.satellite),
    }
