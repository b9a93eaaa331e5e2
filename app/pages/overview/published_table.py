"""Comparison with the published Table 1: medians of the newest run of each experiment, and the published ones."""

from __future__ import annotations

from html import escape

import pandas as pd
import panel as pn

from app.export.dialog import ExportDialog, ExportItem
from app.runtime.tasks import LatestTask
from app.services.evaluation import Evaluation
from app.services.metric_labels import metric_name
from app.services.published_comparison import paper_comparison
from app.services.store import Store
from app.ui.card import card, heading
from app.ui.formatting import NONE, TABLE, html_table, number, with_definition
from app.ui.status_line import StatusLine

_EXPERIMENT = {
    "temporal": "Temporal: held-out days at training sites",
    "random_spatial": "Random spatial: held-out sites",
    "cross_continental": "Cross-continental: held-out region",
}
_SOURCE = "Published: Table 1 of Liu et al. (2023), doi:10.5194/gmd-16-1553-2023. Medians over sites; errors in m³ m⁻³."
_SIMULATED = "<p><b>These results are from simulated data, the published ones from real sites: they cannot be compared.</b></p>"
_REAL = "<p>Sites, days and inputs differ from those of the paper, so differences are not due to the model alone.</p>"
_PLAIN = " As the published ones, these scores are of all test days and not scaled."


class PublishedTableCard:
    """Card with one table per experiment of the paper.

    Parameters
    ----------
    store
        Reads the runs.
    export
        Dialog of the page.

    Notes
    -----
    Table 1 of Liu et al. 2023, doi:10.5194/gmd-16-1553-2023.
    """

    def __init__(self, store: Store, export: ExportDialog) -> None:
        self._store = store
        self._comparison: pd.DataFrame | None = None
        self._simulated = False
        self._title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._status = StatusLine()
        self._table = pn.pane.HTML(stylesheets=[TABLE], sizing_mode="stretch_width", margin=0)
        self._task: LatestTask[pd.DataFrame] = LatestTask(self._show, self._status.fail)
        item = ExportItem(
            title="comparison with the published Table 1",
            tables={"Numbers": lambda: self._comparison},
            code=self._report_command,
            code_title="Command that writes this table, with the full evaluation of the runs:",
        )
        self.card = card(export.heading_row(self._title, item), self._status.column, self._table)

    def update(self, evaluation: Evaluation) -> None:
        """Read the newest run of each experiment on the dataset, then show its medians."""
        self._simulated = evaluation.simulated
        self._title.object = heading(
            "Comparison with the published Table 1",
            f"Newest run of each experiment; published value below.{_PLAIN if evaluation.conditions else ''}",
            simulated=evaluation.simulated,
        )
        self._status.begin("Reading the runs")
        self._task.run_in_background(lambda: paper_comparison(self._store, evaluation.dataset))

    def _show(self, found: pd.DataFrame) -> None:
        self._comparison = found
        self._status.end()
        tables = "".join(
            _experiment_html(name, found.loc[name]) for name in dict.fromkeys(found.index.get_level_values(0))
        )
        self._table.object = f"{_SIMULATED if self._simulated else _REAL}{tables}<p>{_SOURCE}</p>"

    def _report_command(self) -> str:
        found = self._comparison
        runs = [r for r in dict.fromkeys(found["run"]) if r] if found is not None else []
        if not runs:
            return "# There is no run yet: launch one on the Experiments page, or with gsm3 run."
        return f"gsm3 report {' '.join(runs)} --runs {self._store.runs_folder} --out report"


def _experiment_html(name: str, medians: pd.DataFrame) -> str:
    """Return the table of one experiment: a row per metric, a column per region, the published value below."""
    regions = list(dict.fromkeys(medians.index.get_level_values(1)))
    rows = [
        _metric_row(metric, medians.loc[metric])
        for metric in dict.fromkeys(medians.index.get_level_values(0))
    ]
    run = str(medians["run"].iloc[0])
    if run:
        counts = "".join(f"<td>{n or NONE}</td>" for n in medians.loc["R"]["sites"])
        rows.append(f'<tr><td class="text">sites</td>{counts}</tr>')
    about = f"run {run}" if run else "no run yet: launch one on the Experiments page"
    heads = ["", *(r.replace("_", " ") for r in regions)]
    return f"<p><b>{_EXPERIMENT[name]}</b> · {escape(about)}</p>{html_table(heads, rows)}"


def _metric_row(metric: str, by_region: pd.DataFrame) -> str:
    sign = metric == "bias"
    cells = "".join(
        f'<td>{number(ours, 3, sign=sign)}<br><span style="opacity:.8">{number(paper, 3, sign=sign)}</span></td>'
        for ours, paper in zip(by_region["ours"], by_region["paper"], strict=True)
    )
    name = with_definition(metric, metric_name(metric))
    return f'<tr><td class="text">{name}<br><span style="opacity:.8">published</span></td>{cells}</tr>'
