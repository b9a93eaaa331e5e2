"""What was left out of the scores, and why: counted for the page, site by site for the CSV."""

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
    """Return one row per product and site without R: where it is, how many days it has, and the reason."""
    scores = experiment.scores
    in_test = experiment.run.predictions()[v.IN_TEST].any(v.TIME)
    tested = in_test.sel({v.SITE: scores[v.SITE].values}).values
    parts = []
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
        parts.append(table[missing])
    return pd.concat(parts, ignore_index=True)


def excluded_table(experiment: Experiment) -> Table:
    """Return the reasons with the number of sites, a column a product."""
    sites = excluded_sites(experiment)
    names = [str(p) for p in experiment.scores[v.PRODUCT].values]
    # "12 paired days, fewer than 30" is one reason, however many days there were.
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
        notes=("A site whose record or product is constant has no R but keeps its bias and errors.",),
    )
