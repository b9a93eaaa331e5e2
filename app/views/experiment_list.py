"""The list of experiments; a click on one follows it."""

from __future__ import annotations

import pandas as pd
import panel as pn

from app.activity import Activity, Experiment
from app.state import Selection
from app.views.card import COMPACT, card, heading
from app.views.experiment_detail import sentence
from app.views.experiment_form import HOLDOUTS

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
    """

    def __init__(self, selection: Selection, activity: Activity) -> None:
        self._selection = selection
        self._activity = activity
        self.table = pn.widgets.Tabulator(
            self._frame(),
            titles=_TITLES,
            hidden_columns=[_HIDDEN],
            show_index=False,
            disabled=True,
            selectable=1,
            stylesheets=[COMPACT],
            layout="fit_data_stretch",
            theme="simple",
            height=_height(0),
            sizing_mode="stretch_width",
            margin=0,
            widths={"title": 250, "holdout": 150, "dataset": 120, "state": 100, "doing": 300, "created": 150},
            configuration={"placeholder": "No experiment yet"},
        )
        self.table.on_click(lambda event: self._choose(event.row))
        self.card = card(
            pn.pane.HTML(heading("All experiments", "Newest first. Click one to follow it."), margin=0),
            self.table,
        )

    def look(self) -> None:
        """Show what has changed; called now and then."""
        frame, shown = self._frame(), self.table.value
        if frame["run"].tolist() != shown["run"].tolist():
            self.table.value = frame
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
