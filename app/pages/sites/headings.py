"""Headings of the cards of the Sites page: the score, product, sites and days shown."""

from __future__ import annotations

import numpy as np
import panel as pn
import param

from app.services.evaluation import Evaluation
from app.services.metric_labels import metric_label, metric_name
from app.session.selection import Selection
from app.ui.card import heading
from app.ui.theme import SCALES
from gsm3core import vocabulary as v
from gsm3core.metrics import TRIPLE_METRICS

_GROUPING = {"mean_soil_moisture": "mean soil moisture ({})", "aspect": "poleward aspect"}


class _Heading:
    """A heading that is updated with the selection."""

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
        title, explanation = self._title_and_explanation(evaluation)
        self.pane.object = heading(
            title.replace("bias", "Bias", 1), explanation, simulated=evaluation.simulated
        )

    def _title_and_explanation(self, evaluation: Evaluation) -> tuple[str, str]:
        raise NotImplementedError


class MapHeading(_Heading):
    """Heading of the map."""

    def _title_and_explanation(self, evaluation: Evaluation) -> tuple[str, str]:
        s = self._selection
        if not evaluation.products:
            return (
                "No product to compare",
                f"{evaluation.dataset} has no product besides the reference. Train a model on it: Experiments, Launch.",
            )
        values = evaluation.values(s.product, s.metric)[s.shown.mask]
        missing = int(np.isnan(values).sum())
        hollow = f" Hollow: {missing} without a score." if missing else ""
        subset = "" if s.shown.words == "all sites" else f", {s.shown.words}"
        where = f"at {values.size - missing} sites{subset}"
        return (
            f"{metric_label(s.metric)} of {s.product}",
            f"Against {evaluation.against} {where}{evaluation.conditions}.{_triplet(s, evaluation)}{hollow} Click a site for its "
            "time series, or select several with the box or lasso tool. Web Mercator projection.",
        )


class BoxHeading(_Heading):
    """Heading of the boxplots.

    Parameters
    ----------
    selection
        Gives what is shown.
    by_group
        Whether the rows are groups of sites, or products.
    """

    def __init__(self, selection: Selection, *, by_group: bool) -> None:
        self._by_group = by_group
        super().__init__(selection)

    def _title_and_explanation(self, evaluation: Evaluation) -> tuple[str, str]:
        s = self._selection
        mark = SCALES[s.metric].mark_label
        dashed = f" Dashed: {mark}." if mark else ""
        if self._by_group:
            by = _GROUPING.get(s.grouping, s.grouping.replace("_", " ")).format(_record_name(s.moisture_of))
            return (
                f"{metric_label(s.metric)} of {s.product} by {by}",
                f"Box: interquartile range; whiskers: 5th to 95th percentile; number of sites in brackets"
                f"{evaluation.conditions}.{dashed} "
                "Click a row to highlight its sites on the map.",
            )
        own_third = ", with a third product of its own" if s.metric in TRIPLE_METRICS else ""
        return (
            f"{metric_label(s.metric)} by product",
            f"Over {s.shown.words}{evaluation.conditions}; each product at the sites where it has a score{own_third}. "
            "Click a row to show the product on the map.",
        )


class TableHeading(_Heading):
    """Heading of the table of sites."""

    def _title_and_explanation(self, evaluation: Evaluation) -> tuple[str, str]:
        return (
            f"Scores of {self._selection.product} at each site",
            f"Worst {metric_name(self._selection.metric)} first{evaluation.conditions}. Click a column heading to sort, a row to "
            "show its time series. Errors in m³ m⁻³.",
        )


def _triplet(selection: Selection, evaluation: Evaluation) -> str:
    """Return the triplet of the product shown, as a sentence; empty for a score that is not of triple collocation."""
    text = evaluation.triplet(selection.product) if selection.metric in TRIPLE_METRICS else ""
    return f" {text}." if text else ""


def _record_name(name: str) -> str:
    return "in situ" if name == v.IN_SITU else name
