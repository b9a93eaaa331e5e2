"""A fold of a comparison model: the network's sites and days, no leakage, errors that help."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from gsm3core.baselines import BASELINES, predict_fold
from gsm3core.baselines.training_record import training_record
from gsm3core.config import ExperimentConfig
from gsm3core.errors import CancelledError, ConfigError, DatasetError, TrainingError
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import record_span
from support.small_world import TINY, make_dataset

CONFIG = ExperimentConfig.from_mapping(TINY)


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here does not depend on how many there are."""
    monkeypatch.setattr("gsm3core.baselines.gradient_boosting.TREES", 30)
    monkeypatch.setattr("gsm3core.baselines.gradient_boosting._TREES_AT_ONCE", 20)


def spatial(ds: xr.Dataset) -> Fold:
    test = np.arange(ds.sizes["site"]) % 4 == 1
    days = np.ones(ds.sizes["time"], bool)
    return Fold(name="fold1", train_sites=~test, test_sites=test, train_days=days, test_days=days)


def temporal(ds: xr.Dataset) -> Fold:
    everywhere, early = np.ones(ds.sizes["site"], bool), np.arange(ds.sizes["time"]) < 250
    return Fold(
        name="temporal", train_sites=everywhere, test_sites=everywhere, train_days=early, test_days=~early
    )


def with_gaps() -> xr.Dataset:
    """Sites with records of their own, gaps in the forcings, and one without a single target."""
    ds = make_dataset(9, 400)
    for name in ("precipitation", "air_temperature"):
        ds[name][1, :90] = np.nan
        ds[name][2, 300:] = np.nan
        ds[name][5, 40:60] = np.nan
    ds["clay"][3] = np.nan
    for name in ("sm_insitu", "sm_smap"):
        ds[name][4] = np.nan
    return ds


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("divide", [spatial, temporal])
def test_a_prediction_stands_where_the_networks_does(name: str, divide) -> None:
    ds = with_gaps()
    fold = divide(ds)
    predicted = predict_fold(name, ds, fold, CONFIG)
    assert predicted.name == "sm_predicted" and predicted.dims == ("site", "time")
    assert predicted.dtype == np.float32 and predicted.attrs["units"] == "m3 m-3"
    np.testing.assert_array_equal(predicted["site"], ds["site"].values[fold.test_sites])
    np.testing.assert_array_equal(predicted["time"], ds["time"])
    span = record_span(ds, ["precipitation", "air_temperature"])
    np.testing.assert_array_equal(np.isfinite(predicted.values), span[fold.test_sites])
    assert float(predicted.min()) >= 0 and float(predicted.max()) <= 1


@pytest.mark.parametrize("name", BASELINES)
def test_what_is_not_possible_is_clipped_and_counted(name: str) -> None:
    ds = make_dataset(8, 300)
    ds["sm_insitu"] = ds["sm_insitu"] - 0.5
    predicted = predict_fold(name, ds, spatial(ds), CONFIG)
    assert predicted.attrs["clipped"] == int((predicted == 0).sum()) > 100


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("divide", [spatial, temporal])
def test_held_out_targets_change_nothing(name: str, divide) -> None:
    ds = with_gaps()
    fold = divide(ds)
    before = predict_fold(name, ds, fold, CONFIG)
    rng = np.random.default_rng(3)
    held_out = ~(fold.train_sites[:, None] & fold.train_days)
    for target in ("sm_insitu", "sm_smap"):
        junk = np.where(rng.random(held_out.shape) < 0.3, np.nan, rng.random(held_out.shape))
        ds[target].values[:] = np.where(held_out, junk, ds[target].values)
    xr.testing.assert_identical(before, predict_fold(name, ds, fold, CONFIG))


@pytest.mark.parametrize("name", BASELINES)
def test_training_targets_change_it(name: str) -> None:
    """The other side of the test above: what trains is read, and a constant added comes out again."""
    ds = make_dataset(8, 300).drop_vars("sm_smap")
    fold = spatial(ds)
    # Multiples of 1/1024: the sum is exact, and no tie between two splits of a tree is decided by its rounding.
    ds["sm_insitu"] = (ds["sm_insitu"] * 1024).round() / 1024
    before = predict_fold(name, ds, fold, CONFIG)
    ds["sm_insitu"] = ds["sm_insitu"] + 0.125
    after = predict_fold(name, ds, fold, CONFIG)
    np.testing.assert_allclose((after - before).values, 0.125, atol=1e-3)


