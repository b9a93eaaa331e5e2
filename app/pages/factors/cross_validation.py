"""Cross-validated skill of the factor models, by hold-out scheme."""

from __future__ import annotations

from html import escape

import numpy as np
import panel as pn
import xarray as xr

from app.pages.factors.labels import MODELS, SCHEMES
from app.ui.card import heading
from app.ui.formatting import TABLE, html_table, interval, number, p_value


class CrossValidationTable:
    """A row per model, a column per hold-out scheme."""

    def __init__(self) -> None:
        self._title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._table = pn.pane.HTML(
            stylesheets=[TABLE], margin=0, sizing_mode="stretch_width", css_classes=["cross-validation"]
        )
        self.column = pn.Column(self._title, self._table, sizing_mode="stretch_width", margin=(12, 0, 0, 0))

    def show(self, found: xr.Dataset) -> None:
        """Draw the cross-validation of :func:`gsm3core.factors.importance_of`."""
        self._title.object = heading(
            "Cross-validated skill of the factor models",
            "Correlation of predicted and actual score with 95 % interval, R² in brackets. Random held-out sites have "
            "training sites nearby; held-out networks and spatial blocks do not.",
        )
        rows = []
        for model in found["fitted"].values:
            cells = [_cell(found.sel(scheme=scheme, fitted=model)) for scheme in SCHEMES]
            rows.append(f'<tr><td class="text">{escape(MODELS[str(model)])}</td>{"".join(cells)}</tr>')
        moran = f"{number(float(found['score_moran_i']), 2)} (p {p_value(float(found['score_moran_p']))})"
        note = (
            f"<p>Residual Moran's I is near 0 where the residuals are not spatially autocorrelated; Moran's I of the score "
            f"itself: {moran}. {found.attrs['sites']} sites; importance is computed with held-out "
            f"{escape(SCHEMES[found.attrs['held_out']])}.</p>"
        )
        head = ["Model", *(f"Held out: {label}" for label in SCHEMES.values())]
        self._table.object = html_table(head, rows) + note


def _cell(fit: xr.Dataset) -> str:
    r = float(fit["cv_correlation"])
    if not np.isfinite(r):
        return "<td>not available</td>"
    skill = interval(r, float(fit["cv_correlation_lower"]), float(fit["cv_correlation_upper"]), 2)
    residual = f"residual Moran's I {number(float(fit['moran_i']), 2)} (p {p_value(float(fit['moran_p']))})"
    return (
        f'<td>{skill} ({number(float(fit["cv_r2"]), 2)})<br><span style="opacity:.75">{residual}</span></td>'
    )
