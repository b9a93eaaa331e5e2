"""Types of error: loss of skill between the experiments of the paper, by region."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import panel as pn
import xarray as xr

from app.export.dialog import ExportDialog, ExportItem
from app.export.scripts import error_types_script
from app.runtime.tasks import LatestTask
from app.services.error_types import ErrorTypes, newest_error_types
from app.services.evaluation import Evaluation
from app.services.metric_labels import metric_label
from app.services.store import Store
from app.ui.card import card, heading
from app.ui.formatting import NONE, TABLE, html_table, level_text, number
from app.ui.status_line import StatusLine
from app.ui.theme import SCALES
from gsm3core import vocabulary as v
from gsm3core.evaluation.error_types import ERROR_TYPES, RESIDUAL, RESIDUAL_MEANING
from gsm3core.metrics import METRICS

_SOURCE = "After section 3.1 of Liu et al. (2023), doi:10.5194/gmd-16-1553-2023."


class ErrorTypesCard:
    """Card with one table: types of error and the residual of the fit, by region.

    Parameters
    ----------
    store
        Reads the runs.
    export
        Dialog of the page.
    """

    def __init__(self, store: Store, export: ExportDialog) -> None:
        self._store = store
        self._evaluation: Evaluation | None = None
        self._metric = "R"
        self._result: ErrorTypes | None = None
        self._title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._status = StatusLine()
        self._table = pn.pane.HTML(
            stylesheets=[TABLE], sizing_mode="stretch_width", margin=0, css_classes=["error-types"]
        )
        self._task: LatestTask[ErrorTypes] = LatestTask(self._show, self._status.fail)
        item = ExportItem(
            title="types of error", tables={"Numbers": self._numbers}, code=self._code, results=self._found
        )
        self.card = card(export.heading_row(self._title, item), self._status.column, self._table)

    def update(self, evaluation: Evaluation, metric: str) -> None:
        """Compute the types of error in one score, or in R for a score that is not of the paper, then show them."""
        self._evaluation, self._metric = evaluation, metric if metric in METRICS else "R"
        metric = self._metric
        self._title.object = heading(
            "Types of error",
            f"Loss of {metric_label(metric)} from one experiment to the next: newest run of each, against "
            f"{evaluation.against}{evaluation.conditions}.",
            simulated=evaluation.simulated,
        )
        self._status.begin("Comparing the runs")
        self._task.run_in_background(lambda: newest_error_types(self._store, evaluation, metric))

    def _show(self, result: ErrorTypes) -> None:
        self._result = result
        self._status.end()
        self._table.object = _no_runs(result) if result.found is None else _html(result.found, self._metric)

    def _found(self) -> xr.Dataset | None:
        return None if self._result is None else self._result.found

    def _numbers(self) -> pd.DataFrame | None:
        found = self._found()
        if found is None:
            return None
        names = ["error", "lower", "upper", "p", "n_sites", "reason"]
        types = found[names].drop_vars("meaning").to_dataframe().reset_index()
        residual = (
            found[["residual", "residual_lower", "residual_upper", "residual_sites"]]
            .to_dataframe()
            .reset_index()
        )
        residual.columns = [v.REGION, "error", "lower", "upper", "n_sites"]
        return pd.concat([types, residual.assign(error_type=RESIDUAL)], ignore_index=True)

    def _code(self) -> str:
        if self._evaluation is None or self._result is None or self._result.found is None:
            return (
                "# There are no two experiments yet: launch them on the Experiments page, or with gsm3 run."
            )
        return error_types_script(self._store, self._evaluation, self._result.runs, self._metric)


def _no_runs(result: ErrorTypes) -> str:
    there = ", ".join(name.replace("_", " ") for name in result.runs) or "none"
    return (
        "<p>Types of error are differences between experiments. They need runs of two of the holdouts temporal, random "
        f"spatial and cross-continental on this dataset; there are: {escape(there)}. A temporal run alone is enough if its "
        "training days are scored.</p>"
    )


def _html(found: xr.Dataset, metric: str) -> str:
    """Return a row per type of error and one of the residual, with a column per region."""
    digits, regions = SCALES[metric].digits, [str(r) for r in found[v.REGION].values]
    rows = []
    for kind in ERROR_TYPES:
        cells = "".join(_cell(found.sel({"error_type": kind.name, v.REGION: r}), digits) for r in regions)
        rows.append(
            f'<tr><td class="text"><span title="{escape(kind.meaning)}">{escape(kind.name)}</span></td>{cells}</tr>'
        )
    ends = ("residual", "residual_lower", "residual_upper")
    residual = "".join(
        _numbers_cell([float(found[n].sel({v.REGION: r})) for n in ends], digits) for r in regions
    )
    rows.append(
        f'<tr class="residual"><td class="text"><span title="{RESIDUAL_MEANING}">{RESIDUAL}</span></td>{residual}</tr>'
    )
    head = ["", *(escape(r.replace("_", " ")) for r in regions)]
    meanings = "".join(f"<p><b>{escape(k.name)}</b>: {escape(k.meaning)}.</p>" for k in ERROR_TYPES)
    starred = (
        "<p>Fewer than five networks in some regions: single sites are resampled there, and intervals are too narrow.</p>"
        if (found["resampled"] == "sites").any()
        else ""
    )
    return (
        html_table(head, rows)
        + meanings
        + f"<p><b>{RESIDUAL}</b>: {RESIDUAL_MEANING}; no difference between experiments.</p>"
        + f"<p>Positive: a loss. In brackets: {level_text(found.attrs['confidence'])} confidence interval, over the sites "
        + f"that both experiments scored. {_SOURCE}</p>"
        + starred
    )


def _cell(one: xr.Dataset, digits: int) -> str:
    if not np.isfinite(one["error"]):
        return f'<td title="{escape(str(one["reason"].item()).replace("_", " "))}">{NONE}</td>'
    exceeds = "B exceeds C" if one["error_type"].item() == "C" and float(one["error"]) < 0 else ""
    return _numbers_cell([float(one[n]) for n in ("error", "lower", "upper")], digits, exceeds, sign=True)


def _numbers_cell(numbers: list[float], digits: int, remark: str = "", *, sign: bool = False) -> str:
    """Return a cell with a value, and its interval and a remark below it."""
    value, lower, upper = (number(x, digits, sign=sign) for x in numbers)
    below = "<br>".join(filter(None, [f"[{lower}, {upper}]" if np.isfinite(numbers[1]) else "", remark]))
    return f'<td>{value}<br><span style="opacity:.8">{below}</span></td>'
