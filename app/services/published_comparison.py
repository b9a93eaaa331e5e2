"""Medians of the newest runs compared with the published Table 1."""

from __future__ import annotations

import numpy as np
import pandas as pd

from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.evaluation.scoring import own_product
from gsm3core.run import Run


def newest_experiments(store: Store, dataset: str, reference: str) -> dict[str, Run]:
    """Return the newest run of each holdout that has scores against a reference, of the paper's regions only."""
    from gsm3core.report.published import holds_out_other_regions

    newest: dict[str, Run] = {}
    for candidate in store.runs_of(dataset).values():
        if reference in candidate.references() and not holds_out_other_regions(candidate.config.holdout):
            newest.setdefault(candidate.config.holdout.name, candidate)
    return newest


def paper_comparison(store: Store, dataset: str) -> pd.DataFrame:
    """Return the medians of the newest run of each experiment of the paper and the published ones.

    A cross-continental run of other regions than the paper's is none of its experiments.

    Parameters
    ----------
    store, dataset
        The runs, and the dataset they were made from.

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
    newest = newest_experiments(store, dataset, v.SM_INSITU)
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
