"""Suspect in-situ records: planted ones are flagged, right ones are not."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from benchmarks.benchmark_series import ar1
from gsm3core import score_products
from gsm3core import vocabulary as v
from gsm3core.evaluation.suspect_records import suspect_sites
from support.planted_triplets import planted_dataset

SITES, DAYS = 40, 1461
INVERTED, SHUFFLED, SHIFTED, UNRELATED = 3, 11, 20, 31
BAD = [INVERTED, SHUFFLED, SHIFTED, UNRELATED]


@pytest.fixture(scope="module")
def world() -> xr.Dataset:
    """Records with a season, of which four are spoilt; SMOS, which shares SMAP's sources, is a product too."""
    ds = planted_dataset(SITES, DAYS, seed=5)
    season = 0.05 * np.cos(2 * np.pi * np.arange(DAYS) / 365.25)
    for name in (v.SM_INSITU, v.SM_SMAP, v.SM_PRODUCT):
        ds[name] = (ds[name] + xr.DataArray(season, dims=v.TIME)).transpose(*ds[name].dims)
    rng = np.random.default_rng(17)
    record = ds[v.SM_INSITU].values
    record[INVERTED] = 1 - record[INVERTED]
    record[SHUFFLED] = rng.permutation(record[SHUFFLED])
    record[SHIFTED] = np.roll(record[SHIFTED], 183)
    record[UNRELATED] = 0.5 + 0.06 * ar1(rng, (1, DAYS), 0.8)[0]
    return ds


def flagged(reason: xr.DataArray) -> list[int]:
    return np.flatnonzero(reason.values != "").tolist()


def test_spoilt_records_are_flagged_and_right_ones_not(world: xr.Dataset) -> None:
    scores = score_products(world)
    found = suspect_sites(scores, world)
    assert flagged(found) == BAD
    assert str(found[INVERTED].values).startswith("R is negative with all 3 products (")
    for k in (SHUFFLED, SHIFTED, UNRELATED):
        assert "unrelated to the products: R to the truth at most 0." in str(found[k].values)
        assert "agree" in str(found[k].values)
    # Without the dataset only the contradictions are found.
    assert flagged(suspect_sites(scores)) == [INVERTED]


def test_half_a_year_of_shift_of_a_strong_season_is_a_contradiction(world: xr.Dataset) -> None:
    season = 0.1 * np.cos(2 * np.pi * np.arange(DAYS) / 365.25)
    shifted = np.where(np.arange(SITES)[:, None] == SHIFTED, np.roll(season, 183), season)
    ds = world.assign({v.SM_INSITU: world[v.SM_INSITU] + shifted})
    for name in (v.SM_SMAP, v.SM_PRODUCT):
        ds[name] = (ds[name] + xr.DataArray(season, dims=v.TIME)).transpose(*ds[name].dims)
    found = suspect_sites(score_products(ds))
    assert str(found[SHIFTED].values).startswith("R is negative with all 3 products")


def test_poor_but_right_records_are_not_flagged() -> None:
    """A sensor whose error is 1.5 times the signal (R to the truth 0.55) is poor, not suspect."""
    ds = planted_dataset(60, DAYS, seed=8)
    rng = np.random.default_rng(3)
    ds[v.SM_INSITU] = ds[v.SM_INSITU] + 0.09 * ar1(rng, ds[v.SM_INSITU].shape, 0.6)
    assert flagged(suspect_sites(score_products(ds), ds)) == []


def test_false_alarms_are_rare_for_records_without_skill_of_products() -> None:
    """Products that are noise contradict nothing: no pair of them agrees."""
    ds = planted_dataset(60, 800, seed=9)
    rng = np.random.default_rng(4)
    noise = ar1(rng, (4, *ds[v.SM_SMAP].shape), 0.8) * 0.05 + 0.4
    ds[v.SM_SMAP] = ds[v.SM_SMAP].copy(data=noise[0])
    ds[v.SM_PRODUCT] = ds[v.SM_PRODUCT].copy(data=noise[1:])
    # At 2.5 % a side, three products below 0 together: 60 sites give none but by an accident of 1 in 1000.
    assert len(flagged(suspect_sites(score_products(ds), ds))) <= 1


def test_one_bad_product_does_not_make_a_record_suspect(world: xr.Dataset) -> None:
    ds = world.copy(deep=True)
    ds[v.SM_SMAP] = 1 - ds[v.SM_SMAP]
    assert not set(flagged(suspect_sites(score_products(ds), ds))) - set(BAD)


def test_a_single_product_is_not_enough(world: xr.Dataset) -> None:
    alone = world.drop_vars([v.SM_PRODUCT, v.PRODUCT])
    assert flagged(suspect_sites(score_products(alone), alone)) == []


def test_products_trained_on_in_situ_do_not_count(world: xr.Dataset) -> None:
    """SoMo.ml follows the inverted record that it was trained on; the others contradict it."""
    ds = world.copy(deep=True)
    ds[v.SM_PRODUCT].loc[{v.PRODUCT: v.SOMO_ML}] = ds[v.SM_INSITU].fillna(0.5)
    assert INVERTED in flagged(suspect_sites(score_products(ds), ds))


def test_scores_against_smap_have_no_suspect_in_situ_record(world: xr.Dataset) -> None:
    scores = score_products(world, reference=v.SM_SMAP)
    assert flagged(suspect_sites(scores, world)) == []


def test_flags_agree_with_triple_collocation(world: xr.Dataset) -> None:
    """Records that are not flagged have a high R to the truth; the flagged ones have none."""
    scores = score_products(world, metrics=("R", "TC_R")).sel(product=v.SMAP)
    clear = [k for k in range(SITES) if k not in BAD]
    assert (scores["TC_reference_R"].isel(site=clear) > 0.6).all()
    assert "not positively correlated" in str(scores["TC_reference_reason"][INVERTED].values)


@pytest.mark.parametrize("masked", [False, True])
def test_products_must_agree_on_the_days_of_the_scores(masked: bool) -> None:
    """A wet and a dry half year in which every record is noise: right records, low R within a season, high R over all."""
    ds, rng, days = planted_dataset(20, DAYS, seed=3), np.random.default_rng(0), np.arange(DAYS)
    season = 0.1 * np.tanh(6 * np.cos(2 * np.pi * (days + 75) / 365.25))

    def record() -> np.ndarray:
        return 0.5 + season + truth + 0.03 * ar1(rng, (20, DAYS), 0.5)

    truth = 0.008 * ar1(rng, (20, DAYS), 0.8)
    for name in (v.SM_INSITU, v.SM_SMAP):
        ds[name] = ds[name].copy(data=record())
    ds[v.SM_PRODUCT] = ds[v.SM_PRODUCT].copy(data=np.stack([record() for _ in range(3)]))
    ds = ds.assign_coords({v.LAT: (v.SITE, np.full(20, 45.0))})
    cold = np.broadcast_to(np.where(season > -0.0999, 270.0, 290.0), (20, DAYS))
    ds["soil_temperature"] = (v.SITE, v.TIME), cold, {"units": "K", "source": "simulated for tests"}
    scores = score_products(ds, masks=["frozen"]) if masked else score_products(ds, season="winter")
    assert float(scores["R"].median()) < 0.3
    assert flagged(suspect_sites(scores, ds)) == []
