"""The panel of one site: its name, its series, and the scores of every product there."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import panel as pn
import param

from app.background import Latest
from app.state import Selection
from app.store import SiteSeries, Store
from app.theme import product_colour
from app.views.card import card, heading
from app.views.site_series import SeriesPlot
from gsm3core import vocabulary as v

_TABLE = """
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums;
  color: var(--panel-on-surface-color); }
th { text-align: right; font-weight: 600; padding: 4px 8px; opacity: .75; white-space: nowrap; }
td { text-align: right; padding: 5px 8px; white-space: nowrap;
  border-top: 1px solid color-mix(in srgb, currentColor 16%, transparent); }
th:first-child, td:first-child { text-align: left; }
td.why { text-align: left; opacity: .75; white-space: normal; }
tr.chosen td { font-weight: 650; }
i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 7px; }
p { font-size: 12px; opacity: .75; line-height: 1.45; margin: 8px; }
"""

_HEAD = (
    "<table><tr><th>Product</th><th>R [95 %]</th><th>RMSE</th><th>ubRMSE</th><th>bias</th><th>days</th></tr>"
)


class SitePanel:
    """One site.

    Parameters
    ----------
    selection
        Of the visitor.
    store
        Reads the series.
    """

    def __init__(self, selection: Selection, store: Store) -> None:
        self._selection = selection
        self._store = store
        self._reading: Latest[SiteSeries] = Latest(self._show, self._fail)
        self._plot = SeriesPlot(selection)
        self._title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._problem = pn.pane.Alert(alert_type="danger", visible=False, margin=0)
        self._scores = pn.pane.HTML(
            stylesheets=[_TABLE], margin=0, styles={"flex": "1 1 430px", "min-width": "0"}
        )
        self._plot.pane.styles = {"flex": "2 1 520px", "min-width": "0"}
        both = pn.Row(
            self._plot.pane,
            self._scores,
            margin=0,
            sizing_mode="stretch_width",
            stylesheets=[":host { flex-wrap: wrap; gap: 14px !important; }"],
        )
        self.card = card(self._title, self._problem, both)
        selection.param.watch(self._read, ["evaluation", "site_shown"])
        selection.param.watch(self._list, ["product", "theme"])
        self._read()

    def _read(self, *_: param.parameterized.Event) -> None:
        evaluation, site = self._selection.evaluation, self._selection.site_shown
        if evaluation is None or not site:
            self._title.object = heading("Site", "Click a site on the map or in the table.")
            return
        dataset, run = evaluation.dataset, evaluation.run
        self._reading.later(lambda: self._store.series(dataset, run, site))

    def _show(self, series: SiteSeries) -> None:
        evaluation, site = self._selection.evaluation, self._selection.site_shown
        if evaluation is None or site not in evaluation.sites.index:
            return
        row = evaluation.sites.loc[site]
        self._title.object = heading(
            f"{row[v.STATION]}, {row[v.REGION].replace('_', ' ')}",
            _where(row, series),
            simulated=evaluation.simulated,
        )
        self._problem.visible = False
        self._plot.show(series)
        self._list()

    def _fail(self, problem: str) -> None:
        self._problem.param.update(object=f"This site cannot be shown. {problem}", visible=True)

    def _list(self, *_: param.parameterized.Event) -> None:
        selection, evaluation = self._selection, self._selection.evaluation
        if evaluation is None or selection.site_shown not in evaluation.sites.index:
            self._scores.object = ""
            return
        if not evaluation.products:
            self._scores.object = "<p>There is no product to compare this record with yet.</p>"
            return
        rows = [
            _row(
                str(name),
                row,
                chosen=name == selection.product,
                colour=product_colour(str(name), dark=selection.dark),
            )
            for name, row in evaluation.at_site(selection.site_shown).iterrows()
        ]
        days = "its test days" if evaluation.run else "all days"
        self._scores.object = (
            f"{_HEAD}{''.join(rows)}</table><p>Against {evaluation.against}, on {days} that both have. "
            "m³ m⁻³, except R. The interval of R allows for days that resemble the day before.</p>"
        )


def _where(row: pd.Series, series: SiteSeries) -> str:
    north, east = ("N" if row[v.LAT] >= 0 else "S"), ("E" if row[v.LON] >= 0 else "W")
    parts = [row[v.NETWORK], f"{abs(row[v.LAT]):.2f}° {north}, {abs(row[v.LON]):.2f}° {east}"]
    if series.in_test is not None and series.in_test.any():
        parts.append(
            "every day is a test day: the site was held out of training"
            if series.in_test.all()
            else "test days shaded"
        )
    return " · ".join(str(p) for p in parts if p)


def _row(name: str, row: pd.Series, *, chosen: bool, colour: str) -> str:
    first = (
        f'<tr class="{"chosen" if chosen else ""}"><td><i style="background:{colour}"></i>{escape(name)}</td>'
    )
    if not np.isfinite(float(row["bias"])):
        return f'{first}<td class="why" colspan="5">no score: {escape(str(row["reason"]))}</td></tr>'
    r = (
        f"{row['R']:.2f} [{row['R_lower']:.2f}, {row['R_upper']:.2f}]"
        if np.isfinite(float(row["R"]))
        else "–"
    )
    errors = "".join(f"<td>{float(row[m]):.3f}</td>" for m in ("RMSE", "ubRMSE"))
    return f"{first}<td>{r}</td>{errors}<td>{float(row['bias']):+.3f}</td><td>{int(row['n_valid'])}</td></tr>"
