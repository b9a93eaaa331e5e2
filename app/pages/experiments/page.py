"""The Experiments page: form, holdout folds, details of one experiment, list, and comparison of runs."""

from __future__ import annotations

from app.export.dialog import ExportDialog
from app.pages.experiments.detail import ExperimentDetail
from app.pages.experiments.fold_map import FoldMap
from app.pages.experiments.form import ExperimentForm
from app.pages.experiments.run_comparison import RunComparison
from app.pages.experiments.run_list import ExperimentList
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.page_layout import PageSection, stack
from app.ui.visibility import while_visible


def experiments(selection: Selection, controller: SessionController) -> PageSection:
    """Return the page."""
    form = ExperimentForm(selection, controller.store, controller.monitor)
    export = ExportDialog(selection, controller.store)
    folds = FoldMap(selection, controller.store, form, export)
    detail = ExperimentDetail(selection, controller.monitor, export)
    comparison = RunComparison(selection, controller.store, controller.monitor, export)
    runs = ExperimentList(selection, controller.monitor, export, comparison.show)
    main = stack(folds.card, detail.card, runs.card, comparison.card, export.dialog)
    folds.redraw = while_visible(main, selection, ["theme"], folds.show)
    update_folds = while_visible(main, selection, ["evaluation"], folds.update)
    form.holdout.param.watch(lambda _: update_folds(), "changed")
    form.dataset.param.watch(lambda _: update_folds(), "value")
    update_folds()

    def refresh(_: bool) -> None:
        if main.visible:
            detail.refresh()
            runs.refresh()

    return PageSection(main, form.column, refresh)
