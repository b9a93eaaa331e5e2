"""Scores by bins of mean soil moisture and, for dry and moist sites, by poleward aspect (figure 6 of the paper)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core.errors import DatasetError
from gsm3core.factors.columns import POLEWARD_ASPECT
from gsm3core.factors.models import Settings
from gsm3core.factors.table import FactorTable
from gsm3core.factors.validation import clusters
from gsm3core.statistics.bins import ASPECT_EDGES, DRY_LIMIT, MOISTURE_EDGES, bin_names, bin_numbers
from gsm3core.statistics.cluster_bootstrap import NETWORKS, SITES, difference_interval, median_interval
from gsm3core.statistics.hypothesis_tests import holm
from gsm3core.statistics.stratum_tests import StratumTest, stratum_test

Array = NDArray[np.float64]

_BOX_STATISTICS = ("median", "lower", "upper", "q25", "q75", "sites", "clusters", "of_sites")


def skill_strata(
    table: FactorTable,
    *,
    first: str | None = None,
    first_edges: Sequence[float] = MOISTURE_EDGES,
    limit: float | None = None,
    second: str | None = None,
    second_edges: Sequence[float] = ASPECT_EDGES,
    confidence: float = 0.95,
    replicates: int = 2000,
    permutations: int = 4999,
    seed: int = 0,
    settings: Settings | None = None,
) -> xr.Dataset:
    """Return a score by bins of one factor, and by bins of another below and above a limit of the first.

    Parameters
    ----------
    table
        From :func:`gsm3core.factors.factor_table`.
    first, first_edges
        By default the table's mean soil moisture, in the paper's steps of 0.08. An edge belongs to the bin below it.
    limit
        Divides the sites into two strata and belongs to the lower one. By default 0.08 for mean soil moisture and the
        middle edge for other factors.
    second, second_edges
        By default poleward aspect; without it in the table only the first factor is used.
    confidence, replicates, permutations, seed, settings
        Of the intervals (clusters are resampled) and the tests.

    Returns
    -------
    xarray.Dataset
        ``first_... (first_bin)`` and ``second_... (stratum, second_bin)``: ``median``, its ``lower`` and ``upper``
        end, quartiles ``q25``, ``q75`` of the sites, number of ``sites`` and ``clusters``. Tests for a difference:
        ``first_p`` between the bins of the first; ``second_p (stratum)`` between those of the second;
        ``outer_p (stratum)`` of the two outermost bins of the second against the others, with their difference of
        medians ``outer_difference`` and its interval; ``strata_p`` between the strata. ``..._test`` is the type of test, see
        :func:`gsm3core.statistics.stratum_tests.stratum_test`; ``..._p_holm`` is corrected for all tests.

    Raises
    ------
    DatasetError
        If a factor is not in the table, or edges are not increasing.

    Notes
    -----
    Association, not cause; circular if the mean soil moisture is that of a record used for the score, as stated in
    ``note``.
    """
    first = first or table.moisture
    if not first:
        raise DatasetError("the table has no mean soil moisture; give the factor of the strata (first=...).")
    for edges in (first_edges, second_edges):
        if len(edges) < 1 or any(b <= a for a, b in itertools.pairwise(edges)):
            raise DatasetError(f"edges are {tuple(edges)}; expected increasing numbers.")
    if limit is None:
        limit = DRY_LIMIT if first == table.moisture else sorted(first_edges)[len(first_edges) // 2]
    if second is None and POLEWARD_ASPECT in table.factors:
        second = POLEWARD_ASPECT
    one, y = table.column(first), table.score
    names, kind = clusters(table, settings)
    bootstrap: dict[str, Any] = {"confidence": confidence, "replicates": replicates, "seed": seed}

    def test(labels: NDArray[np.int64]) -> StratumTest:
        return stratum_test(y, labels, names, permutations=permutations, seed=seed)

    first_bin, first_labels = bin_numbers(one, first_edges), bin_names(first_edges)
    low = np.where(np.isnan(one), -1, np.where(one <= limit, 0, 1))
    strata = [f"{first} <= {limit:g}", f"{first} > {limit:g}"]
    ds = xr.Dataset(coords={"first_bin": first_labels, "stratum": strata})
    boxes = np.array([_box(table, first_bin == k, bootstrap) for k in range(len(first_labels))])
    for n, column in zip(_BOX_STATISTICS, boxes.T, strict=True):
        ds[f"first_{n}"] = "first_bin", column
    tests = {"first": test(first_bin), "strata": test(low)}
    if second is not None:
        ds, second_tests = _add_second_factor(ds, table, low, second, second_edges, bootstrap, test)
        tests |= second_tests
    corrected = dict(zip(tests, holm([t.p for t in tests.values()]), strict=True))
    for name in ("first", "strata"):
        ds[f"{name}_p"], ds[f"{name}_p_holm"] = tests[name].p, float(corrected[name])
        ds[f"{name}_test"] = tests[name].how
    for name in ("second", "outer") if second is not None else ():
        both = [tests[f"{name}{s}"] for s in (0, 1)]
        ds[f"{name}_p"] = "stratum", [t.p for t in both]
        ds[f"{name}_p_holm"] = "stratum", [corrected[f"{name}{s}"] for s in (0, 1)]
        ds[f"{name}_test"] = "stratum", [t.how for t in both]
    flags = ("first_of_sites", "second_of_sites", "outer_difference_of_sites")
    few = any(bool(ds[n].any()) for n in flags if n in ds)
    return ds.drop_vars(flags, errors="ignore").assign_attrs(
        first=first, second=second or "", metric=table.metric, clusters=kind, confidence=confidence, seed=seed,
        limit=limit, note=table.note, resampled=SITES if few else NETWORKS,
    )  # fmt: skip


def _add_second_factor(
    ds: xr.Dataset, table: FactorTable, low: NDArray[np.int64], factor: str, edges: Sequence[float],
    bootstrap: dict[str, Any], test: Callable[[NDArray[np.int64]], StratumTest],
) -> tuple[xr.Dataset, dict[str, StratumTest]]:  # fmt: skip
    """Add the box statistics of the second factor in both strata, and return their tests."""
    number, labels = bin_numbers(table.column(factor), edges), bin_names(edges)
    ds = ds.assign_coords(second_bin=labels)
    last = len(labels) - 1
    grid = np.array(
        [[_box(table, (low == s) & (number == k), bootstrap) for k in range(last + 1)] for s in (0, 1)]
    )
    for n, values in zip(_BOX_STATISTICS, np.moveaxis(grid, -1, 0), strict=True):
        ds[f"second_{n}"] = ("stratum", "second_bin"), values
    outer = np.where(number < 0, -1, np.isin(number, (0, last)).astype(int))
    tests, differences = {}, np.full((2, 4), np.nan)
    for s in (0, 1):
        tests[f"second{s}"] = test(np.where(low == s, number, -1))
        tests[f"outer{s}"] = test(np.where(low == s, outer, -1))
        inside = [(low == s) & (outer == k) for k in (1, 0)]
        differences[s] = _difference(table, inside[0], inside[1], bootstrap)
    for n, column in zip(("", "_lower", "_upper", "_of_sites"), differences.T, strict=True):
        ds[f"outer_difference{n}"] = "stratum", column
    return ds, tests


def _box(table: FactorTable, here: NDArray[np.bool_], bootstrap: dict[str, Any]) -> list[float]:
    y = table.score
    if not here.any():
        return [np.nan] * 5 + [0.0, 0.0, 0.0]
    middle = median_interval(y[here], table.network[here], metric=table.metric, **bootstrap)
    q25, q75 = np.quantile(y[here], [0.25, 0.75])
    of_sites = float(middle.resampled == SITES)
    return [*middle[:3], float(q25), float(q75), float(middle.sites), float(middle.clusters), of_sites]


def _difference(
    table: FactorTable, a: NDArray[np.bool_], b: NDArray[np.bool_], bootstrap: dict[str, Any]
) -> tuple[float, float, float, float]:
    first, second = (np.where(here, table.score, np.nan) for here in (a, b))
    found = difference_interval(first, second, table.network, **bootstrap)
    return found.median, found.lower, found.upper, float(found.sites > 0 and found.resampled == SITES)
