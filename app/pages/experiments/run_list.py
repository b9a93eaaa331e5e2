"""The list of experiments; a click on one follows it, ticks compare several."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import panel as pn

from app.export.dialog import ExportDialog, Item
from app.pages.experiments.detail import sentence
from app.pages.experiments.holdout_form import HOLDOUTS
from app.services.run_monitor import Experiment, RunMonitor
from app.session.selection import Selection
from app.ui.card import COMPACT, card, heading
from app.ui.workarounds.tabulator_stylesheets import calm

_TITLES = {
    "title": "Experiment",
    "holdout": "Held out",
    "dataset": "Dataset",
    "state": "State",
    "doing": "How far",
    "created": "Started",
}
_HIDDEN = "run"


class ExperimentList:
    """Every experiment, newest first.

    Parameters
    ----------
    selection
        Of the visitor; a click changes its experiment.
    activity
        Of the server.
    take
        Lets a visitor take it away.
    ticked
        Called with the ids of the runs that are ticked, in the order of the list.
    """

    def __init__(
        self,
        selection: Selection,
        activity: RunMonitor,
        take: ExportDialog,
        ticked: Callable[[list[str]], None] = lambda _: None,
    ) -> None:
        self._selection = selection
        self._activity = activity
        self._ticked = ticked
        self._chosen: list[str] = []
        self._following = False
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
            widths={"title": 230, "holdout": 140, "dataset": 130, "state": 90, "doing": 240, "created": 150},
            configuration={"placeholder": "No experiment yet"},
        )
        calm(self.table)
        self.table.on_click(lambda event: self._choose(event.row))
        self.table.param.watch(self._tick, "selection")
        title = pn.pane.HTML(
            heading(
                "All experiments", "Newest first. Click one to follow it; tick two or more to compare them."
            ),
            margin=0,
            sizing_mode="stretch_width",
        )
        folder = activity.store.runs_folder
        item = Item(
            title="all experiments",
            tables={"Numbers": lambda: self._frame().set_index(_HIDDEN)},
            code=lambda: f"gsm3 runs list --out {folder}",
            code_title="The same list from the command line:",
            about=lambda: [f"all experiments; GSM3; runs: {folder}"],
        )
        self.card = card(take.beside(title, item), self.table)

    def look(self) -> None:
        """Show what has changed; called now and then."""
        frame, shown = self._frame(), self.table.value
        if frame["run"].tolist() != shown["run"].tolist():
            # New rows come on top: what was ticked keeps its tick by its name, not by its number.
            self._following = True
            self.table.value = frame
            ids = frame["run"].tolist()
            self.table.selection = [ids.index(i) for i in self._chosen if i in ids]
            self._following = False
            self.table.height = _height(len(frame))
        elif changed := {
            name: [(slice(0, len(frame)), frame[name].tolist())]
            for name in _TITLES
            if frame[name].tolist() != shown[name].tolist()
        }:
            self.table.patch(changed)

    def _frame(self) -> pd.DataFrame:
        rows = [_row(e) for e in self._activity.experiments.values()]
        return pd.DataFrame(rows, columns=[_HIDDEN, *_TITLES])

    def _tick(self, *_: object) -> None:
        if self._following:
            return
        ids = self.table.value["run"].tolist()
        chosen = [ids[k] for k in sorted(self.table.selection) if k < len(ids)]
        if chosen != self._chosen:
            self._chosen = chosen
            self._ticked(chosen)

    def _choose(self, row: int) -> None:
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
        "doing": sentence(experiment),
        "created": experiment.created,
    }
