"""Sites without a score and the reasons: counts for the page, one row per site for the CSV."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from gsm3core import vocabulary as v
from gsm3core.files import texts
from gsm3core.report.inputs import Experiment
from gsm3core.report.tables import Cell, Table

NOT_TESTED = "not part of this run"
_COORDINATES = (v.STATION, v.NETWORK, v.REGION, v.LAT, v.LON)


def excluded_sites(experiment: Experiment) -> pd.DataFrame:
    """Return one row per product and site without R: location, number of paired days, and the reason."""
    scores = experiment.scores
    in_test = experiment.run.predictions()[v.IN_TEST].any(v.TIME)
    tested = in_test.sel({v.SITE: scores[v.SITE].values}).values
    tables = []
    for product in scores[v.PRODUCT].values:
        one = scores.sel({v.PRODUCT: product})
        missing = np.isnan(one["R"].values)
        table = pd.DataFrame({v.PRODUCT: str(product), v.SITE: texts(one[v.SITE].values)})
        for name in _COORDINATES:
            if name in one.coords:
                table[name] = one[name].values
        table["n_valid"] = one["n_valid"].values
        table["has_bias"] = np.isfinite(one["bias"].values)
        table["reason"] = np.where(tested, texts(one["reason"].values), NOT_TESTED)
        tables.append(table[missing])
    return pd.concat(tables, ignore_index=True)


def excluded_table(experiment: Experiment) -> Table:
    """Return the number of sites by reason, one column per product."""
    sites = excluded_sites(experiment)
    names = [str(p) for p in experiment.scores[v.PRODUCT].values]
    # "12 paired days, fewer than 30" is counted as one reason, whatever the number.
    kind = sites["reason"].str.replace(re.compile(r"^[\d.]+ (paired|effective)"), r"too few \1", regex=True)
    counts = pd.crosstab(kind, sites[v.PRODUCT]) if len(sites) else pd.DataFrame()
    rows: list[list[Cell]] = [
        [(str(reason),), *((str(int(counts.loc[reason].get(p, 0))),) for p in names)]
        for reason in counts.index
    ]
    total = experiment.scores.sizes[v.SITE]
    with_r = experiment.scores["R"].notnull().sum(v.SITE)
    rows.append([("with R",), *((f"{int(with_r.sel({v.PRODUCT: p}))} of {total}",) for p in names)])
    return Table(
        name="excluded-sites",
        caption="Sites without R by reason",
        head=("", *names),
        rows=rows,
        frame=sites,
        notes=("A site with a constant record or product has no R, but has bias, RMSE and ubRMSE.",),
    )
