"""Prediction over whole records: pieces, batches and joined records change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from small_world import make_dataset
from test_scaling import a_fold

from gsm3core import prediction
from gsm3core.config import DataConfig, ModelConfig
from gsm3core.models.multitask_lstm import MultitaskLSTM
from gsm3core.scaling import Scaler, fit_scaler

CPU = torch.device("cpu")


def fitted(ds: xr.Dataset) -> tuple[MultitaskLSTM, Scaler]:
    scaler = fit_scaler(ds, a_fold(ds), DataConfig())
    torch.manual_seed(0)
    return MultitaskLSTM(ModelConfig(hidden=8), scaler.n_forcings, scaler.n_attributes).eval(), scaler


def predict(ds: xr.Dataset, warmup: int = 0) -> xr.DataArray:
    model, scaler = fitted(ds)
    return prediction.predict_sites(
        model, ds, scaler, np.ones(ds.sizes["site"], bool), warmup=warmup, device=CPU
    )[0]


def test_pieces_and_batches_are_the_plain_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    ds = make_dataset(n_sites=7, n_days=150)
    model, scaler = fitted(ds)
    with torch.no_grad():
        whole = model(
            torch.tensor(scaler.scale_forcings(ds)), torch.tensor(scaler.scale_attributes(ds))
        ).numpy()
    expected = np.clip(scaler.target[0] + scaler.target[1] * whole, 0, 1)
    monkeypatch.setattr(prediction, "_SITES_AT_ONCE", 3)
    monkeypatch.setattr(prediction, "_DAYS_AT_ONCE", 40)
    np.testing.assert_allclose(predict(ds), expected, atol=1e-6)


def test_a_site_with_another_record_is_predicted_as_if_alone() -> None:
    """Joined datasets: a site whose forcings begin later must not see the years before as weather."""
    ds = make_dataset(n_sites=4, n_days=300)
    for name in ("precipitation", "air_temperature"):
        ds[name].values[2, :180] = np.nan
        ds[name].values[3, 200:] = np.nan
    model, scaler = fitted(ds)
    everything = np.ones(4, bool)
    found = prediction.predict_sites(model, ds, scaler, everything, warmup=30, device=CPU)[0]
    late, _ = prediction.predict_sites(
        model, ds.isel(site=[2], time=slice(180, None)), scaler, np.ones(1, bool), warmup=30, device=CPU
    )
    assert np.isnan(found.values[2, :180]).all()
    assert np.isnan(found.values[3, 200:]).all()
    assert np.isfinite(found.values[[0, 1]]).all()
    np.testing.assert_allclose(found.values[2, 180:], late.values[0], atol=1e-6)


def test_warming_up_is_running_the_first_days_twice() -> None:
    ds = make_dataset(n_sites=2, n_days=120)
    repeated = ds.isel(time=[*range(25), *range(120)]).assign_coords(
        time=np.datetime64("2015-01-01") + np.arange(145)
    )
    model, scaler = fitted(ds)
    both = np.ones(2, bool)
    warm, _ = prediction.predict_sites(model, ds, scaler, both, warmup=25, device=CPU)
    long, _ = prediction.predict_sites(model, repeated, scaler, both, warmup=0, device=CPU)
    np.testing.assert_allclose(warm.values, long.values[:, 25:], atol=1e-6)
    assert abs(warm.values[:, 0] - predict(ds).values[:, 0]).max() > 1e-4


def test_what_is_beyond_the_physical_range_is_clipped_and_counted() -> None:
    ds = make_dataset(n_sites=3, n_days=100)
    model, scaler = fitted(ds)
    with torch.no_grad():
        model.head.bias.fill_(-50.0)
    found, clipped = prediction.predict_sites(model, ds, scaler, np.ones(3, bool), warmup=0, device=CPU)
    assert clipped == 300
    assert (found.values == 0).all()
