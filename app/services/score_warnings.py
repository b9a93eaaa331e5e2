"""Warnings about the scores shown and about experiments that ended without a result."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from app.services.evaluation import Evaluation
from app.services.metric_labels import metric_digits, metric_label
from app.services.run_monitor import RESUMABLE, Experiment
from app.services.site_filters import Shown
from gsm3core import vocabulary as v
from gsm3core.metrics import ALL_METRICS

FEWEST_SITES = 5  # a region with fewer sites is not reported as the worst


@dataclass(frozen=True, kw_only=True)
class ScoreWarning:
    """A warning, with a button that shows its cause.

    Parameters
    ----------
    kind
        ``warning`` or ``info``.
    text
        The message.
    action, change
        Label of the button, and the changes of the selection that it makes; empty for no button.
    """

    kind: str
    text: str
    action: str = ""
    change: dict[str, object] | None = None


def stopped_experiments(experiments: Iterable[Experiment]) -> list[ScoreWarning]:
    """Return a warning for every experiment that failed, was cancelled or was lost."""
    return [
        ScoreWarning(
            kind="warning",
            text=f"Experiment {e.title}: {e.state}. {e.message}".strip(),
            action="Show experiment",
            change={"page": "experiments", "experiment": e.run},
        )
        for e in experiments
        if e.state in RESUMABLE
    ]


def find_warnings(evaluation: Evaluation, shown: Shown, product: str, metric: str) -> list[ScoreWarning]:
    """Return the warnings about the scores shown, the most important first.

    Parameters
    ----------
    evaluation, shown
        Loaded scores, and the sites shown.
    product, metric
        Product and score shown.
    """
    found = [*_worst_region(evaluation, shown, product, metric)] if product in evaluation.products else []
    found += _suspect_records(evaluation, shown)
    missing = {}
    reasons: Counter[str] = Counter()
    for name in evaluation.products:
        table = evaluation.table(name, metric)[shown.mask]
        without = table[metric].isna()
        if without.any():
            missing[name] = int(without.sum())
            reasons.update(re.sub(r"^\d+ (?=paired days|days with)", "", r) for r in table["reason"][without])
    if missing:
        counts = ", ".join(f"{name} {n}" for name, n in missing.items())
        why = "; ".join(_sentence(reason) for reason, _ in reasons.most_common())
        found.append(
            ScoreWarning(
                kind="info",
                text=f"Sites without a score, of {int(shown.mask.sum())}: {counts}. Reasons: {why}.",
                action="Show sites",
                change={"page": "sites"},
            )
        )
    return found


def _worst_region(evaluation: Evaluation, shown: Shown, product: str, metric: str) -> Iterable[ScoreWarning]:
    values = evaluation.values(product, metric)
    regions = evaluation.sites[v.REGION].to_numpy()
    here = {
        name: values[shown.mask & (regions == name) & np.isfinite(values)]
        for name in evaluation.names(v.REGION)
    }
    medians = {name: float(np.median(x)) for name, x in here.items() if x.size >= FEWEST_SITES}
    if len(medians) < 2:
        return
    worst = max(medians, key=lambda name: float(ALL_METRICS[metric].loss(np.array(medians[name]))))
    all_sites = float(np.median(np.concatenate(list(here.values()))))
    digits = metric_digits(metric)
    yield ScoreWarning(
        kind="info",
        text=f"{product} is worst in {worst.replace('_', ' ')}: median {metric_label(metric)} "
        f"{medians[worst]:.{digits}f} at {here[worst].size} sites, against {all_sites:.{digits}f} over all.".replace(
            " -", " −"
        ),
        action="Show region",
        change={"page": "sites", "region": [worst]},
    )


def _suspect_records(evaluation: Evaluation, shown: Shown) -> Iterable[ScoreWarning]:
    suspect = evaluation.sites["suspect"][shown.mask]
    suspect = suspect[suspect != ""]
    if suspect.empty:
        return
    names = ", ".join(evaluation.sites.loc[suspect.index[:FEWEST_SITES], v.STATION])
    more = f" and {len(suspect) - FEWEST_SITES} more" if len(suspect) > FEWEST_SITES else ""
    verb = "site has" if len(suspect) == 1 else "sites have"
    yield ScoreWarning(
        kind="warning",
        text=f"{len(suspect)} {verb} a suspect in-situ record: {names}{more}. The record contradicts every product, or is "
        "unrelated to products that agree. They are included in the scores.",
        action="Leave out",
        change={"suspect": "leave_out"},
    )


def _sentence(reason: str) -> str:
    reason = reason.replace("paired days, fewer than", "fewer paired days than")
    return reason.replace("days with all three, fewer than", "days with all three series fewer than")
