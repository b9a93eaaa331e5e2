"""Prediction over whole records does not depend on pieces, batches or other sites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from gsm3core import prediction
from gsm3core.config import DataConfig, ExperimentConfig, ModelConfig
from gsm3core.models.multitask_lstm import MultitaskLSTM
from gsm3core.run import FoldFiles
from gsm3core.scaling import Scaler, fit_scaler
from support.folds import make_fold
from support.small_world import make_dataset

CPU = torch.device("cpu")


def fitted(ds: xr.Dataset, **options: object) -> tuple[MultitaskLSTM, Scaler]:
    scaler = fit_scaler(ds, make_fold(ds), DataConfig())
    torch.manual_seed(0)
    model = MultitaskLSTM(
        ModelConfig.model_validate({"hidden": 8, **options}),
        scaler.n_forcings,
        scaler.n_attributes,
        scaler.targets,
    )
    return model.eval(), scaler


def run_over(model: MultitaskLSTM, ds: xr.Dataset, scaler: Scaler, warmup: int = 0) -> prediction.Estimate:
    records = prediction.Records.of(ds, scaler, np.ones(ds.sizes["site"], bool))
    return prediction.estimate(model, records, scaler.target, warmup=warmup, device=CPU)


def predict(ds: xr.Dataset, warmup: int = 0) -> np.ndarray:
    model, scaler = fitted(ds)
    return run_over(model, ds, scaler, warmup).mean_ST


def test_pieces_and_batches_equal_one_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    ds = make_dataset(n_sites=7, n_days=150)
    model, scaler = fitted(ds)
    with torch.no_grad():
        whole = model(
            torch.tensor(scaler.scale_forcings(ds)), torch.tensor(scaler.scale_attributes(ds))
        ).numpy()
    expected = np.clip(scaler.target[0] + scaler.target[1] * whole, 0, 1)
    monkeypatch.setattr(prediction.records, "_SITES_AT_ONCE", 3)
    monkeypatch.setattr(prediction.records, "_DAYS_AT_ONCE", 40)
    np.testing.assert_allclose(predict(ds), expected, atol=1e-6)


def test_predictions_do_not_depend_on_other_sites_records() -> None:
    """In joined datasets the padding outside a site's record must not act as forcing."""
    ds = make_dataset(n_sites=4, n_days=300)
    for name in ("precipitation", "air_temperature"):
        ds[name].values[2, :180] = np.nan
        ds[name].values[3, 200:] = np.nan
    model, scaler = fitted(ds)
    found = run_over(model, ds, scaler, warmup=30).mean_ST
    late = run_over(model, ds.isel(site=[2], time=slice(180, None)), scaler, warmup=30).mean_ST
    assert np.isnan(found[2, :180]).all()
    assert np.isnan(found[3, 200:]).all()
    assert np.isfinite(found[[0, 1]]).all()
    np.testing.assert_allclose(found[2, 180:], late[0], atol=1e-6)


def test_warm_up_runs_the_first_days_twice() -> None:
    ds = make_dataset(n_sites=2, n_days=120)
    repeated = ds.isel(time=[*range(25), *range(120)]).assign_coords(
        time=np.datetime64("2015-01-01") + np.arange(145)
    )
    model, scaler = fitted(ds)
    warm = run_over(model, ds, scaler, warmup=25).mean_ST
    long = run_over(model, repeated, scaler).mean_ST
    np.testing.assert_allclose(warm, long[:, 25:], atol=1e-6)
    assert abs(warm[:, 0] - predict(ds)[:, 0]).max() > 1e-4


def test_a_record_shorter_than_the_warm_up_is_repeated() -> None:
    ds = make_dataset(n_sites=3, n_days=120)
    for name in ("precipitation", "air_temperature"):
        ds[name].values[1, 10:] = np.nan
    model, scaler = fitted(ds)
    one = ds.isel(site=[1])
    repeated = one.isel(time=[*range(10), *range(10), *range(5), *range(10)]).assign_coords(
        time=np.datetime64("2015-01-01") + np.arange(35)
    )
    expected = run_over(model, repeated, scaler).mean_ST[0, 25:]
    for world, row in ((ds, 1), (one, 0)):
        np.testing.assert_allclose(
            run_over(model, world, scaler, warmup=25).mean_ST[row, :10], expected, atol=1e-6
        )


