"""Prediction over whole records does not depend on pieces, batches or other sites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from gsm3core import prediction
from gsm3core.config import DataConfig, ExperimentConfig, ModelConfig, TrainingConfig
from gsm3core.fold_files import FoldFiles
from gsm3core.models.multitask_lstm import MultitaskLSTM
from gsm3core.scaling import Scaler, fit_scaler, with_spin_up
from support.folds import make_fold
from support.small_world import make_dataset

CPU = torch.device("cpu")


def fitted(
    ds: xr.Dataset, data: dict[str, object] | None = None, **options: object
) -> tuple[MultitaskLSTM, Scaler]:
    scaler = fit_scaler(ds, make_fold(ds), DataConfig.model_validate(data or {}))
    torch.manual_seed(0)
    model = MultitaskLSTM(
        ModelConfig.model_validate({"hidden": 8, **options}),
        scaler.n_forcings,
        scaler.n_attributes,
        scaler.targets,
    )
    return model.eval(), scaler


def run_over(
    model: MultitaskLSTM, ds: xr.Dataset, scaler: Scaler, spin_up: int | str = 0, warmup: int = 0
) -> prediction.Estimate:
    training = TrainingConfig.model_validate({"spin_up_days": spin_up, "warmup": warmup})
    records = prediction.Records.of(ds, scaler, np.ones(ds.sizes["site"], bool), training)
    return prediction.estimate(model, records, scaler.target, device=CPU)


def predict(ds: xr.Dataset) -> np.ndarray:
    model, scaler = fitted(ds)
    return run_over(model, ds, scaler).mean_ST


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


@pytest.mark.parametrize("spin_up", [0, 30, 365])
def test_predictions_do_not_depend_on_other_sites_records(spin_up: int) -> None:
    """In joined datasets the padding outside a site's record must not act as forcing."""
    ds = make_dataset(n_sites=4, n_days=300)
    for name in ("precipitation", "air_temperature"):
        ds[name].values[2, :180] = np.nan
        ds[name].values[3, 200:] = np.nan
    model, scaler = fitted(ds)
    found = run_over(model, ds, scaler, spin_up).mean_ST
    late = run_over(model, ds.isel(site=[2], time=slice(180, None)), scaler, spin_up).mean_ST
    assert np.isnan(found[2, :180]).all()
    assert np.isnan(found[3, 200:]).all()
    assert np.isfinite(found[[0, 1]]).all()
    np.testing.assert_allclose(found[2, 180:], late[0], atol=1e-6)


@pytest.mark.parametrize("kinds", [(), ("season", "antecedent_precipitation", "running_means")])
def test_spin_up_equals_a_record_that_begins_earlier(kinds: tuple[str, ...]) -> None:
    """The first year written before the record, by hand, and predicted from a cold start."""
    ds = make_dataset(n_sites=2, n_days=500)
    longer = ds.isel(time=[*range(365), *range(500)]).assign_coords(
        time=ds.time.values[0] + np.arange(-365, 500) * np.timedelta64(1, "D")
    )
    model, scaler = fitted(ds, data={"derived": kinds})
    spun_up = run_over(model, ds, scaler, 365).mean_ST
    np.testing.assert_allclose(spun_up, run_over(model, longer, scaler).mean_ST[:, 365:], atol=1e-6)
    assert abs(spun_up[:, 0] - run_over(model, ds, scaler).mean_ST[:, 0]).max() > 1e-4


def test_spin_up_shorter_than_a_year_is_its_last_days() -> None:
    """So that the season continues over the seam."""
    ds = make_dataset(n_sites=2, n_days=500)
    longer = ds.isel(time=[*range(265, 365), *range(500)]).assign_coords(
        time=ds.time.values[0] + np.arange(-100, 500) * np.timedelta64(1, "D")
    )
    model, scaler = fitted(ds)
    expected = run_over(model, longer, scaler).mean_ST[:, 100:]
    np.testing.assert_allclose(run_over(model, ds, scaler, 100).mean_ST, expected, atol=1e-6)


