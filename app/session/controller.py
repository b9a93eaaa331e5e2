"""One visitor: loads what the selection asks for, and follows the experiments while the page is open."""

from __future__ import annotations

import param

from app.runtime.tasks import Latest
from app.services.evaluation import ALL_YEAR, Evaluation
from app.services.run_monitor import Experiment, RunMonitor
from app.services.store import Store
from app.session.selection import LOADED, NEWEST, Selection
from gsm3core.errors import GSM3Error
from gsm3core.metrics import MORE_METRICS

_NO_DATASET = (
    "There is no dataset in {folder}. Put a SiteDataset there (.zarr or .nc), or start again with an empty "
    "data folder to get the simulated demonstration dataset; then reload this page."
)
_DOING = ("Reading {} and scoring its products at every site", "Computing these scores of {}")


class SessionController:
    """Keeps a selection and what is loaded for it together.

    Parameters
    ----------
    selection
        Of this visitor.
    store, activity
        Of the server.
    """

    def __init__(self, selection: Selection, store: Store, activity: RunMonitor) -> None:
        self.selection = selection
        self.store = store
        self.activity = activity
        self._evaluating: Latest[Evaluation] = Latest(selection.show, selection.fail)
        self._runs_seen: tuple[str, ...] = ()
        self._asked: tuple[str, str, str, str, bool, int] = ("", "", "", "", False, 0)
        selection.param.watch(self._load, list(LOADED))
        selection.param.watch(self._score, "metric")

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
        about = (dataset, run, reference, selection.season)
        # Once the further scores are there, they stay, until other days or another run are asked for.
        more = selection.metric in MORE_METRICS or (self._asked[:4] == about and bool(self._asked[4]))
        asked = (*about, more, selection.min_days)
        if asked == self._asked and selection.evaluation is not None:
            return
        self._asked = asked

        def work() -> Evaluation:
            return store.evaluation(*about, more).with_at_least(asked[-1])

        if store.is_evaluated(*about, more):
            self._evaluating.now(work)
            return
        selection.working_on = _DOING[more or selection.season != ALL_YEAR].format(dataset)
        self._evaluating.later(work)

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

    def _score(self, *_: param.parameterized.Event) -> None:
        evaluation = self.selection.evaluation
        if evaluation is not None and not evaluation.has(self.selection.metric):
            self.load()
