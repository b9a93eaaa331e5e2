"""One fold of the small dataset, and its training windows."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from gsm3core.config import DataConfig
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import fit_scaler
from gsm3core.windows import TrainingWindows, training_windows

CPU = torch.device("cpu")


def make_fold(ds: xr.Dataset) -> Fold:
    test = np.arange(ds.sizes["site"]) % 4 == 0
    train_days = np.arange(ds.sizes["time"]) < 250
    return Fold(name="f", train_sites=~test, test_sites=test, train_days=train_days, test_days=~train_days)


def make_windows(ds: xr.Dataset, window: int = 60, warmup: int = 0) -> TrainingWindows:
    fold = make_fold(ds)
    scaler = fit_scaler(ds, fold, DataConfig())
    return training_windows(
        ds, fold, scaler, targets=["sm_insitu", "sm_smap"], window=window, warmup=warmup, device=CPU
    )
