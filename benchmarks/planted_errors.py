"""Recovery of planted errors in the demonstration world: biases of the products and nonstationarity in Alaska.

python benchmarks/run.py demo [--sites 300] [--rounds 100] [--seeds 8] [--alaska 6]

The four experiments use gradient boosting on lagged forcings instead of the LSTM: it fits in a minute. One world has
about ten sites in Alaska; --alaska uses several worlds, each with and without the nonstationarity.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats
from scipy.signal import lfilter

from gsm3core import error_types, site_scores
from gsm3core import vocabulary as v
from gsm3core.demo import DRY_TAPER, PRODUCT_ERRORS, DemoWorld, Scenario, demo_world
from gsm3core.evaluation.error_types import EXPERIMENTS
from gsm3core.schema import products
from gsm3core.statistics.cluster_bootstrap import median_interval

TEMPORAL_TEST_END = "2016-03-31"
TRAINING_STRIDE = 6  # days
END = "2018-12-31"


def planted_bias(world: DemoWorld, name: str) -> xr.DataArray:
    """Expected series of a product, without noise and the random error of each site."""
    error, truth = PRODUCT_ERRORS[name], world.truth
    reference = error.point_share * truth["sm_modelled"] + (1 - error.point_share) * truth["sm_cell"]
    mean = reference.mean("time")
    bias = error.bias * np.minimum(mean / DRY_TAPER, 1)
    if name == v.AMSR2:
        bias = bias + world.scenario.amsr2_bias_per_ndvi * (
            truth["ndvi_true"] - world.scenario.amsr2_ndvi_pivot
        )
    return (mean + error.gain * (reference - mean) + bias).clip(0, 0.8)


def biases(world: DemoWorld) -> pd.DataFrame:
    """Median bias estimated against in situ, and the planted bias against the true point value on the same days."""
    ds = world.dataset
    series = products(ds)
    stacked = xr.concat(
        [a.reset_coords(drop=True) for a in series.values()], dim=pd.Index(list(series), name="product")
    ).assign_attrs(units=v.SM_UNITS)
    found = site_scores(stacked, ds["sm_insitu"], min_days=100, metrics=["bias"])
    networks = ds["network"].values
    rows = []
    for name in series:
        one = found.sel(product=name)
        days = series[name].notnull() & ds["sm_insitu"].notnull()
        planted = (planted_bias(world, name) - world.truth["sm_point"]).where(days).mean("time")
        planted = planted.where(one.bias.notnull())
        rest = median_interval(one.bias.values - planted.values, networks)
        middle, low, high = median_interval(one.bias.values, networks)[:3]
        width = float((one.bias_upper - one.bias_lower).median() / 2)
        rows.append(
            {"product": name, "planted": float(planted.median()), "found": middle, "lower": low, "upper": high,
             "found - planted by site": rest[0], "difference lower": rest[1], "difference upper": rest[2],
             "covers 0": rest[1] <= 0 <= rest[2], "half width at a site": width}
        )  # fmt: skip
    return pd.DataFrame(rows).set_index("product")


def inputs(ds: xr.Dataset) -> np.ndarray:
    """Forcings, their exponentially weighted means, and attributes, ``(site, day, feature)``."""
    forcings = [
        "precipitation",
        "air_temperature",
        "shortwave_down",
        "specific_humidity",
        "soil_temperature",
        "lai",
    ]
    daily = [ds[n].values.astype(np.float32) for n in forcings]
    for name, days in (("precipitation", 3), ("precipitation", 10), ("precipitation", 40), ("shortwave_down", 10),
                       ("air_temperature", 20), ("precipitation", 120)):  # fmt: skip
        k = 1 - np.exp(-1 / days)
        series = np.nan_to_num(ds[name].values)
        start = series.mean(1, keepdims=True) * (1 - k)
        daily.append(lfilter([k], [1, k - 1], series, axis=1, zi=start)[0].astype(np.float32))
    static = ["elevation", "slope", "poleward_aspect", "sand", "clay", "bulk_density", "ndvi", "climate",
              "mean_air_temperature", "mean_annual_precipitation", "precipitation_seasonality"]  # fmt: skip
    shape = daily[0].shape
    daily += [np.broadcast_to(ds[n].values.astype(np.float32)[:, None], shape) for n in static]
    return np.stack(daily, -1)


def experiments(
    world: DemoWorld, rounds: int, *, folds_of_sites: int = 5, only: tuple[str, ...] = EXPERIMENTS
) -> dict[str, xr.Dataset]:
    """Per-site scores of the four experiments, or of those in ``only``."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    ds = world.dataset
    x, y = inputs(ds), ds["sm_insitu"].values
    first_year = np.asarray(ds["time"] <= np.datetime64(TEMPORAL_TEST_END))
    region = ds["region"].values.astype(str)
    group = np.random.default_rng(0).integers(0, folds_of_sites, len(region))
    all_sites, all_days = np.ones(len(region), bool), np.ones(len(first_year), bool)

    def predict(train_sites: np.ndarray, train_days: np.ndarray, sites: np.ndarray) -> np.ndarray:
        use = (
            np.isfinite(y)
            & train_sites[:, None]
            & train_days
            & (np.arange(y.shape[1]) % TRAINING_STRIDE == 0)
        )
        model = HistGradientBoostingRegressor(max_iter=rounds, random_state=0)
        model.fit(x[use], y[use])
        out = np.full(y.shape, np.nan)
        out[sites] = model.predict(x[sites].reshape(-1, x.shape[-1])).reshape(sites.sum(), -1)
        return out

    def folds(labels: np.ndarray) -> np.ndarray:
        out = np.full(y.shape, np.nan)
        for label in np.unique(labels):
            out[labels == label] = predict(labels != label, all_days, labels == label)[labels == label]
        return out

    series = {}
    if "temporal" in only:
        fitted = predict(all_sites, ~first_year, all_sites)
        series["train"] = np.where(first_year, np.nan, fitted)
        series["temporal"] = np.where(first_year, fitted, np.nan)
    if "random_spatial" in only:
        series["random_spatial"] = folds(group)
    if "cross_continental" in only:
        series["cross_continental"] = folds(region)
    like = ds["sm_insitu"]
    return {n: site_scores(like.copy(data=s), like, min_days=60, intervals="none") for n, s in series.items()}


