"""Summary of the loaded data: dataset, sites, days, records and run."""

from __future__ import annotations

import re
from html import escape

import numpy as np
import panel as pn

from app.services.evaluation import Evaluation
from app.services.store import Store
from app.ui.card import card, heading
from gsm3core import vocabulary as v
from gsm3core.run import Run

_FACTS = """
:host { color: var(--panel-on-surface-color); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 14px 22px; margin: 0; }
dt { font-size: 12.5px; opacity: .85; } dd { margin: 0; font-size: 16px; font-weight: 650; line-height: 1.3; }
dd small { display: block; font-size: 12.5px; font-weight: 400; opacity: .85; }
"""
_DATE, _UNBROKEN = re.compile(r"\d{4}-\d\d-\d\d"), r'<span style="white-space:nowrap">\g<0></span>'


class LoadedDataCard:
    """Card with the dataset, its sites, days and records, and the run.

    Parameters
    ----------
    store
        Reads the dataset and the run.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._facts = pn.pane.HTML(stylesheets=[_FACTS], sizing_mode="stretch_width", margin=0)
        self.card = card(self._title, self._facts)

    def update(self, evaluation: Evaluation) -> None:
        """Show what is loaded."""
        run = self._store.run(evaluation.run) if evaluation.run else None
        days = self._store.dataset(evaluation.dataset)[v.TIME].values
        self._title.object = heading("Loaded data", "", simulated=evaluation.simulated)
        self._facts.object = _facts_html(evaluation, days, run)


def _facts_html(evaluation: Evaluation, days: np.ndarray, run: Run | None) -> str:
    sites = evaluation.sites
    networks = [n for n in sites[v.NETWORK].unique() if n]
    records = list(evaluation.moisture)
    years = (days[-1] - days[0]) / np.timedelta64(365, "D")
    facts = {
        "Dataset": (evaluation.dataset.rsplit(".", 1)[0], f"reference: {evaluation.against}"),
        "Sites": (
            str(len(sites)),
            f"{_count(len(networks), 'network')}, {_count(len(evaluation.regions), 'region')}",
        ),
        "Days": (
            f"{np.datetime_as_string(days[0], 'D')} to {np.datetime_as_string(days[-1], 'D')}",
            f"{len(days)} days, {years:.1f} years",
        ),
        "Soil moisture records": (str(len(records)), ", ".join(str(r) for r in records)),
        "Run": (
            (run.title if run else "") or "none selected",
            f"holdout: {run.config.holdout.name.replace('_', ' ')}" if run else "products only",
        ),
    }
    rows = "".join(
        f"<div><dt>{escape(k)}</dt><dd>{_DATE.sub(_UNBROKEN, escape(a))}<small>{escape(b)}</small></dd></div>"
        for k, (a, b) in facts.items()
    )
    return f"<dl>{rows}</dl>"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
