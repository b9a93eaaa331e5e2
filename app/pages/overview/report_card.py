"""The run as one HTML page with every table: made in the background, then taken away."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import panel as pn
import panel_material_ui as pmui
import param

from app.runtime.tasks import Latest
from app.services.store import Store
from app.session.selection import Selection
from app.ui.card import card, heading
from app.ui.status_line import StatusLine


class ReportCard:
    """A button that makes the report, and one that downloads it when it is there.

    Parameters
    ----------
    selection, store
        Of the visitor.
    """

    def __init__(self, selection: Selection, store: Store) -> None:
        self._selection = selection
        self._store = store
        self._page: bytes = b""
        self._making: Latest[bytes] = Latest(self._made, self._failed, long=True)
        self._waiting = StatusLine()
        self._make = pmui.Button(
            label="Make the report",
            variant="outlined",
            size="small",
            on_click=self._begin,
            margin=(4, 8, 0, 0),
        )
        self._take = pmui.FileDownload(
            label="Report (HTML)", callback=lambda: io.BytesIO(self._page), filename="gsm3-report.html", auto=True,
            embed=False, size="small", visible=False, margin=(4, 0, 0, 0),
        )  # fmt: skip
        self._command = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        title = pn.pane.HTML(
            heading("Take the run along", "One page with every table, figure and setting, readable without this program."),
            margin=0, sizing_mode="stretch_width",
        )  # fmt: skip
        self.card = card(
            title,
            self._waiting.column,
            pn.Row(self._make, self._take, margin=0),
            self._command,
            visible=False,
        )
        selection.param.watch(self._follow, ["evaluation"])
        self._follow()

    def _follow(self, *_: param.parameterized.Event) -> None:
        evaluation = self._selection.evaluation
        run = evaluation.run if evaluation is not None else ""
        self.card.visible = bool(run)
        self._take.visible = False
        self._waiting.end()
        if run:
            self._command.object = (
                '<p style="font-size:12.5px;margin:8px 0 0;color:var(--panel-on-surface-color)">The same from the '
                f"command line: <code>gsm3 report {run} --runs {self._store.runs_folder} --out report</code></p>"
            )

    def _begin(self, _: param.parameterized.Event) -> None:
        evaluation = self._selection.evaluation
        if evaluation is None or not evaluation.run:
            return
        run, reference = self._store.run(evaluation.run), evaluation.reference
        self._take.visible = False
        self._waiting.begin(f"Making the report of {run.title}")

        def make() -> bytes:
            from gsm3core.report import write_report  # draws with matplotlib, which nothing else here needs

            with tempfile.TemporaryDirectory() as folder:
                return Path(write_report([run], Path(folder) / "report", reference=reference)).read_bytes()

        self._making.later(make)

    def _made(self, page: bytes) -> None:
        self._page = page
        self._waiting.end()
        self._take.visible = True

    def _failed(self, problem: str) -> None:
        self._waiting.fail(problem, "There is no report.")
