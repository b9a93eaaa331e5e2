"""The Experiments page: the form of a new one, what it would hold out, the one that is followed, and the list of all."""

from __future__ import annotations

from app.export.dialog import ExportDialog
from app.pages.experiments.detail import ExperimentDetail
from app.pages.experiments.fold_map import FoldMap
from app.pages.experiments.form import ExperimentForm
from app.pages.experiments.run_comparison import RunComparison
from app.pages.experiments.run_list import ExperimentList
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.page_layout import Part, stack
from app.ui.visibility import while_visible


def experiments(selection: Selection, visitor: SessionController) -> Part:
    """Return the page."""
    form = ExperimentForm(selection, visitor.store, visitor.activity)
    take = ExportDialog(selection, visitor.store)
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
