"""Scores of every product at one site, with confidence intervals, and the attributes of the site."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import panel as pn
import param

from app.pages.sites.site_periods import periods_html
from app.pages.sites.site_triplets import triplet_html
from app.services.evaluation import Evaluation
from app.services.metric_labels import metric_name
from app.services.site_series import SiteSeries
from app.session.selection import Selection
from app.ui.formatting import number
from app.ui.theme import SCALES, product_colour
from gsm3core.metrics import ALL_METRICS, METRICS, MORE_METRICS
from gsm3core.statistics.block_bootstrap import COVERAGE_NOTE

_TABLE = """
:host { overflow-x: auto; max-height: none !important; color: var(--panel-on-surface-color); }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; padding: 4px 5px; white-space: nowrap; cursor: help; }
td { text-align: right; padding: 4px 5px; white-space: nowrap; line-height: 1.25;
  border-top: 1px solid color-mix(in srgb, currentColor 16%, transparent); }
th:first-child, td:first-child { text-align: left; }
td small { display: block; font-size: 11px; opacity: .8; }
td.why { text-align: left; opacity: .85; white-space: normal; }
tr.chosen td { font-weight: 650; } tr.chosen small { font-weight: 400; }
i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 7px; }
p { font-size: 12px; opacity: .85; line-height: 1.45; margin: 8px; }
dl { display: grid; grid-template-columns: minmax(110px, 1.4fr) 1fr; gap: 2px 12px; font-size: 12.5px; margin: 10px 8px; }
dt { opacity: .8; } dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
h4 { font-size: 13.5px; margin: 14px 5px 2px; }
p.suspect { border-left: 4px solid #c4500a; padding: 4px 10px; opacity: 1; }
summary { cursor: pointer; font-size: 13px; margin: 8px; }
"""


class SiteScores:
    """A table, and a list of site attributes that can be unfolded.

    Parameters
    ----------
    selection
        Gives the product, the metric and the theme.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._series: SiteSeries | None = None
        self.pane = pn.pane.HTML(
            stylesheets=[_TABLE], margin=0, styles={"flex": "1 1 470px", "min-width": "0"}
        )
        selection.param.watch(self._update, ["product", "metric", "theme"])

    def show(self, series: SiteSeries) -> None:
        """Show one site."""
        self._series = series
        self._update()

    def _update(self, *_: param.parameterized.Event) -> None:
        selection, evaluation = self._selection, self._selection.evaluation
        if self._series is None or evaluation is None or selection.site_shown not in evaluation.sites.index:
            self.pane.object = ""
            return
        attributes = _attributes_html(self._series)
        if not evaluation.products:
            self.pane.object = f"<p>There is no product to compare with the reference.</p>{attributes}"
            return
        # Triple collocation has a table of its own.
        further = selection.metric in MORE_METRICS
        metrics = [*METRICS, *([selection.metric] if further else [])]
        head = "".join(
            f'<th scope="col" title="{escape(ALL_METRICS[m].meaning)}">{escape(metric_name(m))}</th>'
            for m in metrics
        )
        rows = "".join(
            _row(
                str(name), row, metrics, selected=name == selection.product,
                colour=product_colour(str(name), dark=selection.dark),
            )
            for name, row in evaluation.at_site(selection.site_shown).iterrows()
        )  # fmt: skip
        days = "the test days" if evaluation.run else "all days"
        days += evaluation.conditions
        self.pane.object = (
            f'<table><tr><th scope="col">Product</th>{head}<th scope="col" title="Paired days; below, their effective '
            f'sample size">days</th></tr>{rows}</table><p>Against {evaluation.against}, on the paired days among '
            f'{days}. Errors in m³ m⁻³. Below each score: <span title="{COVERAGE_NOTE}">95 % confidence interval, corrected '
            f"for temporal autocorrelation</span>.</p>{self._more_html(evaluation, self._series)}{attributes}"
        )

    def _more_html(self, evaluation: Evaluation, series: SiteSeries) -> str:
        """Return the reason why the in-situ record is suspect, triple collocation, and scores by year and season."""
        selection = self._selection
        site, product = selection.site_shown, selection.product
        why = str(evaluation.sites.loc[site, "suspect"])
        suspect = f'<p class="suspect"><b>Suspect in-situ record</b>: {escape(why)}.</p>' if why else ""
        triplets = triplet_html(evaluation, site, product, dark=selection.dark)
        return suspect + triplets + periods_html(series, evaluation, product)


def _row(name: str, row: pd.Series, metrics: list[str], *, selected: bool, colour: str) -> str:
    first = f'<tr class="{"chosen" if selected else ""}"><td><i style="background:{colour}"></i>{escape(name)}</td>'
    if not np.isfinite(float(row["bias"])):
        return f'{first}<td class="why" colspan="{len(metrics) + 1}">no score: {escape(str(row["reason"]))}</td></tr>'
    cells = "".join(f"<td>{_cell(row, m)}</td>" for m in metrics)
    effective = float(row["n_effective"])
    return f"{first}{cells}<td>{int(row['n_valid'])}<small>{number(effective, 0)}</small></td></tr>"


def _cell(row: pd.Series, metric: str) -> str:
    digits, sign = SCALES[metric].digits, metric == "bias"
    ends = [float(row.get(f"{metric}_{end}", np.nan)) for end in ("lower", "upper")]
    interval = " to ".join(number(x, digits, sign=sign) for x in ends) if np.isfinite(ends).all() else ""
    return f"{number(float(row.get(metric, np.nan)), digits, sign=sign)}<small>{interval}</small>"


def _attributes_html(series: SiteSeries) -> str:
    if not series.attributes:
        return ""
    rows = "".join(f"<dt>{escape(n)}</dt><dd>{escape(x)}</dd>" for n, x in series.attributes.items())
    return f"<details><summary>Site attributes</summary><dl>{rows}</dl></details>"
