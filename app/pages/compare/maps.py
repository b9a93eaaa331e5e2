"""Where one product is better than another, and which one is best at each site."""

from __future__ import annotations

import numpy as np
import panel as pn
from bokeh.palettes import PuOr11, interp_palette

from app.pages.compare.colours import compared_colour
from app.services.comparison import Comparison
from app.services.metric_labels import metric_label
from app.session.selection import Selection
from app.ui.card import heading
from app.ui.formatting import number
from app.ui.map.point_map import PointMap
from app.ui.theme import SCALES
from gsm3core.metrics import ALL_METRICS

# Purple where the first is better, orange where the second is: told apart with any colour vision, pale where equal.
_DIVERGING = interp_palette(PuOr11[1:-1], 255)
_SPREAD = {"R": 0.2, "RMSE": 0.04, "ubRMSE": 0.04, "bias": 0.05}
_OTHERWISE = 0.4


def spread_of(metric: str) -> float:
    """Return the end of the scale of differences: fixed, so that two maps can be compared."""
    return _SPREAD.get(metric, _OTHERWISE)


class DifferenceMap:
    """Score of one product less that of another, site by site.

    Parameters
    ----------
    selection
        Of the visitor.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._map = PointMap(selection, "difference")
        self.figure = self._map.figure
        self.views = (self._map.legend, self._map.pane)

    def show(self, comparison: Comparison, product: str, other: str) -> None:
        """Draw one pair."""
        s = self._selection
        a = comparison.scores(s.sample, s.metric, product)
        b = comparison.scores(s.sample, s.metric, other)
        metric, digits = ALL_METRICS[s.metric], SCALES[s.metric].digits
        value, words = a - b, f"{metric_label(s.metric)} of {product} minus {other}"
        if metric.higher_is_better is None:
            value, words = np.abs(a) - np.abs(b), f"Size of the bias of {product} minus {other} (m³ m⁻³)"
        better = "above" if metric.higher_is_better else "below"
        counted = np.isfinite(value)
        self.title.object = heading(
            words,
            f"Purple: {product} is better (the difference is {better} 0); orange: {other}. "
            f"{int(counted.sum())} sites; hollow where one of them has no score. Web Mercator map.",
        )
        labels = [
            f"{s.metric} {number(p, digits)} and {number(q, digits)}, difference {number(d, digits, sign=True)}"
            for p, q, d in zip(a, b, value, strict=True)
        ]
        spread = s.spread or spread_of(s.metric)
        # The palette runs from purple to orange; where more is better, purple belongs to the high end.
        palette = _DIVERGING[::-1] if metric.higher_is_better else _DIVERGING
        self._map.by_number(
            comparison.sites, value, labels, palette=palette, low=-spread, high=spread,
            ticks=(-spread, -spread / 2, 0, spread / 2, spread),
        )  # fmt: skip


class BestMap:
    """The best product at each site.

    Parameters
    ----------
    selection
        Of the visitor.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._map = PointMap(selection, "best")
        self.figure = self._map.figure
        self.views = (self._map.legend, self._map.pane)

    def show(self, comparison: Comparison) -> None:
        """Draw a comparison."""
        s = self._selection
        part = comparison.at(s.sample, s.metric)
        best = part["best"].values.astype(str)
        self.title.object = heading(
            f"Best product by {s.metric}",
            "The product with the best score at each site, in brackets at how many. One site is little to judge by: "
            "the intervals above say what differs beyond chance. Web Mercator map.",
        )
        digits = SCALES[s.metric].digits
        scores = {name: comparison.scores(s.sample, s.metric, name) for name in comparison.products}
        labels = [
            f"{name} {number(scores[name][k], digits)}" if name else "fewer than two products have a score"
            for k, name in enumerate(best)
        ]
        palette = {name: compared_colour(comparison, name, dark=s.dark) for name in comparison.products}
        self._map.by_class(
            comparison.sites, list(best), labels, palette, hollow="fewer than two have a score"
        )
