"""Run time of the factor analysis with the paper's number of sites and 40 factors.

python benchmarks/run.py factor-speed [--sites 1317] [--factors 40]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import xarray as xr

from gsm3core.factors import (
    MEASURES,
    SHAP,
    effect_surface,
    factor_effect,
    factor_table,
    fit_skill,
    importance_of,
    skill_strata,
)

_T = TypeVar("_T")
NETWORKS = 70


def simulated(sites: int, factors: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Scores with a linear effect and the paper's effect at dry sites of extreme aspect; sites clustered in networks."""
    rng = np.random.default_rng(0)
    network = rng.integers(0, NETWORKS, sites)
    names = [f"factor_{k}" for k in range(factors - 2)] + ["mean_sm_smap", "poleward_aspect"]
    x = rng.normal(size=(sites, factors)) + 0.5 * rng.normal(size=(NETWORKS, factors))[network]
    x[:, -2], x[:, -1] = rng.uniform(0.02, 0.5, sites), rng.uniform(-1, 1, sites)
    planted = 0.1 * x[:, 0] - 0.2 * ((x[:, -2] < 0.08) & (np.abs(x[:, -1]) > 0.6))
    r = np.clip(0.7 + planted + 0.1 * rng.normal(size=sites), -1, 0.99)
    site = [f"s{k}" for k in range(sites)]
    attributes = xr.Dataset(
        {name: ("site", x[:, k]) for k, name in enumerate(names)},
        coords={"site": site, "network": ("site", network.astype(str)), "region": ("site", ["CONUS"] * sites),
                "lat": ("site", 30 + 3 * (network % 10) + rng.uniform(0, 1, sites)),
                "lon": ("site", -120 + 6.0 * (network // 10) + rng.uniform(0, 1, sites))},
    )  # fmt: skip
    scores = {"R": ("site", r), "n_effective": ("site", rng.uniform(20, 300, sites))}
    return xr.Dataset(scores, coords={"site": site}), attributes


def timed(label: str, function: Callable[[], _T]) -> _T:
    """Call the function and print wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    elapsed = time.perf_counter() - wall, time.process_time() - cpu
    sys.stdout.write(f"{label:36s} wall {elapsed[0]:6.1f} s, CPU {elapsed[1]:6.1f} s\n")
    sys.stdout.flush()
    return result


def main(arguments: list[str]) -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(prog="run.py factor-speed", description=__doc__.splitlines()[0])
    parser.add_argument("--sites", type=int, default=1317)
    parser.add_argument("--factors", type=int, default=40)
    o = parser.parse_args(arguments)
    scores, attributes = simulated(o.sites, o.factors)
    table = timed("table", lambda: factor_table(scores, attributes))
    sys.stdout.write(f"{len(table)} sites x {len(table.factors)} factors, {NETWORKS} networks\n")
    without = [m for m in MEASURES if m != SHAP]

    def everything() -> None:
        timed("importance, 3 measures, 3 schemes", lambda: importance_of(table, measures=without))
        timed("strata", lambda: skill_strata(table))
        timed("skill and applicability", lambda: fit_skill(table))
        timed("one effect, 20 refits", lambda: factor_effect(table, "factor_0"))
        timed("one surface", lambda: effect_surface(table))

    timed("everything", everything)
