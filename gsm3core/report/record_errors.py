"""Tables of triple collocation and of suspect in-situ records."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.evaluation.scoring import score_run
from gsm3core.evaluation.suspect_records import suspect_sites
from gsm3core.files import texts
from gsm3core.metrics import TRIPLE_METRICS
from gsm3core.report.inputs import Experiment
from gsm3core.report.tables import NOTHING, Cell, Table, interval, number
from gsm3core.statistics.cluster_bootstrap import SITES, median_interval

_FEW = (
    "* Fewer than five networks: sites are resampled, and the interval is too narrow where networks differ."
)
_MOST_SUSPECTS = 50


def triple_scores_of(experiment: Experiment, dataset: xr.Dataset) -> xr.Dataset:
    """Return the run's and the products' scores of triple collocation, with the number of days and the third product."""
    scores = score_run(
        experiment.run, dataset=dataset, reference=experiment.reference, metrics=["R", *TRIPLE_METRICS],
        **experiment.options,
    )  # fmt: skip
    return scores[[n for n in scores.data_vars if str(n).startswith("TC_")]]


def triplet_table(scores: xr.Dataset, confidence: float) -> Table:
    """Return the medians over sites of triple collocation, one row per product.

    Parameters
    ----------
    scores
        From :func:`triple_scores_of`.
    confidence
        Level of the intervals of the medians.
    """
    rows: list[list[Cell]] = []
    frames = []
    few = False
    networks = scores[v.NETWORK].values if v.NETWORK in scores.coords else None
    for product in map(str, scores[v.PRODUCT].values):
        one = scores.sel({v.PRODUCT: product})
        third = str(one["TC_third"].values[0]) if one.sizes[v.SITE] else ""
        why = str(one["TC_reason"].values[0]) if one.sizes[v.SITE] and not third else ""
        cells: list[Cell] = []
        for metric in ("TC_error", "TC_R", "TC_reference_error", "TC_reference_R"):
            bounds = metric.replace("reference_", "")
            found = median_interval(one[metric].values, networks, metric=bounds, confidence=confidence)
            star = "*" if found.sites and found.resampled == SITES else ""
            few |= bool(star)
            ends = interval(found.lower, found.upper) + star
            cells.append((number(found.median), ends) if np.isfinite(found.median) else (NOTHING,))
            frames.append({"product": product, "third": third, "metric": metric, **found._asdict()})
        count = f"{int(one['TC_R'].notnull().sum())} of {one.sizes[v.SITE]}"
        rows.append([(product,), (third or NOTHING, *([why] if why else [])), *cells, (count,)])
    return Table(
        name="triple-collocation",
        caption=f"Triple collocation: median over sites with its {confidence:.0%} interval, m³ m⁻³ for random errors",
        head=("", "third product", "random error", "R to the truth", "random error of the reference",
              "R to the truth of the reference", "sites"),
        rows=rows,
        frame=pd.DataFrame(frames),
        notes=(_FEW,) if few else (),
    )  # fmt: skip


def suspect_table(experiment: Experiment, dataset: xr.Dataset) -> Table | None:
    """Return the sites with a suspect in-situ record and the reason; ``None`` if there is none."""
    suspect = suspect_sites(experiment.scores, dataset)
    at = np.flatnonzero(suspect.values != "")
    if not at.size:
        return None
    scores = experiment.scores.isel({v.SITE: at})
    frame = pd.DataFrame({v.SITE: texts(suspect[v.SITE].values)[at], "reason": suspect.values[at]})
    for name in (v.STATION, v.NETWORK, v.REGION, v.LAT, v.LON):
        if name in scores.coords:
            frame[name] = scores[name].values
    place = [v.STATION if v.STATION in frame else v.SITE, v.NETWORK if v.NETWORK in frame else v.SITE]
    rows: list[list[Cell]] = [
        [(str(row[place[0]]),), (str(row[place[1]]),), (str(row["reason"]),)]
        for _, row in frame.head(_MOST_SUSPECTS).iterrows()
    ]
    return Table(
        name="suspect-records",
        caption=f"Suspect in-situ records: {at.size} of {suspect.size} sites, included in all medians",
        head=("", "network", "reason"),
        rows=rows,
        frame=frame,
        notes=(f"The first {_MOST_SUSPECTS} are shown.",) if at.size > _MOST_SUSPECTS else (),
    )
