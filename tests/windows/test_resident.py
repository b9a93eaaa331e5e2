"""Windows in memory contain no held-out values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from gsm3core.config import DataConfig
from gsm3core.errors import TrainingError
from gsm3core.scaling import fit_scaler, record_span
from gsm3core.windows import training_windows
from support.folds import make_fold, make_windows
from support.small_world import make_dataset

CPU = torch.device("cpu")


def test_only_training_sites_and_days_have_targets(dataset: xr.Dataset) -> None:
    fold, windows = make_fold(dataset), make_windows(dataset)
    for name, stream in windows.streams.items():
        valid = torch.isfinite(stream.target_ST).numpy()
        allowed = fold.train_sites[:, None] & fold.train_days & dataset[name].notnull().values
        np.testing.assert_array_equal(valid, allowed)


@given(st.integers(0, 1000), st.integers(2, 200), st.integers(0, 50))
def test_windows_match_the_dataset(seed: int, window: int, warmup: int) -> None:
    ds = DATASET
    warmup = min(warmup, window - 1)
    windows = make_windows(ds, window, warmup)
    fold = make_fold(ds)
    for name, batch in windows.draw(16, torch.Generator().manual_seed(seed)).items():
        assert batch.x_BTF.shape == (16, window, 2)
        assert fold.train_sites[batch.site_B.numpy()].all()
        for b in range(16):
            site, start = int(batch.site_B[b]), int(batch.start_B[b])
            np.testing.assert_array_equal(batch.x_BTF[b], windows.x_STF[site, start : start + window])
            truth = ds[name].values[site, start : start + window].copy()
            truth[:warmup] = np.nan
            truth[~fold.train_days[start : start + window]] = np.nan
            np.testing.assert_array_equal(batch.y_BT[b], truth)


DATASET = make_dataset(n_sites=8, n_days=300)


def test_starts_are_uniform_over_the_record() -> None:
    windows = make_windows(DATASET, window=100)
    starts = torch.cat(
        [windows.draw(500, torch.Generator().manual_seed(k))["sm_insitu"].start_B for k in range(20)]
    )
    counts = np.bincount(starts.numpy(), minlength=151)
    assert len(counts) == 151, "the last window ends with the last training day, 250"
    # 10,000 draws over 151 starts: chi-square with 150 degrees of freedom stays below 210 with probability 0.999.
    expected = len(starts) / 151
    assert ((counts - expected) ** 2 / expected).sum() < 210


def test_the_same_seed_samples_the_same_windows() -> None:
    windows = make_windows(DATASET)
    a, b = (windows.draw(8, torch.Generator().manual_seed(5))["sm_smap"].site_B for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_windows_stay_within_a_sites_record() -> None:
    ds = make_dataset(n_sites=8, n_days=300)
    for name in ("precipitation", "air_temperature"):
        ds[name].values[1, :150] = np.nan
    span = record_span(ds, ["precipitation", "air_temperature"])
    assert not span[1, :150].any()
    assert span[1, 150:].all()
    assert span[0].all()
    batch = make_windows(ds, window=60).draw(400, torch.Generator().manual_seed(0))["sm_insitu"]
    of_site = batch.start_B[batch.site_B == 1]
    assert len(of_site)
    assert of_site.min() >= 150
    assert of_site.max() <= 190


def test_a_fold_without_training_targets_is_refused() -> None:
    with pytest.raises(TrainingError, match="window is 301 days, but the dataset has 300"):
        make_windows(DATASET, window=301)
    ds = make_dataset(n_sites=8, n_days=300)
    fold = make_fold(ds)
    scaler = fit_scaler(ds, fold, DataConfig())
    for name in ("sm_insitu", "sm_smap"):
        ds[name].values[fold.train_sites] = np.nan
    with pytest.raises(TrainingError, match="fold f: no soil moisture to train on"):
        training_windows(ds, fold, scaler, targets=["sm_insitu", "sm_smap"], window=60, warmup=0, device=CPU)


def test_sites_with_targets_only_in_warm_up_are_excluded() -> None:
    """Sites whose targets lie in the warm-up of every window are excluded; a fold of only such sites is an error."""
    ds = make_dataset(n_sites=8, n_days=300)
    for name in ("sm_insitu", "sm_smap"):
        ds[name].values[[1, 2], 30:] = np.nan
        ds[name].values[2, 30] = 0.2
    sites = make_windows(ds, window=60, warmup=30).streams["sm_insitu"].sites.tolist()
    assert 1 not in sites
    assert 2 in sites
    for name in ("sm_insitu", "sm_smap"):
        ds[name].values[:, 30:] = np.nan
    with pytest.raises(TrainingError, match=r"not the first 30 days of the record \(training.warmup\)"):
        make_windows(ds, window=60, warmup=30)
