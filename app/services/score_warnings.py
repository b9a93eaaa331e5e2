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
    missing = {}
    reasons: Counter[str] = Counter()
    for name in evaluation.products:
        table = evaluation.table(name)[shown.mask]
        without = table[metric].isna()
        if without.any():
            missing[name] = int(without.sum())
            reasons.update(re.sub(r"^\d+ paired days", "paired days", r) for r in table["reason"][without])
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


def _sentence(reason: str) -> str:
    return reason.replace("paired days, fewer than", "fewer paired days than")
