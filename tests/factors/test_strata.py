"""Strata of figure 6: bins and edges of the paper, and the level of tests with correlated sites."""

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


def test_boxes_contain_the_sites_of_their_bins() -> None:
    scores, attributes = simulated()
    attributes["mean_sm_smap"][:40] = 0.08
    table = factor_table(scores, attributes)
    found = skill_strata(table, permutations=99, replicates=200)
    moisture, aspect = table.column("mean_sm_smap"), table.column("poleward_aspect")
    assert int(found["first_sites"].sum()) == int(found["second_sites"].sum()) == len(table)
    assert float(found["first_sites"][0]) == (moisture <= 0.08).sum()
    here = (moisture <= 0.08) & (aspect > -0.6) & (aspect <= -0.2)
    box = found.isel(stratum=0, second_bin=1)
    assert float(box["second_median"]) == np.median(table.score[here])
    np.testing.assert_allclose(
        [box["second_q25"], box["second_q75"]], np.quantile(table.score[here], [0.25, 0.75])
    )
    assert float(box["second_clusters"]) == len(set(table.network[here]))
    known = found["second_lower"].notnull()
    assert (found["second_lower"] <= found["second_median"]).where(known, True).all()
    assert found.attrs["clusters"] == "network" and "not cause" in found.attrs["note"]


def test_planted_effect_is_detected_only_in_its_stratum() -> None:
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


def test_other_factors_and_a_table_without_aspect() -> None:
    table = simulated_table()
    found = skill_strata(table, first="driver", first_edges=(-0.5, 0, 0.5), limit=0, second="idle", second_edges=(0,),
                         permutations=99, replicates=200)  # fmt: skip
    assert (np.diff(found["first_median"]) > 0).all() and float(found["first_p"]) == 0.01
    scores, attributes = simulated()
    alone = skill_strata(
        factor_table(scores, attributes.drop_vars("poleward_aspect")), permutations=99, replicates=200
    )
    assert "second_median" not in alone and "first_median" in alone
    with pytest.raises(DatasetError, match="increasing"):
        skill_strata(table, first_edges=(0.2, 0.1))


def rejected(
    how: str | None, *, strata: str, effect: float, worlds: int, level: float = 0.1
) -> tuple[int, int]:
    """Return the rejections by stratum_test and by Kruskal and Wallis, which ignores clusters."""
    rng = np.random.default_rng(7)
    clustered = kruskal_wallis = 0
    for k in range(worlds):
        cluster = np.repeat(np.arange(24), rng.integers(2, 10, 24))
        of_cluster = rng.integers(0, 3, 24)
        label = of_cluster[cluster] if strata == "whole" else rng.integers(0, 3, len(cluster))
        y = rng.normal(size=24)[cluster] + 0.5 * rng.normal(size=len(cluster)) + effect * (label == 2)
        clustered += stratum_test(y, label, cluster, how=how, permutations=199, seed=k).p <= level
        kruskal_wallis += kruskal(*(y[label == g] for g in np.unique(label))).pvalue <= level
    return clustered, kruskal_wallis


@pytest.mark.parametrize(("how", "strata"), [(WITHIN, "inside"), (BETWEEN, "whole"), (BETWEEN, "inside")])
def test_level_with_sites_correlated_within_clusters(how: str, strata: str) -> None:
    clustered, kruskal_wallis = rejected(how, strata=strata, effect=0.0, worlds=150)
    # 15 of 150 expected at level 0.1, standard deviation 3.7; sign flips are approximate and conservative.
    assert clustered <= 15 + 3 * 3.7
    if how == WITHIN:
        assert clustered >= 15 - 3 * 3.7
    if strata == "whole":
        assert kruskal_wallis > 60  # clusters inflate the level of a test that ignores them


def test_power_within_clusters_exceeds_kruskal_wallis() -> None:
    clustered, kruskal_wallis = rejected(None, strata="inside", effect=0.3, worlds=60)
    assert clustered > 45 and clustered > 1.5 * kruskal_wallis
    whole, _ = rejected(None, strata="whole", effect=2.5, worlds=60)
    assert whole > 40


def test_type_of_test_depends_on_where_strata_vary() -> None:
    rng = np.random.default_rng(0)
    cluster, y = np.repeat(np.arange(10), 6), rng.normal(size=60)
    assert stratum_test(y, np.arange(60) % 2, cluster, permutations=19).how == WITHIN
    assert stratum_test(y, cluster % 2, cluster, permutations=19).how == BETWEEN
    assert np.isnan(stratum_test(y, np.zeros(60, int), cluster).p)
    assert np.isnan(stratum_test(y, cluster % 2, cluster, how=WITHIN, permutations=19).p)
    with pytest.raises(DatasetError, match="within clusters"):
        stratum_test(y, cluster % 2, cluster, how="somehow")


def test_holm_equals_statsmodels() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 4, 11):
        p = np.round(rng.uniform(0, 0.3, n), 2)  # with ties
        np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-12)
        np.testing.assert_allclose(holm([np.nan, *p])[1:], holm(p))


def test_default_limit_depends_on_the_factor() -> None:
    """0.08 m3 m-3 applies only to mean soil moisture."""
    table = simulated_table()
    few = {"permutations": 99, "replicates": 100}
    assert skill_strata(table, **few).attrs["limit"] == 0.08
    assert skill_strata(table, first="driver", first_edges=(-0.5, 0.1, 0.5), **few).attrs["limit"] == 0.1
    assert skill_strata(table, first="driver", first_edges=(0,), limit=0.3, **few).attrs["limit"] == 0.3
