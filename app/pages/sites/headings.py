"""The titles of the views of the Sites page: what is drawn, of which product, at how many sites."""

from __future__ import annotations

import numpy as np
import panel as pn
import param

from app.services.evaluation import ALL_YEAR, Evaluation
from app.services.metric_labels import metric_label, metric_name
from app.session.selection import Selection
from app.ui.card import heading
from app.ui.theme import SCALES
from gsm3core import vocabulary as v

_GROUPING = {"mean_soil_moisture": "mean soil moisture ({})", "aspect": "poleward aspect"}


class _Heading:
    """A title that follows the selection."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.pane = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        selection.param.watch(self._update, ["shown", "product", "metric", "grouping", "moisture_of"])
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
        place = "" if s.shown.words == "all sites" else f", {s.shown.words}"
        there = f"at {values.size - missing} sites{place}"
        return (
            f"{metric_label(s.metric)} of {s.product}",
            f"Against {evaluation.against} {there}{_days(evaluation)}.{hollow} Click a site for its series, or draw "
            "around several. Web Mercator map.",
        )


class BoxHeading(_Heading):
    """Title of the boxplots.

    Parameters
    ----------
    selection
        Of the visitor.
    by_group
        Of one product by kind of site; else of every product.
    """

    def __init__(self, selection: Selection, *, by_group: bool) -> None:
        self._by_group = by_group
        super().__init__(selection)

    def _words(self, evaluation: Evaluation) -> tuple[str, str]:
        s = self._selection
        mark = SCALES[s.metric].mark_label
        dashed = f" Dashed: {mark}." if mark else ""
        if self._by_group:
            by = _GROUPING.get(s.grouping, s.grouping.replace("_", " ")).format(_record(s.moisture_of))
            return (
                f"{metric_label(s.metric)} of {s.product} by {by}",
                f"Box: half of the sites; line: nine in ten; in brackets, how many.{dashed} Click a row to see its sites.",
            )
        return (
            f"{metric_label(s.metric)} by product",
            f"Over {s.shown.words}, each product at the sites where it has a score. Click a row to map it.",
        )


class TableHeading(_Heading):
    """Title of the table of sites."""

    def _words(self, evaluation: Evaluation) -> tuple[str, str]:
        return (
            f"Sites, scores of {self._selection.product}",
            f"Worst {metric_name(self._selection.metric)} first{_days(evaluation)}. Click a heading to sort, a row to see its "
            "series. Errors in m³ m⁻³.",
        )


def _days(evaluation: Evaluation) -> str:
    """Say of which days the scores are, where they are not of all that there are."""
    return "" if evaluation.season == ALL_YEAR else f", {evaluation.season} days only"


def _record(name: str) -> str:
    return "in situ" if name == v.IN_SITU else name
