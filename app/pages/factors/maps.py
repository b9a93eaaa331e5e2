"""The sites on the map, coloured by a factor, or by the score that is expected of them."""

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
    """Sites with a score, coloured by one factor.

    Parameters
    ----------
    selection
        Of the visitor.
    """

    def __init__(self, selection: Selection) -> None:
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._map = PointMap(selection, "factor_sites")
        self.figure = self._map.figure
        self.views = (self._map.legend, self._map.pane)

    def show(self, asked: FactorQuery, factor: str, metric: str) -> None:
        """Draw one factor."""
        table, label = asked.table, factor_label(factor)
        sites, x = asked.sites.loc[list(table.site)], table.column(factor)
        known = np.isfinite(x)
        self.title.object = heading(
            f"Sites by {label}",
            f"The {len(sites)} sites with a score; hollow where it is not known. Web Mercator map.",
        )
        digits = SCALES[metric].digits
        scores = [f"{metric} {number(y, digits)}" for y in table.score]
        if factor in table.classes:
            meanings = table.classes[factor]
            names = [meanings.get(float(k), "not known") if np.isfinite(k) else "not known" for k in x]
            labels = [f"{name}; {score}" for name, score in zip(names, scores, strict=True)]
            self._map.by_class(
                sites, names, labels, class_palette(list(meanings.values())), hollow="not known"
            )
            return
        low, high = (-1.0, 1.0) if factor == POLEWARD_ASPECT else _range(x[known])
        labels = [f"{label} {y:.3g}; {score}" for y, score in zip(x, scores, strict=True)]
        self._map.by_number(sites, x, labels, palette=factor_palette(factor), low=low, high=high)
        self.title.object = heading(
            f"Sites by {factor_axis(factor)}",
            f"The {len(sites)} sites with a score; hollow where it is not known. The colours end at the 2nd and 98th percentile. "
            "Web Mercator map."
            if factor != POLEWARD_ASPECT
            else f"The {len(sites)} sites with a score; hollow where it is not known. Web Mercator map.",
        )


class SkillMap:
    """Every site of the dataset, coloured by the score that is expected there.

    Parameters
    ----------
    selection
        Of the visitor.
    """

    def __init__(self, selection: Selection) -> None:
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._map = PointMap(selection, "expected")
        self.figure = self._map.figure
        self.views = (self._map.legend, self._map.pane)

    def show(self, asked: FactorQuery, model: SkillModel, expected: xr.Dataset, metric: str) -> None:
        """Draw what is expected."""
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
            f"expected {metric} {number(e, digits)}, {model.coverage:.0%} of sites {number(low, digits)} to "
            f"{number(high, digits)}" + (f"; not to be trusted: {why}" if why else "")
            for e, low, high, why in interval
        ]
        self.title.object = heading(
            f"Expected {metric_label(metric)} of {asked.product} at every site",
            f"Told from the factors alone, also where nothing was measured. At sites held out, expected and true score "
            f"correlate at {number(model.correlation, 2)}, and the {model.coverage:.0%} interval holds {model.covered:.0%} of "
            f"them. Hollow: {int((~inside).sum())} sites unlike all that it learnt from, or without a factor. Web Mercator map.",
        )
        scale = SCALES[metric]
        self._map.by_number(
            asked.sites,
            value,
            labels,
            palette=scale.palette,
            low=scale.low,
            high=scale.high,
            ticks=scale.ticks,
        )


def _range(values: np.ndarray) -> tuple[float, float]:
    if not values.size:
        return 0.0, 1.0
    low, high = np.quantile(values, [0.02, 0.98])
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(high) + 0.5)
