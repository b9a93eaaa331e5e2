"""The table of sites with the scores of the selected product; a click on a row selects the site."""

from __future__ import annotations

import pandas as pd
import panel as pn
import param

from app.state import Selection
from app.views.card import COMPACT
from gsm3core import vocabulary as v

_HIDDEN = v.SITE
_TITLES = {
    v.STATION: "Station",
    v.NETWORK: "Network",
    v.REGION: "Region",
    "R": "R",
    "RMSE": "RMSE",
    "ubRMSE": "ubRMSE",
    "bias": "Bias",
    "n_valid": "Days",
    "reason": "Why no score",
}
_DECIMALS = {"R": 2, "RMSE": 3, "ubRMSE": 3, "bias": 3}


class SiteTable:
    """Sites and scores, sortable.

    Parameters
    ----------
    selection
        Of the visitor; a click changes its site.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.table = pn.widgets.Tabulator(
            self._frame(),
            titles=_TITLES,
            hidden_columns=[_HIDDEN],
            formatters={n: {"type": "money", "precision": d, "thousand": False} for n, d in _DECIMALS.items()}
            | {"n_valid": {"type": "money", "precision": 0, "thousand": False}},
            text_align=dict.fromkeys((*_DECIMALS, "n_valid"), "right"),
            widths={v.STATION: 190, v.NETWORK: 130, v.REGION: 120, "reason": 260}
            | dict.fromkeys((*_DECIMALS, "n_valid"), 92),
            show_index=False,
            disabled=True,
            selectable=1,
            height=340,
            stylesheets=[COMPACT],
            layout="fit_data_stretch",
            theme="simple",
            sizing_mode="stretch_width",
            margin=0,
            configuration={"placeholder": "No site in this region"},
        )
        self.table.on_click(self._click)
        selection.param.watch(self._update, ["evaluation", "product", "region"])
        selection.param.watch(self._mark, "site_shown")

    def _frame(self) -> pd.DataFrame:
        selection = self._selection
        if selection.evaluation is None:
            return pd.DataFrame({name: [] for name in (_HIDDEN, *_TITLES)})
        table = selection.evaluation.table(selection.product, selection.region).reset_index()
        table[v.REGION] = table[v.REGION].str.replace("_", " ")
        return table[[_HIDDEN, *_TITLES]].sort_values("R", na_position="last", ignore_index=True)

    def _update(self, *_: param.parameterized.Event) -> None:
        self.table.value = self._frame()
        self._mark()

    def _mark(self, *_: param.parameterized.Event) -> None:
        rows = self.table.value.index[self.table.value[_HIDDEN] == self._selection.site_shown]
        self.table.selection = [int(row) for row in rows]

    def _click(self, event: pn.models.tabulator.CellClickEvent) -> None:
        self._selection.choose_site(str(self.table.value[_HIDDEN].iloc[event.row]))