@pytest.mark.parametrize("name", BASELINES)
def test_other_sites_forcings_change_nothing_but_training(name: str) -> None:
    """A held-out site's prediction does not depend on which other sites are held out with it."""
    ds = make_dataset(10, 300)
    fold = spatial(ds)
    whole = predict_fold(name, ds, fold, CONFIG)
    one = np.zeros(10, bool)
    one[1] = True
    alone = Fold(
        name="one",
        train_sites=fold.train_sites,
        test_sites=one,
        train_days=fold.train_days,
        test_days=fold.test_days,
    )
    np.testing.assert_allclose(
        predict_fold(name, ds, alone, CONFIG).values[0], whole.sel(site="S001").values, atol=1e-6
    )


@pytest.mark.parametrize("name", BASELINES)
def test_twice_is_the_same(name: str) -> None:
    ds = make_dataset(8, 200)
    xr.testing.assert_identical(
        predict_fold(name, ds, spatial(ds), CONFIG), predict_fold(name, ds, spatial(ds), CONFIG)
    )


def test_lessons_hold_training_values_alone() -> None:
    ds = with_gaps()
    fold = temporal(ds)
    taught = training_record(ds, fold, CONFIG)
    assert list(taught.streams) == ["sm_insitu", "sm_smap"] and taught.reference == "sm_insitu"
    span = record_span(ds, ["precipitation", "air_temperature"])
    for name, values in taught.streams.items():
        expected = (
            ds[name]
            .where(xr.DataArray(fold.train_days, dims="time"))
            .where(xr.DataArray(span, dims=("site", "time")))
        )
        np.testing.assert_array_equal(values, expected.values)


def test_a_site_without_a_station_has_the_satellite() -> None:
    ds = make_dataset(6, 300)
    ds["sm_insitu"][2] = np.nan
    taught = training_record(ds, temporal(ds), CONFIG)
    own = taught.of_site()
    np.testing.assert_array_equal(own[2], taught.streams["sm_smap"][2])
    np.testing.assert_array_equal(own[1], taught.streams["sm_insitu"][1])


def test_work_is_told_and_can_be_stopped() -> None:
    ds = make_dataset(6, 200)
    heard: list[float] = []

    def tell(event: str, *, fold: str, done: float) -> None:
        assert (event, fold) == ("progress", "fold1")
        heard.append(done)

    for name in BASELINES:
        heard.clear()
        predict_fold(name, ds, spatial(ds), CONFIG, tell)
        assert heard == sorted(heard) and heard[-1] == 1.0
    for name in ("gradient_boosting", "api_bucket"):
        with pytest.raises(CancelledError):
            predict_fold(name, ds, spatial(ds), CONFIG, cancelled=lambda: True)


def test_errors_name_what_is_wrong() -> None:
    ds = make_dataset(6, 200)
    with pytest.raises(ConfigError, match=r"'climatologie' is not known.*'climatology'"):
        predict_fold("climatologie", ds, spatial(ds), CONFIG)
    with pytest.raises(ConfigError, match="'precipitation' among the forcings; it has air_temperature"):
        predict_fold("api_bucket", ds, spatial(ds), CONFIG.replace("data", forcings=("air_temperature",)))
    with pytest.raises(DatasetError, match=r"forcing 'rain' is not in the dataset.*precipitation"):
        predict_fold("gradient_boosting", ds, spatial(ds), CONFIG.replace("data", forcings=("rain",)))
    with pytest.raises(DatasetError, match="no forcing"):
        predict_fold("climatology", ds.drop_vars(["precipitation", "air_temperature"]), spatial(ds), CONFIG)
    fold = spatial(ds)
    for target in ("sm_insitu", "sm_smap"):
        ds[target] = ds[target].where(xr.DataArray(fold.test_sites, dims="site"))
    for name in BASELINES:
        with pytest.raises(TrainingError, match="fold1: no soil moisture to train on"):
            predict_fold(name, ds, fold, CONFIG)
