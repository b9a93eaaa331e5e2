"""Simulated datasets shared by the demo tests, each made once per test run."""

from __future__ import annotations

from functools import cache

import numpy as np

from gsm3core.demo import DemoWorld, Scenario, demo_world

N_SITES, START, END, SEED = 200, "2015-04-01", "2018-03-31", 1


@cache
def planted() -> DemoWorld:
    return demo_world(n_sites=N_SITES, start=START, end=END, seed=SEED)


@cache
def bare() -> DemoWorld:
    """The same random draws without any planted effect."""
    return demo_world(n_sites=N_SITES, start=START, end=END, seed=SEED, planted=Scenario.without_effects())


def series(world: DemoWorld, name: str) -> np.ndarray:
    """A product ``(site, time)`` in float64, by name."""
    ds = world.dataset
    array = ds["sm_smap"] if name == "SMAP" else ds["sm_product"].sel(product=name)
    return array.values.astype(float)


def truth(world: DemoWorld, name: str) -> np.ndarray:
    return world.truth[name].values.astype(float)


def site_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation of each site by numpy's own function; NaN below 100 pairs or without variance."""
    out = np.full(len(a), np.nan)
    for k, (x, y) in enumerate(zip(a, b, strict=True)):
        ok = np.isfinite(x) & np.isfinite(y)
        if ok.sum() >= 100 and np.ptp(x[ok]) > 0 and np.ptp(y[ok]) > 0:
            out[k] = np.corrcoef(x[ok], y[ok])[0, 1]
    return out


def standard_error(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def overpass_gaps(seen: np.ndarray, blocked: np.ndarray) -> np.ndarray:
    """Days between consecutive overpasses of each site (rows) without a blocked day in between."""
    gaps = []
    for row, closed in zip(seen, blocked, strict=True):
        days = np.flatnonzero(row)
        closed_before = np.concatenate([[0], np.cumsum(closed)])
        clear = closed_before[days[1:]] == closed_before[days[:-1]]
        gaps.append(np.diff(days)[clear])
    return np.concatenate(gaps)
