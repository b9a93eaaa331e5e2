"""Baselines on one fold: the network's sites and days, no leakage, error messages."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from gsm3core.baselines import BASELINES, api_bucket, predict_fold
from gsm3core.baselines.training_record import training_record
from gsm3core.config import ExperimentConfig
from gsm3core.errors import CancelledError, ConfigError, DatasetError, TrainingError
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import record_span
from support.small_world import TINY, make_dataset

CONFIG = ExperimentConfig.from_mapping(TINY)


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer trees for speed; the tests do not depend on their number."""
    monkeypatch.setattr("gsm3core.baselines.gradient_boosting.TREES", 30)
    monkeypatch.setattr("gsm3core.baselines.gradient_boosting._TREES_PER_CALL", 20)


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
    """Sites with different records, gaps in the forcings, and one site without targets."""
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
def test_predictions_cover_the_networks_sites_and_days(name: str, divide) -> None:
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
def test_values_outside_0_to_1_are_clipped_and_counted(name: str) -> None:
    ds = make_dataset(8, 300)
    ds["sm_insitu"] = ds["sm_insitu"] - 0.5
    predicted = predict_fold(name, ds, spatial(ds), CONFIG)
    assert predicted.attrs["clipped"] == int((predicted == 0).sum()) > 100


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("divide", [spatial, temporal])
def test_held_out_targets_do_not_change_predictions(name: str, divide) -> None:
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
def test_training_targets_change_predictions(name: str) -> None:
    """A constant added to the training targets is added to the predictions."""
    ds = make_dataset(8, 300).drop_vars("sm_smap")
    fold = spatial(ds)
    # Multiples of 1/1024: the sum is exact, so rounding decides no tie between two splits of a tree.
    ds["sm_insitu"] = (ds["sm_insitu"] * 1024).round() / 1024
    before = predict_fold(name, ds, fold, CONFIG)
    ds["sm_insitu"] = ds["sm_insitu"] + 0.125
    after = predict_fold(name, ds, fold, CONFIG)
    np.testing.assert_allclose((after - before).values, 0.125, atol=1e-3)


@pytest.mark.parametrize("name", BASELINES)
def test_predictions_do_not_depend_on_other_test_sites(name: str) -> None:
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
def test_predictions_are_reproducible(name: str) -> None:
    ds = make_dataset(8, 200)
    xr.testing.assert_identical(
        predict_fold(name, ds, spatial(ds), CONFIG), predict_fold(name, ds, spatial(ds), CONFIG)
    )


def test_training_records_hold_only_training_values() -> None:
    ds = with_gaps()
    fold = temporal(ds)
    training = training_record(ds, fold, CONFIG)
    assert list(training.streams) == ["sm_insitu", "sm_smap"] and training.reference == "sm_insitu"
    span = record_span(ds, ["precipitation", "air_temperature"])
    for name, values in training.streams.items():
        expected = (
            ds[name]
            .where(xr.DataArray(fold.train_days, dims="time"))
            .where(xr.DataArray(span, dims=("site", "time")))
        )
        np.testing.assert_array_equal(values, expected.values)


def test_a_site_without_in_situ_has_the_satellite_record() -> None:
    ds = make_dataset(6, 300)
    ds["sm_insitu"][2] = np.nan
    training = training_record(ds, temporal(ds), CONFIG)
    own = training.by_site()
    np.testing.assert_array_equal(own[2], training.streams["sm_smap"][2])
    np.testing.assert_array_equal(own[1], training.streams["sm_insitu"][1])


def test_progress_is_emitted_and_work_can_be_cancelled() -> None:
    ds = make_dataset(6, 200)
    received: list[float] = []

    def emit(event: str, *, fold: str, done: float) -> None:
        assert (event, fold) == ("progress", "fold1")
        received.append(done)

    for name in BASELINES:
        received.clear()
        predict_fold(name, ds, spatial(ds), CONFIG, emit)
        assert received == sorted(received) and received[-1] == 1.0
    for name in ("gradient_boosting", "api_bucket"):
        with pytest.raises(CancelledError):
            predict_fold(name, ds, spatial(ds), CONFIG, cancelled=lambda: True)


def test_errors_name_the_value() -> None:
    ds = make_dataset(6, 200)
    with pytest.raises(ConfigError, match=r"'climatologie' is not known.*'climatology'"):
        predict_fold("climatologie", ds, spatial(ds), CONFIG)
    with pytest.raises(ConfigError, match=r"needs precipitation among.*data\.forcings has air_temp"):
        predict_fold("api_bucket", ds, spatial(ds), CONFIG.replace("data", forcings=("air_temperature",)))
    with pytest.raises(DatasetError, match=r"(?s)forcing 'rain' is not in the dataset.*precipitation"):
        predict_fold("gradient_boosting", ds, spatial(ds), CONFIG.replace("data", forcings=("rain",)))
    with pytest.raises(DatasetError, match="no forcing"):
        predict_fold("climatology", ds.drop_vars(["precipitation", "air_temperature"]), spatial(ds), CONFIG)
    fold = spatial(ds)
    for target in ("sm_insitu", "sm_smap"):
        ds[target] = ds[target].where(xr.DataArray(fold.test_sites, dims="site"))
    for name in BASELINES:
        with pytest.raises(TrainingError, match="fold1: no soil moisture to train on"):
            predict_fold(name, ds, fold, CONFIG)


@pytest.mark.parametrize("name", ["api_bucket", "gradient_boosting"])
def test_predictions_are_spun_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the record began a year earlier with the same forcings; targets stay where they are."""
    ds = make_dataset(8, 500)
    longer = ds.isel(time=[*range(365), *range(500)]).assign_coords(
        time=ds.time.values[0] + np.arange(-365, 500) * np.timedelta64(1, "D")
    )
    for target in ("sm_insitu", "sm_smap"):
        longer[target][:, :365] = np.nan
    fold = temporal(ds)
    earlier = Fold(
        name="temporal", train_sites=fold.train_sites, test_sites=fold.test_sites,
        train_days=np.append(np.zeros(365, bool), fold.train_days),
        test_days=np.append(np.zeros(365, bool), fold.test_days),
    )  # fmt: skip
    cold, spun_up = CONFIG.replace("training", spin_up_days=0), CONFIG.replace("training", spin_up_days=365)
    # The fit of the bucket is not spun up: both are fitted on the same days.
    bucket = api_bucket.fit_bucket
    monkeypatch.setattr(
        api_bucket, "fit_bucket", lambda r, t, mean, **how: bucket(r[:, -500:], t[:, -500:], mean, **how)
    )
    found = predict_fold(name, ds, fold, spun_up)
    expected = predict_fold(name, longer, earlier, cold)
    np.testing.assert_allclose(found.values, expected.values[:, 365:], atol=1e-6)
    assert abs(found.values - predict_fold(name, ds, fold, cold).values)[:, :30].max() > 1e-3
