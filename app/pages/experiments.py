"""The Experiments page: the form of a new one, what it would hold out, the one that is followed, and the list of all."""

from __future__ import annotations

from app.pages.part import Part, stack
from app.pages.sight import while_visible
from app.state import Selection
from app.views.experiment_compare import RunComparison
from app.views.experiment_detail import ExperimentDetail
from app.views.experiment_folds import FoldMap
from app.views.experiment_form import ExperimentForm
from app.views.experiment_list import ExperimentList
from app.views.take_away import TakeAway
from app.visitor import Visitor


def experiments(selection: Selection, visitor: Visitor) -> Part:
    """Return the page."""
    form = ExperimentForm(selection, visitor.store, visitor.activity)
    take = TakeAway(selection, visitor.store)
    folds = FoldMap(selection, visitor.store, form, take)
    detail = ExperimentDetail(selection, visitor.activity, take)
    comparison = RunComparison(selection, visitor.store, visitor.activity, take)
    listed = ExperimentList(selection, visitor.activity, take, comparison.show)
    main = stack(folds.card, detail.card, listed.card, comparison.card, take.dialog)
    folds.redraw = while_visible(main, selection, ["theme"], folds.show)
    ask = while_visible(main, selection, ["evaluation"], folds.ask)
    form.holdout.param.watch(lambda _: ask(), "changed")
    form.dataset.param.watch(lambda _: ask(), "value")
    ask()

    def look(_: bool) -> None:
        if main.visible:
            detail.look()
            listed.look()

    return Part(main, form.column, look)
