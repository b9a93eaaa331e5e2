"""Properties of every holdout, with arbitrary sites: no leakage between training and test."""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsm3core import vocabulary as v
from gsm3core.config import HoldoutConfig, Period
from gsm3core.errors import ConfigError
from gsm3core.holdouts import make_holdout
from gsm3core.holdouts.base import Fold, SiteInfo
from gsm3core.holdouts.spatial_block import SpatialBlock

DAYS = pd.date_range("2015-04-01", "2020-12-31")


@st.composite
def any_sites(draw: st.DrawFn, min_sites: int = 10) -> SiteInfo:
    """Sites in arbitrary regions, several in one satellite cell, with and without in-situ records."""
    n = draw(st.integers(min_sites, 60))
    region = np.array(draw(st.lists(st.sampled_from([*v.REGIONS, v.NO_REGION]), min_size=n, max_size=n)))
    group = np.array(draw(st.lists(st.integers(0, 40), min_size=n, max_size=n)), np.int64)
    insitu = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    # A group is a satellite cell: its sites lie within some kilometres of each other.
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    middle = rng.uniform((-60, -180), (75, 180), (41, 2))[group]
    return sites_at(region, group, insitu, middle + rng.uniform(-0.05, 0.05, middle.shape))


def sites_at(
    region: np.ndarray, group: np.ndarray, insitu: np.ndarray, at: np.ndarray, days: pd.DatetimeIndex = DAYS
) -> SiteInfo:
    n = len(group)
    return SiteInfo(
        site=np.array([f"s{i}" for i in range(n)]),
        network=np.array([f"net{i % 3}" for i in range(n)]),
        lat=at[:, 0],
        lon=at[:, 1],
        region=region,
        group=group,
        has_insitu=insitu,
        days=days,
    )


def folds_of(sites: SiteInfo, /, **config: object) -> list[Fold]:
    return list(make_holdout(HoldoutConfig.model_validate(config)).folds(sites))


def enough_groups(sites: SiteInfo, k: int) -> bool:
    return len(np.unique(sites.group)) >= k


@given(any_sites(), st.integers(2, 6), st.integers(0, 5))
def test_random_spatial(sites: SiteInfo, k: int, seed: int) -> None:
    if not enough_groups(sites, k):
        with pytest.raises(ConfigError, match="separate satellite cells"):
            folds_of(sites, name="random_spatial", folds=k, seed=seed)
        return
    folds = folds_of(sites, name="random_spatial", folds=k, seed=seed)
    assert len(folds) == k
    np.testing.assert_array_equal(
        sum(f.test_sites.astype(int) for f in folds), 1, "each site is tested exactly once"
    )
    for fold in folds:
        assert fold.test_sites.any()
        assert not (fold.train_sites & fold.test_sites).any()
        assert not np.isin(sites.group[fold.train_sites], sites.group[fold.test_sites]).any(), (
            "the cell of a held-out site must not be in training"
        )
    again = folds_of(sites, name="random_spatial", folds=k, seed=seed)
    assert all((a.test_sites == b.test_sites).all() for a, b in zip(folds, again, strict=True))


@given(any_sites(min_sites=40), st.integers(2, 5))
def test_random_spatial_balances_both_kinds_of_sites(sites: SiteInfo, k: int) -> None:
    groups, first = np.unique(sites.group, return_index=True)
    at = np.stack([sites.lat, sites.lon], 1)[first]
    alone = sites_at(sites.region[first], groups, sites.has_insitu[first], at)
    if enough_groups(alone, k):
        for kind in (alone.has_insitu, ~alone.has_insitu):
            counts = [
                int((f.test_sites & kind).sum()) for f in folds_of(alone, name="random_spatial", folds=k)
            ]
            assert max(counts) - min(counts) <= 1