def alaska(worlds: int, sites: int, rounds: int) -> pd.DataFrame:
    """Difference of median R, random spatial minus temporal, in Alaska and elsewhere.

    One row per world, with and without the planted nonstationarity.
    """
    rows = []
    for seed in range(worlds):
        for planted in (True, False):
            world = demo_world(
                n_sites=sites, end=END, seed=seed, planted=Scenario(alaska_nonstationary=planted)
            )
            found = experiments(world, rounds, folds_of_sites=3, only=("temporal", "random_spatial"))
            in_alaska = np.asarray(world.dataset["region"].values.astype(str) == "Alaska")
            r = {n: s["R"].values for n, s in found.items()}
            both = np.isfinite(r["temporal"]) & np.isfinite(r["random_spatial"])
            difference = {
                part: float(
                    np.median(r["random_spatial"][mask & both]) - np.median(r["temporal"][mask & both])
                )
                for part, mask in (("Alaska", in_alaska), ("elsewhere", ~in_alaska))
            }
            rows.append(
                {
                    "seed": seed,
                    "planted": planted,
                    "Alaska sites": int((in_alaska & both).sum()),
                    **difference,
                }
            )
            sys.stdout.write(f"{rows[-1]}\n")
            sys.stdout.flush()
    return pd.DataFrame(rows)


def over_worlds(values: pd.Series) -> str:
    """Mean over worlds with Student's 95 % interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.3f} ({values.mean() - half:+.3f} to {values.mean() + half:+.3f})"


def main(arguments: list[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="run.py demo", description=__doc__.splitlines()[0])
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--alaska", type=int, default=0, help="number of worlds; runs only this part")
    o = parser.parse_args(arguments)
    started = time.perf_counter()
    if o.alaska:
        table = alaska(o.alaska, o.sites, o.rounds)
        wide = table.pivot(index="seed", columns="planted")
        sys.stdout.write("median R of random_spatial minus that of temporal, mean over worlds (95 %)\n")
        for part in ("Alaska", "elsewhere"):
            on, off = (wide[part][planted] for planted in (True, False))
            sys.stdout.write(
                f"{part}: planted {over_worlds(on)}, without {over_worlds(off)}, "
                f"planted minus without {over_worlds(on - off)}\n"
            )
        sys.stdout.write(f"{time.perf_counter() - started:.0f} s\n")
        return
    world = demo_world(n_sites=o.sites, end=END)
    sys.stdout.write(f"bias, m3 m-3, median over {o.sites} sites\n{biases(world).round(4).to_string()}\n")
    covered = [biases(demo_world(n_sites=200, end=END, seed=k))["covers 0"] for k in range(1, o.seeds + 1)]
    share = pd.concat(covered).mean()
    sys.stdout.write(
        f"in {o.seeds} other worlds of 200 sites the interval covers the planted bias in {share:.1%} of cases\n"
    )
    sys.stdout.flush()
    found = error_types(experiments(world, o.rounds))
    sys.stdout.write(
        f"\nR, median over sites\n{found.level.to_pandas().round(3).to_string()}\n\nloss of R (95 %)\n"
    )
    estimates = [found[n].values for n in ("error", "lower", "upper")]
    text = np.vectorize(lambda a, b, c: f"{a:.3f} ({b:.3f}, {c:.3f})")(*estimates)
    sys.stdout.write(pd.DataFrame(text, found.error_type.values, found.region.values).to_string())
    left_over = found[["residual", "residual_lower", "residual_upper"]].to_dataframe().T.round(3)
    sys.stdout.write(f"\n\nresidual of the fit (95 %)\n{left_over.to_string()}\n")
    of_c = found.sel(error_type="C")
    sys.stdout.write(
        f"\nsites {of_c.n_sites.values.astype(int)}, networks {of_c.clusters.values.astype(int)}\n"
    )
    sys.stdout.write(f"{time.perf_counter() - started:.0f} s\n")
