"""The table of sites with the scores of the selected product; a click on a row selects the site."""

from __future__ import annotations

import pandas as pd
import panel as pn
import param
from bokeh.models import NumberFormatter

from app.state import Selection
from app.views.calm_table import calm
from app.views.card import COMPACT
from gsm3core import vocabulary as v
from gsm3core.metrics import ALL_METRICS, METRICS

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
_FORMATS = {"R": "0.00", "RMSE": "0.000", "ubRMSE": "0.000", "bias": "0.000", "n_valid": "0"}


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
            formatters={n: NumberFormatter(format=f, nan_format="–") for n, f in _FORMATS.items()},
            header_tooltips={m: ALL_METRICS[m].meaning for m in METRICS}
            | {"n_valid": "Days that the product and the reference both have."},
            text_align=dict.fromkeys(_FORMATS, "right"),
            widths={v.STATION: 190, v.NETWORK: 130, v.REGION: 120, "reason": 260}
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
            configuration={"placeholder": "No site is left"},
        )
        calm(self.table)
        self.table.on_click(self._click)
        selection.param.watch(self._update, ["shown", "product"])
        selection.param.watch(self._mark, "site_shown")

    def _frame(self) -> pd.DataFrame:
        selection = self._selection
        if selection.evaluation is None:
            return pd.DataFrame({name: [] for name in (_HIDDEN, *_TITLES)})
        table = selection.evaluation.table(selection.product)[selection.shown.mask].reset_index()
        for name in _TITLES:
            if name not in table:
                table[name] = float("nan")
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
