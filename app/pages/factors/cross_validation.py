"""How well factors tell the score at sites held out: at random, by network and by block of land, side by side."""

from __future__ import annotations

from html import escape

import numpy as np
import panel as pn
import xarray as xr

from app.pages.factors.labels import MODELS, SCHEMES
from app.ui.card import heading
from app.ui.formatting import TABLE, html_table, interval, number, p_value


class FitsTable:
    """A row per model, a column per way of holding out."""

    def __init__(self) -> None:
        self._title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._table = pn.pane.HTML(
            stylesheets=[TABLE], margin=0, sizing_mode="stretch_width", css_classes=["fits-table"]
        )
        self.column = pn.Column(self._title, self._table, sizing_mode="stretch_width", margin=(12, 0, 0, 0))

    def show(self, found: xr.Dataset) -> None:
        """Draw the fits of a ranking."""
        self._title.object = heading(
            "How well factors tell the score at sites held out",
            "Correlation of told and true score with 95 % interval, and R² in brackets. Sites held out at random have "
            "neighbours among those learnt from; whole networks and blocks of land have not.",
        )
        rows = []
        for model in found["fitted"].values:
            cells = [_cell(found.sel(scheme=scheme, fitted=model)) for scheme in SCHEMES]
            rows.append(f'<tr><td class="text">{escape(MODELS[str(model)])}</td>{"".join(cells)}</tr>')
        moran = f"{number(float(found['score_moran_i']), 2)} (p {p_value(float(found['score_moran_p']))})"
        note = (
            f"<p>Left over: Moran's I of what the fit misses, near 0 where nothing is left to tell from the map. Of the "
            f"score itself it is {moran}. At {found.attrs['sites']} sites; importance is measured with sites held out by "
            f"{escape(SCHEMES[found.attrs['held_out']])}.</p>"
        )
        head = ["Model", *(f"Held out: {words}" for words in SCHEMES.values())]
        self._table.object = html_table(head, rows) + note


def _cell(one: xr.Dataset) -> str:
    r = float(one["cv_correlation"])
    if not np.isfinite(r):
        return "<td>not possible here</td>"
    ends = interval(r, float(one["cv_correlation_lower"]), float(one["cv_correlation_upper"]), 2)
    left = f"left over {number(float(one['moran_i']), 2)} (p {p_value(float(one['moran_p']))})"
    return f'<td>{ends} ({number(float(one["cv_r2"]), 2)})<br><span style="opacity:.75">{left}</span></td>'
