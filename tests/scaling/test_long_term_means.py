"""Long-term means among the attributes: nothing that a test must not know reaches the network, in any holdout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from gsm3core.assembly.sites import build
from gsm3core.baselines import gradient_boosting, predict_fold
from gsm3core.baselines.features import feature_table
from gsm3core.baselines.gradient_boosting import predict_by_boosting
from gsm3core.config import DataConfig, ExperimentConfig
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.experiment.folds import folds_of
from gsm3core.holdouts.base import Fold
from gsm3core.prediction import Records
from gsm3core.scaling import Scaler, fit_scaler, fold_attributes, with_means
from gsm3core.scaling.long_term_means import mean_over
from gsm3core.schema import attribute_names, forcing_names, target_names
from gsm3core.windows import training_windows
from support.small_world import make_dataset

PERIODS = {
    "train": {"start": "2016-04-01", "end": "2017-06-07"},
    "test": {"start": "2015-04-01", "end": "2016-03-31"},
}
HOLDOUTS: dict[str, dict[str, Any]] = {
    "temporal": {"name": "temporal", **PERIODS},
    "random_spatial": {"name": "random_spatial", "folds": 3},
    "spatial_block": {"name": "spatial_block", "folds": 2, "block_km": 800},
    "cross_continental": {"name": "cross_continental"},
    "custom": {"name": "custom", "networks": ["net1"], "sites": ["S004"]},
}
SPATIAL = [name for name in HOLDOUTS if name != "temporal"]
TARGET_MEANS = {"mean_sm_smap", "smap_level", "mean_sm_insitu", "wet_percent"}


def records(seed: int = 0) -> xr.Dataset:
    """Targets, forcings, and a daily and a monthly record that are only averaged."""
    ds = make_dataset(n_sites=24, n_days=799, seed=seed)
    rng = np.random.default_rng(seed)
    month = ds.time.values.astype("datetime64[M]").astype(int)
    albedo = rng.uniform(0.1, 0.3, (24, 799))
    ndvi = rng.uniform(0.2, 0.7, (24, month.max() + 1))[:, month]
    attrs = {"units": "1", "source": "simulated for tests"}
    for name, values, more in (
        ("mean_albedo_record", albedo, {"record_of": "albedo_white_sky"}),
        ("ndvi_record", ndvi, {"record_of": "ndvi", "time_step": "P1M"}),
    ):
        ds[name] = (("site", "time"), values.astype(np.float32), attrs | more)
    return ds


def with_attributes(ds: xr.Dataset, *, copies: bool = True) -> xr.Dataset:
    """Add attributes as a build would make them: means over all days of the records."""

    def mean(name: str, **attrs: str) -> xr.DataArray:
        units = {"units": ds[name].attrs["units"], "source": "simulated for tests"}
        return ds[name].mean("time").astype(np.float32).assign_attrs(units | attrs)

    days = {"period_start": "2015-04-01", "period_end": "2017-06-07"}
    static = ds.elevation.astype(np.float32)
    made = {
        "mean_sm_smap": mean("sm_smap"),
        "smap_level": mean("sm_smap", mean_of="sm_smap", **days),
        "mean_air_temperature": mean("air_temperature", mean_of="air_temperature", **days),
        "mean_precipitation": mean("precipitation", averaged="2015-04-01 to 2017-06-07, at least 30 days"),
        "mean_albedo": mean("mean_albedo_record", mean_of="mean_albedo_record", **days),
        "ndvi": mean("ndvi_record", mean_of="ndvi_record", **days),
        "lst_2015": (static * 2).assign_attrs(static.attrs, mean_of="lst", **days),
        "lst_2010": (static * 3).assign_attrs(
            static.attrs, mean_of="lst", period_start="2001-01-01", period_end="2010-12-31"
        ),
    }
    if copies:
        made["mean_sm_insitu"] = mean("sm_insitu")
        made["wet_percent"] = (100 * mean("sm_insitu") + 3).assign_attrs(static.attrs)
        made["station_level"] = mean("sm_insitu").rename("station_level")
    return ds.assign({n: a.drop_attrs(deep=False).assign_attrs(a.attrs) for n, a in made.items()})


def config_of(holdout: str) -> ExperimentConfig:
    return ExperimentConfig.from_mapping({"holdout": HOLDOUTS[holdout]})


def perturbed(ds: xr.Dataset, fold: Fold) -> xr.Dataset:
    """Other values wherever the fold tests: targets at held-out sites; on held-out days everything daily."""
    rng = np.random.default_rng(7)
    held_sites = (fold.test_sites & ~fold.train_sites)[:, None] & np.ones(ds.sizes["time"], bool)
    held_days = np.ones((ds.sizes["site"], 1), bool) & (fold.test_days & ~fold.train_days)
    out = ds.copy(deep=True)
    for name in ("sm_insitu", "sm_smap", *forcing_names(ds), "mean_albedo_record", "ndvi_record"):
        where = held_days | held_sites if name in target_names(ds) else held_days
        other = rng.uniform(0, 1, where.shape) * (300 if name == "air_temperature" else 1)
        values = ds[name].transpose("site", "time").values
        out[name] = (
            ("site", "time"),
            np.where(where & np.isfinite(values), other, values).astype(np.float32),
            ds[name].attrs,
        )
    return out


def given_to_the_network(ds: xr.Dataset, fold: Fold) -> dict[str, Any]:
    """Everything that training and prediction use of a fold, apart from the forcings of test days."""
    scaler = fit_scaler(ds, fold, DataConfig())
    windows = training_windows(
        ds, fold, scaler, targets=["sm_insitu", "sm_smap"], window=60, warmup=0, device=torch.device("cpu")
    )
    usable, chosen = fold_attributes(ds, fold, DataConfig())
    attributes = [n for n in chosen.names if n in attribute_names(usable)]
    table = feature_table(usable, forcing_names(usable), attributes, fold.train_sites)
    whole_record = Records.of(
        ds, scaler, fold.test_sites, ExperimentConfig().training.model_copy(update={"spin_up_days": 0})
    )
    return {
        "scaler": scaler,
        "chosen": chosen,
        "columns": table.columns,
        "attributes": windows.c_SA.numpy(),
        "attributes of test sites": whole_record.c_SA,
        "baseline attributes": np.stack([usable[n].values for n in attributes]),
        "inputs on training days": windows.x_STF.numpy()[:, fold.train_days],
        **{f"target {n}": s.target_ST.numpy() for n, s in windows.streams.items()},
    }


@pytest.mark.parametrize("rebuilt", [True, False], ids=["attributes rebuilt", "attributes as stored"])
@pytest.mark.parametrize("holdout", HOLDOUTS)
def test_nothing_of_the_test_data_reaches_the_network(holdout: str, rebuilt: bool) -> None:
    """Bit for bit. Copies under other names are known by their values, so they are only tested rebuilt."""
    raw = records()
    ds = with_attributes(raw, copies=rebuilt)
    folds = folds_of(ds, config_of(holdout))
    assert (
        len(folds)
        == {"temporal": 1, "random_spatial": 3, "spatial_block": 2, "cross_continental": 3, "custom": 1}[
            holdout
        ]
    )
    for fold in folds:
        other = perturbed(raw, fold)
        stored = {n: ds[n] for n in attribute_names(ds)}
        changed = with_attributes(other) if rebuilt else other.assign(stored)
        before, after = given_to_the_network(ds, fold), given_to_the_network(changed, fold)
        assert before.keys() == after.keys()
        for name, value in before.items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, after[name], err_msg=name)
            else:
                assert value == after[name], name


@pytest.mark.parametrize("holdout", SPATIAL)
def test_means_of_a_target_are_left_out_where_sites_are_held_out(holdout: str) -> None:
    ds = with_attributes(records())
    for fold in folds_of(ds, config_of(holdout)):
        usable, chosen = fold_attributes(ds, fold, DataConfig())
        assert set(chosen.dropped) == TARGET_MEANS | {"station_level"}
        assert not set(chosen.dropped) & set(attribute_names(usable))
        assert chosen.dropped["smap_level"] == "mean of sm_smap, which is held out at the test sites"
        assert chosen.dropped["wet_percent"].startswith("mean in other units of sm_insitu")
        assert set(chosen.means) == {"mean_air_temperature", "mean_albedo", "ndvi"}
        assert {"clay", "land_cover", "lst_2015", "lst_2010", "mean_precipitation"} <= set(chosen.names)
        scaler = fit_scaler(ds, fold, DataConfig())
        assert set(scaler.attribute_names) == set(chosen.names)


def test_means_are_those_of_the_training_days_where_days_are_held_out() -> None:
    ds = with_attributes(records())
    (fold,) = folds_of(ds, config_of("temporal"))
    usable, chosen = fold_attributes(ds, fold, DataConfig())
    assert set(chosen.dropped) == {"lst_2015", "wet_percent"}
    assert "include test days" in chosen.dropped["lst_2015"]
    train = ds.sel(time=slice("2016-04-01", "2017-06-07"))
    for name, record in {
        "mean_sm_smap": "sm_smap", "smap_level": "sm_smap", "mean_sm_insitu": "sm_insitu", "station_level": "sm_insitu",
        "mean_air_temperature": "air_temperature", "mean_precipitation": "precipitation",
        "mean_albedo": "mean_albedo_record",
    }.items():  # fmt: skip
        expected = np.nanmean(train[record].values.astype(float), axis=1)
        np.testing.assert_allclose(usable[name], expected, rtol=1e-6, err_msg=name)
        assert not np.allclose(usable[name], ds[name], rtol=1e-6), "the stored mean includes test days"
        assert usable[name].attrs["period_start"] == "2016-04-01"
    # June 2017 is cut off by the end of the record: no test day is in it.
    months = train.ndvi_record.groupby("time.year").map(lambda y: y.groupby("time.month").first())
    np.testing.assert_allclose(usable.ndvi, np.nanmean(months.values.reshape(24, -1), axis=1), rtol=1e-6)
    assert chosen.notes[0].startswith(
        "Attributes averaged over the training days (2016-04-01 to 2017-06-07): mean_air"
    )
    assert chosen.notes[1].startswith(
        "Attributes left out: lst_2015 (its days 2015-04-01 to 2017-06-07 include test days"
    )


def test_a_month_with_test_days_is_not_averaged() -> None:
    days = np.arange("2015-04-01", "2016-08-01", dtype="datetime64[D]").astype("datetime64[ns]")
    month = days.astype("datetime64[M]").astype(int)
    record = xr.DataArray(
        (month - month[0]).astype(float)[None],
        dims=("site", "time"),
        coords={"time": days},
        attrs={"time_step": "P1M"},
    )
    middle = days >= np.datetime64("2015-06-15")
    assert float(mean_over(record, middle)[0]) == np.mean(np.arange(3, 16)), "June 2015 has earlier days"
    assert np.isnan(mean_over(record, days >= np.datetime64("2015-09-15"))[0]), "fewer than 12 months"
    daily = record.drop_attrs()
    assert np.isnan(mean_over(daily, days < np.datetime64("2015-04-30"))[0]), "fewer than 30 days"


def test_named_attributes_are_refused_together() -> None:
    ds = with_attributes(records())
    data = DataConfig(attributes=("clay", "mean_sm_smap", "station_level"))
    fold = folds_of(ds, config_of("random_spatial"))[0]
    with pytest.raises(ConfigError) as error:
        fit_scaler(ds, fold, data)
    text = str(error.value)
    assert text.startswith("fold fold_1: data.attributes names attributes that the holdout must not use:")
    assert "- mean_sm_smap: mean of sm_smap, which is held out at the test sites" in text
    assert "- station_level: mean of sm_insitu" in text and "clay" not in text
    assert text.endswith("Remove them from data.attributes.")
    (temporal,) = folds_of(ds, config_of("temporal"))
    assert fit_scaler(ds, temporal, data).means == {"mean_sm_smap": "sm_smap", "station_level": "sm_insitu"}


def test_an_in_situ_mean_without_its_record_is_no_input_at_held_out_sites() -> None:
    ds = with_attributes(records()).drop_vars(["sm_insitu", "wet_percent", "station_level"])
    (fold,) = folds_of(ds, config_of("custom"))
    _, chosen = fold_attributes(ds, fold, DataConfig())
    assert (
        chosen.dropped["mean_sm_insitu"]
        == "mean of in-situ soil moisture, which a held-out site does not have"
    )


def test_a_satellite_that_is_no_target_exists_at_held_out_sites() -> None:
    ds = with_attributes(records()).drop_vars("sm_smap")
    fold = folds_of(ds, config_of("random_spatial"))[0]
    assert "mean_sm_smap" in fold_attributes(ds, fold, DataConfig())[1].names
    (temporal,) = folds_of(ds, config_of("temporal"))
    assert "not known" in fold_attributes(ds, temporal, DataConfig())[1].dropped["mean_sm_smap"]


def test_prediction_elsewhere_averages_the_same_records(tmp_path: Path) -> None:
    ds = with_attributes(records())
    (fold,) = folds_of(ds, config_of("temporal"))
    fitted = fit_scaler(ds, fold, DataConfig(attributes=("clay", "mean_sm_smap", "mean_air_temperature")))
    fitted.save(tmp_path / "scaler.json")
    scaler = Scaler.load(tmp_path / "scaler.json")
    assert scaler == fitted and scaler.mean_days == ("2016-04-01", "2017-06-07")
    # On the run's own dataset: the training days, also for a part of the sites.
    own = scaler.scale_attributes(ds)
    np.testing.assert_array_equal(own[3:5], scaler.scale_attributes(ds.isel(site=[3, 4])))
    usable, _ = fold_attributes(ds, fold, DataConfig())
    np.testing.assert_array_equal(own, scaler.scale_attributes(usable))
    # Other days: all of them.
    later = ds.assign_coords(time=ds.time + np.timedelta64(1000, "D")).drop_vars(
        ["mean_sm_smap", "mean_air_temperature"]
    )
    means = with_means(later, scaler.means, scaler.mean_days)
    np.testing.assert_allclose(
        means.mean_sm_smap, np.nanmean(ds.sm_smap.values.astype(float), axis=1), rtol=1e-6
    )
    assert scaler.scale_attributes(later).shape == own.shape
    # Without a record the stored attribute is used; without both the error names it.
    empty = ds.assign(sm_smap=ds.sm_smap.where(False).assign_attrs(ds.sm_smap.attrs))
    np.testing.assert_array_equal(
        with_means(empty, scaler.means, scaler.mean_days).mean_sm_smap, ds.mean_sm_smap
    )
    with pytest.raises(DatasetError, match=r"attribute 'mean_sm_smap'.* is not in the dataset"):
        scaler.require_inputs(empty.drop_vars("mean_sm_smap"))


@pytest.mark.parametrize(
    ("start", "end", "kept"),
    [
        ("2001", "2010", True),
        ("2001", "2015", False),
        ("2001-01", "2015-03", True),
        ("2001-01", "2015-04", False),
        ("2017-06-07", "2015-04-01", False),
        ("unknown", "?", None),
        ("2001-01-01", None, None),
    ],
)
def test_stated_days_are_dates_in_any_order(start: str, end: str | None, kept: bool | None) -> None:
    """The last day of a year or month is its end."""
    ds = records()
    days = {"period_start": start} | ({"period_end": end} if end else {})
    ds["lst"] = (ds.elevation * 2).assign_attrs(ds.elevation.attrs | days)
    (fold,) = folds_of(ds, config_of("temporal"))
    if kept is None:
        with pytest.raises(DatasetError, match="attribute 'lst' states to average the days"):
            fold_attributes(ds, fold, DataConfig())
    else:
        assert ("lst" in fold_attributes(ds, fold, DataConfig())[1].names) == kept


def test_too_few_training_days_leave_the_stored_mean_where_it_is_allowed() -> None:
    ds = with_attributes(records().isel(time=slice(0, 200)))
    fold = folds_of(ds, config_of("random_spatial"))[0]
    usable, chosen = fold_attributes(ds, fold, DataConfig())
    assert "ndvi" in chosen.names and "ndvi" not in chosen.means, "7 months"
    np.testing.assert_array_equal(usable.ndvi, ds.ndvi)


def test_the_leak_on_real_cells_is_closed(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 SMAP cells, one of five folds: with the mean of SMAP as an input held-out RMSE falls by a fifth."""
    monkeypatch.setattr(gradient_boosting, "TREES", 100)
    ds = build("conus-smap", real_data / "smap_conus330.nc")
    chosen = np.sort(np.random.default_rng(0).permutation(ds.sizes["site"])[:200])
    ds = ds.isel(site=chosen, time=slice(0, 731)).load()
    leaky = ds.assign(mean_sm_smap=ds.sm_smap.mean("time").assign_attrs(units="m3 m-3", source="SMAP"))
    config = ExperimentConfig.from_mapping(
        {"model": {"name": "gradient_boosting"}, "holdout": HOLDOUTS["random_spatial"] | {"folds": 5}}
    )
    fold = folds_of(ds, config)[0]

    def rmse(predicted: xr.DataArray) -> float:
        error = predicted - ds.sm_smap.isel(site=fold.test_sites)
        return float(np.sqrt((error**2).mean("time")).median())

    without = predict_fold("gradient_boosting", ds, fold, config)
    np.testing.assert_array_equal(predict_fold("gradient_boosting", leaky, fold, config), without)
    unguarded = predict_by_boosting(leaky, fold, config, lambda *_, **__: None, lambda: False)
    assert rmse(unguarded) < 0.85 * rmse(without)
