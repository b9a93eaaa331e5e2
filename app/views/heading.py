"""The titles of the views of the Sites page: what is drawn, of which product, at how many sites."""

from __future__ import annotations

import numpy as np
import panel as pn
import param

from app.evaluation import Evaluation
from app.state import Selection
from app.theme import SCALES, metric_label
from app.views.card import heading


class _Heading:
    """A title that follows the selection."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.pane = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        selection.param.watch(self._update, ["shown", "product", "metric"])
        self._update()

    def _update(self, *_: param.parameterized.Event) -> None:
        evaluation = self._selection.evaluation
        if evaluation is None:
            self.pane.object = ""
            return
        title, explanation = self._words(evaluation)
        self.pane.object = heading(
            title.replace("bias", "Bias", 1), explanation, simulated=evaluation.simulated
        )

    def _words(self, evaluation: Evaluation) -> tuple[str, str]:
        raise NotImplementedError


class MapHeading(_Heading):
    """Title of the map."""

    def _words(self, evaluation: Evaluation) -> tuple[str, str]:
        s = self._selection
        if not evaluation.products:
            return (
                "Nothing to compare yet",
                f"{evaluation.dataset} has no second record. Train a model on it: Experiments, Launch.",
            )
        values = evaluation.values(s.product, s.metric)[s.shown.mask]
        missing = int(np.isnan(values).sum())
        hollow = f" {missing} without a score are hollow." if missing else ""
        place = "" if s.shown.mask.all() else f", {s.shown.words}"
        there = f"at {values.size - missing} sites{place}"
        return (
            f"{metric_label(s.metric)} of {s.product}",
            f"Against {evaluation.against} {there}.{hollow} Click one for its series.",
        )


class BoxHeading(_Heading):
    """Title of the boxplots.

    Parameters
    ----------
    selection
        Of the visitor.
    by_region
        Of one product by region; else of every product.
    """

    def __init__(self, selection: Selection, *, by_region: bool) -> None:
        self._by_region = by_region
        super().__init__(selection)
        self.pane.margin = 0 if by_region else (12, 0, 0, 0)

    def _words(self, evaluation: Evaluation) -> tuple[str, str]:
        s = self._selection
        mark = SCALES[s.metric].mark_label
        dashed = f" Dashed: {mark}." if mark else ""
        if self._by_region:
            return (
                f"{metric_label(s.metric)} of {s.product} by region",
                f"Box: half of the sites; line: nine in ten; in brackets, how many.{dashed}",
            )
        return (
            f"{metric_label(s.metric)} by product",
            f"Over {s.shown.words}, each product at the sites where it has a score.",
        )


class TableHeading(_Heading):
    """Title of the table of sites."""

    def _words(self, evaluation: Evaluation) -> tuple[str, str]:
        return (
            f"Sites, scores of {self._selection.product}",
            "Worst R first. Click a heading to sort, a row to see its series. Errors in m³ m⁻³.",
        )
