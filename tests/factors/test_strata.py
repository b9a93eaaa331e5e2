"""Figure 6: boxes and edges as the paper has them, tests that hold their level when sites of a network are alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kruskal
from statsmodels.stats.multitest import multipletests

from gsm3core.errors import DatasetError
from gsm3core.factors import factor_table, skill_strata
from gsm3core.statistics.bins import bin_names, bin_numbers
from gsm3core.statistics.hypothesis_tests import holm
from gsm3core.statistics.stratum_tests import BETWEEN, WITHIN, stratum_test
from support.factor_tables import simulated, simulated_table


def test_an_edge_belongs_to_the_drier_bin() -> None:
    edges = (0.08, 0.16)
    number, names = bin_numbers([0.0, 0.08, 0.0800001, 0.16, 9, np.nan], edges), bin_names(edges)
    assert number.tolist() == [0, 0, 1, 1, 2, -1]
    assert names == ["<= 0.08", "0.08 to 0.16", "> 0.16"]


def test_boxes_hold_the_sites_that_they_say() -> None:
    scores, attributes = simulated()
    attributes["mean_sm_smap"][:40] = 0.08
    table = factor_table(scores, attributes)
    found = skill_strata(table, permutations=99, replicates=200)
    wet, aspect = table.column("mean_sm_smap"), table.column("poleward_aspect")
    assert int(found["first_sites"].sum()) == int(found["second_sites"].sum()) == len(table)
    assert float(found["first_sites"][0]) == (wet <= 0.08).sum()
    here = (wet <= 0.08) & (aspect > -0.6) & (aspect <= -0.2)
    box = found.isel(stratum=0, second_bin=1)
    assert float(box["second_median"]) == np.median(table.score[here])
    np.testing.assert_allclose(
        [box["second_q25"], box["second_q75"]], np.quantile(table.score[here], [0.25, 0.75])
    )
    assert float(box["second_clusters"]) == len(set(table.network[here]))
    known = found["second_lower"].notnull()
    assert (found["second_lower"] <= found["second_median"]).where(known, True).all()
    assert found.attrs["clusters"] == "network" and "not cause" in found.attrs["note"]


def test_planted_effect_is_found_where_it_is_and_only_there() -> None:
    scores, attributes = simulated(n=400, clusters=20, signal=0.0, cluster_std=0.1)
    dry = attributes["mean_sm_smap"].values <= 0.15
    outer = np.abs(attributes["poleward_aspect"].values) > 0.6
    planted = scores.assign(R=scores["R"] - 0.15 * (dry & outer))
    on, off = (
        skill_strata(factor_table(s, attributes), limit=0.15, permutations=999, replicates=300)
        for s in (planted, scores)
    )
    assert float(on["outer_p"][0]) == 0.001 and float(on["outer_p_holm"][0]) < 0.01
    assert float(on["outer_difference_upper"][0]) < 0
    assert float(on["outer_difference_lower"][0]) < -0.15 < float(on["outer_difference_upper"][0])
    assert on["outer_test"][0] == WITHIN and float(on["outer_p"][1]) > 0.01
    assert (off["outer_p_holm"] > 0.05).all()


def test_another_pair_and_a_table_without_aspect() -> None:
    table = simulated_table()
    found = skill_strata(table, first="driver", first_edges=(-0.5, 0, 0.5), limit=0, second="idle", second_edges=(0,),
                         permutations=99, replicates=200)  # fmt: skip
    assert (np.diff(found["first_median"]) > 0).all() and float(found["first_p"]) == 0.01
    scores, attributes = simulated()
    alone = skill_strata(
        factor_table(scores, attributes.drop_vars("poleward_aspect")), permutations=99, replicates=200
    )
    assert "second_median" not in alone and "first_median" in alone
    with pytest.raises(DatasetError, match="rising"):
        skill_strata(table, first_edges=(0.2, 0.1))


def rejected(
    how: str | None, *, strata: str, effect: float, worlds: int, level: float = 0.1
) -> tuple[int, int]:
    """How often our test, and Kruskal and Wallis's that ignores clusters, reject at a level."""
    rng = np.random.default_rng(7)
    ours = naive = 0
    for k in range(worlds):
        cluster = np.repeat(np.arange(24), rng.integers(2, 10, 24))
        of_cluster = rng.integers(0, 3, 24)
        label = of_cluster[cluster] if strata == "whole" else rng.integers(0, 3, len(cluster))
        y = rng.normal(size=24)[cluster] + 0.5 * rng.normal(size=len(cluster)) + effect * (label == 2)
        ours += stratum_test(y, label, cluster, how=how, permutations=199, seed=k).p <= level
        naive += kruskal(*(y[label == g] for g in np.unique(label))).pvalue <= level
    return ours, naive


@pytest.mark.parametrize(("how", "strata"), [(WITHIN, "inside"), (BETWEEN, "whole"), (BETWEEN, "inside")])
def test_level_holds_when_sites_of_a_cluster_are_alike(how: str, strata: str) -> None:
    ours, naive = rejected(how, strata=strata, effect=0.0, worlds=150)
    # 15 of 150 expected at level 0.1, standard deviation 3.7; the flipped signs are approximate, and cautious.
    assert ours <= 15 + 3 * 3.7
    if how == WITHIN:
        assert ours >= 15 - 3 * 3.7
    if strata == "whole":
        assert naive > 60  # what clusters do to a test that does not know of them


def test_power_within_is_what_clusters_hide_from_a_naive_test() -> None:
    ours, naive = rejected(None, strata="inside", effect=0.3, worlds=60)
    assert ours > 45 and ours > 1.5 * naive
    whole, _ = rejected(None, strata="whole", effect=2.5, worlds=60)
    assert whole > 40


def test_the_way_is_chosen_by_where_strata_vary() -> None:
    rng = np.random.default_rng(0)
    cluster, y = np.repeat(np.arange(10), 6), rng.normal(size=60)
    assert stratum_test(y, np.arange(60) % 2, cluster, permutations=19).how == WITHIN
    assert stratum_test(y, cluster % 2, cluster, permutations=19).how == BETWEEN
    assert np.isnan(stratum_test(y, np.zeros(60, int), cluster).p)
    assert np.isnan(stratum_test(y, cluster % 2, cluster, how=WITHIN, permutations=19).p)
    with pytest.raises(DatasetError, match="within clusters"):
        stratum_test(y, cluster % 2, cluster, how="somehow")


def test_holm_is_statsmodels() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 4, 11):
        p = np.round(rng.uniform(0, 0.3, n), 2)  # with ties
        np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-12)
        np.testing.assert_allclose(holm([np.nan, *p])[1:], holm(p))


def test_the_limit_of_another_factor_is_its_own() -> None:
    """0.08 m3 m-3 divides mean soil moisture, and no other factor."""
    table = simulated_table()
    few = {"permutations": 99, "replicates": 100}
    assert skill_strata(table, **few).attrs["limit"] == 0.08
    assert skill_strata(table, first="driver", first_edges=(-0.5, 0.1, 0.5), **few).attrs["limit"] == 0.1
    assert skill_strata(table, first="driver", first_edges=(0,), limit=0.3, **few).attrs["limit"] == 0.3
