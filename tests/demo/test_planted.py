"""The planted effects: present with their sizes when switched on, absent when switched off."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gsm3core.demo import Scenario, demo_world
from support.demo_worlds import bare, planted, series, site_correlation, truth


def strata(world):
    """Dry sites with extreme poleward aspect, and those with moderate aspect."""
    dry = world.dataset["sm_smap"].mean("time").values <= 0.08
    facing = np.abs(world.dataset["poleward_aspect"].values)
    return dry & (facing > 0.8), dry & (facing <= 0.4)


def predictability(world):
    """Correlation of the sensor with the error-free truth without the disturbance."""
    return site_correlation(truth(world, "sm_modelled"), world.dataset["sm_insitu"].values.astype(float))


def test_enough_dry_sites_for_strata():
    dry = planted().dataset["sm_smap"].mean("time").values <= 0.08
    assert dry.mean() >= 0.10
    extreme, middle = strata(planted())
    assert extreme.sum() >= 5
    assert middle.sum() >= 3


def test_switching_an_effect_off_changes_nothing_else():
    on, off = planted(), bare()
    for name in ("precipitation", "air_temperature", "lai", "sand", "ndvi", "poleward_aspect"):
        np.testing.assert_array_equal(on.dataset[name], off.dataset[name])
    warm = on.dataset["region"].values != "Alaska"
    np.testing.assert_array_equal(on.dataset["sm_smap"][warm], off.dataset["sm_smap"][warm])
    np.testing.assert_array_equal(on.truth["sm_modelled"][warm], off.truth["sm_modelled"][warm])


def test_extreme_aspects_of_dry_sites_lose_predictability():
    extreme, middle = strata(planted())
    on, off = predictability(planted()), predictability(bare())
    # The same sites with the effect off, pair by pair.
    drop = (off - on)[extreme & np.isfinite(on) & np.isfinite(off)]
    assert np.median(drop) > 0.15
    assert stats.wilcoxon(drop, alternative="greater").pvalue < 0.01
    # Compared with dry sites of moderate aspect in the same dataset.
    assert np.nanmedian(on[extreme]) < np.nanmedian(on[middle]) - 0.15
    # Without the effect, the two strata do not differ.
    both = [off[extreme], off[middle]]
    assert stats.mannwhitneyu(*(r[np.isfinite(r)] for r in both)).pvalue > 0.01
    assert abs(np.nanmedian(both[0]) - np.nanmedian(both[1])) < 0.1


def test_wet_sites_and_moderate_aspects_are_undisturbed():
    world, scenario = planted(), planted().scenario
    smap = world.dataset["sm_smap"].mean("time").values
    facing = np.abs(world.dataset["poleward_aspect"].values)
    spared = (smap > scenario.dry_limit) | (facing <= scenario.aspect_onset)
    assert 0.7 < spared.mean() < 0.97
    np.testing.assert_array_equal(world.truth["sm_point"][spared], world.truth["sm_modelled"][spared])
    assert (world.truth["sm_point"] != world.truth["sm_modelled"])[~spared].any("time").all()
    np.testing.assert_array_equal(bare().truth["sm_point"], bare().truth["sm_modelled"])


def test_disturbance_has_its_std_mean_and_time_scale():
    world, scenario = planted(), planted().scenario
    hit = np.flatnonzero(world.truth["disturbance_std"].values > 0.3)
    facing = np.abs(world.dataset["poleward_aspect"].values)[hit]
    by_hand = scenario.aspect_strength * (facing - scenario.aspect_onset) / (1 - scenario.aspect_onset)
    assert world.truth["disturbance_std"].values[hit] == pytest.approx(by_hand, rel=1e-5)
    residual = world.truth["residual"].values[hit, None]
    point, modelled = truth(world, "sm_point")[hit] - residual, truth(world, "sm_modelled")[hit] - residual
    # Where there is water above the residual, and the porosity is not reached.
    log = np.where(modelled > 0.003, np.log(np.maximum(point, 1e-9) / np.maximum(modelled, 1e-9)), np.nan)
    unit = log / by_hand[:, None] + by_hand[:, None] / 2
    # 1096 days with a time scale of 40 days have some 14 independent values per site; all sites together:
    values = 14 * len(hit)
    assert np.nanmean(unit) == pytest.approx(0.0, abs=4 / np.sqrt(values))
    assert np.nanstd(unit) == pytest.approx(1.0, abs=4 / np.sqrt(2 * values))
    lag = np.nanmean(unit[:, 1:] * unit[:, :-1]) / np.nanmean(unit**2)
    assert lag == pytest.approx(np.exp(-1 / scenario.aspect_time_scale), abs=0.01)


def test_only_alaska_drifts_from_its_first_year():
    on, off = planted(), bare()
    alaska = on.dataset["region"].values == "Alaska"
    with_drift, steady = truth(on, "sm_modelled")[alaska], truth(off, "sm_modelled")[alaska]
    month = on.dataset["time"].dt.month.values
    summer = np.isin(month, [6, 7, 8])
    year = on.dataset["time"].dt.year.values
    extra = [(with_drift - steady)[:, summer & (year == y)].mean() for y in (2015, 2016, 2017)]
    # Perched water over frozen ground drains over time: much wetter at first, then decreasing.
    assert extra[0] > 0.02
    assert extra[0] > extra[1] > extra[2] > -0.005
    assert extra[2] < 0.5 * extra[0]
    elsewhere = np.abs(truth(on, "sm_modelled") - truth(off, "sm_modelled"))[~alaska]
    assert elsewhere.max() == 0.0


def test_variability_in_alaska_changes_too():
    on = planted()
    alaska = on.dataset["region"].values == "Alaska"
    month, year = on.dataset["time"].dt.month.values, on.dataset["time"].dt.year.values
    summer = np.isin(month, [6, 7, 8])
    ratios = {}
    for name, world in (("on", on), ("off", bare())):
        sm = truth(world, "sm_modelled")[alaska]
        first, last = (sm[:, summer & (year == y)].std(axis=1) for y in (2015, 2017))
        ratios[name] = np.median(last / first)
    # Compared with the dataset without drift, which has the same weather.
    assert abs(np.log(ratios["on"] / ratios["off"])) > 0.1


def test_amsr2_bias_has_the_planted_ndvi_slope():
    def slope(world):
        cell = truth(world, "sm_cell")
        mean = cell.mean(axis=1, keepdims=True)
        off = series(world, "AMSR2") - (mean + 0.90 * (cell - mean))
        moist = mean[:, 0] > 0.2  # no taper: the constant part of the bias is the same at each of these sites
        fit = stats.linregress(world.truth["ndvi_true"].values[moist], np.nanmean(off, axis=1)[moist])
        return fit.slope, fit.stderr

    found, error = slope(planted())
    assert found == pytest.approx(Scenario().amsr2_bias_per_ndvi, abs=4 * error)
    assert error < 0.05  # small enough to distinguish 0.2 from 0
    found, error = slope(bare())
    assert found == pytest.approx(0.0, abs=4 * error)


def test_each_effect_has_its_own_switch():
    base = {"n_sites": 60, "start": "2016-01-01", "end": "2016-12-31", "seed": 2}
    nothing = demo_world(**base, planted=False)
    smos = "SMOS"
    for switch in ("aspect_effect", "alaska_nonstationary", "vegetation_bias"):
        only = demo_world(
            **base, planted=Scenario(**{"aspect_effect": False, "alaska_nonstationary": False,
                                    "vegetation_bias": False, switch: True}))  # fmt: skip
        changed = {
            "aspect_effect": bool((only.truth["sm_point"] != only.truth["sm_modelled"]).any()),
            "alaska_nonstationary": not only.truth["sm_cell"].equals(nothing.truth["sm_cell"]),
            "vegetation_bias": not only.dataset["sm_product"]
            .sel(product="AMSR2", site=only.dataset["region"] != "Alaska")
            .equals(
                nothing.dataset["sm_product"].sel(product="AMSR2", site=only.dataset["region"] != "Alaska")
            ),
        }
        assert changed == {name: name == switch for name in changed}
        temperate = only.dataset["region"] != "Alaska"
        assert (
            only.dataset["sm_product"].sel(product=smos, site=temperate)
            .equals(nothing.dataset["sm_product"].sel(product=smos, site=temperate))
        )  # fmt: skip


@pytest.mark.parametrize("number", ["alaska_drainage_at_start", "alaska_thaw_supply", "alaska_warming"])
def test_every_drift_parameter_has_an_effect(number):
    base = {"n_sites": 60, "start": "2015-04-01", "end": "2015-09-30", "seed": 2}
    none = {"alaska_drainage_at_start": 1.0, "alaska_thaw_supply": 0.0, "alaska_warming": 0.0}
    usual = demo_world(**base)
    without = demo_world(**base, planted=Scenario(**{number: none[number]}))
    changed = (usual.truth["sm_modelled"] != without.truth["sm_modelled"]).any("time").values
    assert changed[usual.dataset["region"].values == "Alaska"].all()
    assert not changed[usual.dataset["region"].values != "Alaska"].any()
