"""Coverage of nominal 95 % intervals of a median over sites, by percentile rule, number of networks and their likeness.

python benchmarks/run.py cluster-coverage [--worlds 1500]
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import pandas as pd

from gsm3core.statistics.cluster_bootstrap import ClusterBootstrap
from gsm3core.statistics.small_sample import widening_for_few

RULES = {"nearest rank": "nearest", "linear (type 7)": "linear", "(R + 1) q (type 6)": "weibull"}
NETWORKS = (5, 8, 12, 20, 50)
SHARES = (0.0, 0.3)  # variance between networks over total variance
SITES_PER_NETWORK = 8


def coverage(networks: int, share: float, *, worlds: int, seed: int = 1) -> dict[str, tuple[float, float]]:
    """Return coverage of the true median (0) and mean width of the interval, by percentile rule.

    Scores are Gaussian with a random effect per network; networks have geometric sizes.
    """
    rng = np.random.default_rng(seed)
    held, width = dict.fromkeys(RULES, 0), dict.fromkeys(RULES, 0.0)
    wider = float(widening_for_few(np.array(networks), 0.95))
    for _ in range(worlds):
        of_site = np.repeat(np.arange(networks), rng.geometric(1 / SITES_PER_NETWORK, networks))
        values = np.sqrt(share) * rng.normal(size=networks)[of_site]
        values += np.sqrt(1 - share) * rng.normal(size=len(of_site))
        seed_of_draws = int(rng.integers(2**31))
        draws = ClusterBootstrap.make(of_site, seed=seed_of_draws, min_clusters=2)
        replicates, estimate = draws.medians(values), float(np.median(values))
        for name, method in RULES.items():
            low, high = np.quantile(replicates, [0.025, 0.975], method=method)
            lower = estimate - wider * max(estimate - low, 0.0)
            upper = estimate + wider * max(high - estimate, 0.0)
            held[name] += lower <= 0 <= upper
            width[name] += upper - lower
    return {name: (held[name] / worlds, width[name] / worlds) for name in RULES}


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="run.py cluster-coverage", description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=1500)
    options = parser.parse_args(arguments)
    rows = []
    for share in SHARES:
        for networks in NETWORKS:
            for rule, (held, width) in coverage(networks, share, worlds=options.worlds).items():
                rows.append(
                    {"between": share, "networks": networks, "rule": rule, "coverage": held, "width": width}
                )
    table = pd.DataFrame(rows).pivot_table(
        index=["between", "networks"], columns="rule", values=["coverage", "width"]
    )
    sys.stdout.write(
        f"{options.worlds} worlds, about {SITES_PER_NETWORK} sites a network, 2,000 replicates\n"
    )
    sys.stdout.write(f"{table.round(4).to_string()}\n")
