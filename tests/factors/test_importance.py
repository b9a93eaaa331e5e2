"""Importance against scikit-learn, closed forms and planted relations, with clustered sites and noise."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy.stats import t
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.model_selection import cross_val_predict

import gsm3core
from gsm3core.errors import GSM3Error
from gsm3core.factors import Settings, factor_table, importance_of
from gsm3core.factors.importance import NOISE
from gsm3core.factors.models import fit_model
from gsm3core.factors.permutation import permutation_increase, shap_values
from gsm3core.factors.report import importance_text
from gsm3core.factors.validation import correlation, cross_validated, fold_groups, splits
from gsm3core.statistics.cluster_bootstrap import ClusterBootstrap
from gsm3core.statistics.small_sample import split_interval
from support.factor_tables import simulated, simulated_table

SMALL = Settings(trees=30, rounds=30)


@pytest.fixture(scope="module")
def found() -> xr.Dataset:
    scores, attributes = simulated()
    return gsm3core.factor_importance(
        scores,
        attributes,
        settings=SMALL,
        repeats=2,
        measures=("impurity", "permutation", "grouped_permutation"),
    )


def test_permutation_importance_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(120, 4)), rng.uniform(0.2, 2, 120)
    y = x[:, 0] + x[:, 1] ** 2 + rng.normal(0, 0.3, 120)
    forest = fit_model("forest", x[:80], y[:80], None, seed=3, settings=SMALL)
    for weights in (None, w[80:]):
        theirs = permutation_importance(
            forest, x[80:], y[80:], scoring="neg_mean_squared_error", n_repeats=7, random_state=11,
            sample_weight=weights,
        ).importances  # fmt: skip
        ours = permutation_increase(
            forest, x[80:], y[80:], [np.array([k]) for k in range(4)], repeats=7, seed=11, weights=weights
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-15)


def test_impurity_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3))
    y, w = x[:, 0] + rng.normal(size=100), rng.uniform(size=100)
    ours = fit_model("forest", x, y, w, seed=5, settings=SMALL)
    theirs = RandomForestRegressor(30, min_samples_leaf=5, random_state=5).fit(x, y, w)
    np.testing.assert_array_equal(ours.feature_importances_, theirs.feature_importances_)


class Sum:
    """Predicts the sum of the columns."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x.sum(1)


def test_grouped_permutation_shows_duplicated_factors() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=4000)
    x = np.column_stack([z, z, rng.normal(size=4000)])
    y = Sum().predict(x)
    alone, both, other = permutation_increase(
        Sum(), x, y, [np.array([0]), np.array([0, 1]), np.array([2])], repeats=20, seed=0
    ).mean(1)
    # The mean of (z' - z)^2 over independent z' is 2 var(z): twice the variance alone, eight times as a group.
    np.testing.assert_allclose(
        [alone, both, other], 2 * np.array([1, 4, x[:, 2].var() / z.var()]) * z.var(), rtol=0.03
    )


def test_shap_values_follow_their_definition() -> None:
    pytest.importorskip("shap")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, size=(400, 2)).astype(float)
    y = 3 * x[:, 0] + 2 * x[:, 0] * x[:, 1]
    forest = RandomForestRegressor(1, bootstrap=False, random_state=0).fit(x, y)
    values = shap_values(forest, x)
    np.testing.assert_allclose(values.sum(1) + y.mean(), forest.predict(x), atol=1e-9)
    # Worked Shapley values: expectations of the tree with one variable known. The tree splits column 0 first.
    p1 = x[x[:, 0] == 1, 1].mean()
    known0 = np.where(x[:, 0] == 1, 3 + 2 * p1, 0.0)
    known1 = x[:, 0].mean() * (3 + 2 * x[:, 1])
    first = ((known0 - y.mean()) + (y - known1)) / 2
    np.testing.assert_allclose(values[:, 0], first, atol=1e-9)


def test_missing_shap_is_reported_before_fitting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(GSM3Error, match=r"pip install 'gsm3\[shap\]'"):
        importance_of(simulated_table(), measures=("shap",))


