"""Simulated factor tables with known relations, for the factor tests."""

from __future__ import annotations

import numpy as np
import xarray as xr

from gsm3core.factors import FactorTable, factor_table


def simulated(
    n: int = 240, clusters: int = 24, *, signal: float = 1.0, cluster_std: float = 0.0, seed: int = 0
) -> tuple[xr.Dataset, xr.Dataset]:
    """Scores that depend only on ``driver`` and the network; ``idle`` and ``soil`` are unrelated to them."""
    rng = np.random.default_rng(seed)
    network = np.arange(n) % clusters
    driver = rng.uniform(-1, 1, n)
    network_effect = rng.normal(size=clusters)
    score = 0.5 + signal * 0.2 * driver + cluster_std * network_effect[network] + rng.normal(0, 0.05, n)
    site = [f"s{i}" for i in range(n)]
    attributes = xr.Dataset(
        {
            "driver": ("site", driver),
            "idle": ("site", rng.normal(size=n)),
            "soil": ("site", rng.normal(size=n)),
            "network_constant": ("site", rng.normal(size=clusters)[network]),
            "mean_sm_smap": ("site", rng.uniform(0.02, 0.4, n)),
            "poleward_aspect": ("site", rng.uniform(-1, 1, n)),
        },
        coords={
            "site": site,
            "network": ("site", np.array([f"net{k}" for k in network])),
            "region": ("site", np.full(n, "CONUS")),
            "lat": ("site", 30 + 3.0 * (network % 6) + rng.uniform(0, 0.5, n)),
            "lon": ("site", -120 + 6.0 * (network // 6) + rng.uniform(0, 0.5, n)),
        },
    )
    scores = xr.Dataset(
        {"R": ("site", score), "n_effective": ("site", rng.uniform(20, 200, n))}, coords={"site": site}
    )
    return scores, attributes


def simulated_table(**options: object) -> FactorTable:
    return factor_table(*simulated(**options))  # type: ignore[arg-type]
