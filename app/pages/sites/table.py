"""Table of sites with the scores of the selected product, worst first; a click on a row selects the site."""

from __future__ import annotations

from typing import Any

import pandas as pd
import panel as pn
import param
from bokeh.models import NumberFormatter

from app.services.metric_labels import metric_name
from app.session.selection import Selection
from app.ui.card import COMPACT
from app.ui.workarounds.tabulator_stylesheets import fix_stylesheet_polling
from gsm3core import vocabulary as v
from gsm3core.metrics import ALL_METRICS, METRICS

_ID = v.SITE  # hidden column
SUSPECT = "suspect"
# Column of the selected score where it is not one of the four that are always shown; it comes first.
_FURTHER_SCORE = "chosen"
_TITLES = {
    v.STATION: "Station",
    v.NETWORK: "Network",
    v.REGION: "Region",
    _FURTHER_SCORE: "",
    "R": "R",
    "RMSE": "RMSE",
    "ubRMSE": "ubRMSE",
    "bias": "Bias",
    "n_valid": "Days",
    v.DEPTH: "Depth (m)",
    "reason": "Reason for no score",
    SUSPECT: "Suspect in-situ record",
}
_FORMATS = {
    _FURTHER_SCORE: "0.000",
    "R": "0.00",
    "RMSE": "0.000",
    "ubRMSE": "0.000",
    "bias": "0.000",
    "n_valid": "0",
    v.DEPTH: "0.00",
}


class SiteTable:
    """Sortable table of sites and scores.

    Parameters
    ----------
    selection
        A click on a row changes its site.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.table = pn.widgets.Tabulator(
            self._frame(),
            **self._columns(),
            formatters={n: NumberFormatter(format=f, nan_format="–") for n, f in _FORMATS.items()},
            header_tooltips={m: ALL_METRICS[m].meaning for m in METRICS}
            | {"n_valid": "Paired days: both the product and the reference have a value."}
            | {v.DEPTH: "Depth of the in-situ sensor."},
            text_align=dict.fromkeys(_FORMATS, "right"),
            widths={v.STATION: 190, v.NETWORK: 130, v.REGION: 120, "reason": 260, SUSPECT: 260}
            | dict.fromkeys(_FORMATS, 92),
            show_index=False,
            disabled=True,
            selectable=1,
            pagination="remote",
            page_size=10,
            stylesheets=[COMPACT],
            layout="fit_data_stretch",
            theme="simple",
            sizing_mode="stretch_width",
            margin=0,
            configuration={"placeholder": "No site passes the filters"},
        )
        fix_stylesheet_polling(self.table)
        self.table.on_click(self._click)
        selection.param.watch(self._update, ["shown", "product", "metric"])
        selection.param.watch(self._mark_selected_site, "site_shown")

    def _frame(self) -> pd.DataFrame:
        selection, metric = self._selection, self._selection.metric
        if selection.evaluation is None:
            return pd.DataFrame({name: [] for name in (_ID, *_TITLES)})
        table = selection.evaluation.table(selection.product, metric)[selection.shown.mask].reset_index()
        if metric not in METRICS and metric in table:
            table[_FURTHER_SCORE] = table[metric]
        for name in _TITLES:
            if name not in table:
                table[name] = float("nan")
        table[v.REGION] = table[v.REGION].str.replace("_", " ")
        return worst_first(
            table[[_ID, *_TITLES]], _FURTHER_SCORE if metric not in METRICS else metric, metric
        )

    def _columns(self) -> dict[str, Any]:
        """Return the titles and the hidden columns, which depend on the selected score."""
        metric = self._selection.metric
        is_further = metric not in METRICS
        return {
            "titles": _TITLES | {_FURTHER_SCORE: metric_name(metric) if is_further else ""},
            "hidden_columns": [_ID] if is_further else [_ID, _FURTHER_SCORE],
        }

    def _update(self, *events: param.parameterized.Event) -> None:
        # A change of score resets the sorting by column and the page, so that the worst sites come first.
        reset = {"sorters": [], "page": 1} if any(event.name == "metric" for event in events) else {}
        self.table.param.update(value=self._frame(), **self._columns(), **reset)
        self._mark_selected_site()

    def _mark_selected_site(self, *_: param.parameterized.Event) -> None:
        rows = self.table.value.index[self.table.value[_ID] == self._selection.site_shown]
        self.table.selection = [int(row) for row in rows]

    def _click(self, event: pn.models.tabulator.CellClickEvent) -> None:
        self._selection.choose_site(str(self.table.value[_ID].iloc[event.row]))


def worst_first(table: pd.DataFrame, column: str, metric: str) -> pd.DataFrame:
    """Return the rows sorted by a score: worst first, missing scores last.

    Parameters
    ----------
    table
        One row per site.
    column, metric
        Column of the score, and its name. If neither direction is better, the farthest from perfect is the worst.
    """
    loss = pd.Series(ALL_METRICS[metric].loss(table[column].to_numpy(float)), index=table.index)
    order = loss.sort_values(ascending=False, na_position="last", kind="stable").index
    return table.loc[order].reset_index(drop=True)
