"""Maps of the sites, coloured by a factor or by the expected score."""

from __future__ import annotations

import numpy as np
import panel as pn
import xarray as xr

from app.pages.factors.labels import class_palette, factor_axis, factor_label, factor_palette
from app.services.factor_analysis import FactorQuery
from app.services.metric_labels import metric_label
from app.session.selection import Selection
from app.ui.card import heading
from app.ui.formatting import number
from app.ui.map.point_map import PointMap
from app.ui.theme import SCALES
from gsm3core.factors import SkillModel
from gsm3core.factors.columns import POLEWARD_ASPECT


class FactorMap:
    """Sites with a score, coloured by one factor."""

    def __init__(self, selection: Selection) -> None:
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._map = PointMap(selection, "factor_sites")
        self.figure = self._map.figure
        self.views = (self._map.legend, self._map.pane)

    def show(self, query: FactorQuery, factor: str, metric: str) -> None:
        """Draw one factor."""
        table, label = query.table, factor_label(factor)
        sites, x = query.sites.loc[list(table.site)], table.column(factor)
        known = np.isfinite(x)
        explanation = f"{len(sites)} sites with a score; hollow: factor missing. Web Mercator."
        digits = SCALES[metric].digits
        scores = [f"{metric} {number(y, digits)}" for y in table.score]
        if factor in table.classes:
            self.title.object = heading(f"Sites by {label}", explanation)
            meanings = table.classes[factor]
            names = [meanings.get(float(k), "missing") if np.isfinite(k) else "missing" for k in x]
            labels = [f"{name}; {score}" for name, score in zip(names, scores, strict=True)]
            self._map.colour_by_class(
                sites, names, labels, class_palette(list(meanings.values())), hollow="missing"
            )
            return
        low, high = (-1.0, 1.0) if factor == POLEWARD_ASPECT else _colour_range(x[known])
        labels = [f"{label} {y:.3g}; {score}" for y, score in zip(x, scores, strict=True)]
        self._map.colour_by_value(sites, x, labels, palette=factor_palette(factor), low=low, high=high)
        if factor != POLEWARD_ASPECT:
            explanation += " Colours: 2nd to 98th percentile."
        self.title.object = heading(f"Sites by {factor_axis(factor)}", explanation)


class SkillMap:
    """Every site of the dataset, coloured by its expected score."""

    def __init__(self, selection: Selection) -> None:
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._map = PointMap(selection, "expected")
        self.figure = self._map.figure
        self.views = (self._map.legend, self._map.pane)

    def show(self, query: FactorQuery, model: SkillModel, expected: xr.Dataset, metric: str) -> None:
        """Draw the expected scores."""
        digits = SCALES[metric].digits
        inside = expected["applicable"].values
        value = np.where(inside, expected["expected"].values, np.nan)
        interval = zip(
            expected["expected"].values,
            expected["lower"].values,
            expected["upper"].values,
            expected["reason"].values.astype(str),
            strict=True,
        )
        labels = [
            f"expected {metric} {number(e, digits)}, {model.coverage:.0%} interval {number(low, digits)} to "
            f"{number(high, digits)}" + (f"; not applicable: {why}" if why else "")
            for e, low, high, why in interval
        ]
        self.title.object = heading(
            f"Expected {metric_label(metric)} of {query.product} at every site",
            f"Predicted from the factors alone, also at sites without in-situ data. At held-out sites, expected and actual "
            f"score correlate at {number(model.correlation, 2)}, and the {model.coverage:.0%} interval covers "
            f"{model.covered:.0%} of the sites. Hollow ({int((~inside).sum())}): outside the area of applicability or with "
            "a missing factor. Web Mercator.",
        )
        scale = SCALES[metric]
        self._map.colour_by_value(
            query.sites,
            value,
            labels,
            palette=scale.palette,
            low=scale.low,
            high=scale.high,
            ticks=scale.ticks,
        )


def _colour_range(values: np.ndarray) -> tuple[float, float]:
    if not values.size:
        return 0.0, 1.0
    low, high = np.quantile(values, [0.02, 0.98])
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(high) + 0.5)
