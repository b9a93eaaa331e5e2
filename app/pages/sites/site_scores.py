"""One site: every score of every product with its interval, what the place is like, and which fold tested it."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import panel as pn
import param

from app.services.metric_labels import metric_name
from app.services.site_series import SiteSeries
from app.session.selection import Selection
from app.ui.formatting import number
from app.ui.theme import SCALES, product_colour
from gsm3core.metrics import ALL_METRICS, METRICS

_TABLE = """
:host { overflow-x: auto; color: var(--panel-on-surface-color); }
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
summary { cursor: pointer; font-size: 13px; margin: 8px; }
"""


class SiteScores:
    """The table beside the series.

    Parameters
    ----------
    selection
        Of the visitor.
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
        place = _place(self._series)
        if not evaluation.products:
            self.pane.object = f"<p>There is no product to compare this record with yet.</p>{place}"
            return
        metrics = [*METRICS, *([selection.metric] if selection.metric not in METRICS else [])]
        heads = "".join(
            f'<th scope="col" title="{escape(ALL_METRICS[m].meaning)}">{escape(metric_name(m))}</th>'
            for m in metrics
        )
        rows = "".join(
            _row(
                str(name), row, metrics, chosen=name == selection.product,
                colour=product_colour(str(name), dark=selection.dark),
            )
            for name, row in evaluation.at_site(selection.site_shown).iterrows()
        )  # fmt: skip
        days = "its test days" if evaluation.run else "all days"
        if evaluation.season != "all":
            days += f" of {evaluation.season}"
        self.pane.object = (
            f'<table><tr><th scope="col">Product</th>{heads}<th scope="col" title="Days that both have, and in small '
            f'how many independent days they are worth">days</th></tr>{rows}</table><p>Against {evaluation.against}, '
            f"on {days} that both have. Errors in m³ m⁻³. In small, the 95 % interval, which allows for days that "
            f"resemble the day before.</p>{place}"
        )


def _row(name: str, row: pd.Series, metrics: list[str], *, chosen: bool, colour: str) -> str:
    first = (
        f'<tr class="{"chosen" if chosen else ""}"><td><i style="background:{colour}"></i>{escape(name)}</td>'
    )
    if not np.isfinite(float(row["bias"])):
        return f'{first}<td class="why" colspan="{len(metrics) + 1}">no score: {escape(str(row["reason"]))}</td></tr>'
    cells = "".join(f"<td>{_cell(row, m)}</td>" for m in metrics)
    worth = float(row["n_effective"])
    return f"{first}{cells}<td>{int(row['n_valid'])}<small>{number(worth, 0)}</small></td></tr>"


def _cell(row: pd.Series, metric: str) -> str:
    digits, sign = SCALES[metric].digits, metric == "bias"
    ends = [float(row.get(f"{metric}_{end}", np.nan)) for end in ("lower", "upper")]
    interval = " to ".join(number(x, digits, sign=sign) for x in ends) if np.isfinite(ends).all() else ""
    return f"{number(float(row.get(metric, np.nan)), digits, sign=sign)}<small>{interval}</small>"


def _place(series: SiteSeries) -> str:
    if not series.attributes:
        return ""
    rows = "".join(f"<dt>{escape(n)}</dt><dd>{escape(x)}</dd>" for n, x in series.attributes.items())
    return f"<details><summary>What the place is like</summary><dl>{rows}</dl></details>"
