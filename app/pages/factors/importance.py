"""Factors by importance, with intervals, beside the noise that nothing counts below."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui
import xarray as xr
from bokeh.events import Event, Tap
from bokeh.models import ColumnDataSource, FactorRange, HoverTool, Range1d, Span
from bokeh.plotting import figure

from app.pages.factors.labels import MEASURE_HELP, MEASURES, MODELS, factor_label
from app.session.selection import Selection
from app.ui.formatting import TABLE
from app.ui.theme import colours, quiet
from gsm3core.factors.importance import NOISE

_MOST, _ROW, _AROUND = 16, 23, 46
_HOVER = """
<div style="font-size:13px;line-height:1.45"><b>@label</b><br>@importance{0.000} [@lower{0.000}, @upper{0.000}]<br>
@beats<br>@like</div>"""


class Ranking:
    """One bar per factor; a click on a bar selects the factor.

    Parameters
    ----------
    selection
        Of the visitor.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._found: xr.Dataset | None = None
        small = {"size": "small", "margin": (4, 12, 4, 0), "width": 230}
        self.measure = pmui.Select(label="Importance", options={}, **small)
        self.model = pmui.Select(
            label="Model",
            options={},
            description="Which model was asked; what both say counts more.",
            **small,
        )
        self._help = pn.pane.HTML(stylesheets=[TABLE], sizing_mode="stretch_width", margin=(0, 0, 6, 0))
        self._source = ColumnDataSource(data={})
        self._rows = FactorRange(factors=[])
        self._axis = Range1d(0, 1)
        fig = figure(
            x_range=self._axis,
            y_range=self._rows,
            tools="",
            toolbar_location=None,
            sizing_mode="stretch_width",
            height=_AROUND + _ROW,
            min_border_right=14,
            name="importance",
        )
        quiet(fig)
        fig.ygrid.grid_line_color = None
        self._bars = fig.hbar(
            y="label", left=0, right="importance", height=0.62, source=self._source, line_color=None,
            fill_color="colour", fill_alpha="alpha", name="factors",
        )  # fmt: skip
        self._whisker = fig.segment("lower", "label", "upper", "label", source=self._source, line_width=1.5)
        self._zero = Span(location=0, dimension="height", line_width=1)
        self._noise = Span(location=0, dimension="height", line_dash="dashed", line_width=1.2)
        for line in (self._zero, self._noise):
            fig.add_layout(line)
        fig.add_tools(HoverTool(renderers=[self._bars], tooltips=_HOVER, limit=1, visible=False))
        fig.on_event(Tap, self._click)
        self.figure = fig
        self.column = pn.Column(
            pn.Row(self.measure, self.model, margin=0),
            self._help,
            pn.pane.Bokeh(fig, sizing_mode="stretch_width", margin=0),
            sizing_mode="stretch_width",
            margin=0,
        )
        self.measure.param.watch(lambda _: self._draw(), "value")
        self.model.param.watch(lambda _: self._draw(), "value")
        selection.param.watch(lambda _: self._draw(), "theme")

    @property
    def order(self) -> list[str]:
        """Names of the factors that are shown, the most important first."""
        return list(self._source.data.get("factor", []))

    def show(self, found: xr.Dataset) -> None:
        """Draw a ranking."""
        self._found = found
        measures = {label: n for n, label in MEASURES.items() if n in found["measure"].values}
        models = {label: n for n, label in MODELS.items() if n in found["model"].values}
        for widget, options in ((self.measure, measures), (self.model, models)):
            there = list(options.values())
            widget.param.update(options=options, value=widget.value if widget.value in there else there[0])
        self._draw()

    def _draw(self) -> None:
        if self._found is None or self.measure.value is None or self.model.value is None:
            return
        c = colours(self._selection.dark)
        one = self._found.sel(measure=self.measure.value, model=self.model.value)
        none = bool(one["importance"].isnull().all())
        told = "Only the forest has this one: choose it as the model." if none else ""
        noise_told = "Dashed: random noise, drawn afresh in every split; pale: not above it."
        self._help.object = f"<p>{told or MEASURE_HELP[self.measure.value]} {noise_told}</p>"
        ranked = ["importance", "lower", "upper", "above_noise"]
        table = one[ranked].to_dataframe().sort_values("importance", ascending=False)
        noise = float(one["importance"].sel(factor=NOISE)) if not none else 0.0
        table = table[table["importance"].notna()].head(_MOST)
        like: dict[object, list[str]] = {}
        for name, group in zip(one["factor"].values, one["group"].values, strict=True):
            like.setdefault(int(group), []).append(str(name))
        labels = [factor_label(str(name)) for name in table.index]
        labels = labels if len(set(labels)) == len(labels) else [str(name) for name in table.index]
        self._rows.factors = labels[::-1]
        self.figure.height = _AROUND + _ROW * max(len(labels), 1)
        self._source.data = {
            "factor": [str(n) for n in table.index],
            "label": labels,
            "importance": table["importance"].tolist(),
            "lower": table["lower"].tolist(),
            "upper": table["upper"].tolist(),
            "alpha": [0.85 if above else 0.35 for above in table["above_noise"]],
            "colour": [c.muted if name == NOISE else c.shade for name in table.index],
            "beats": [
                "above random noise" if above else "not above random noise" for above in table["above_noise"]
            ],
            "like": [
                f"goes along with {', '.join(factor_label(o) for o in like[int(g)] if o != n)}"
                if len(like[int(g)]) > 1
                else ""
                for n, g in table["group"].items()
            ],
        }
        reached = [0.0, noise, *table["lower"], *table["upper"], *table["importance"]]
        low, high = min(reached), max([*reached, 1e-6])
        self._axis.update(start=low - 0.03 * (high - low), end=high + 0.03 * (high - low))
        in_units = self.measure.value == "shap"
        self.figure.xaxis.axis_label = (
            f"mean size of its part in {self._found.attrs['metric']}"
            if in_units
            else "share of the uses"
            if self.measure.value == "impurity"
            else "share of the score's variance"
        )
        self._noise.update(location=noise, line_color=c.accent)
        self._zero.line_color = c.muted
        self._whisker.glyph.line_color = c.ink

    def _click(self, event: Event) -> None:
        names = self.order
        if not isinstance(event.y, (int, float)) and event.y is not None:
            return
        # Rows of a categorical axis lie at 0.5, 1.5, ... from below.
        row = len(names) - 1 - int(event.y) if event.y is not None else -1
        if 0 <= row < len(names) and names[row] != NOISE:
            self._selection.factor = names[row]
