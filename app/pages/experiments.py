"""The Experiments page: the form of a new one, the one that is followed, and the list of all."""

from __future__ import annotations

from app.pages.part import Part, stack
from app.state import Selection
from app.views.experiment_detail import ExperimentDetail
from app.views.experiment_form import ExperimentForm
from app.views.experiment_list import ExperimentList
from app.visitor import Visitor


def experiments(selection: Selection, visitor: Visitor) -> Part:
    """Return the page."""
    form = ExperimentForm(selection, visitor.store, visitor.activity)
    detail = ExperimentDetail(selection, visitor.activity)
    listed = ExperimentList(selection, visitor.activity)

    def look(_: bool) -> None:
        detail.look()
        listed.look()

    return Part(stack(detail.card, listed.card), form.column, look)
