"""Maps of the score difference of two products, and of the best product at each site."""

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

# Purple: the first product is better; orange: the second; pale: equal. Distinguishable with any colour vision.
_DIVERGING = interp_palette(PuOr11[1:-1], 255)
_LIMITS = {"R": 0.2, "RMSE": 0.04, "ubRMSE": 0.04, "bias": 0.05}
_OTHER_LIMIT = 0.4


def default_limit(metric: str) -> float:
    """Return the default limit of the colour scale of differences: fixed, so that maps are comparable."""
    return _LIMITS.get(metric, _OTHER_LIMIT)


class DifferenceMap:
    """Map of the score of one product minus that of another.

    Parameters
    ----------
    selection
        Gives the metric, the days and the colour limits; a click changes its site.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._map = PointMap(selection, "difference")
        self.figure = self._map.figure
        self.panes = (self._map.legend, self._map.pane)

    def show(self, comparison: Comparison, product: str, other: str) -> None:
        """Draw the difference of two products."""
        s = self._selection
        a = comparison.scores(s.sample, s.metric, product)
        b = comparison.scores(s.sample, s.metric, other)
        metric, digits = ALL_METRICS[s.metric], SCALES[s.metric].digits
        value, title = a - b, f"{metric_label(s.metric)} of {product} minus {other}"
        if metric.higher_is_better is None:
            value, title = np.abs(a) - np.abs(b), f"Absolute bias of {product} minus {other} (m³ m⁻³)"
        better = "above" if metric.higher_is_better else "below"
        n_sites = int(np.isfinite(value).sum())
        self.title.object = heading(
            title,
            f"Purple: {product} is better (the difference is {better} 0); orange: {other}. "
            f"{n_sites} sites; hollow: one of them has no score. Web Mercator projection.",
        )
        labels = [
            f"{s.metric} {number(p, digits)} and {number(q, digits)}, difference {number(d, digits, sign=True)}"
            for p, q, d in zip(a, b, value, strict=True)
        ]
        limit = s.difference_limit or default_limit(s.metric)
        # The palette runs from purple to orange; where a higher score is better, purple is at the upper end.
        palette = _DIVERGING[::-1] if metric.higher_is_better else _DIVERGING
        self._map.colour_by_value(
            comparison.sites, value, labels, palette=palette, low=-limit, high=limit,
            ticks=(-limit, -limit / 2, 0, limit / 2, limit),
        )  # fmt: skip


class BestMap:
    """Map of the best product at each site.

    Parameters
    ----------
    selection
        Gives the metric and the days; a click changes its site.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._map = PointMap(selection, "best")
        self.figure = self._map.figure
        self.panes = (self._map.legend, self._map.pane)

    def show(self, comparison: Comparison) -> None:
        """Draw the best products of a comparison."""
        s = self._selection
        best = comparison.at(s.sample, s.metric)["best"].values.astype(str)
        self.title.object = heading(
            f"Best product by {s.metric}",
            "Product with the best score at each site; number of sites in brackets. Differences at single sites may be "
            "due to chance: see the confidence intervals above. Web Mercator projection.",
        )
        digits = SCALES[s.metric].digits
        scores = {name: comparison.scores(s.sample, s.metric, name) for name in comparison.products}
        labels = [
            f"{name} {number(scores[name][k], digits)}" if name else "fewer than two products have a score"
            for k, name in enumerate(best)
        ]
        palette = {name: compared_colour(comparison, name, dark=s.dark) for name in comparison.products}
        self._map.colour_by_class(
            comparison.sites, list(best), labels, palette, hollow="fewer than two have a score"
        )
