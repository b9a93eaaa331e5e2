"""Moran's I against closed forms, a loop over pairs, and esda."""

from __future__ import annotations

import numpy as np
import pytest

from gsm3core.errors import DatasetError
from gsm3core.factors import morans_i
from gsm3core.statistics.spatial_autocorrelation import nearest_neighbours


@pytest.mark.parametrize("waves", [1, 3, 20])
def test_wave_on_a_ring_has_the_cosine_of_its_step(waves: int) -> None:
    n = 40
    k = np.arange(n)
    neighbours = np.column_stack([(k - 1) % n, (k + 1) % n])
    found = morans_i(np.cos(2 * np.pi * waves * k / n), k * 0.0, k * 0.0, neighbours=neighbours)
    assert found.value == pytest.approx(np.cos(2 * np.pi * waves / n))
    assert found.expected == -1 / 39
    assert (found.p == 0.001) == (waves < 10)


def test_equals_a_loop_over_all_pairs() -> None:
    rng = np.random.default_rng(0)
    lat, lon, x = rng.uniform(-60, 60, 50), rng.uniform(-180, 180, 50), rng.normal(size=50)
    weights = np.zeros((50, 50))
    a, b = np.radians(lat), np.radians(lon)
    for i in range(50):
        h = np.sin((a - a[i]) / 2) ** 2 + np.cos(a) * np.cos(a[i]) * np.sin((b - b[i]) / 2) ** 2
        h[i] = np.inf
        weights[i, np.argsort(h)[:5]] = 1 / 5
    z = x - x.mean()
    expected = 50 / weights.sum() * (weights * np.outer(z, z)).sum() / (z**2).sum()
    assert morans_i(x, lat, lon, neighbours=5).value == pytest.approx(expected, rel=1e-12)


def test_neighbours_across_the_date_line_and_at_one_position() -> None:
    near = nearest_neighbours([0, 0, 0, 0], [179.9, -179.9, 170, -170], 1)
    assert near[0] == 1 and near[1] == 0
    same = nearest_neighbours(np.zeros(6), np.zeros(6), 3)
    assert same.shape == (6, 3) and not (same == np.arange(6)[:, None]).any()


def test_p_is_uniform_without_autocorrelation() -> None:
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(0, 10, 60), rng.uniform(0, 10, 60)
    p = [morans_i(rng.normal(size=60), lat, lon, permutations=99, seed=k).p for k in range(200)]
    # 200 draws of a test of level 0.1: 20 expected, standard deviation 4.2.
    assert 7 <= sum(x <= 0.1 for x in p) <= 33
    assert 0.4 < np.mean(p) < 0.6


def test_too_few_or_constant_values_give_nan() -> None:
    assert np.isnan(morans_i(np.ones(30), np.arange(30.0), np.arange(30.0)).value)
    assert np.isnan(morans_i(np.arange(5.0), np.arange(5.0), np.arange(5.0)).p)
    gap = np.r_[np.nan, np.random.default_rng(0).normal(size=30)]
    assert morans_i(gap, np.arange(31.0), np.arange(31.0)).sites == 30
    with pytest.raises(DatasetError, match="1 sites have no value or position"):
        morans_i(gap, np.arange(31.0), np.arange(31.0), neighbours=np.zeros((31, 1), int))


def test_equals_esda() -> None:
    """esda 2.9.0 with libpysal 4.14.1, row-standardised weights on the same eight neighbours."""
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(30, 50, 200), rng.uniform(-120, -70, 200)
    found = morans_i(np.sin(lat / 5) + 0.5 * rng.normal(size=200), lat, lon)
    assert found.value == pytest.approx(0.36388149449288437, rel=1e-12)
    assert found.expected == pytest.approx(-0.005025125628140704) and found.p == 0.001