def test_split_interval_follows_nadeau_and_bengio() -> None:
    values = np.random.default_rng(0).normal(size=(3, 15))
    mean, std, low, high = split_interval(values, 0.25, 0.9)
    half = t.ppf(0.95, 14) * np.sqrt((1 / 15 + 0.25) * values.var(1, ddof=1))
    np.testing.assert_allclose([mean, std], [values.mean(1), values.std(1, ddof=1)])
    np.testing.assert_allclose([low, high], [mean - half, mean + half])


def test_driver_ranks_first_and_unrelated_factors_last(found: xr.Dataset) -> None:
    for measure in ("permutation", "grouped_permutation"):
        for model in ("forest", "boosting"):
            one = found.sel(measure=measure, model=model)
            assert one["factor"].values[np.argmax(one["importance"].values)] == "driver"
            assert bool(one["above_noise"].sel(factor="driver"))
            # Permuting the only driver of a linear score gives 2 x its share of the variance.
            assert float(one["importance"].sel(factor="driver")) > 1
            assert not one["above_noise"].sel(factor=["idle", "soil", NOISE]).any()
            assert (np.abs(one["importance"].sel(factor=["idle", "soil", NOISE])) < 0.05).all()
    assert found.sel(measure="impurity", model="forest")["importance"].sum() == pytest.approx(1)
    assert found.sel(measure="impurity", model="boosting")["importance"].isnull().all()
    assert found.attrs["held_out"] == "network" and "not cause" in found.attrs["note"]


def test_fits_reach_the_explained_share_of_variance(found: xr.Dataset) -> None:
    # The relation is linear: the best correlation follows from the share of variance that is not noise.
    best = np.sqrt(1 - 0.05**2 / (0.2**2 / 3 + 0.05**2))
    linear = found.sel(fitted="linear")
    np.testing.assert_allclose(linear["cv_correlation"], best, atol=0.02)
    assert (linear["cv_correlation_lower"] < best).all() and (linear["cv_correlation_upper"] > best).all()
    np.testing.assert_allclose(linear["cv_rmse"], 0.05, rtol=0.1)
    assert (found["split_lowest"] <= found["split_correlation"]).all()
    assert (found["split_correlation"] <= found["split_highest"]).all()
    assert (found["moran_p"] > 0.001).all() and found["cv_correlation"].notnull().all()


def test_random_folds_overrate_network_identifiers() -> None:
    scores, attributes = simulated(signal=0.0, cluster_std=0.2)
    table = factor_table(scores, attributes[["network_constant"]])
    exact = Settings(trees=30, leaf=2)
    found = importance_of(table, models=("forest",), measures=("permutation",), settings=exact, repeats=2)
    forest = found.sel(fitted="forest")
    # 0.2^2 / (0.2^2 + 0.05^2) of the variance is between networks: the correlation is at most 0.97.
    assert float(forest["cv_correlation"].sel(scheme="random")) > 0.8
    for grouped in ("network", "spatial_block"):
        assert float(forest["cv_correlation"].sel(scheme=grouped)) < 0.2
        assert float(forest["cv_r2"].sel(scheme=grouped)) < 0.1
    assert not bool(found["above_noise"].sel(factor="network_constant").any())


def test_training_mean_has_no_skill() -> None:
    """High scores at held-out sites leave lower ones for training: pooled, the mean is negatively correlated."""
    table = simulated_table(signal=0.0, cluster_std=0.2)
    rng = np.random.default_rng(0)
    training_mean = np.full((2, len(table)), np.nan)
    for repeat, test in splits(table, "network", folds=5, repeats=2, seed=0):
        training_mean[repeat, test] = table.score[~test].mean()
    predicted = training_mean + rng.normal(0, 1e-3, training_mean.shape)
    draws = ClusterBootstrap.make(table.network, replicates=100, seed=0)
    found = cross_validated(table, predicted, training_mean, draws, 0.95, 0)
    assert np.mean([correlation(p, table.score) for p in predicted]) < -0.3
    # 240 sites, two draws: standard deviation 0.046.
    assert abs(found["cv_correlation"]) < 3 * 0.046
    assert found["cv_r2"] == pytest.approx(0, abs=0.01)


