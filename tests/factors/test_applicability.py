"""Area of applicability and expected skill against worked cases, definitions and held-out networks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from gsm3core.errors import DatasetError
from gsm3core.factors import Settings, factor_table, fit_applicability, fit_skill
from gsm3core.factors.skill import conformal_correction, forest_quantiles
from support.factor_tables import simulated, simulated_table

SMALL = Settings(trees=40)


def test_dissimilarity_by_hand() -> None:
    # Two columns of standard deviation 1 (n - 1 in the denominator), the second three times as important.
    x = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]]) * np.sqrt(3) / 2
    area = fit_applicability(x, [0, 0, 1, 1], [1.0, 3.0])
    np.testing.assert_allclose(x.std(0, ddof=1), 1)
    a, b = np.sqrt(3.0), 3 * np.sqrt(3.0)  # sides of the weighted rectangle
    average = (2 * a + 2 * b + 2 * np.hypot(a, b)) / 6
    assert area.average_distance == pytest.approx(average)
    # Folds are the lower and the upper side: the nearest site of the other fold is at distance b.
    np.testing.assert_allclose(area.training_index, b / average)
    assert area.threshold == pytest.approx(b / average)
    new = np.array([[0.0, 0.0], [np.sqrt(3) / 2, 0.0], [np.sqrt(3), 10.0], [np.nan, 0.0]])
    index = area.dissimilarity(new)
    np.testing.assert_allclose(index[:2], [0, a / 2 / average], atol=1e-12)
    assert index[2] == pytest.approx(3 * (10 - np.sqrt(3)) / average) and np.isnan(index[3])
    assert area.inside(new).tolist() == [True, True, False, False]


def test_threshold_is_the_largest_non_outlier() -> None:
    x = np.r_[np.arange(20.0), 100.0][:, None]
    area = fit_applicability(x, np.arange(21))
    # The nearest neighbour is 1 away, for the last site 81.
    assert area.threshold == pytest.approx(1 / np.sqrt(x.var(ddof=1)) / area.average_distance)
    assert area.training_index[-1] > area.threshold
    assert area.inside([[19.5], [21.5]]).tolist() == [True, False]


def test_unimportant_columns_and_units_have_no_effect() -> None:
    rng = np.random.default_rng(0)
    x, new, fold = rng.normal(size=(50, 3)), rng.normal(size=(20, 3)), np.arange(50) % 5
    area = fit_applicability(x, fold, [1.0, 2.0, -0.1])
    shifted = fit_applicability(x * [10, 0.1, 1] + 5, fold, [1.0, 2.0, 0.0])
    np.testing.assert_allclose(area.dissimilarity(new), shifted.dissimilarity(new * [10, 0.1, 1] + 5))
    only = fit_applicability(x[:, :2], fold, [1.0, 2.0])
    np.testing.assert_allclose(area.dissimilarity(new), only.dissimilarity(new[:, :2]))
    assert area.threshold == pytest.approx(only.threshold)
    wide = fit_applicability(x, (x[:, 0] > 0).astype(int), [1.0, 2.0, 0.0])
    assert wide.threshold > area.threshold
    with pytest.raises(DatasetError, match="2 folds"):
        fit_applicability(x, np.zeros(50))


def test_quantiles_follow_meinshausen() -> None:
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(60, 2)), rng.normal(size=(9, 2))
    y, w = x[:, 0] + rng.normal(size=60), rng.uniform(0.1, 1, 60)
    forest = RandomForestRegressor(15, min_samples_leaf=4, random_state=0).fit(x, y)
    found = forest_quantiles(forest, x, y, new, (0.1, 0.5, 0.9), w)
    leaves, at = forest.apply(x), forest.apply(new)
    for i in range(9):
        weight = np.zeros(60)
        for tree in range(15):
            same = (leaves[:, tree] == at[i, tree]) * w
            weight += same / same.sum() / 15
        order = np.argsort(y)
        reached = np.cumsum(weight[order])
        expected = [y[order][np.searchsorted(reached, q - 1e-12)] for q in (0.1, 0.5, 0.9)]
        np.testing.assert_array_equal(found[i], expected)


def test_conformal_correction_is_the_order_statistic() -> None:
    outside = np.arange(1.0, 20.0)
    assert conformal_correction(outside, 0.9) == 18  # ceil(0.9 x 20)
    assert conformal_correction(outside, 0.5) == 10


def test_interval_covers_new_networks() -> None:
    scores, attributes = simulated(n=900, clusters=60, cluster_std=0.05, seed=3)
    old = attributes["network"].isin([f"net{k}" for k in range(40)]).values
    model = fit_skill(factor_table(scores.isel(site=old), attributes), coverage=0.9, settings=SMALL)
    found = model.predict(attributes.isel(site=~old))
    truth = scores["R"].values[~old]
    inside = ((found["lower"] <= truth) & (truth <= found["upper"])).values
    # 300 sites in 20 networks with as much variance between as within: about 60 independent sites, 2.5 x 0.04.
    assert abs(inside.mean() - 0.9) < 0.1
    assert abs(model.covered - 0.9) < 0.05 and model.scheme == "network"
    best = np.sqrt((0.2**2 / 3) / (0.2**2 / 3 + 2 * 0.05**2))
    assert np.corrcoef(found["expected"], truth)[0, 1] > best - 0.1
    assert found["applicable"].mean() > 0.8


def test_inapplicable_sites_have_reasons() -> None:
    scores, attributes = simulated()
    cover = np.random.default_rng(0).integers(0, 2, scores.sizes["site"]).astype(float)
    attributes["cover"] = ("site", cover, {"flag_values": [0, 1, 2], "flag_meanings": "bare grass ice"})
    model = fit_skill(factor_table(scores, attributes), settings=SMALL)
    new = attributes.isel(site=slice(5)).copy(deep=True)
    new["driver"][1] = 50.0
    new["driver"][2] = np.nan
    new["cover"][3] = 2
    found = model.predict(new)
    reasons = [
        "",
        "outside the area of applicability",
        "missing factor",
        "class without training sites",
        "",
    ]
    assert found["reason"].values.tolist() == reasons
    assert found["applicable"].values.tolist() == [True, False, False, False, True]
    assert found["expected"].notnull().all() and (found["lower"] <= found["upper"]).all()
    with pytest.raises(DatasetError, match="driver"):
        model.predict(new.drop_vars("driver"))


def test_expected_skill_is_the_forest_prediction() -> None:
    table = simulated_table()
    model = fit_skill(table, settings=SMALL)
    x, _ = table.encoded()
    forest = RandomForestRegressor(40, min_samples_leaf=5, random_state=0)
    forest.fit(x, table.score, table.weights())
    attributes = simulated()[1]
    np.testing.assert_allclose(model.predict(attributes)["expected"], forest.predict(x), rtol=1e-12)