def test_a_record_shorter_than_the_spin_up_is_repeated() -> None:
    ds = make_dataset(n_sites=3, n_days=120)
    for name in ("precipitation", "air_temperature"):
        ds[name].values[1, 10:] = np.nan
    model, scaler = fitted(ds)
    one = ds.isel(site=[1])
    repeated = one.isel(time=[*range(5, 10), *range(10), *range(10), *range(10)]).assign_coords(
        time=np.datetime64("2015-01-01") + np.arange(35)
    )
    expected = run_over(model, repeated, scaler).mean_ST[0, 25:]
    for world, row in ((ds, 1), (one, 0)):
        found = run_over(model, world, scaler, 25).mean_ST[row]
        np.testing.assert_allclose(found[:10], expected, atol=1e-6)
        assert np.isnan(found[10:]).all()


def test_a_state_after_spin_up_does_not_depend_on_the_first_state() -> None:
    """A year from zero and three years from zero, of the same repeated forcings, end in the same state."""
    ds = make_dataset(n_sites=6, n_days=500)
    model, scaler = fitted(ds)
    cold, one, three = (run_over(model, ds, scaler, days).mean_ST for days in (0, 365, 3 * 365))
    np.testing.assert_allclose(one, three, atol=1e-6)
    assert abs(cold[:, :5] - three[:, :5]).max() > 1e-3


def test_soil_moisture_never_enters_the_spin_up() -> None:
    ds = make_dataset(n_sites=3, n_days=200)
    model, scaler = fitted(ds)
    expected = run_over(model, ds, scaler, 365).mean_ST
    for name in ("sm_insitu", "sm_smap"):
        ds[name] = ds[name] * np.nan
    np.testing.assert_array_equal(run_over(model, ds, scaler, 365).mean_ST, expected)
    assert "sm_insitu" not in with_spin_up(ds, list(scaler.forcings), 365)


@given(
    first=st.lists(st.integers(0, 50), min_size=3, max_size=3),
    length=st.lists(st.integers(1, 420), min_size=3, max_size=3),
    days=st.integers(0, 800),
)
@settings(max_examples=60)
def test_spin_up_repeats_the_first_year_of_each_record(
    first: list[int], length: list[int], days: int
) -> None:
    """Each day before a record is the day one or more whole years, or records, later; the record itself is unchanged."""
    n_days = 470
    values = np.full((3, n_days), np.nan)
    for s in range(3):
        values[s, first[s] : first[s] + length[s]] = 1000 * s + np.arange(min(length[s], n_days - first[s]))
    ds = xr.Dataset(
        {"rain": (("site", "time"), values)}, coords={"time": np.datetime64("2015-04-01") + np.arange(n_days)}
    )
    longer = with_spin_up(ds, ["rain"], days)["rain"]
    lead = longer.sizes["time"] - n_days
    np.testing.assert_array_equal(longer.time.values[lead:], ds.time.values)
    for s in range(3):
        begin = first[s] + lead
        np.testing.assert_array_equal(longer.values[s, begin:], values[s, first[s] :])
        period = min(length[s], 365)
        wanted = 1000 * s + np.arange(-days, 0) % period
        np.testing.assert_array_equal(longer.values[s, begin - days : begin], wanted)
        assert np.isnan(longer.values[s, : begin - days]).all()


def test_stored_runs_without_the_key_predict_as_before(tmp_path: Path) -> None:
    """Their first ``warmup`` days ran twice; with none, the start was cold."""
    ds = make_dataset(n_sites=2, n_days=120)
    repeated = ds.isel(time=[*range(25), *range(120)]).assign_coords(
        time=np.datetime64("2015-01-01") + np.arange(145)
    )
    model, scaler = fitted(ds)
    cold = run_over(model, ds, scaler).mean_ST
    np.testing.assert_array_equal(run_over(model, ds, scaler, "warmup").mean_ST, cold)
    warm = run_over(model, ds, scaler, "warmup", warmup=25).mean_ST
    np.testing.assert_allclose(warm, run_over(model, repeated, scaler).mean_ST[:, 25:], atol=1e-6)
    stored = tmp_path / "config.toml"
    text = ExperimentConfig().to_toml()
    stored.write_text(text.replace("spin_up_days = 365\n", ""))
    assert ExperimentConfig.load_stored(stored).training.spin_up_days == "warmup"
    stored.write_text(text)
    assert ExperimentConfig.load_stored(stored).training.spin_up_days == 365


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
    config = ExperimentConfig.from_mapping(
        {"model": {"hidden": 8, "head": head}, "training": {"spin_up_days": 0}}
    )
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
