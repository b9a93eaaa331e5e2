"""Comparison of two or more runs: median scores, training loss and settings."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import panel as pn
import panel_material_ui as pmui
from bokeh.models import ColumnDataSource, DataRange1d, HoverTool, Legend, LegendItem
from bokeh.plotting import figure

from app.export.dialog import ExportDialog, ExportItem
from app.export.scripts import runs_script
from app.runtime.tasks import LatestTask
from app.services.evaluation import REFERENCES
from app.services.medians import median_scores, resampling
from app.services.metric_labels import metric_label
from app.services.run_monitor import RunMonitor
from app.services.run_settings import differing
from app.services.store import Store
from app.session.selection import COMPARE, Selection
from app.ui.card import card, heading
from app.ui.formatting import NONE, TABLE, html_table, interval, with_definition
from app.ui.theme import SCALES, style_figure
from gsm3core.metrics import METRICS
from gsm3core.run import Run

_COLOURS = ("#0072b2", "#e08a00", "#00875f", "#b3559a", "#c4500a", "#6a5acd", "#8d6e63", "#546e7a")
_MAX_RUNS = len(_COLOURS)
_HOVER = '<div style="font-size:13px"><b>$name</b><br>epoch @epoch{0}: @loss{0.0000}</div>'


class RunComparison:
    """The runs that are ticked in the list."""

    def __init__(self, selection: Selection, store: Store, monitor: RunMonitor, export: ExportDialog) -> None:
        self._selection, self._store, self._monitor = selection, store, monitor
        self._scoring: LatestTask[list[pd.DataFrame]] = LatestTask(self._show_scores, self._fail)
        self._runs: list[Run] = []
        self._tables: list[pd.DataFrame] = []
        self._figures: dict[str, figure] = {}
        self._title = pn.pane.HTML(
            heading("Compare runs", "Tick two or more runs in the list above."),
            margin=0,
            sizing_mode="stretch_width",
        )
        self._scores = pn.pane.HTML("", stylesheets=[TABLE], margin=(4, 0), sizing_mode="stretch_width",
                                    css_classes=["run-scores"])  # fmt: skip
        self._settings = pn.pane.HTML("", stylesheets=[TABLE], margin=(10, 0, 0, 0), sizing_mode="stretch_width",
                                      css_classes=["run-settings"])  # fmt: skip
        self._curves = pn.Column(sizing_mode="stretch_width", margin=0)
        self.same_days = pmui.Button(
            label="Compare on the same days",
            variant="outlined",
            icon="compare_arrows",
            on_click=self._open_compare,
            margin=(6, 0),
        )
        item = ExportItem(
            title="runs compared",
            figures=lambda: self._figures,
            tables={"Scores": self._all_scores, "Settings": lambda: differing(self._runs)},
            code=lambda: runs_script(self._runs),
            about=lambda: ["runs compared, each on its own test days and sites; GSM3; errors in m3 m-3"],
        )
        self._heading = export.heading_row(self._title, item)
        self.card = card(self._title)

    def show(self, run_ids: list[str]) -> None:
        """Compare these runs."""
        known = {run.id: run for run in self._store.runs()}
        self._runs = [known[i] for i in run_ids[:_MAX_RUNS] if i in known]
        if len(self._runs) < 2:
            self.card.objects = [self._title]
            return
        runs, self._tables, self._figures = self._runs, [], {}
        self._settings.object = _settings_table(runs)
        self._curves.objects = [self._loss_curves()]
        self._scores.object = "<p>Computing median scores …</p>"
        usable = [r for r in runs if r.references()]
        datasets = {self._store.dataset_of_run(r) for r in usable}
        self.same_days.visible = len(usable) == 2 == len(runs) and len(datasets) == 1
        self.card.objects = [self._heading, self._scores, self.same_days, self._curves, self._settings]
        self._scoring.run_in_background(lambda: [median_scores(self._store, run) for run in runs])

    def _all_scores(self) -> pd.DataFrame | None:
        scored = {
            (run.id, run.title): table
            for run, table in zip(self._runs, self._tables, strict=False)
            if len(table)
        }
        return pd.concat(scored, names=["run", "title"]) if scored else None

    def _show_scores(self, tables: list[pd.DataFrame]) -> None:
        self._tables = tables
        rows = []
        for k, (run, table) in enumerate(zip(self._runs, tables, strict=True)):
            name = f'<td class="text"><i style="background:{_COLOURS[k]}"></i>{escape(run.title)}</td>'
            if table.empty:
                rows.append(
                    f'<tr>{name}<td class="text" colspan="6">no scores yet ({escape(run.state)})</td></tr>'
                )
                continue
            for reference in table.index.unique("reference"):
                part = table.loc[reference]
                cells = "".join(_median(part.loc[m], SCALES[m].digits) for m in METRICS)
                against = escape(REFERENCES.get(str(reference), str(reference)))
                rows.append(
                    f'<tr>{name}<td class="text">{against}</td><td>{int(part.loc["R", "sites"])}</td>{cells}</tr>'
                )
        head = ["Run", "Against", "Sites", *(with_definition(m, metric_label(m)) for m in METRICS)]
        self._scores.object = html_table(head, rows, texts=2) + (
            f"<p>Medians with confidence intervals, 95 % unless configured otherwise ({resampling(*tables)}), each run on its "
            "own test days and sites. Scores of runs with different holdouts are not comparable.</p>"
        )

    def _fail(self, problem: str) -> None:
        self._scores.object = f"<p>{escape(problem)}</p>"

    def _loss_curves(self) -> pn.viewable.Viewable:
        fig = figure(
            height=260, sizing_mode="stretch_width", tools="save", toolbar_location="right", x_range=DataRange1d(start=0),
            y_range=DataRange1d(start=0), name="loss_curves",
        )  # fmt: skip
        style_figure(fig)
        fig.xaxis.axis_label, fig.yaxis.axis_label = "epoch, all folds and members", "training RMSE (m³ m⁻³)"
        items = []
        for k, run in enumerate(self._runs):
            experiment = self._monitor.experiments.get(run.id)
            losses = experiment.progress.losses if experiment else None
            if losses is None or not losses.epoch:
                continue
            lines = []
            for term, values, dash in (
                ("in situ", losses.insitu, "solid"),
                ("SMAP", losses.satellite, "dashed"),
            ):
                if np.isfinite(values).any():
                    source = ColumnDataSource(data={"epoch": list(losses.epoch), "loss": list(values)})
                    style = {"line_color": _COLOURS[k], "line_dash": dash, "line_width": 2}
                    lines.append(
                        fig.line("epoch", "loss", source=source, name=f"{run.title}, {term}", **style)
                    )
            if lines:
                items.append(LegendItem(label=run.title, renderers=lines))
        if not items:
            return pn.pane.HTML(
                "<p>No training loss: baselines are not trained in epochs.</p>",
                stylesheets=[TABLE],
                margin=0,
            )
        fig.add_layout(Legend(items=items, orientation="horizontal", padding=2, margin=2), "above")
        fig.add_tools(HoverTool(tooltips=_HOVER, limit=2, visible=False))
        self._figures = {"Loss": fig}
        note = heading("Training loss", "Solid: in situ; dashed: SMAP.")
        return pn.Column(
            pn.pane.HTML(note, margin=(8, 0, 0, 0), sizing_mode="stretch_width"),
            pn.pane.Bokeh(fig, height=260, sizing_mode="stretch_width", margin=0),
            sizing_mode="stretch_width",
            margin=0,
        )

    def _open_compare(self, _: object) -> None:
        if len(self._runs) != 2:
            return
        first, second = self._runs
        path = self._store.dataset_of_run(first)
        names = {p.resolve(): name for name, p in self._store.datasets().items()}
        self._selection.change(
            page=COMPARE, dataset=names.get(path, self._selection.dataset), run=first.id, other_run=second.id, reference=""
        )  # fmt: skip


def _median(row: pd.Series, digits: int) -> str:
    return f"<td>{interval(float(row['median']), float(row['lower']), float(row['upper']), digits)}</td>"


def _settings_table(runs: list[Run]) -> str:
    table = differing(runs)
    head = ["Setting", *(escape(run.title) for run in runs)]
    changed, same = table[table["differs"]], table[~table["differs"]]
    titled = heading(
        "Different settings", "Marked; settings that are the same for all runs are collapsed below."
    )
    differences = html_table(head, _rows(changed, marked=True)) if len(changed) else "<p>None.</p>"
    rest = html_table(["Setting", "Value"], [
        f'<tr><td class="text">{escape(str(name))}</td><td class="wrap">{escape(str(row.iloc[0]) or NONE)}</td></tr>'
        for name, row in same.iterrows()
    ])  # fmt: skip
    folded = f"<summary>{len(same)} settings are the same</summary>{rest}"
    return f"{titled}{differences}<details style='margin-top:8px;font-size:13px'>{folded}</details>"


def _rows(table: pd.DataFrame, *, marked: bool) -> list[str]:
    style = ' class="marked wrap"' if marked else ' class="wrap"'
    values = table.drop(columns="differs")
    return [
        f'<tr><td class="text">{escape(str(name))}</td>'
        + "".join(f"<td{style}>{escape(str(x) or NONE)}</td>" for x in row)
        + "</tr>"
        for name, row in zip(values.index, values.to_numpy(), strict=True)
    ]
