"""The panel of one site: its name, its series, and the scores of every product there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import panel as pn
import param

from app.export.dialog import ExportDialog, Item
from app.export.tables import of_days
from app.pages.sites.pairs import PairPlots
from app.pages.sites.search import SiteSearch
from app.pages.sites.series import SeriesPlot
from app.pages.sites.site_scores import SiteScores
from app.runtime.tasks import Latest
from app.services.site_series import SiteSeries
from app.services.store import Store
from app.session.selection import Selection
from app.ui.card import card, heading
from gsm3core import vocabulary as v

# What the band about a run's line is: nine in ten only where the run could learn how wide that is.
_LEARNT = "band: nine in ten, as learnt at sites held back"
_NARROW = "band: what the run thinks of itself, not learnt at sites held back and too narrow at new ones"


class SitePanel:
    """One site.

    Parameters
    ----------
    selection
        Of the visitor.
    store
        Reads the series.
    take
        Lets a visitor take it away.
    compared
        Whether there are products to compare with.
    """

    def __init__(self, selection: Selection, store: Store, take: ExportDialog, *, compared: bool) -> None:
        self._selection = selection
        self._store = store
        self._reading: Latest[SiteSeries] = Latest(self._show, self._fail)
        self._series: SiteSeries | None = None
        self._plot = SeriesPlot(selection)
        self._title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._problem = pn.pane.Alert(alert_type="danger", visible=False, margin=0)
        self._scores = SiteScores(selection)
        self._pairs = PairPlots(selection)
        self._plot.pane.styles = {"flex": "2 1 480px", "min-width": "0"}
        both = pn.Row(
            self._plot.pane,
            self._scores.pane,
            margin=0,
            sizing_mode="stretch_width",
            stylesheets=[":host { flex-wrap: wrap; gap: 14px !important; }"],
        )
        below = [self._pairs.row] if compared else []
        heading_row = take.beside(self._title, self._item(compared))
        self.card = card(heading_row, SiteSearch(selection).widget, self._problem, both, *below)
        selection.param.watch(self._read, ["evaluation", "site_shown"])
        self._read()

    def _item(self, compared: bool) -> Item:
        figures = {
            "Series": self._plot.figure,
            "Rain": self._plot.rain.figure,
            "Days": self._plot.days.figure,
        }
        if compared:
            more = {"Scatter": self._pairs.scatter, "Error in time": self._pairs.residuals}
            figures |= more | {"Seasonal cycle": self._pairs.cycle}
        return Item(title="one site", figures=lambda: figures, tables={"Numbers": self._days})

    def _days(self) -> pd.DataFrame | None:
        return of_days(self._series) if self._series is not None else None

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
            about_site(row, series),
            simulated=evaluation.simulated,
        )
        self._problem.visible = False
        self._series = series
        self._plot.show(series)
        self._scores.show(series)
        self._pairs.show(series)

    def _fail(self, problem: str) -> None:
        self._problem.param.update(object=f"This site cannot be shown. {problem}", visible=True)


def about_site(row: pd.Series, series: SiteSeries) -> str:
    """Return the line below a site's name: where it is, what tested it, and what the band about a run's line is.

    Parameters
    ----------
    row
        Of :func:`app.services.site_table.site_table_of`.
    series
        What is drawn of it.
    """
    north, east = ("N" if row[v.LAT] >= 0 else "S"), ("E" if row[v.LON] >= 0 else "W")
    parts = [row[v.NETWORK], f"{abs(row[v.LAT]):.2f}° {north}, {abs(row[v.LON]):.2f}° {east}"]
    if series.in_test is not None and series.in_test.any():
        parts.append(
            "every day is a test day: the site was held out of training"
            if series.in_test.all()
            else "test days shaded"
        )
    if series.spread is not None and np.isfinite(series.spread).any():
        parts.append(_LEARNT if series.spread_learnt else _NARROW)
    if series.fold:
        parts.append(f"tested by fold {series.fold}")
    return " · ".join(str(p) for p in parts if p)
