"""The report of a run: one HTML page with every table and figure, written in the background."""

from __future__ import annotations

import io
import tempfile
from html import escape
from pathlib import Path

import panel as pn
import panel_material_ui as pmui
import param

from app.runtime.tasks import LatestTask
from app.services.evaluation import Evaluation
from app.services.store import Store
from app.session.selection import Selection
from app.ui.card import card, heading
from app.ui.status_line import StatusLine
from gsm3core.evaluation.reference_scaling import NO_SCALING


class ReportCard:
    """A button that creates the report, and one that downloads it once it exists.

    Parameters
    ----------
    selection, store
        Of the session.
    """

    def __init__(self, selection: Selection, store: Store) -> None:
        self._selection = selection
        self._store = store
        self._report: bytes = b""
        self._task: LatestTask[bytes] = LatestTask(self._offer_download, self._fail, long=True)
        self._status = StatusLine()
        self._create_button = pmui.Button(
            label="Create report",
            variant="outlined",
            size="small",
            on_click=self._create,
            margin=(4, 8, 0, 0),
        )
        self._download_button = pmui.FileDownload(
            label="Report (HTML)", callback=lambda: io.BytesIO(self._report), filename="gsm3-report.html", auto=True,
            embed=False, size="small", visible=False, margin=(4, 0, 0, 0),
        )  # fmt: skip
        self._command = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        title = pn.pane.HTML(
            heading("Report", "One self-contained page with every table, figure and setting of the run."),
            margin=0, sizing_mode="stretch_width",
        )  # fmt: skip
        self.card = card(
            title,
            self._status.column,
            pn.Row(self._create_button, self._download_button, margin=0),
            self._command,
            visible=False,
        )
        selection.param.watch(self._update, ["evaluation"])
        self._update()

    def _update(self, *_: param.parameterized.Event) -> None:
        evaluation = self._selection.evaluation
        run = evaluation.run if evaluation is not None else ""
        self.card.visible = bool(run)
        self._download_button.visible = False
        self._status.end()
        if run:
            self._command.object = (
                '<p style="font-size:12.5px;margin:8px 0 0;color:var(--panel-on-surface-color)">From the command line: '
                f"<code>gsm3 report {run} --runs {self._store.runs_folder} --out report{_options(evaluation)}</code></p>"
            )

    def _create(self, _: param.parameterized.Event) -> None:
        evaluation = self._selection.evaluation
        if evaluation is None or not evaluation.run:
            return
        run, reference = self._store.run(evaluation.run), evaluation.reference
        scaling, masks = evaluation.scaling, evaluation.masks
        self._download_button.visible = False
        self._status.begin(f"Creating the report of {run.title}")

        def make_report() -> bytes:
            from gsm3core.report import write_report  # draws with matplotlib, which nothing else here needs

            with tempfile.TemporaryDirectory() as folder:
                page = write_report(
                    [run], Path(folder) / "report", reference=reference, scaling=scaling, masks=masks
                )
                return page.read_bytes()

        self._task.run_in_background(make_report)

    def _offer_download(self, report: bytes) -> None:
        self._report = report
        self._status.end()
        self._download_button.visible = True

    def _fail(self, problem: str) -> None:
        self._status.fail(problem, "The report was not created.")


def _options(evaluation: Evaluation) -> str:
    """Return the options of the command that give the page's scaling and masks."""
    scaling = f" --scaling {evaluation.scaling}" if evaluation.scaling != NO_SCALING else ""
    masks = f" --mask {','.join(evaluation.masks)}" if evaluation.masks else ""
    return escape(scaling + masks)
