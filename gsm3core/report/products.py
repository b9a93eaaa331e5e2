"""Tables of the product comparison: medians and pairwise differences, on own and on shared days."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.evaluation.comparison import METRIC, OTHER, SAMPLE
from gsm3core.evaluation.pairing import PAIRWISE, SAME_SAMPLE
from gsm3core.metrics import ALL_METRICS
from gsm3core.report.tables import NOTHING, Cell, Table, interval, number, probability

SAMPLES = {
    PAIRWISE: "each product on all its days paired with the reference",
    SAME_SAMPLE: "site-days that all products share",
}


def median_tables(compared: xr.Dataset) -> list[Table]:
    """Return one table of medians for each sample.

    Parameters
    ----------
    compared
        From :func:`gsm3core.compare_products`.
    """
    metrics = [str(m) for m in compared[METRIC].values]
    tables = []
    for sample in compared[SAMPLE].values:
        one = compared.sel({SAMPLE: sample})
        best = {m: _counts(one["best"].sel({METRIC: m})) for m in metrics}
        rows: list[list[Cell]] = []
        for product in compared[v.PRODUCT].values:
            at = one.sel({v.PRODUCT: product})
            cells = [_median(at.sel({METRIC: m}), best[m].get(str(product), 0)) for m in metrics]
            rows.append([(str(product),), *cells, (str(int(at["n_sites"].sel({METRIC: "R"}))),)])
        tables.append(
            Table(
                name=f"products-{str(sample).replace('_', '-')}",
                caption=f"{str(sample).replace('_', ' ').capitalize()}: {SAMPLES.get(str(sample), 'scores as given')}",
                head=("", *metrics, "sites with R"),
                rows=rows,
                frame=_medians(one),
            )
        )
    return tables


def pair_tables(compared: xr.Dataset, first: str) -> list[Table]:
    """Return one table per sample of one product's differences from every other; the CSV holds all pairs."""
    metrics = [str(m) for m in compared[METRIC].values]
    tables = []
    for sample in compared[SAMPLE].values:
        one = compared.sel({SAMPLE: sample})
        rows = [
            [(str(o),), *(_pair(one.sel({METRIC: m, v.PRODUCT: first, OTHER: o}), m) for m in metrics)]
            for o in compared[OTHER].values
            if o != first
        ]
        tables.append(
            Table(
                name=f"pairs-{str(sample).replace('_', '-')}",
                caption=f"{first} minus each product, {str(sample).replace('_', ' ')}: difference of medians",
                head=("", *("|bias|" if m == "bias" else m for m in metrics)),
                rows=rows,
                frame=_pairs(one),
            )
        )
    return tables


def _median(at: xr.Dataset, best: int) -> Cell:
    if not np.isfinite(at["median"]):
        return (NOTHING,)
    return (
        number(float(at["median"])), interval(float(at["lower"]), float(at["upper"])),
        f"best at {best} sites",
    )  # fmt: skip


def _pair(at: xr.Dataset, metric: str) -> Cell:
    if not np.isfinite(at["difference"]):
        return (NOTHING, "no common site")
    limits = interval(float(at["difference_lower"]), float(at["difference_upper"]))
    better = ALL_METRICS[metric].higher_is_better
    difference = float(at["difference"])
    worse = difference < 0 if better else difference > 0
    verdict = "equal" if difference == 0 else "worse" if worse else "better"
    return (
        f"{number(difference, sign=True)} ({verdict})", limits,
        f"{probability(float(at['p_holm']))}; wins {float(at['win_share']):.0%} of {int(at['n_common'])} sites",
    )  # fmt: skip


def _counts(best: xr.DataArray) -> dict[str, int]:
    names, counts = np.unique(best.values.astype(str), return_counts=True)
    return {str(n): int(c) for n, c in zip(names, counts, strict=True) if n}


def _medians(one: xr.Dataset) -> pd.DataFrame:
    names = ["median", "lower", "upper", "n_sites", "clusters"]
    return one[names].reset_coords(drop=True).to_dataframe().reset_index()


def _pairs(one: xr.Dataset) -> pd.DataFrame:
    names = ["difference", "difference_lower", "difference_upper", "p", "p_holm", "win_share", "n_common"]
    table = one[names].reset_coords(drop=True).to_dataframe().reset_index()
    return table[table[v.PRODUCT] != table[OTHER]]
