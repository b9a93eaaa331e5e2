"""Score by bins of mean soil moisture, and by poleward aspect for dry and moist sites (Figure 6 of the paper)."""

from __future__ import annotations

import numpy as np
import panel as pn
import xarray as xr
from bokeh.models import ColumnDataSource, FactorRange, HoverTool, Range1d
from bokeh.plotting import figure

from app.pages.factors.labels import factor_label
from app.services.metric_labels import metric_label
from app.session.selection import Selection
from app.ui.card import heading
from app.ui.formatting import TABLE, interval, p_value
from app.ui.theme import colours, style_figure

_HEIGHT = 290
_FEW_SITES = 8
_HOVER = """
<div style="font-size:13px;line-height:1.45"><b>@bin</b><br>median @median{0.000} [@lower{0.000}, @upper{0.000}]<br>
interquartile range @q25{0.000} to @q75{0.000}<br>@sites sites, @clusters resampled</div>"""
_NUMBERS = ("median", "lower", "upper", "q25", "q75", "sites", "clusters")


class StrataPlot:
    """Box plots by mean soil moisture, and by aspect for dry and moist sites."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._tests = pn.pane.HTML(
            stylesheets=[TABLE], margin=0, sizing_mode="stretch_width", css_classes=["strata-tests"]
        )
        self._plots = pn.Row(
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[":host { flex-wrap: wrap; gap: 10px !important; }"],
        )
        self.figures: dict[str, figure] = {}
        self.column = pn.Column(self._plots, self._tests, sizing_mode="stretch_width", margin=0)

    def show(self, found: xr.Dataset, product: str, scope: str, *, simulated: bool) -> None:
        """Draw :func:`gsm3core.factors.skill_strata`.

        Parameters
        ----------
        scope
            Sites included, as text.
        """
        metric, first, second = (found.attrs[n] for n in ("metric", "first", "second"))
        self.title.object = heading(
            f"{metric_label(metric)} of {product} by mean soil moisture and aspect".replace(
                "bias", "Bias", 1
            ),
            f"Over {scope}. Box: interquartile range; line: median; thick bar: its 95 % interval, "
            f"{found.attrs['resampled']} resampled; in brackets: number of sites. After Figure 6 of the paper.",
            simulated=simulated,
        )
        values = np.concatenate(
            [_axis_values(found, prefix) for prefix in ("first_", *(["second_"] if second else []))]
        )
        pad = 0.06 * max(float(np.ptp(values)), 0.01)
        level = Range1d(float(values.min()) - pad, float(values.max()) + pad)
        figures = [
            self._boxes(found, "first_", "first_bin", f"{factor_label(first)} (m³ m⁻³)", level, metric)
        ]
        for name in found["stratum"].values if second else ():
            side = "dry" if "<=" in str(name) else "moist"
            limit = f"{'up to' if side == 'dry' else 'above'} {found.attrs['limit']:g}"
            label = f"{factor_label(second)}, {side} sites ({limit})"
            figures.append(
                self._boxes(found.sel(stratum=name), "second_", "second_bin", label, level, metric)
            )
        self.figures = {str(fig.xaxis[0].axis_label): fig for fig in figures}
        self._plots.objects = [
            pn.Column(pn.pane.Bokeh(fig, height=_HEIGHT, sizing_mode="stretch_width", margin=0),
                      sizing_mode="stretch_width", margin=0, styles={"flex": "1 1 300px", "min-width": "0"})
            for fig in figures
        ]  # fmt: skip
        self._tests.object = _tests_html(found)

    def _boxes(
        self, found: xr.Dataset, prefix: str, dim: str, label: str, level: Range1d, metric: str
    ) -> figure:
        c = colours(self._selection.dark)
        bins = [_bin_label(str(b)) for b in found[dim].values]
        numbers = {n: found[prefix + n].values for n in _NUMBERS}
        rows = [f"{b}\n({int(k)})" for b, k in zip(bins, numbers["sites"], strict=True)]
        occupied = numbers["sites"] > 0
        ends = np.flatnonzero(occupied)
        shown = rows[ends[0] : ends[-1] + 1] if len(ends) else rows  # without empty bins at either end
        source = ColumnDataSource(
            data={"row": [r for r, keep in zip(rows, occupied, strict=True) if keep],
                  "bin": [b.replace("\n", " ") for b, keep in zip(bins, occupied, strict=True) if keep]}
            | {n: x[occupied] for n, x in numbers.items()}
        )  # fmt: skip
        fig = figure(
            x_range=FactorRange(factors=shown), y_range=level, height=_HEIGHT, sizing_mode="stretch_width", tools="save",
            toolbar_location="above", name=f"strata_{prefix}figure",
        )  # fmt: skip
        style_figure(fig)
        fig.xgrid.grid_line_color = None
        box = fig.vbar(
            x="row", bottom="q25", top="q75", width=0.62, source=source, fill_color=c.shade, fill_alpha=0.3,
            line_color=c.shade, name=f"strata_{prefix}boxes",
        )  # fmt: skip
        fig.segment("row", "lower", "row", "upper", source=source, line_color=c.ink, line_width=3)
        fig.scatter("row", "median", source=source, marker="dash", size=26, line_color=c.ink, line_width=2.5)
        fig.add_tools(HoverTool(renderers=[box], tooltips=_HOVER, limit=1, visible=False))
        fig.xaxis.axis_label, fig.yaxis.axis_label = label, metric_label(metric)
        fig.xaxis.major_label_text_font_size = "11px"
        return fig


def _axis_values(found: xr.Dataset, prefix: str) -> np.ndarray:
    """Return the values that set the axis range: without the intervals of bins with few sites, which are very wide."""
    few = found[prefix + "sites"].values < _FEW_SITES
    ends = [np.where(few, np.nan, found[prefix + n].values).ravel() for n in ("lower", "upper")]
    values = np.concatenate([*ends, *(found[prefix + n].values.ravel() for n in ("q25", "q75"))])
    return values[np.isfinite(values)]


def _bin_label(name: str) -> str:
    return name.replace("<= ", "≤ ").replace("-", "−").replace(" to ", " to\n")


def _tests_html(found: xr.Dataset) -> str:
    """Return the HTML of the tests between strata, a line each."""
    first, second = factor_label(found.attrs["first"]), factor_label(found.attrs["second"] or "")
    lines = [
        f"Between bins of {first}: p {p_value(float(found['first_p_holm']))} ({found['first_test'].item()}).",
        f"Dry vs moist sites: p {p_value(float(found['strata_p_holm']))} ({found['strata_test'].item()}).",
    ]
    for name in found["stratum"].values if found.attrs["second"] else ():
        one = found.sel(stratum=name)
        side = "dry" if "<=" in str(name) else "moist"
        difference, lower, upper = (float(one[f"outer_difference{n}"]) for n in ("", "_lower", "_upper"))
        if not np.isfinite(difference):
            lines.append(f"{side.capitalize()} sites: some bins of {second} have too few sites for a test.")
            continue
        lines.append(
            f"{side.capitalize()} sites, between bins of {second}: p {p_value(float(one['second_p_holm']))}; the two outermost "
            f"bins minus the others: {interval(difference, lower, upper, 3, sign=True)}, p {p_value(float(one['outer_p_holm']))}."
        )
    lines.append("All p values are Holm-corrected and allow for correlation between the sites of a cluster.")
    return f"<p>{'<br>'.join(lines)}</p>"
