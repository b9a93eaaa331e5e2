"""List of experiments; a click selects one, ticks compare several."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import panel as pn

from app.export.dialog import ExportDialog, ExportItem
from app.pages.experiments.detail import status_text
from app.pages.experiments.holdout_form import HOLDOUTS
from app.services.run_monitor import Experiment, RunMonitor
from app.session.selection import Selection
from app.ui.bound_widgets import UserChanges
from app.ui.card import COMPACT, card, heading
from app.ui.workarounds.tabulator_stylesheets import fix_stylesheet_polling

_TITLES = {
    "title": "Experiment",
    "holdout": "Holdout",
    "dataset": "Dataset",
    "state": "State",
    "progress": "Progress",
    "created": "Started",
}
_HIDDEN = "run"


class ExperimentList:
    """Every experiment, newest first.

    Parameters
    ----------
    on_ticked
        Called with the ids of the ticked runs, in the order of the list.
    """

    def __init__(
        self,
        selection: Selection,
        monitor: RunMonitor,
        export: ExportDialog,
        on_ticked: Callable[[list[str]], None] = lambda _: None,
    ) -> None:
        self._selection = selection
        self._monitor = monitor
        self._on_ticked = on_ticked
        self._ticked: list[str] = []
        self._changes = UserChanges()
        frame = self._frame()
        self.table = pn.widgets.Tabulator(
            frame,
            titles=_TITLES,
            hidden_columns=[_HIDDEN],
            show_index=False,
            disabled=True,
            selectable="checkbox",
            stylesheets=[COMPACT],
            layout="fit_data_stretch",
            theme="simple",
            height=_height(len(frame)),
            sizing_mode="stretch_width",
            margin=0,
            widths={
                "title": 230,
                "holdout": 140,
                "dataset": 130,
                "state": 90,
                "progress": 240,
                "created": 150,
            },
            configuration={"placeholder": "No experiment yet"},
        )
        fix_stylesheet_polling(self.table)
        self.table.on_click(lambda event: self._select(event.row))
        self._changes.watch(self.table, self._update_ticked, parameter="selection")
        title = pn.pane.HTML(
            heading(
                "All experiments",
                "Newest first. Click one to see its details; tick two or more to compare them.",
            ),
            margin=0,
            sizing_mode="stretch_width",
        )
        folder = monitor.store.runs_folder
        item = ExportItem(
            title="all experiments",
            tables={"Numbers": lambda: self._frame().set_index(_HIDDEN)},
            code=lambda: f"gsm3 runs list --out {folder}",
            code_title="The same list from the command line:",
            about=lambda: [f"all experiments; GSM3; runs: {folder}"],
        )
        self.card = card(export.heading_row(title, item), self.table)

    def refresh(self) -> None:
        """Update the list; called periodically."""
        frame, shown = self._frame(), self.table.value
        if frame["run"].tolist() != shown["run"].tolist():
            # New rows are inserted at the top: restore the ticks by run id, not by row number.
            ids = frame["run"].tolist()
            with self._changes.silenced():
                self.table.value = frame
                self.table.selection = [ids.index(i) for i in self._ticked if i in ids]
            self.table.height = _height(len(frame))
        elif changed := {
            name: [(slice(0, len(frame)), frame[name].tolist())]
            for name in _TITLES
            if frame[name].tolist() != shown[name].tolist()
        }:
            self.table.patch(changed)

    def _frame(self) -> pd.DataFrame:
        rows = [_row(e) for e in self._monitor.experiments.values()]
        return pd.DataFrame(rows, columns=[_HIDDEN, *_TITLES])

    def _update_ticked(self, rows: list[int]) -> None:
        ids = self.table.value["run"].tolist()
        ticked = [ids[k] for k in sorted(rows) if k < len(ids)]
        if ticked != self._ticked:
            self._ticked = ticked
            self._on_ticked(ticked)

    def _select(self, row: int) -> None:
        self._selection.experiment = str(self.table.value[_HIDDEN].iloc[row])


def _height(rows: int) -> int:
    return 52 + 37 * min(max(rows, 2), 12)


def _row(experiment: Experiment) -> dict[str, str]:
    label = HOLDOUTS.get(experiment.holdout, (experiment.holdout, ""))[0]
    return {
        "run": experiment.run,
        "title": experiment.title,
        "holdout": label,
        "dataset": experiment.dataset,
        "state": experiment.state,
        "progress": status_text(experiment),
        "created": experiment.created,
    }
