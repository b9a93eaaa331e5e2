"""A target under another name, as an attribute or a forcing, is not an input; what is known of a place is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from gsm3core.baselines import predict_fold
from gsm3core.config import DataConfig, ExperimentConfig
from gsm3core.errors import ConfigError
from gsm3core.experiment.folds import folds_of
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import fit_scaler, fold_attributes
from gsm3core.scaling.copied_targets import copied_statistic, target_statistics
from support.small_world import make_dataset

PERIODS = {
    "train": {"start": "2016-04-01", "end": "2017-06-07"},
    "test": {"start": "2015-04-01", "end": "2016-03-31"},
}
HOLDOUTS: dict[str, dict[str, Any]] = {
    "temporal": {"name": "temporal", **PERIODS},
    "random_spatial": {"name": "random_spatial", "folds": 3},
}


def world() -> xr.Dataset:
    """Without clay, which determines the soil moisture of this world alone."""
    return make_dataset(n_sites=60, n_days=799, seed=3).drop_vars("clay")


def fold_of(ds: xr.Dataset, holdout: str) -> Fold:
    return folds_of(ds, ExperimentConfig.from_mapping({"holdout": HOLDOUTS[holdout]}))[0]


def disguised(ds: xr.Dataset) -> dict[str, np.ndarray]:
    """The mean of SMAP as a user's table may contain it."""
    values_ST = ds.sm_smap.transpose("site", "time").values.astype(float)
    mean = np.nanmean(values_ST, axis=1)
    rng = np.random.default_rng(0)
    return {
        "rounded percent": np.round(100 * mean),
        "noisy": mean + rng.normal(0, 0.05 * mean.std(), mean.size),
        "logarithm": np.log(mean),
        "reciprocal": 1 / mean,
        "rank": mean.argsort().argsort().astype(float),
        "every second day": np.nanmean(values_ST[:, ::2], axis=1),
        "twenty classes": np.digitize(mean, np.quantile(mean, np.arange(1, 20) / 20)).astype(float),
    }


@pytest.mark.parametrize("holdout", HOLDOUTS)
@pytest.mark.parametrize("disguise", disguised(world()))
def test_a_disguised_mean_is_left_out(holdout: str, disguise: str) -> None:
    ds = world()
    attrs: dict[str, Any] = {"units": "1", "source": "a user's table"}
    if "classes" in disguise:
        attrs["flag_values"] = np.arange(20)
    ds["wetness"] = ("site", disguised(ds)[disguise].astype(np.float32), attrs)
    _, chosen = fold_attributes(ds, fold_of(ds, holdout), DataConfig())
    assert set(chosen.dropped) == {"wetness"}
    assert ", which is held out" in chosen.dropped["wetness"]


def test_what_is_only_related_to_a_target_stays() -> None:
    """A rank correlation of 0.9 is more than any natural attribute of 330 real cells has (0.85)."""
    ds = world()
    mean = np.nanmean(ds.sm_smap.transpose("site", "time").values.astype(float), axis=1)
    rank = mean.argsort().argsort() / 60
    related = rank + np.random.default_rng(1).normal(0, 0.15, 60)
    fold = fold_of(ds, "random_spatial")
    found = np.corrcoef(related.argsort().argsort(), rank)[0, 1]
    assert 0.87 < found < 0.95
    assert copied_statistic(related[fold.train_sites], target_statistics(ds, fold, ["sm_smap"])) is None


def test_one_extreme_site_does_not_make_a_copy() -> None:
    ds = world()
    fold = fold_of(ds, "random_spatial")
    statistics = target_statistics(ds, fold, ["sm_smap"])
    other = np.random.default_rng(2).normal(size=int(fold.train_sites.sum()))
    extreme = [s._replace(values=np.r_[1e3, s.values[1:]]) for s in statistics]
    other[0] = 1e4
    assert np.corrcoef(other, extreme[0].values)[0, 1] > 0.99
    assert copied_statistic(other, [s for s in extreme if s.name == "mean"]) != (
        "sm_smap",
        "near copy of the mean",
    )


@pytest.mark.parametrize("target", ["sm_insitu", "sm_smap"])
@pytest.mark.parametrize("holdout", HOLDOUTS)
@pytest.mark.parametrize("disguise", ["percent", "anomaly", "yesterday", "tomorrow"])
def test_a_daily_copy_is_refused(holdout: str, disguise: str, target: str) -> None:
    ds = world()
    daily = ds[target].transpose("site", "time")
    copies = {
        "percent": 100 * daily,
        "anomaly": (daily - daily.mean("time")) / daily.std("time"),
        "yesterday": daily.shift(time=1),
        "tomorrow": daily.shift(time=-1),
    }
    ds["wetness"] = copies[disguise].astype(np.float32).assign_attrs(units="1", source="a user's table")
    fold = fold_of(ds, holdout)
    with pytest.raises(ConfigError, match=rf"forcing 'wetness' has the values of {target}: .*data\.forcings"):
        fit_scaler(ds, fold, DataConfig())
    with pytest.raises(ConfigError, match="forcing 'wetness'"):
        predict_fold("gradient_boosting", ds, fold, ExperimentConfig())
    others = DataConfig(forcings=("precipitation", "air_temperature"))
    assert "wetness" not in fit_scaler(ds, fold, others).forcings


def test_a_forcing_may_be_related_to_a_target() -> None:
    """A signal with a correlation in time of about 0.9 is no copy."""
    ds = world()
    daily = ds.sm_insitu.transpose("site", "time")
    noise = np.random.default_rng(4).normal(0, 0.5, daily.shape) * daily.std("time").values[:, None]
    ds["model"] = (daily + noise).astype(np.float32).assign_attrs(units="m3 m-3", source="a user's table")
    assert "model" in fit_scaler(ds, fold_of(ds, "random_spatial"), DataConfig()).forcings
