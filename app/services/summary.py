"""What stands at the front: medians with intervals, the paper's table, and what needs attention."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.services.cache import ResultCache
from app.services.evaluation import Evaluation
from app.services.metric_labels import metric_digits, metric_label
from app.services.run_monitor import RESUMABLE, Experiment
from app.services.scoring import own_product
from app.services.site_filters import Shown
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.metrics import ALL_METRICS, METRICS
from gsm3core.run import Run
from gsm3core.statistics.cluster_bootstrap import ClusterDraws, median_interval

CONFIDENCE = 0.95
FEWEST_SITES = 5  # fewer do not make a region one to worry about
_KEPT: ResultCache[tuple[Evaluation, pd.DataFrame]] = ResultCache(16)


@dataclass(frozen=True, kw_only=True)
class ScoreWarning:
    """One thing that a visitor should know.

    Parameters
    ----------
    kind
        ``warning`` or ``info``.
    text
        What it is.
    action, change
        What a button beside it says, and the part of the selection that it changes; empty for no button.
    """

    kind: str
    text: str
    action: str = ""
    change: dict[str, object] | None = None


def medians(evaluation: Evaluation, shown: Shown) -> pd.DataFrame:
    """Return the median of every product and metric over the sites shown, with intervals.

    Parameters
    ----------
    evaluation, shown
        Scores, and which sites.

    Returns
    -------
    pandas.DataFrame
        A row per product and metric (index levels ``product``, ``metric``): ``median``, ``lower``, ``upper`` of the
        95 % interval from resampling networks, ``sites`` with a score, and ``of_sites``: whether there were too
        few networks to resample, so that single sites were drawn.
    """
    key = (id(evaluation), shown.mask.tobytes())
    return _KEPT.get(key, lambda: (evaluation, _medians(evaluation, shown.mask)))[1]


def _medians(evaluation: Evaluation, mask: NDArray[np.bool_]) -> pd.DataFrame:
    networks = evaluation.sites[v.NETWORK].to_numpy()[mask]
    draws = ClusterDraws.make(networks if (networks != "").all() else np.arange(mask.sum()))
    rows = {}
    for product in evaluation.products:
        for metric in METRICS:
            values = evaluation.values(product, metric)[mask]
            found = ALL_METRICS[metric].bounded(median_interval(values, draws, CONFIDENCE))
            rows[product, metric] = (*found, int(np.isfinite(values).sum()), draws.of_sites)
    columns = ["median", "lower", "upper", "sites", "of_sites"]
    index = pd.MultiIndex.from_tuples(rows, names=[v.PRODUCT, "metric"])
    return pd.DataFrame(list(rows.values()), index=index, columns=columns)


def paper_comparison(store: Store, dataset: str) -> pd.DataFrame:
    """Return the medians of the newest run of each of the paper's experiments beside the published ones.

    Parameters
    ----------
    store, dataset
        Where the runs are, and what they were made from.

    Returns
    -------
    pandas.DataFrame
        Indexed by experiment, metric and region (``Global`` last): ``ours``, ``sites``, ``paper``; ``run``, the id,
        empty where there is no run of that experiment.

    Notes
    -----
    Table 1 of Liu et al. 2023, doi:10.5194/gmd-16-1553-2023.
    """
    from gsm3core.report.published import EXPERIMENTS, METRICS, paper_table

    published = paper_table()
    newest: dict[str, Run] = {}
    for candidate in store.runs_of(dataset).values():
        if v.SM_INSITU in candidate.references():
            newest.setdefault(candidate.config.holdout.name, candidate)
    rows = []
    for experiment in EXPERIMENTS:
        run = newest.get(experiment)
        scores = None
        if run is not None:
            evaluation = store.evaluation(dataset, run.id, v.SM_INSITU)
            scores = evaluation.table(own_product(run))
        for metric in METRICS:
            for region in published.columns:
                here = (
                    None
                    if scores is None
                    else scores
                    if region == "Global"
                    else scores[scores[v.REGION] == region]
                )
                values = np.empty(0) if here is None else here[metric].dropna().to_numpy(float)
                ours = float(np.median(values)) if values.size else np.nan
                paper = float(published[region][experiment, metric])
                rows.append((experiment, metric, region, ours, values.size, paper, run.id if run else ""))
    names = ["experiment", "metric", "region", "ours", "sites", "paper", "run"]
    return pd.DataFrame(rows, columns=names).set_index(names[:3])


def stopped(experiments: Iterable[Experiment]) -> list[ScoreWarning]:
    """Return the experiments that failed or were lost."""
    return [
        ScoreWarning(
            kind="warning",
            text=f"Experiment {e.title}: {e.state}. {e.message}".strip(),
            action="Look at it",
            change={"page": "experiments", "experiment": e.run},
        )
        for e in experiments
        if e.state in RESUMABLE
    ]


def attention(evaluation: Evaluation, shown: Shown, product: str, metric: str) -> list[ScoreWarning]:
    """Return what needs attention in the scores, the most important first.

    Parameters
    ----------
    evaluation, shown
        Scores, and the sites that are looked at.
    product, metric
        That are looked at.
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
                action="Show them",
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
        action="Show it",
        change={"page": "sites", "region": [worst]},
    )


def _sentence(reason: str) -> str:
    return reason.replace("paired days, fewer than", "fewer paired days than")
