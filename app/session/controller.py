"""Controller of one session: loads the scores of the selection and follows the experiments."""

from __future__ import annotations

from dataclasses import dataclass, replace

import param

from app.runtime.tasks import LatestTask
from app.services.evaluation import ALL_YEAR, Evaluation
from app.services.run_monitor import Experiment, RunMonitor
from app.services.store import Store
from app.session.selection import LOADED, NEWEST, Selection
from gsm3core.errors import GSM3Error
from gsm3core.evaluation.reference_scaling import NO_SCALING
from gsm3core.evaluation.triplets import AUTOMATIC
from gsm3core.metrics import METRICS
from gsm3core.metrics.rescaling import Scaling

_NO_DATASET = (
    "There is no dataset in {folder}. Put a SiteDataset there (.zarr or .nc), or restart with an empty data folder to "
    "get the simulated demonstration dataset; then reload this page."
)


@dataclass(frozen=True)
class _EvaluationQuery:
    """What determines the scores that are loaded."""

    dataset: str
    run: str
    reference: str
    season: str
    further_metrics: bool = False
    min_days: int = 0
    scaling: Scaling = NO_SCALING
    masks: tuple[str, ...] = ()
    third: str = AUTOMATIC

    def of_scores(self) -> tuple[str, str, str, str, bool, Scaling, tuple[str, ...], str]:
        return (
            self.dataset, self.run, self.reference, self.season, self.further_metrics, self.scaling, self.masks,
            self.third,
        )  # fmt: skip

    def differs_in_days(self, other: _EvaluationQuery) -> bool:
        """Return whether another query is of other days, another run, reference or scaling."""
        other = replace(other, further_metrics=self.further_metrics, third=self.third)
        return self.of_scores() != other.of_scores()


class SessionController:
    """Keep a selection and the scores loaded for it consistent.

    Parameters
    ----------
    selection
        Selection of this session.
    store, monitor
        Shared by all sessions.
    """

    def __init__(self, selection: Selection, store: Store, monitor: RunMonitor) -> None:
        self.selection = selection
        self.store = store
        self.monitor = monitor
        self._evaluating: LatestTask[Evaluation] = LatestTask(
            selection.apply_evaluation, selection.show_error
        )
        self._known_runs: tuple[str, ...] = ()
        self._query: _EvaluationQuery | None = None
        selection.param.watch(self._on_change, list(LOADED))
        selection.param.watch(self._on_metric, "metric")

    def load(self) -> None:
        """Load the scores of the selected dataset, run, reference, season, scaling and masks."""
        selection, store = self.selection, self.store
        try:
            dataset, run, reference = selection.resolve(store)
            masks = selection.masks_to_load(store, dataset) if dataset else ()
            self._known_runs = tuple(store.runs_of(dataset))
        except (GSM3Error, OSError) as error:
            selection.show_error(str(error))
            return
        if not dataset:
            selection.show_error(_NO_DATASET.format(folder=store.data))
            return
        query = self._next_query(
            _EvaluationQuery(
                dataset, run, reference, selection.season, scaling=selection.scaling, masks=masks
            )
        )
        if query == self._query and selection.evaluation is not None:
            return
        self._query = query

        def work() -> Evaluation:
            return store.evaluation(*query.of_scores()).with_at_least(query.min_days)

        if store.is_evaluated(*query.of_scores()):
            self._evaluating.run_now(work)
            return
        computes = (
            query.further_metrics or query.season != ALL_YEAR or query.scaling != NO_SCALING or query.masks
        )
        selection.loading_message = (
            f"Computing scores of {dataset}" if computes else f"Reading {dataset} and scoring its products"
        )
        self._evaluating.run_in_background(work)

    def poll_runs(self) -> bool:
        """Look for newly finished runs; return whether the list of runs has changed."""
        evaluation = self.selection.evaluation
        if evaluation is None:
            return False
        runs = tuple(self.store.runs_of(evaluation.dataset))
        if runs == self._known_runs:
            return False
        # Only the first run is shown without being selected; later ones do not replace what the user is viewing.
        first = not self._known_runs
        self._known_runs = runs
        if first and self.selection.run == NEWEST:
            self.load()
        return True

    def first_run_in_progress(self) -> Experiment | None:
        """Return the active experiment on the dataset shown, if the dataset has no finished run yet."""
        evaluation = self.selection.evaluation
        if evaluation is None or self._known_runs:
            return None
        active = self.monitor.newest_active()
        return active if active is not None and active.dataset == evaluation.dataset else None

    def _next_query(self, query: _EvaluationQuery) -> _EvaluationQuery:
        """Return the query with the selected metric and minimum days.

        Further metrics stay loaded until the dataset, run, reference, season, scaling or masks change.
        """
        last = self._query
        loaded = last is not None and last.further_metrics and not last.differs_in_days(query)
        further = loaded or self.selection.metric not in METRICS
        # The third product does not change the paper's four metrics.
        third = self.selection.third if further else AUTOMATIC
        return replace(query, further_metrics=further, min_days=self.selection.min_days, third=third)

    def _on_change(self, *_: param.parameterized.Event) -> None:
        self.load()

    def _on_metric(self, *_: param.parameterized.Event) -> None:
        evaluation = self.selection.evaluation
        if evaluation is not None and not evaluation.has(self.selection.metric):
            self.load()