@given(any_sites(), st.integers(0, 1500), st.integers(1, 200), st.integers(1, 200), st.integers(1, 200))
def test_temporal(sites: SiteInfo, start: int, train_days: int, between: int, test_days: int) -> None:
    def period(first: int, days: int) -> Period:
        return Period(start=DAYS[first].date(), end=DAYS[first + days - 1].date())

    train, test = period(start, train_days), period(start + train_days + between - 1, test_days)
    (fold,) = folds_of(sites, name="temporal", train=train, test=test)
    assert fold.train_sites.all()
    assert fold.test_sites.all()
    assert not (fold.train_days & fold.test_days).any()
    assert fold.train_days.sum() == train_days
    assert fold.test_days.sum() == test_days


def some_sites(n: int = 20, days: pd.DatetimeIndex = DAYS) -> SiteInfo:
    at = np.stack([np.linspace(30, 45, n), np.linspace(-120, -80, n)], 1)
    return sites_at(np.array(["CONUS", "Asia"] * (n // 2)), np.arange(n), np.ones(n, bool), at, days)


@given(any_sites(min_sites=20), st.integers(2, 4), st.floats(50, 3000))
def test_spatial_block(sites: SiteInfo, k: int, block_km: float) -> None:
    holdout = SpatialBlock(HoldoutConfig(name="spatial_block", folds=k, block_km=block_km))
    block = holdout.blocks(sites)
    for group in np.unique(sites.group):
        assert len(np.unique(block[sites.group == group])) == 1, "a satellite cell is in one block"
    if len(np.unique(block)) < k:
        with pytest.raises(ConfigError, match=r"blocks of that size, fewer than holdout.folds"):
            list(holdout.folds(sites))
        return
    folds = list(holdout.folds(sites))
    np.testing.assert_array_equal(sum(f.test_sites.astype(int) for f in folds), 1)
    for fold in folds:
        assert not np.isin(block[fold.train_sites], block[fold.test_sites]).any(), "a block is never split"


def test_blocks_have_the_configured_size() -> None:
    """Sites 100 km apart along the equator fall into blocks of 500 km, five each."""
    n = 40
    at = np.stack([np.zeros(n), 10 + np.arange(n) * 100 / (111.195 * np.cos(np.radians(30)))], 1)
    sites = sites_at(np.array(["Asia"] * n), np.arange(n), np.ones(n, bool), at)
    counts = np.bincount(SpatialBlock(HoldoutConfig(name="spatial_block", block_km=500)).blocks(sites))
    assert set(counts[1:-1]) == {5}


def test_custom() -> None:
    sites = some_sites()
    (fold,) = folds_of(sites, name="custom", sites=["s3"], networks=["net1"])
    expected = (np.arange(20) == 3) | (np.arange(20) % 3 == 1)
    np.testing.assert_array_equal(fold.test_sites, expected)
    np.testing.assert_array_equal(fold.train_sites, ~expected)
    box = ((-125, 25), (-100, 25), (-100, 50), (-125, 50))
    (fold,) = folds_of(sites, name="custom", polygon=box)
    np.testing.assert_array_equal(fold.test_sites, sites.lon <= -100)


def test_custom_excludes_held_out_cells_from_training() -> None:
    sites = some_sites()
    shared = dataclasses.replace(sites, group=np.where(np.arange(20) == 4, 3, sites.group))
    (fold,) = folds_of(shared, name="custom", sites=["s3"])
    assert not fold.train_sites[[3, 4]].any()
    np.testing.assert_array_equal(np.flatnonzero(fold.test_sites), [3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"needs holdout\.sites, holdout\.networks or holdout\.polygon"),
        ({"sites": ["s99"]}, r"has 's99', which is not in the dataset"),
        ({"networks": ["nett1"]}, r"Did you mean 'net1'"),
        ({"polygon": ((0, 0), (1, 0), (0, 1))}, r"No site lies in holdout\.polygon"),
        ({"polygon": ((0, 0), (1, 1), (1, 0), (0, 1))}, r"holdout\.polygon is invalid: Self-intersection"),
        ({"networks": ["net0", "net1", "net2"]}, r"holds out all 20 sites"),
    ],
)
def test_an_invalid_custom_holdout_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        folds_of(some_sites(), name="custom", **options)


def test_temporal_default_is_the_papers_split() -> None:
    (fold,) = folds_of(some_sites(), name="temporal")
    assert (DAYS[fold.test_days][0], DAYS[fold.test_days][-1]) == (
        pd.Timestamp("2015-04-01"),
        pd.Timestamp("2016-03-31"),
    )
    assert (DAYS[fold.train_days][0], DAYS[fold.train_days][-1]) == (
        pd.Timestamp("2016-04-01"),
        pd.Timestamp("2020-12-31"),
    )


def recorded(sites: SiteInfo, targets: tuple[str, ...], **from_to: tuple[str, str]) -> SiteInfo:
    """Sites whose records have values from a first to a last day."""
    days = {
        n: np.asarray((sites.days >= first) & (sites.days <= last)) for n, (first, last) in from_to.items()
    }
    return dataclasses.replace(sites, target_days=days, targets=targets)


LONG = pd.date_range("2010-01-01", "2021-06-30")
BOTH = {"sm_insitu": ("2010-03-01", "2020-12-31"), "sm_smap": ("2015-03-31", "2021-03-31")}


@pytest.mark.parametrize(
    ("targets", "test", "train"),
    [
        (("sm_insitu", "sm_smap"), ("2015-03-31", "2016-03-30"), ("2016-03-31", "2021-03-31")),
        (("sm_smap",), ("2015-03-31", "2016-03-30"), ("2016-03-31", "2021-03-31")),
        (("sm_insitu",), ("2010-03-01", "2011-02-28"), ("2011-03-01", "2020-12-31")),
    ],
)
def test_temporal_default_begins_with_the_targets(
    targets: tuple[str, ...], test: tuple[str, str], train: tuple[str, str]
) -> None:
    """Forcings begin earlier and end later; with SMAP as a target, no test before SMAP."""
    (fold,) = folds_of(recorded(some_sites(days=LONG), targets, **BOTH), name="temporal")
    for mask, period in ((fold.test_days, test), (fold.train_days, train)):
        assert [str(d.date()) for d in LONG[mask][[0, -1]]] == list(period)


def test_a_temporal_test_needs_soil_moisture() -> None:
    sites = recorded(some_sites(days=LONG), ("sm_smap",), **BOTH)
    periods = {"train": {"start": "2016-01-01", "end": "2017-12-31"}, "name": "temporal"}
    message = (
        r"holdout.test is 2010-01-01 to 2010-02-01, but no site has soil moisture on these days. "
        r"The dataset has sm_insitu from 2010-03-01 to 2020-12-31 and sm_smap from 2015-03-31"
    )
    with pytest.raises(ConfigError, match=message):
        folds_of(sites, test={"start": "2010-01-01", "end": "2010-02-01"}, **periods)
    # In-situ records before SMAP can be tested with explicit periods.
    (fold,) = folds_of(sites, test={"start": "2012-01-01", "end": "2012-12-31"}, **periods)
    assert fold.test_days.sum() == 366


def test_impossible_holdouts_are_refused() -> None:
    with pytest.raises(ConfigError, match="too short for the default temporal holdout"):
        folds_of(some_sites(days=DAYS[:500]), name="temporal")
    short = recorded(some_sites(days=LONG), ("sm_smap",), sm_smap=("2015-04-01", "2016-10-01"))
    with pytest.raises(
        ConfigError, match=r"550 days with targets \(sm_smap: 2015-04-01 to 2016-10-01\): too short"
    ):
        folds_of(short, name="temporal")
    with pytest.raises(ConfigError, match=r"needs both holdout.train and holdout.test, or neither"):
        folds_of(
            some_sites(), name="temporal", train={"start": dt.date(2015, 4, 1), "end": dt.date(2015, 5, 1)}
        )
    with pytest.raises(
        ConfigError, match=r"holdout.train is 2030-01-01 to 2030-02-01, but the dataset covers 2015-04-01"
    ):
        folds_of(some_sites(), name="random_spatial", train={"start": "2030-01-01", "end": "2030-02-01"})
