"""The panel of one site: search, time series, and the scores of every product."""

from __future__ import annotations

import numpy as np
import pandas as pd
import panel as pn
import param

from app.export.dialog import ExportDialog, ExportItem
from app.export.tables import day_table
from app.pages.sites.pairs import PairPlots
from app.pages.sites.search import SiteSearch
from app.pages.sites.series import SeriesPlot
from app.pages.sites.site_scores import SiteScores
from app.runtime.tasks import LatestTask
from app.services.site_series import SiteSeries
from app.services.store import Store
from app.session.selection import Selection
from app.ui.card import card, heading
from gsm3core import vocabulary as v

# The band covers about 90 % of the days only if the run scaled its standard deviation at validation sites.
_CALIBRATED = "band: 90 % prediction interval, calibrated at validation sites"
_UNCALIBRATED = (
    "band: 90 % prediction interval, not calibrated at validation sites and too narrow at ungauged sites"
)


class SitePanel:
    """The card of the site that is selected.

    Parameters
    ----------
    selection
        Gives the site.
    store
        Reads the time series.
    export
        Dialog of the page.
    has_products
        Whether the dataset or the run has a product to compare with the reference.
    """

    def __init__(
        self, selection: Selection, store: Store, export: ExportDialog, *, has_products: bool
    ) -> None:
        self._selection = selection
        self._store = store
        self._series_task: LatestTask[SiteSeries] = LatestTask(self._show, self._fail)
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
            stylesheets=[":host { flex-wrap: wrap; gap: 14px !important; max-height: none !important; }"],
        )
        below = [self._pairs.row] if has_products else []
        heading_row = export.heading_row(self._title, self._item(has_products))
        self.card = card(heading_row, SiteSearch(selection).widget, self._problem, both, *below)
        selection.param.watch(self._read_site, ["evaluation", "site_shown"])
        self._read_site()

    def _item(self, has_products: bool) -> ExportItem:
        figures = {
            "Time series": self._plot.figure,
            "Precipitation": self._plot.precipitation.figure,
            "Data availability": self._plot.days.figure,
        }
        if has_products:
            figures |= {
                "Scatter": self._pairs.scatter,
                "Error over time": self._pairs.residuals,
                "Seasonal cycle": self._pairs.cycle,
            }
        return ExportItem(title="time series", figures=lambda: figures, tables={"Numbers": self._day_table})

    def _day_table(self) -> pd.DataFrame | None:
        return day_table(self._series) if self._series is not None else None

    def _read_site(self, *_: param.parameterized.Event) -> None:
        evaluation, site = self._selection.evaluation, self._selection.site_shown
        if evaluation is None or not site:
            self._title.object = heading("Site", "Click a site on the map or in the table.")
            return
        dataset, run = evaluation.dataset, evaluation.run
        self._series_task.run_in_background(lambda: self._store.series(dataset, run, site))

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
    """Return the line below a site's name: location, test days, prediction interval, test fold.

    Parameters
    ----------
    row
        Row of :func:`app.services.site_table.site_table_of`.
    series
        Records and prediction of the site.
    """
    north, east = ("N" if row[v.LAT] >= 0 else "S"), ("E" if row[v.LON] >= 0 else "W")
    parts = [row[v.NETWORK], f"{abs(row[v.LAT]):.2f}° {north}, {abs(row[v.LON]):.2f}° {east}"]
    if series.in_test is not None and series.in_test.any():
        parts.append(
            "all days are test days: the site was not used in training"
            if series.in_test.all()
            else "test days shaded"
        )
    if series.std is not None and np.isfinite(series.std).any():
        parts.append(_CALIBRATED if series.std_calibrated else _UNCALIBRATED)
    if series.fold:
        parts.append(f"test fold {series.fold}")
    return " · ".join(str(p) for p in parts if p)
