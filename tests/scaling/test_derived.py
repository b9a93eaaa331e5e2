"""Derived inputs: their values, and that they use neither future days nor soil moisture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from gsm3core.config import DataConfig
from gsm3core.errors import DatasetError
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import DERIVED, Scaler, antecedent_mean, derived_columns, fit_scaler, moving_mean
from gsm3core.scaling.derived import DECAYS, MEANS, season
from support.small_world import make_dataset

ALL = DataConfig(derived=tuple(DERIVED))
FORCINGS = ("air_temperature", "precipitation")


def make_fold(ds: xr.Dataset, train: np.ndarray | None = None) -> Fold:
    """All days; sites in the mask are for training, the others for test."""
    sites = np.ones(ds.sizes["site"], bool) if train is None else train
    days = np.ones(ds.sizes["time"], bool)
    return Fold(name="f", train_sites=sites, test_sites=~sites, train_days=days, test_days=days)


@st.composite
def gappy(draw: st.DrawFn) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    shape = draw(st.integers(1, 4)), draw(st.integers(100, 160))
    values = rng.gamma(0.5, 10, shape) + draw(st.sampled_from([0.0, 290.0, 101_325.0]))
    return np.where(rng.random(shape) < draw(st.sampled_from([0, 0.1, 0.9, 1])), np.nan, values)


@given(gappy(), st.sampled_from((7, *MEANS)))
def test_moving_means_match_pandas_rolling(values: np.ndarray, window: int) -> None:
    expected = pd.DataFrame(values.T).rolling(window, min_periods=1).mean().to_numpy().T
    np.testing.assert_allclose(moving_mean(values, window), expected, rtol=1e-9, atol=1e-9)


@given(gappy(), st.sampled_from(DECAYS))
def test_antecedent_precipitation_matches_pandas_ewm(values: np.ndarray, decay: float) -> None:
    weighted = pd.DataFrame(values.T).ewm(alpha=1 - decay, adjust=True, ignore_na=False)
    # After a gap of k days the remaining weight is decay^k: with 0.5 it loses precision after some 40 days.
    np.testing.assert_allclose(antecedent_mean(values, decay), weighted.mean().to_numpy().T, rtol=1e-7)


def test_antecedent_precipitation_by_hand() -> None:
    rain = np.array([[np.nan, 8.0, 0.0, np.nan, 4.0]])
    expected = [np.nan, 8, (0 + 0.5 * 8) / 1.5, 4 / 1.5, (4 + 0.25 * 0 + 0.125 * 8) / (1 + 0.25 + 0.125)]
    np.testing.assert_allclose(antecedent_mean(rain, 0.5)[0], expected)


def test_the_season_is_shifted_in_the_south() -> None:
    """The first of July in the south equals the first of January in the north, within leap-year shifts."""
    ds = make_dataset(6, 800)
    sine, cosine = season(ds)
    north, south = ds.lat.values > 0, ds.lat.values < 0
    assert north.any() and south.any()
    at = {d: int(np.flatnonzero(ds.time.values == np.datetime64(d))[0]) for d in ("2016-01-01", "2016-07-02")}
    for columns in (sine, cosine):
        np.testing.assert_allclose(
            columns[south, at["2016-07-02"]][0], columns[north, at["2016-01-01"]][0], atol=0.03
        )
    np.testing.assert_allclose(sine**2 + cosine**2, 1)


@pytest.mark.parametrize("kind", DERIVED)
def test_derived_inputs_use_only_past_forcings(kind: str) -> None:
    ds = make_dataset(5, 200)
    before = derived_columns(ds, [kind], FORCINGS, transformed=["precipitation"])
    changed = ds.copy(deep=True)
    for name in FORCINGS:
        changed[name].values[:, 120:] += 7
    changed["sm_insitu"].values[:] = 0.1
    changed["sm_smap"].values[:] = 0.9
    after = derived_columns(changed, [kind], FORCINGS, transformed=["precipitation"])
    for name, values in before.items():
        np.testing.assert_allclose(after[name][:, :120], values[:, :120], rtol=1e-9, err_msg=name)
        if kind != "season":
            assert not np.allclose(after[name][:, 120:], values[:, 120:]), name


def test_derived_columns_are_scaled_by_the_training_part() -> None:
    ds = make_dataset(12, 300)
    ds["precipitation"][2, 40:60] = np.nan
    fold = make_fold(ds, train=np.arange(12) < 8)
    scaler = fit_scaler(ds, fold, ALL)
    made = 2 + len(DECAYS) + len(MEANS) * len(FORCINGS)
    assert scaler.n_forcings == len(FORCINGS) + made
    x_STF = scaler.scale_forcings(ds)
    assert x_STF.shape == (12, 300, scaler.n_forcings) and np.isfinite(x_STF).all()
    # The derived columns come last; here they have no gaps after the first days.
    train = x_STF[fold.train_sites][..., -made:].reshape(-1, made)
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(train.std(0), 1, atol=1e-4)
    spoiled = ds.copy(deep=True)
    spoiled["precipitation"].values[fold.test_sites] = 500.0
    assert fit_scaler(spoiled, fold, ALL) == scaler


def test_derived_columns_do_not_depend_on_other_sites() -> None:
    ds = make_dataset(12, 150)
    scaler = fit_scaler(ds, make_fold(ds), ALL)
    some = scaler.scale_forcings(ds.isel(site=[3, 7]))
    np.testing.assert_allclose(some, scaler.scale_forcings(ds)[[3, 7]], rtol=1e-6)


def test_scaler_round_trip_with_and_without_derived_inputs(tmp_path: Path) -> None:
    ds = make_dataset(6, 100)
    fold = make_fold(ds)
    path = tmp_path / "scaler.json"
    with_derived = fit_scaler(ds, fold, ALL)
    with_derived.save(path)
    assert Scaler.load(path) == with_derived
    plain = fit_scaler(ds, fold, DataConfig())
    plain.save(path)
    old = json.loads(path.read_text())
    del old["kinds"], old["derived"]
    path.write_text(json.dumps(old))
    assert Scaler.load(path) == plain


def test_derived_inputs_need_their_forcings() -> None:
    ds: xr.Dataset = make_dataset(4, 100)
    with pytest.raises(DatasetError, match=r"antecedent_precipitation.*not among the forcings \(air_temp"):
        derived_columns(ds, ["antecedent_precipitation"], ["air_temperature"], transformed=())
