"""Product skill: the median of every score over the sites shown, with confidence intervals."""

from __future__ import annotations

from functools import partial
from html import escape

import numpy as np
import pandas as pd
import panel as pn

from app.export.dialog import ExportDialog, ExportItem
from app.export.scripts import median_script
from app.runtime.tasks import LatestTask
from app.services.evaluation import Evaluation
from app.services.medians import medians
from app.services.metric_labels import metric_label
from app.services.site_filters import Shown
from app.services.store import Store
from app.session.selection import Selection
from app.ui.card import card, heading
from app.ui.formatting import TABLE, html_table, interval, level_text, with_definition
from app.ui.status_line import StatusLine
from app.ui.theme import SCALES, product_colour
from gsm3core.metrics import ALL_METRICS, METRICS
from gsm3core.statistics.cluster_bootstrap import SITES


class ProductSkillCard:
    """Card with a table of median scores, one row per product.

    Parameters
    ----------
    selection, store
        Of the session.
    export
        Dialog of the page.
    """

    def __init__(self, selection: Selection, store: Store, export: ExportDialog) -> None:
        self._selection = selection
        self._store = store
        self._medians: pd.DataFrame | None = None
        self._title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._status = StatusLine()
        self._table = pn.pane.HTML(stylesheets=[TABLE], sizing_mode="stretch_width", margin=0)
        self._task: LatestTask[pd.DataFrame] = LatestTask(self._show, self._status.fail)
        item = ExportItem(title="product skill", tables={"Numbers": lambda: self._medians}, code=self._code)
        self.card = card(export.heading_row(self._title, item), self._status.column, self._table)

    def update(self, evaluation: Evaluation, shown: Shown) -> None:
        """Compute the medians over the sites shown, then show them."""
        days = "on the run's test days" if evaluation.run else "on all days"
        self._title.object = heading(
            "Product skill",
            f"Medians over {shown.words}, against {evaluation.against}, {days}{evaluation.conditions}.",
            simulated=evaluation.simulated,
        )
        if not evaluation.products:
            self._status.show_hint(
                "This dataset has no product to compare with the reference. Train a model on it: Experiments, Launch."
            )
            return
        self._status.begin("Computing confidence intervals")
        self._task.run_in_background(lambda: medians(evaluation, shown))

    def _show(self, found: pd.DataFrame) -> None:
        self._medians = found
        self._status.end()
        s = self._selection
        level = level_text(s.evaluation.confidence)
        self._table.object = _medians_html(found, s.product, level, dark=s.dark)

    def _code(self) -> str:
        s = self._selection
        return median_script(self._store, s.evaluation, s.filters, s.product, s.metric, s.min_days)


def _medians_html(found: pd.DataFrame, selected: str, level: str, *, dark: bool) -> str:
    products = list(dict.fromkeys(found.index.get_level_values(0)))
    best = {m: min(products, key=partial(_loss_of, found, m)) for m in METRICS}
    rows = []
    for product in products:
        cells = "".join(_median_cell(found.loc[(product, m)], m, bold=best[m] == product) for m in METRICS)
        tint = product_colour(product, dark=dark)
        sites = min(int(found.loc[(product, metric), "sites"]) for metric in METRICS)
        rows.append(
            f'<tr class="{"chosen" if product == selected else ""}"><td class="text">'
            f'<i style="background:{tint}"></i>{escape(product)}</td>{cells}<td>{sites}</td></tr>'
        )
    heads = [
        "Product",
        *(with_definition(m, metric_label(m)) for m in METRICS),
        '<span title="Sites that have all of these scores">sites</span>',
    ]
    resampled = (
        "sites, as there are too few networks"
        if (found["resampled"] == SITES).any()
        else "networks, whose sites share sensors and weather"
    )
    note = f"Median over sites, {level} confidence interval from a bootstrap over {resampled}. Bold: best product."
    return f"{html_table(heads, rows)}<p>{note}</p>"


def _median_cell(row: pd.Series, metric: str, *, bold: bool) -> str:
    ends = float(row["lower"]), float(row["upper"])
    # No break inside the interval: in a narrow table it moves below its median as a whole.
    text = interval(float(row["median"]), *ends, SCALES[metric].digits, sign=metric == "bias").replace(
        ", ", ",\u00a0"
    )
    return f'<td class="wrap">{f"<b>{text}</b>" if bold else text}</td>'


def _loss_of(found: pd.DataFrame, metric: str, product: str) -> float:
    loss = float(ALL_METRICS[metric].loss(np.array(found["median"][product, metric])))
    return loss if np.isfinite(loss) else np.inf