def test_values_outside_the_physical_range_are_clipped() -> None:
    ds = make_dataset(n_sites=3, n_days=100)
    model, scaler = fitted(ds)
    with torch.no_grad():
        model.head.bias.fill_(-50.0)
    found = run_over(model, ds, scaler)
    assert found.clipped == 300
    assert (found.mean_ST == 0).all()


def test_a_distribution_has_a_predictive_std() -> None:
    """Mean and standard deviation against a censored sample of the network's distribution."""
    ds = make_dataset(n_sites=3, n_days=100)
    model, scaler = fitted(ds, head="gaussian", heads="separate")
    with torch.no_grad():
        model.head["sm_insitu"].bias.copy_(torch.tensor([-1.2, 0.5]))
        y = model.step(
            torch.tensor(scaler.scale_forcings(ds)), torch.tensor(scaler.scale_attributes(ds)), None
        )[0].numpy()
    mean, std = scaler.target
    location, scale = mean + std * y[..., 0], 1e-3 + std * np.log1p(np.exp(y[..., 1]))
    sample = location + scale * np.random.default_rng(0).normal(size=(20_000, *location.shape))
    sample = np.clip(sample, 0, 1)
    found = run_over(model, ds, scaler)
    assert found.std_ST is not None
    # Five standard errors of a mean of 20,000 draws (that of a standard deviation is smaller); 600 are compared.
    np.testing.assert_allclose(found.mean_ST, sample.mean(0), atol=5 * scale.max() / np.sqrt(20_000))
    np.testing.assert_allclose(found.std_ST, sample.std(0), atol=5 * scale.max() / np.sqrt(20_000))


def test_a_mixture_equals_the_pooled_sample() -> None:
    rng = np.random.default_rng(1)
    means, stds = rng.uniform(0.1, 0.5, (4, 2, 3)), rng.uniform(0.01, 0.1, (4, 2, 3))
    means[:, 1, 2] = np.nan
    parts = [
        prediction.Estimate(m.astype(np.float32), s.astype(np.float32), 2)
        for m, s in zip(means, stds, strict=True)
    ]
    found = prediction.mixture(iter(parts))
    assert (found.clipped, found.models) == (8, 4)
    assert found.std_ST is not None
    # Two points, one standard deviation to each side, have exactly each part's mean and standard deviation.
    pooled = np.concatenate([means - stds, means + stds])
    np.testing.assert_allclose(found.mean_ST, pooled.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.std_ST, pooled.std(0), rtol=1e-5)
    assert prediction.mixture(iter([prediction.Estimate(parts[0].mean_ST, None, 0)])).std_ST is None


@pytest.mark.parametrize("head", ["point", "gaussian"])
def test_blocks_of_sites_equal_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str) -> None:
    ds = make_dataset(n_sites=7, n_days=150)
    for name in ("precipitation", "air_temperature"):
        ds[name].values[2:4] = np.nan
    model, scaler = fitted(ds, head=head)
    config = ExperimentConfig.from_mapping({"model": {"hidden": 8, "head": head}})
    files = FoldFiles(tmp_path)
    scaler.save(files.scaler)
    torch.save(model.state_dict(), files.member(0).model)
    sites = np.array([True, True, True, True, False, True, True])
    found = {}
    for size in (1024, 2):
        monkeypatch.setattr(prediction.folds, "_SITES_IN_MEMORY", size)
        found[size] = prediction.estimate_fold(config, files, ds, sites, device=CPU, std_factor=2.0)
    whole = run_over(model, ds, scaler)
    for one in found.values():
        np.testing.assert_allclose(one.mean_ST, whole.mean_ST[sites], atol=1e-6)
        assert np.isnan(one.mean_ST[2:4]).all()
        assert (one.std_ST is None) == (head == "point")
        if one.std_ST is not None and whole.std_ST is not None:
            np.testing.assert_allclose(one.std_ST, 2 * whole.std_ST[sites], atol=1e-6)
