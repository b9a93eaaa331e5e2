"""The Overview page: what is loaded, how good it is, how that compares with the paper, and what needs attention."""

from __future__ import annotations

from functools import partial

import pandas as pd
import panel as pn
import param

from app.export.analysis_scripts import median_lines
from app.export.dialog import ExportDialog, Item
from app.pages.overview.report_card import ReportCard
from app.pages.overview.tables import attention_row, facts, loaded, medians_table, paper_table, table
from app.runtime.tasks import Latest
from app.services.summary import ScoreWarning, attention, medians, paper_comparison, stopped
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.banner import Banner
from app.ui.card import card, heading
from app.ui.page_layout import Part, stack
from app.ui.sidebar import Sidebar
from app.ui.status_line import StatusLine
from app.ui.visibility import while_visible
from gsm3core import vocabulary as v

_ON = ("shown", "product", "metric", "theme")


def overview(selection: Selection, visitor: SessionController) -> Part:
    """Return the page."""
    banner = Banner(selection, visitor)
    controls = Sidebar(selection, visitor.store)
    views = _Views(selection, visitor)
    main = stack(banner.column, views.column)
    while_visible(main, selection, _ON, views.update)
    views.update()

    def look(runs_changed: bool) -> None:
        if runs_changed:
            controls.follow()
            views.update()
        banner.look()
        views.look()

    return Part(main, controls.column, look)


class _Views:
    """Tables only: nothing here minds being drawn out of sight."""

    def __init__(self, selection: Selection, visitor: SessionController) -> None:
        self._selection = selection
        self._visitor = visitor
        self._found: list[ScoreWarning] = []
        self._told: list[ScoreWarning] | None = None
        self._loaded_title, self._medians_title, self._paper_title = (
            pn.pane.HTML(margin=0, sizing_mode="stretch_width") for _ in range(3)
        )
        self._loaded, self._medians, self._paper = facts(), table(), table()
        self._waiting, self._waiting_paper = StatusLine(), StatusLine()
        self._attention = pn.Column(sizing_mode="stretch_width", margin=0)
        self._computing: Latest[pd.DataFrame] = Latest(self._show_medians, self._waiting.fail)
        self._comparing: Latest[pd.DataFrame] = Latest(self._show_paper, self._waiting_paper.fail)
        attention_title = pn.pane.HTML(
            heading("What needs attention", "Nothing here is hidden in an average."),
            margin=0, sizing_mode="stretch_width",
        )  # fmt: skip
        self._found_medians: pd.DataFrame | None = None
        self._found_paper: pd.DataFrame | None = None
        self._take = ExportDialog(selection, visitor.store)
        medians_item = Item(
            title="medians of the products", tables={"Numbers": lambda: self._found_medians}, code=self._code
        )
        paper_item = Item(
            title="beside the paper",
            tables={"Numbers": lambda: self._found_paper},
            code=self._report_command,
            code_title="The same table from the command line, with all of the run's evaluation:",
        )
        self.column = pn.Column(
            card(self._loaded_title, self._loaded),
            card(self._take.beside(self._medians_title, medians_item), self._waiting.column, self._medians),
            card(attention_title, self._attention),
            card(self._take.beside(self._paper_title, paper_item), self._waiting_paper.column, self._paper),
            ReportCard(selection, visitor.store).card,
            self._take.dialog,
            sizing_mode="stretch_width",
            margin=0,
            stylesheets=[":host { gap: 14px; }"],
            visible=False,
        )

    def update(self) -> None:
        """Follow the selection."""
        selection, store = self._selection, self._visitor.store
        evaluation, shown = selection.evaluation, selection.shown
        self.column.visible = evaluation is not None
        if evaluation is None or shown is None:
            return
        run = store.run(evaluation.run) if evaluation.run else None
        days = store.dataset(evaluation.dataset)[v.TIME].values
        simulated = evaluation.simulated
        self._loaded_title.object = heading("What is loaded", "", simulated=simulated)
        self._loaded.object = loaded(
            evaluation, days, run.title if run else "", run.config.holdout.name if run else ""
        )
        season = "" if evaluation.season == "all" else f", {evaluation.season} days only"
        about = f"Medians over {shown.words}{season}, against {evaluation.against}" + (
            ", on the run's test days." if run else ", on all days."
        )
        self._medians_title.object = heading("How good the products are", about, simulated=simulated)
        self._paper_title.object = heading(
            "Beside the paper",
            "The newest run of each experiment; beneath, what was published.",
            simulated=simulated,
        )
        self._found = attention(evaluation, shown, selection.product, selection.metric)
        self.look()
        if evaluation.products:
            self._waiting.begin("Computing the intervals")
            self._computing.later(lambda: medians(evaluation, shown))
        else:
            self._waiting.rest(
                "There is no second record to compare. Train a model on it: Experiments, Launch."
            )
        self._waiting_paper.begin("Reading the runs")
        self._comparing.later(lambda: paper_comparison(store, evaluation.dataset))

    def look(self) -> None:
        """Show the experiments that stopped since."""
        found = [*stopped(self._visitor.activity.experiments.values()), *self._found]
        if found != self._told:
            self._told = found
            rows = [attention_row(one, partial(self._act, one)) for one in found]
            self._attention.objects = rows or [pn.pane.HTML("Nothing.", margin=0)]

    def _act(self, one: ScoreWarning, _: param.parameterized.Event) -> None:
        change = dict(one.change or {})
        if product := change.pop("product", ""):
            self._selection.choose_product(str(product))
        self._selection.change(**change)

    def _code(self) -> str:
        s = self._selection
        return median_lines(self._visitor.store, s.evaluation, s.filters, s.product, s.metric, s.min_days)

    def _report_command(self) -> str:
        found, store = self._found_paper, self._visitor.store
        runs = [r for r in dict.fromkeys(found["run"]) if r] if found is not None else []
        if not runs:
            return "# There is no run yet: launch one on the Experiments page, or with gsm3 run."
        return f"gsm3 report {' '.join(runs)} --runs {store.runs_folder} --out report"

    def _show_medians(self, found: pd.DataFrame) -> None:
        self._found_medians = found
        self._waiting.end()
        self._medians.object = medians_table(found, self._selection.product, dark=self._selection.dark)

    def _show_paper(self, found: pd.DataFrame) -> None:
        self._found_paper = found
        self._waiting_paper.end()
        simulated = self._selection.evaluation is not None and self._selection.evaluation.simulated
        self._paper.object = paper_table(found, simulated=simulated)
