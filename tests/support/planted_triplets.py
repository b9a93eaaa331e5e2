"""A SiteDataset whose records have independent errors of known size, for triple collocation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.benchmark_series import ar1
from gsm3core import vocabulary as v

# Planted error, m3 m-3, and gain of every record; the truth has a standard deviation of 0.06.
PLANTED = {
    v.IN_SITU: (0.025, 1.0), v.SMAP: (0.03, 0.8), v.GLDAS_NOAH: (0.04, 0.6), v.AMSR2: (0.06, 1.3), v.SOMO_ML: (0.03, 0.9)
}  # fmt: skip
TRUTH_STD = 0.06
R = {name: gain * TRUTH_STD / np.hypot(gain * TRUTH_STD, error) for name, (error, gain) in PLANTED.items()}


def planted_dataset(sites: int = 30, days: int = 2000, seed: int = 0) -> xr.Dataset:
    """A SiteDataset whose records have independent errors of known size."""
    rng = np.random.default_rng(seed)
    truth = TRUTH_STD * ar1(rng, (sites, days), 0.8)
    made = {}
    for name, (error, gain) in PLANTED.items():
        x = 0.5 + gain * truth + error * ar1(rng, (sites, days), 0.6)
        x[rng.random(x.shape) < 0.1] = np.nan
        made[name] = x
    attrs = {"units": v.SM_UNITS}
    others = [v.GLDAS_NOAH, v.AMSR2, v.SOMO_ML]
    return xr.Dataset(
        {
            v.SM_INSITU: ((v.SITE, v.TIME), made[v.IN_SITU], attrs),
            v.SM_SMAP: ((v.SITE, v.TIME), made[v.SMAP], attrs),
            v.SM_PRODUCT: ((v.PRODUCT, v.SITE, v.TIME), np.stack([made[n] for n in others]), attrs),
        },
        coords={
            v.SITE: [f"s{k:02d}" for k in range(sites)], v.TIME: pd.date_range("2015-04-01", periods=days),
            v.PRODUCT: others, v.LAT: (v.SITE, np.linspace(-60, 60, sites)), v.LON: (v.SITE, np.zeros(sites)),
            v.REGION: (v.SITE, ["CONUS"] * sites), v.NETWORK: (v.SITE, ["net"] * sites),
            v.STATION: (v.SITE, [f"s{k:02d}" for k in range(sites)]),
        },
        attrs={"title": "planted", "license": "none", "source": "simulated for tests", "simulated": "true"},
    )  # fmt: skip