def test_results_depend_on_the_seed() -> None:
    table = simulated_table(n=80, clusters=8)
    options = {
        "models": ("forest",),
        "measures": ("permutation",),
        "settings": SMALL,
        "repeats": 1,
        "folds": 3,
    }
    first, again, other = (importance_of(table, seed=s, **options) for s in (1, 1, 2))
    xr.testing.assert_identical(first, again)
    assert not np.allclose(first["importance"], other["importance"])


def test_missing_networks_and_positions_give_nan() -> None:
    table = simulated_table(n=80, clusters=8)
    without_groups = replace(table, network=np.full(80, ""), lat=np.full(80, np.nan), lon=np.full(80, np.nan))
    found = importance_of(
        without_groups, models=("forest",), measures=("impurity",), settings=SMALL, repeats=1
    )
    assert found.attrs["held_out"] == "random" and found.attrs["clusters"] == "site"
    assert found["cv_correlation"].sel(scheme=["network", "spatial_block"]).isnull().all()
    assert found["moran_i"].isnull().all()
    with pytest.raises(GSM3Error, match="one group"):
        importance_of(without_groups, held_out="network")
    with pytest.raises(GSM3Error, match="permutation"):
        importance_of(without_groups, measures=("permutations",))


def test_splits_test_every_site_once_by_whole_groups() -> None:
    table = simulated_table(n=200, clusters=23)
    for scheme, names in (("network", table.network), ("random", table.site), ("spatial_block", None)):
        seen = np.zeros((2, 200), int)
        for repeat, test in splits(table, scheme, folds=5, repeats=2, seed=0):
            seen[repeat] += test
            if names is not None:
                assert not set(names[test]) & set(names[~test])
        np.testing.assert_array_equal(seen, 1)


def test_cross_validation_equals_scikit_learn() -> None:
    table = simulated_table(n=100, clusters=10)
    x, _ = table.encoded()
    folds = [test for _, test in splits(table, "network", folds=4, repeats=1, seed=0)]
    ours = np.full(100, np.nan)
    for test in folds:
        model = fit_model("forest", x[~test], table.score[~test], None, seed=7, settings=SMALL)
        ours[test] = model.predict(x[test])
    estimator = RandomForestRegressor(30, min_samples_leaf=5, random_state=7)
    theirs = cross_val_predict(
        estimator, x, table.score, cv=[(np.flatnonzero(~f), np.flatnonzero(f)) for f in folds]
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_missing_factor_values_are_allowed() -> None:
    scores, attributes = simulated(n=80, clusters=8)
    attributes["idle"][::3] = np.nan
    found = gsm3core.factor_importance(scores, attributes, settings=SMALL, repeats=1, folds=3)
    assert found["importance"].sel(measure="permutation").notnull().all()
    assert found["cv_correlation"].notnull().all()


def test_single_factor_groups_equal_single_factors() -> None:
    table = simulated_table(n=60, clusters=8)
    small = {
        "models": ("forest",),
        "folds": 2,
        "repeats": 1,
        "permutations": 2,
        "settings": Settings(trees=5),
    }
    both = importance_of(table, measures=("permutation", "grouped_permutation"), **small)["importance"]
    for k, measure in enumerate(("permutation", "grouped_permutation")):
        alone = importance_of(table, measures=(measure,), **small)["importance"]
        np.testing.assert_array_equal(both[k].values, alone[0].values)


def test_noise_column_is_always_shown() -> None:
    table = simulated_table(n=60, clusters=8)
    found = importance_of(
        table,
        models=("forest",),
        measures=("permutation",),
        folds=2,
        repeats=1,
        permutations=2,
        settings=Settings(trees=5),
    )
    found["importance"].loc[{"factor": "random noise"}] = -9.0
    assert "random noise" in importance_text(found, max_factors=1)


def test_site_without_a_network_is_its_own_group() -> None:
    scores, attributes = simulated(60, 8)
    attributes["network"] = "site", np.array([""] * 20 + ["a"] * 20 + ["b"] * 20)
    table = factor_table(scores, attributes.set_coords("network"))
    groups = fold_groups(table, "network")
    assert groups is not None and len(np.unique(groups)) == 22
    attributes["network"] = "site", np.array(["big"] * 59 + ["small"])
    assert fold_groups(factor_table(scores, attributes.set_coords("network")), "network") is None
