"""Scores of the selected product at one site, by year and by season."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd

from app.services.evaluation import ALL_YEAR, Evaluation
from app.services.metric_labels import metric_name
from app.services.site_periods import METRICS, scores_by_period
from app.services.site_series import SiteSeries
from app.ui.formatting import number
from app.ui.theme import SCALES


def periods_html(series: SiteSeries, evaluation: Evaluation, product: str) -> str:
    """Return the tables of a product's scores by year and by season; an empty text without a paired day.

    Parameters
    ----------
    series, evaluation, product
        As for :func:`app.services.site_periods.scores_by_period`.
    """
    tables = [("Year", scores_by_period(series, evaluation, product, "year"))]
    if evaluation.season == ALL_YEAR:
        tables.append(("Season", scores_by_period(series, evaluation, product, "season")))
    if all(table.empty for _, table in tables):
        return ""
    body = "".join(_table(title, table) for title, table in tables)
    return (
        f"<details><summary>{escape(product)} by year and season</summary>{body}<p>Calendar years, and seasons of this "
        "hemisphere, on the same days as the scores above. A year with a part of its days is not comparable with a whole "
        "one.</p></details>"
    )


def _table(title: str, table: pd.DataFrame) -> str:
    head = "".join(f'<th scope="col">{escape(metric_name(m))}</th>' for m in METRICS)
    rows = "".join(_row(str(name), row) for name, row in table.iterrows())
    return f'<table><tr><th scope="col">{title}</th>{head}<th scope="col">days</th></tr>{rows}</table>'


def _row(name: str, row: pd.Series) -> str:
    if not np.isfinite(float(row["bias"])):
        return f'<tr><td>{escape(name)}</td><td class="why" colspan="{len(METRICS) + 1}">{escape(str(row["reason"]))}</td></tr>'
    cells = "".join(f"<td>{_cell(row, m)}</td>" for m in METRICS)
    return f"<tr><td>{escape(name)}</td>{cells}<td>{int(row['n_valid'])}</td></tr>"


def _cell(row: pd.Series, metric: str) -> str:
    digits = SCALES[metric].digits
    ends = [float(row.get(f"{metric}_{end}", np.nan)) for end in ("lower", "upper")]
    interval = " to ".join(number(x, digits) for x in ends) if np.isfinite(ends).all() else ""
    return f"{number(float(row[metric]), digits, sign=metric == 'bias')}<small>{interval}</small>"
