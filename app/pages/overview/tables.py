"""The Overview page's views: what is loaded, the medians, the paper's table, and what needs attention."""

from __future__ import annotations

import re
from functools import partial
from html import escape

import numpy as np
import pandas as pd
import panel as pn
import panel_material_ui as pmui

from app.services.evaluation import Evaluation
from app.services.metric_labels import metric_label, metric_name
from app.services.summary import ScoreWarning
from app.ui.card import strip, told
from app.ui.formatting import NONE, TABLE, defined, html_table, interval, number
from app.ui.theme import SCALES, product_colour
from gsm3core import vocabulary as v
from gsm3core.metrics import ALL_METRICS, METRICS

_FACTS = """
:host { color: var(--panel-on-surface-color); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 14px 22px; margin: 0; }
dt { font-size: 12.5px; opacity: .85; } dd { margin: 0; font-size: 16px; font-weight: 650; line-height: 1.3; }
dd small { display: block; font-size: 12.5px; font-weight: 400; opacity: .85; }
"""
_DAY, _WHOLE = re.compile(r"\d{4}-\d\d-\d\d"), r'<span style="white-space:nowrap">\g<0></span>'
_EXPERIMENT = {
    "temporal": "Temporal: known sites, days that were held out",
    "random_spatial": "Random spatial: sites that were held out",
    "cross_continental": "Cross-continental: a whole region held out",
}


def facts() -> pn.pane.HTML:
    """Return an empty list of facts; :func:`loaded` fills it."""
    return pn.pane.HTML(stylesheets=[_FACTS], sizing_mode="stretch_width", margin=0)


def table() -> pn.pane.HTML:
    """Return an empty table."""
    return pn.pane.HTML(stylesheets=[TABLE], sizing_mode="stretch_width", margin=0)


def loaded(evaluation: Evaluation, days: np.ndarray, run_title: str, holdout: str) -> str:
    """Return what is loaded.

    Parameters
    ----------
    evaluation, days
        Scores, and the days of the dataset.
    run_title, holdout
        Of the run; empty without one.
    """
    sites = evaluation.sites
    networks = [n for n in sites[v.NETWORK].unique() if n]
    records = list(evaluation.moisture)
    years = (days[-1] - days[0]) / np.timedelta64(365, "D")
    items = {
        "Dataset": (evaluation.dataset.rsplit(".", 1)[0], f"compared with {evaluation.against}"),
        "Sites": (
            str(len(sites)),
            f"{_count(len(networks), 'network')}, {_count(len(evaluation.regions), 'region')}",
        ),
        "Days": (
            f"{np.datetime_as_string(days[0], 'D')} to {np.datetime_as_string(days[-1], 'D')}",
            f"{len(days)} days, {years:.1f} years",
        ),
        "Records": (str(len(records)), ", ".join(str(r) for r in records)),
        "Run": (
            run_title or "none chosen",
            f"held out: {holdout.replace('_', ' ')}" if holdout else "products alone",
        ),
    }
    rows = "".join(
        f"<div><dt>{escape(k)}</dt><dd>{_DAY.sub(_WHOLE, escape(a))}<small>{escape(b)}</small></dd></div>"
        for k, (a, b) in items.items()
    )
    return f"<dl>{rows}</dl>"


def medians_table(found: pd.DataFrame, chosen: str, *, dark: bool) -> str:
    """Return a row per product: every median with its interval, the best of each column in bold."""
    products = list(dict.fromkeys(found.index.get_level_values(0)))
    best = {m: min(products, key=partial(_loss_of, found, m)) for m in METRICS}
    rows = []
    for product in products:
        cells = []
        for metric in METRICS:
            one = found.loc[(product, metric)]
            text = interval(
                float(one["median"]), float(one["lower"]), float(one["upper"]), SCALES[metric].digits,
                sign=metric == "bias",
            ).replace(", ", ",\u00a0")  # fmt: skip
            # Where there is little room the interval goes below its median, whole.
            cells.append(f'<td class="wrap">{f"<b>{text}</b>" if best[metric] == product else text}</td>')
        tint = product_colour(product, dark=dark)
        sites = min(int(found.loc[(product, metric), "sites"]) for metric in METRICS)
        rows.append(
            f'<tr class="{"chosen" if product == chosen else ""}"><td class="text"><i style="background:{tint}"></i>'
            f"{escape(product)}</td>{''.join(cells)}<td>{sites}</td></tr>"
        )
    heads = [
        "Product",
        *(defined(m, metric_label(m)) for m in METRICS),
        '<span title="Sites that have every one of these scores">sites</span>',
    ]
    few = bool(found["of_sites"].any())
    drawn = (
        "sites, for there are too few networks"
        if few
        else "whole networks, whose sites share sensors and weather"
    )
    return html_table(heads, rows) + (
        f"<p>Median over sites, with its 95 % interval from resampling {drawn}. Bold: nearest to perfect.</p>"
    )


def _loss_of(found: pd.DataFrame, metric: str, product: str) -> float:
    loss = float(ALL_METRICS[metric].loss(np.array(found["median"][product, metric])))
    return loss if np.isfinite(loss) else np.inf


def paper_table(found: pd.DataFrame, *, simulated: bool) -> str:
    """Return our medians with the paper's beneath, an experiment below the other."""
    parts = []
    for experiment in dict.fromkeys(found.index.get_level_values(0)):
        here = found.loc[experiment]
        regions = list(dict.fromkeys(here.index.get_level_values(1)))
        rows = []
        for metric in dict.fromkeys(here.index.get_level_values(0)):
            of_metric = here.loc[metric]
            cells = "".join(
                f"<td>{number(ours, 3, sign=metric == 'bias')}"
                f'<br><span style="opacity:.8">{number(paper, 3, sign=metric == "bias")}</span></td>'
                for ours, paper in zip(of_metric["ours"], of_metric["paper"], strict=True)
            )
            name = defined(metric, metric_name(metric))
            rows.append(
                f'<tr><td class="text">{name}<br><span style="opacity:.8">paper</span></td>{cells}</tr>'
            )
        run = str(here["run"].iloc[0])
        if run:
            counts = "".join(f"<td>{n or NONE}</td>" for n in here.loc["R"]["sites"])
            rows.append(f'<tr><td class="text">sites</td>{counts}</tr>')
        about = f"run {run}" if run else "no run yet: launch one on the Experiments page"
        heads = ["", *(r.replace("_", " ") for r in regions)]
        parts.append(f"<p><b>{_EXPERIMENT[experiment]}</b> · {escape(about)}</p>{html_table(heads, rows)}")
    warned = (
        "<p><b>Our numbers are of simulated data, the paper's of real sites: they cannot be compared.</b></p>"
        if simulated
        else "<p>Other sites, days and inputs than the paper's make other numbers; compare with that in mind.</p>"
    )
    source = "Paper: Table 1 of Liu et al. 2023, doi:10.5194/gmd-16-1553-2023. Medians over sites; errors in m³ m⁻³."
    return f"{warned}{''.join(parts)}<p>{source}</p>"


def attention_row(one: ScoreWarning, act: object) -> pn.Row:
    """Return a message, and a button where something can be done about it."""
    message = strip(styles={"flex": "1 1 auto", "min-width": "0"})
    message.object = told(one.kind, one.text)
    contents: list[pn.viewable.Viewable] = [message]
    if one.action:
        contents.append(pmui.Button(label=one.action, variant="text", size="small", margin=0, on_click=act))
    return pn.Row(*contents, sizing_mode="stretch_width", align="center", margin=(3, 0))


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
