"""One visitor: loads what the selection asks for, and follows the experiments while the page is open."""

from __future__ import annotations

import param

from app.activity import Activity, Experiment
from app.background import Latest
from app.evaluation import Evaluation
from app.state import NEWEST, Selection
from app.store import Store
from gsm3core.errors import GSM3Error

_NO_DATASET = (
    "There is no dataset in {folder}. Put a SiteDataset there (.zarr or .nc), or start again with an empty "
    "data folder to get the simulated demonstration dataset; then reload this page."
)


class Visitor:
    """Keeps a selection and what is loaded for it together.

    Parameters
    ----------
    selection
        Of this visitor.
    store, activity
        Of the server.
    """

    def __init__(self, selection: Selection, store: Store, activity: Activity) -> None:
        self.selection = selection
        self.store = store
        self.activity = activity
        self._evaluating: Latest[Evaluation] = Latest(selection.show, selection.fail)
        self._runs_seen: tuple[str, ...] = ()
        selection.param.watch(self._load, ["dataset", "run", "reference"])

    def load(self) -> None:
        """Load what the selection asks for."""
        selection, store = self.selection, self.store
        try:
            dataset, run, reference = selection.wanted(store)
            self._runs_seen = tuple(store.runs_of(dataset))
        except (GSM3Error, OSError) as error:
            selection.fail(str(error))
            return
        if not dataset:
            selection.fail(_NO_DATASET.format(folder=store.data))
            return
        shown = selection.evaluation
        if shown is not None and (shown.dataset, shown.run, shown.reference) == (dataset, run, reference):
            return
        if store.is_evaluated(dataset, run, reference):
            self._evaluating.now(lambda: store.evaluation(dataset, run, reference))
            return
        selection.working_on = f"Reading {dataset} and scoring its products at every site"
        self._evaluating.later(lambda: store.evaluation(dataset, run, reference))

    def look(self) -> bool:
        """Notice runs that have finished; return whether the list of runs to choose from has changed."""
        evaluation = self.selection.evaluation
        if evaluation is None:
            return False
        runs = tuple(self.store.runs_of(evaluation.dataset))
        if runs == self._runs_seen:
            return False
        # The first run appears by itself. Later ones do not take the place of what somebody is looking at.
        first = not self._runs_seen
        self._runs_seen = runs
        if first and self.selection.run == NEWEST:
            self.load()
        return True

    def training_first_run(self) -> Experiment | None:
        """Return the experiment that will be the first run on the dataset shown, if one is under way."""
        evaluation = self.selection.evaluation
        if evaluation is None or self._runs_seen:
            return None
        active = self.activity.newest_active()
        return active if active is not None and active.dataset == evaluation.dataset else None

    def _load(self, *_: param.parameterized.Event) -> None:
        self.load()
