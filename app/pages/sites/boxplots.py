"""Boxplots of site scores: one product by group of sites, and every product over the sites shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import panel as pn
import param
from bokeh.events import Event, Tap
from bokeh.models import ColumnDataSource, FactorRange, HoverTool, Range1d, Span
from bokeh.plotting import figure
from numpy.typing import NDArray

from app.services.evaluation import Evaluation
from app.session.selection import Selection
from app.ui.theme import colours, product_colour, scale_of, style_figure

_MAX_DOTS = 8  # up to this many sites are drawn as dots: too few for quantiles
_ROW_HEIGHT = 27
_MARGIN = 36
_HOVER = """
<div style="font-size:13px;line-height:1.45"><b>@name</b>, @n sites<br>median <b>@median{0.000}</b><br>
25th to 75th percentile: @q25{0.000} to @q75{0.000}<br>
5th to 95th percentile: @q05{0.000} to @q95{0.000}</div>"""

Groups = dict[str, NDArray[np.float64]]


class Boxplots:
    """Horizontal boxplots, one row per group: median, interquartile range, and 5th to 95th percentile.

    Parameters
    ----------
    selection
        Gives the metric, the scale and the theme.
    groups
        Evaluation, selection -> scores by row.
    colour
        Row, selection -> colour of the row.
    on_click
        Called with the row that was clicked.
    highlighted
        Selection -> the row that is highlighted; empty for none.
    watched
        Further parameters of the selection that change the groups.
    name
        Of the figure.
    """

    def __init__(
        self,
        selection: Selection,
        groups: Callable[[Evaluation, Selection], Groups],
        colour: Callable[[str, Selection], str],
        on_click: Callable[[str], None],
        highlighted: Callable[[Selection], str],
        watched: list[str],
        name: str,
    ) -> None:
        self._selection = selection
        self._groups = groups
        self._colour = colour
        self._on_click = on_click
        self._highlighted = highlighted
        self._names: list[str] = []
        self._box_source = ColumnDataSource(data=_summary({}, {}, ""))
        self._dot_source = ColumnDataSource(data={"value": [], "row": [], "colour": []})
        self._rows = FactorRange(factors=[])
        self._score_range = Range1d(0, 1)
        self.figure = self._draw(name)
        self.pane = pn.pane.Bokeh(self.figure, sizing_mode="stretch_width", margin=0)
        selection.param.watch(self._update, sorted({"shown", "theme", "metric", "limits", *watched}))
        self._update()

    @property
    def values(self) -> Groups:
        """The finite scores of each row."""
        evaluation = self._selection.evaluation
        groups = self._groups(evaluation, self._selection) if evaluation is not None else {}
        return {name: values[np.isfinite(values)] for name, values in groups.items()}

    def _draw(self, name: str) -> figure:
        fig = figure(
            x_range=self._score_range,
            y_range=self._rows,
            tools="tap,save",
            toolbar_location=None,
            sizing_mode="stretch_width",
            height=_MARGIN + _ROW_HEIGHT,
            min_border_right=14,
            name=name,
        )
        style_figure(fig)
        fig.ygrid.grid_line_color = None
        fig.yaxis.major_tick_line_color = None
        self._mark = Span(location=0, dimension="height", line_dash="dashed", line_width=1, visible=False)
        fig.add_layout(self._mark)
        self._whisker = fig.segment(
            "q05", "row", "q95", "row", source=self._box_source, line_width=1.5, line_color="colour"
        )
        box = fig.hbar(
            y="row",
            left="q25",
            right="q75",
            height=0.56,
            source=self._box_source,
            fill_color="colour",
            fill_alpha="alpha",
            line_color="colour",
        )
        self._median = fig.scatter(
            "median", "row", source=self._box_source, marker="dash", size=15, angle=np.pi / 2, line_width=2.5
        )
        dots = fig.scatter(
            "value",
            "row",
            source=self._dot_source,
            size=6,
            fill_color="colour",
            fill_alpha=0.8,
            line_color=None,
        )
        for drawn in (self._whisker, box, self._median, dots):
            drawn.nonselection_glyph = drawn.selection_glyph = None
        fig.add_tools(HoverTool(renderers=[box, self._whisker], tooltips=_HOVER, limit=1))
        fig.on_event(Tap, self._click)
        return fig

    def _update(self, *_: param.parameterized.Event) -> None:
        selection, valid = self._selection, self.values
        tint = {name: self._colour(name, selection) for name in valid}
        many = {name: values for name, values in valid.items() if values.size > _MAX_DOTS}
        few = {name: values for name, values in valid.items() if 0 < values.size <= _MAX_DOTS}
        self._names = list(reversed(valid))
        factors = [_row_label(name, valid[name]) for name in self._names]
        if self._rows.factors != factors:
            self._rows.factors = factors
            self.figure.height = _MARGIN + _ROW_HEIGHT * max(len(factors), 1)
        summary = _summary(many, tint, self._highlighted(selection))
        self._box_source.data = summary
        self._dot_source.data = {
            "value": np.concatenate([*few.values(), np.empty(0)]),
            "row": [_row_label(name, values) for name, values in few.items() for _ in values],
            "colour": [tint[name] for name, values in few.items() for _ in values],
        }
        scale = scale_of(selection.metric, selection.limits)
        low, high = scale.low, scale.high
        if selection.limits is None:
            shown = [*summary["q05"], *summary["q95"], *self._dot_source.data["value"], low, high]
            low, high = float(min(shown)), float(max(shown))
        self._score_range.update(start=low - 0.02 * (high - low), end=high + 0.02 * (high - low))
        c = colours(selection.dark)
        self._mark.update(location=scale.mark or 0, visible=scale.mark is not None, line_color=c.muted)
        self._median.glyph.line_color = c.ink

    def _click(self, event: Event) -> None:
        # Each row has length 1 on the categorical axis, which starts at 0.
        if event.y is not None and 0 <= event.y < len(self._names):
            self._on_click(self._names[int(event.y)])


def by_group(selection: Selection) -> Boxplots:
    """Return boxplots of the selected product, a row per group of sites; a click highlights the sites of a row."""

    def groups(evaluation: Evaluation, s: Selection) -> Groups:
        if s.product not in evaluation.products:
            return {}
        values = evaluation.values(s.product, s.metric)
        labels, order = evaluation.groups(s.grouping, s.moisture_of)
        mask = s.shown.mask
        return {name: values[mask & (labels == name)] for name in order if (mask & (labels == name)).any()}

    return Boxplots(
        selection,
        groups,
        lambda _, s: product_colour(s.product, dark=s.dark),
        selection.choose_group,
        lambda s: s.group,
        ["product", "grouping", "group", "moisture_of"],
        "boxes_by_group",
    )


def by_product(selection: Selection) -> Boxplots:
    """Return boxplots of every product over the sites shown; a click selects the product."""

    def groups(evaluation: Evaluation, s: Selection) -> Groups:
        mask = s.shown.mask
        return {name: evaluation.values(name, s.metric)[mask] for name in evaluation.products}

    return Boxplots(
        selection,
        groups,
        lambda name, s: product_colour(name, dark=s.dark),
        selection.choose_product,
        lambda s: s.product,
        ["product"],
        "boxes_by_product",
    )


def _row_label(name: str, values: NDArray[np.float64]) -> str:
    return f"{name.replace('_', ' ')} ({values.size})"


def _summary(groups: Groups, tint: dict[str, str], highlighted: str) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {
        "name": [name.replace("_", " ") for name in groups],
        "row": [_row_label(name, values) for name, values in groups.items()],
        "n": [int(values.size) for values in groups.values()],
        "colour": [tint[name] for name in groups],
        "alpha": [0.25 if highlighted in groups and name != highlighted else 0.6 for name in groups],
    }
    for name, share in (("q05", 5), ("q25", 25), ("median", 50), ("q75", 75), ("q95", 95)):
        columns[name] = [float(np.percentile(values, share)) for values in groups.values()]
    return columns
