"""A small synthetic SiteDataset with known soil moisture, and a tiny configuration to train on it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

TINY = {
    "model": {"hidden": 8, "dropout": 0.1},
    "training": {"epochs": 2, "updates_per_epoch": 3, "batch": 8, "window": 60, "warmup": 5, "device": "cpu"},
    "scores": {"min_days": 20},
}


def make_dataset(n_sites: int = 12, n_days: int = 400, seed: int = 0) -> xr.Dataset:
    """A dataset whose soil moisture is a leaky bucket driven by its precipitation."""
    rng = np.random.default_rng(seed)
    rain = np.where(rng.random((n_sites, n_days)) < 0.3, rng.gamma(0.8, 8.0, (n_sites, n_days)), 0.0)
    season = np.cos(2 * np.pi * np.arange(n_days) / 365.25)
    temperature = 285 - 10 * season + rng.normal(0, 2, (n_sites, n_days))
    leak = rng.uniform(0.03, 0.12, n_sites)
    store = np.zeros((n_sites, n_days))
    level = np.full(n_sites, 20.0)
    for t in range(n_days):
        level = np.minimum(level * (1 - leak) + 0.6 * rain[:, t], 60)
        store[:, t] = level
    truth = 0.05 + 0.4 * store / 60
    insitu = np.where(rng.random(truth.shape) < 0.15, np.nan, truth + rng.normal(0, 0.005, truth.shape))
    smap = np.where(rng.random(truth.shape) < 0.6, np.nan, truth + 0.02 + rng.normal(0, 0.03, truth.shape))
    regions = np.array(["CONUS", "Europe", "Australia"])[np.arange(n_sites) % 3]
    home = {"CONUS": (40, -100), "Europe": (48, 8), "Australia": (-30, 145)}
    offset = np.arange(n_sites) * 0.4

    def daily(values: np.ndarray, units: str) -> tuple:
        return ("site", "time"), values.astype(np.float32), {"units": units, "source": "simulated for tests"}

    def static(values: np.ndarray, units: str = "1", **attrs: object) -> tuple:
        return "site", values, {"units": units, "source": "simulated for tests", **attrs}

    ds = xr.Dataset(
        {
            "precipitation": daily(rain, "mm d-1"),
            "air_temperature": daily(temperature, "K"),
            "sm_insitu": daily(np.clip(insitu, 0, 1), "m3 m-3"),
            "sm_smap": daily(np.clip(smap, 0, 1), "m3 m-3"),
            "clay": static(leak.astype(np.float32)),
            "elevation": static(rng.uniform(0, 2000, n_sites).astype(np.float32), "m"),
            "land_cover": static(
                rng.choice([1, 10, 12], n_sites).astype(np.int16),
                flag_values=np.array([1, 10, 12], np.int16),
                flag_meanings="a b c",
            ),
        },
        coords={
            "site": [f"S{i:03d}" for i in range(n_sites)],
            "time": pd.date_range("2015-04-01", periods=n_days),
            "lat": ("site", np.array([home[r][0] for r in regions]) + offset % 5),
            "lon": ("site", np.array([home[r][1] for r in regions]) + offset),
            "region": ("site", regions),
            "network": ("site", np.array([f"net{i % 4}" for i in range(n_sites)])),
            "station": ("site", np.array([f"station {i}" for i in range(n_sites)])),
        },
        attrs={
            "title": "test world",
            "source": "simulated for tests",
            "license": "CC0-1.0",
            "simulated": "true",
        },
    )
    ds["site"].attrs["cf_role"] = "timeseries_id"
    return ds
