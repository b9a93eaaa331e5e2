"""Groups and neighbours by geodesic distance, against all pairs of pyproj."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from gsm3core.geography.neighbours import joined_groups, near_any


@st.composite
def places(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of sites, also across the date line and near a pole."""
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    lat0, lon0 = draw(st.sampled_from([(40.0, -100.0), (0.0, 179.9), (88.5, 10.0), (-33.0, 150.0)]))
    n = draw(st.integers(1, 30))
    lat = np.clip(lat0 + rng.uniform(-1, 1, n), -90, 90)
    return lat, (lon0 + rng.uniform(-1, 1, n) / max(np.cos(np.radians(lat0)), 0.05) + 180) % 360 - 180


def all_distances(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    a, b = np.meshgrid(np.arange(len(lat)), np.arange(len(lat)), indexing="ij")
    return np.asarray(Geod(ellps="WGS84").inv(lon[a], lat[a], lon[b], lat[b])[2]) / 1000


@given(places(), st.floats(1, 150))
def test_groups_are_chains_of_close_sites(at: tuple[np.ndarray, np.ndarray], km: float) -> None:
    lat, lon = at
    cell = np.arange(len(lat)) // 2
    close = (all_distances(lat, lon) <= km) | (cell[:, None] == cell)
    reached = close.copy()
    for _ in range(len(lat)):  # transitive closure
        reached = (reached.astype(int) @ close.astype(int)) > 0
    group = joined_groups(lat, lon, cell, km)
    np.testing.assert_array_equal(group[:, None] == group, reached)
    np.testing.assert_array_equal(joined_groups(lat, lon, cell, 0), cell)


@given(places(), st.floats(1, 150), st.integers(0, 1000))
def test_near_sites_are_found(at: tuple[np.ndarray, np.ndarray], km: float, seed: int) -> None:
    lat, lon = at
    sites, others = np.random.default_rng(seed).random((2, len(lat))) < 0.5
    close = (all_distances(lat, lon) <= km) & ~np.eye(len(lat), dtype=bool)
    np.testing.assert_array_equal(near_any(lat, lon, sites, others, km), sites & (close & others).any(axis=1))
