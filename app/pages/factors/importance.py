"""Plot of factor importance with intervals, compared with a random-noise factor."""

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
from app.ui.theme import colours, style_figure
from gsm3core.factors.importance import NOISE

_MAX_FACTORS, _ROW_HEIGHT, _FRAME_HEIGHT = 16, 23, 46
_HOVER = """
<div style="font-size:13px;line-height:1.45"><b>@label</b><br>@importance{0.000} [@lower{0.000}, @upper{0.000}]<br>
@above_noise<br>@correlated</div>"""


class ImportancePlot:
    """One bar per factor; a click on a bar selects the factor."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._found: xr.Dataset | None = None
        small = {"size": "small", "margin": (4, 12, 4, 0), "width": 230}
        self.measure = pmui.Select(label="Importance", options={}, **small)
        self.model = pmui.Select(
            label="Model",
            options={},
            description="Model whose importance is shown; a ranking on which models agree is more reliable.",
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
            height=_FRAME_HEIGHT + _ROW_HEIGHT,
            min_border_right=14,
            name="importance",
        )
        style_figure(fig)
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
        """Names of the factors shown, most important first."""
        return list(self._source.data.get("factor", []))

    def show(self, found: xr.Dataset) -> None:
        """Draw :func:`gsm3core.factors.importance_of`."""
        self._found = found
        measures = {label: n for n, label in MEASURES.items() if n in found["measure"].values}
        models = {label: n for n, label in MODELS.items() if n in found["model"].values}
        for widget, options in ((self.measure, measures), (self.model, models)):
            names = list(options.values())
            widget.param.update(options=options, value=widget.value if widget.value in names else names[0])
        self._draw()

    def _draw(self) -> None:
        if self._found is None or self.measure.value is None or self.model.value is None:
            return
        c = colours(self._selection.dark)
        measure = self.measure.value
        one = self._found.sel(measure=measure, model=self.model.value)
        missing = bool(one["importance"].isnull().all())
        text = (
            f"{MEASURES[measure]} is available for the random forest only: choose it as the model."
            if missing
            else MEASURE_HELP[measure]
        )
        self._help.object = (
            f"<p>{text} Dashed line: random noise, redrawn in every split; pale bars are not above it.</p>"
        )
        ranked = ["importance", "lower", "upper", "above_noise"]
        table = one[ranked].to_dataframe().sort_values("importance", ascending=False)
        table = table[table["importance"].notna()].head(_MAX_FACTORS)
        correlated = _correlated_factors(one)
        labels = [factor_label(str(name)) for name in table.index]
        labels = labels if len(set(labels)) == len(labels) else [str(name) for name in table.index]
        self._rows.factors = labels[::-1]
        self.figure.height = _FRAME_HEIGHT + _ROW_HEIGHT * max(len(labels), 1)
        self._source.data = {
            "factor": [str(n) for n in table.index],
            "label": labels,
            "importance": table["importance"].tolist(),
            "lower": table["lower"].tolist(),
            "upper": table["upper"].tolist(),
            "alpha": [0.85 if above else 0.35 for above in table["above_noise"]],
            "colour": [c.muted if name == NOISE else c.shade for name in table.index],
            "above_noise": [
                "above random noise" if above else "not above random noise" for above in table["above_noise"]
            ],
            "correlated": [correlated[str(name)] for name in table.index],
        }
        noise = float(one["importance"].sel(factor=NOISE)) if not missing else 0.0
        values = [0.0, noise, 1e-6, *table["lower"], *table["upper"], *table["importance"]]
        low, high = min(values), max(values)
        self._axis.update(start=low - 0.03 * (high - low), end=high + 0.03 * (high - low))
        self.figure.xaxis.axis_label = _axis_label(measure, self._found.attrs["metric"])
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


def _axis_label(measure: str, metric: str) -> str:
    if measure == "shap":
        return f"mean |SHAP| ({metric})"
    return "share of impurity decrease" if measure == "impurity" else "share of the score's variance"


def _correlated_factors(importance: xr.Dataset) -> dict[str, str]:
    """Return the text that names the factors of the same correlation group; empty if there are none."""
    groups: dict[int, list[str]] = {}
    names = importance["factor"].values.astype(str)
    for name, group in zip(names, importance["group"].values, strict=True):
        groups.setdefault(int(group), []).append(name)
    others = {n: [factor_label(o) for o in group if o != n] for group in groups.values() for n in group}
    return {n: f"correlated with {', '.join(labels)}" if labels else "" for n, labels in others.items()}
