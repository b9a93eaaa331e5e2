"""Cluster bootstrap: medians against repeated samples, intervals against independent code, few networks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsm3core.statistics.cluster_bootstrap import (
    NETWORKS,
    SITES,
    ClusterBootstrap,
    difference_interval,
    interval_about,
    median_interval,
)
from gsm3core.statistics.small_sample import percentiles, widening_for_few

CLUSTERED = st.lists(
    st.tuples(st.integers(0, 4), st.one_of(st.just(np.nan), st.floats(-1, 1))), min_size=1, max_size=25
)


@given(CLUSTERED)
def test_replicate_median_equals_median_of_repeated_sites(sites: list[tuple[int, float]]) -> None:
    clusters, values = (np.array(a) for a in zip(*sites, strict=True))
    draws = ClusterBootstrap.make(clusters, replicates=100)
    few = len(set(clusters)) < 5
    assert (draws.resampled == SITES) == few
    found = draws.medians(values)
    for k in range(100):
        repeated = np.repeat(values, draws.counts[k, draws.cluster].astype(int))
        repeated = repeated[np.isfinite(repeated)]
        expected = np.median(repeated) if len(repeated) else np.nan
        np.testing.assert_allclose(found[k], expected, atol=1e-15)


def test_replicates_equal_explicit_resampling() -> None:
    rng = np.random.default_rng(0)
    x, names = rng.normal(size=60), np.repeat(np.arange(12), 5)
    y = x + rng.normal(size=60)
    draws = ClusterBootstrap.make(names, replicates=30, seed=0)
    rows = [np.repeat(np.arange(60), c[draws.cluster].astype(int)) for c in draws.counts]
    np.testing.assert_allclose(draws.correlations(x, y), [np.corrcoef(x[r], y[r])[0, 1] for r in rows])
    np.testing.assert_allclose(draws.medians(y), [np.median(y[r]) for r in rows])


def test_differences_between_networks_widen_the_interval() -> None:
    """20 networks of 30 sites, standard deviation 1 between networks and 0.2 within."""
    rng = np.random.default_rng(3)
    network = np.repeat(np.arange(20), 30)
    covered = {NETWORKS: 0, SITES: 0}
    for _ in range(60):
        values = rng.normal(size=20)[network] + 0.2 * rng.normal(size=600)
        for kind, names in ((NETWORKS, network), (SITES, None)):
            found = median_interval(values, names, replicates=300)
            covered[kind] += found.lower <= 0 <= found.upper
            assert found.resampled == kind
    assert covered[NETWORKS] / 60 >= 0.86  # three standard errors below 0.95
    assert covered[SITES] / 60 < 0.6


def test_few_networks_are_resampled_by_site() -> None:
    for names, unit in ((["SCAN"] * 7, SITES), (list("AABBCCDD"), SITES), (list("AABBCCDDEE"), NETWORKS)):
        found = median_interval(np.arange(float(len(names))), names)
        assert (found.resampled, found.clusters) == (unit, 5 if unit == NETWORKS else len(names))
        assert found.lower < found.median < found.upper
    assert np.isnan(median_interval([1.0], ["A"]).lower)
    nothing = median_interval([np.nan, np.nan], ["A", "B"])
    assert np.isnan(nothing[:3]).all() and nothing.sites == nothing.clusters == 0


def test_sites_without_a_score_are_ignored() -> None:
    """Sites without a score affect neither the interval nor the minimum number of networks."""
    rng = np.random.default_rng(1)
    values, names = rng.normal(size=40), np.repeat(list("abcdefgh"), 5)
    more = np.append(values, np.full(10, np.nan))
    more_names = np.append(names, [f"other {k}" for k in range(10)])
    assert median_interval(values, names) == median_interval(more, more_names)
    few = median_interval(np.where(np.isin(names, list("abc")), values, np.nan), names)
    assert few.resampled == SITES and few.sites == 15


def test_unnamed_sites_are_separate_clusters() -> None:
    draws = ClusterBootstrap.make(["a", "a", "b", "c", "d", "", "", ""], replicates=200)
    assert draws.cluster[0] == draws.cluster[1] and len(set(draws.cluster)) == 7
    assert draws.counts.shape == (200, 7) and draws.resampled == NETWORKS


def test_difference_of_equal_products_is_zero() -> None:
    rng = np.random.default_rng(2)
    values, names = rng.normal(size=60), np.repeat(np.arange(12), 5)
    assert difference_interval(values, values, names)[:3] == (0.0, 0.0, 0.0)
    shifted = difference_interval(values + 0.5, values, names)
    np.testing.assert_allclose(shifted[:3], 0.5)


def test_difference_of_groups_uses_one_bootstrap() -> None:
    """Two groups of sites in the same networks: the interval computed from the same counts."""
    rng = np.random.default_rng(4)
    values, names = rng.normal(size=60), np.repeat(np.arange(12), 5)
    first = np.arange(60) % 2 == 0
    a, b = np.where(first, values, np.nan), np.where(first, np.nan, values)
    labels = [f"network {k:02d}" for k in names]
    found = difference_interval(a, b, labels, replicates=500, seed=7)
    counts = np.random.default_rng(7).multinomial(12, np.full(12, 1 / 12), size=500)
    replicates = []
    for c in counts:
        weight = c[names]
        replicates.append(
            np.median(np.repeat(values[first], weight[first]))
            - np.median(np.repeat(values[~first], weight[~first]))
        )
    estimate = np.median(values[first]) - np.median(values[~first])
    low, high = np.quantile(replicates, [0.025, 0.975], method="weibull")
    wider = float(widening_for_few(np.array(12), 0.95))
    expected = (estimate, estimate - wider * (estimate - low), estimate + wider * (high - estimate))
    np.testing.assert_allclose(found[:3], expected)


@pytest.mark.parametrize("replicates", [99, 1000, 2000])
def test_percentiles_are_type_6_of_hyndman_and_fan(replicates: int) -> None:
    rows = np.random.default_rng(5).normal(size=(3, replicates))
    low, middle, high = percentiles(rows, 0.95)
    expected = np.quantile(rows, [0.025, 0.5, 0.975], axis=-1, method="weibull")
    np.testing.assert_allclose([low, middle, high], expected)


def test_interval_needs_two_clusters_and_half_the_replicates() -> None:
    assert np.isnan(interval_about(0.5, np.arange(100.0), 1, 0.95)[1])
    mostly_missing = np.where(np.arange(100) < 40, 0.5, np.nan)
    assert np.isnan(interval_about(0.5, mostly_missing, 8, 0.95)[1])


def test_one_site_per_network_resamples_networks() -> None:
    assert median_interval(np.arange(8.0), list("abcdefgh")).resampled == NETWORKS
    assert median_interval(np.arange(8.0)).resampled == SITES
    assert median_interval([np.nan] * 8, list("abcdefgh")).resampled == ""
