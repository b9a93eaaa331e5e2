"""Calibration scores of simulated distributions: calibrated, underdispersive, overdispersive and censored."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scores.probability as oracle
import xarray as xr

from gsm3core.errors import DatasetError
from gsm3core.evaluation.calibration import LEVELS, calibration, ensemble_calibration, rounding_step

SITES, DAYS = 12, 600


def series(values: np.ndarray, *first: str, **coords: object) -> xr.DataArray:
    n = values.shape[-2]
    return xr.DataArray(
        values,
        dims=(*first, "site", "time"),
        coords={
            "site": [f"s{i:02d}" for i in range(n)],
            "time": pd.date_range("2016-01-01", periods=values.shape[-1]),
            "network": ("site", [f"net{i % 6}" for i in range(n)]),
            **coords,
        },
        attrs={"units": "m3 m-3"},
    )


@pytest.fixture
def world() -> dict[str, xr.DataArray]:
    rng = np.random.default_rng(0)
    mean = 0.3 + 0.05 * rng.normal(size=(SITES, DAYS))
    std = rng.uniform(0.02, 0.05, (SITES, DAYS))
    observed = rng.normal(mean, std)
    observed[rng.random(observed.shape) < 0.2] = np.nan
    return {"mean": series(mean), "std": series(std), "observed": series(observed)}


def test_calibrated_distributions_have_nominal_coverage(world: dict[str, xr.DataArray]) -> None:
    found = calibration(**world)
    days = int(world["observed"].notnull().sum())
    assert int(found["n_valid"].sum()) == days
    for level in LEVELS:
        at = found.sel(level=level)
        pooled = float((at["coverage"] * found["n_valid"]).sum() / days)
        assert pooled == pytest.approx(level, abs=5 * np.sqrt(level * (1 - level) / days))
        # Five standard errors of a median over twelve sites of some 480 days each.
        assert float(at["coverage_median"]) == pytest.approx(level, abs=0.05)
        assert float(at["coverage_lower"]) <= float(at["coverage_median"]) <= float(at["coverage_upper"])
    np.testing.assert_allclose(found["pit"].sum("pit_bin"), 1.0)
    np.testing.assert_allclose(found["pit"].mean("site"), 0.1, atol=0.02)
    # The expected CRPS of a calibrated normal distribution is its std over sqrt(pi).
    expected = float((world["std"].where(world["observed"].notnull())).mean() / np.sqrt(np.pi))
    assert float(found["CRPS"].mean()) == pytest.approx(expected, rel=0.05)


def test_too_small_and_too_large_std_show_in_all_scores(world: dict[str, xr.DataArray]) -> None:
    calibrated = calibration(**world)
    narrow = calibration(world["mean"], world["std"] / 3, world["observed"])
    wide = calibration(world["mean"], world["std"] * 3, world["observed"])
    # A third of the width covers erf(1.645 / 3 / sqrt 2) of a nominal 90 %: 0.416.
    assert float(narrow["coverage"].sel(level=0.9).mean()) == pytest.approx(0.416, abs=0.03)
    assert float(wide["coverage"].sel(level=0.5).mean()) == pytest.approx(0.957, abs=0.02)
    assert float(narrow["width"].mean()) < float(calibrated["width"].mean()) < float(wide["width"].mean())
    assert float(narrow["pit"].isel(pit_bin=[0, -1]).sum("pit_bin").mean()) > 0.5
    assert float(wide["pit"].isel(pit_bin=[0, -1]).sum("pit_bin").mean()) < 0.05
    assert float(calibrated["CRPS"].mean()) < min(float(narrow["CRPS"].mean()), float(wide["CRPS"].mean()))


def test_skill_relative_to_climatology(world: dict[str, xr.DataArray]) -> None:
    rng = np.random.default_rng(1)
    record = world["observed"].copy(data=0.3 + 0.06 * rng.normal(size=(SITES, DAYS)))
    found = calibration(**world, climatology=record)
    for site in (0, 7):
        y = world["observed"][site].values
        known = np.isfinite(y)
        expected = oracle.crps_for_ensemble(
            xr.DataArray(np.broadcast_to(record[site].values, (known.sum(), DAYS)), dims=("time", "member")),
            xr.DataArray(y[known], dims="time"), "member",
        )  # fmt: skip
        assert float(found["CRPS_climatology"][site]) == pytest.approx(float(expected), rel=1e-9)
    np.testing.assert_allclose(found["CRPSS"], 1 - found["CRPS"] / found["CRPS_climatology"])
    assert 0.2 < float(found["CRPSS_median"]) < 0.8
    pooled = calibration(**world, climatology=xr.DataArray(record.values.ravel(), dims="sample"))
    assert float(pooled["CRPS_climatology_median"]) == pytest.approx(
        float(found["CRPS_climatology_median"]), rel=0.1
    )


def test_the_climatology_itself_has_no_skill() -> None:
    rng = np.random.default_rng(2)
    observed = series(rng.normal(0.3, 0.05, (4, 3000)))
    flat = observed.copy(data=np.full(observed.shape, 0.3))
    found = calibration(
        flat, 0 * flat + 0.05, observed, observed.copy(data=rng.normal(0.3, 0.05, observed.shape))
    )
    np.testing.assert_allclose(found["CRPSS"], 0, atol=0.01)


def test_censored_distributions_use_their_bounds() -> None:
    rng = np.random.default_rng(3)
    observed = series(np.clip(rng.normal(0.03, 0.04, (6, 2000)), 0, 1))
    mean, std = observed * 0 + observed.mean(), observed * 0 + observed.std()
    mean, std = mean.assign_attrs(observed.attrs), std.assign_attrs(observed.attrs)
    censored, free = calibration(mean, std, observed), calibration(mean, std, observed, censored=False)
    assert float(censored["CRPS"].mean()) < float(free["CRPS"].mean())
    assert float(censored["width"].sel(level=0.95).mean()) < float(free["width"].sel(level=0.95).mean())


# Location and scale before censoring; the mass on a bound is 0.2 to 0.8.
NEAR_BOUNDS = {
    "a fifth at 0": (0.1, 0.12),
    "half at 0": (0.0, 0.08),
    "most at 0": (-0.05, 0.06),
    "at 1": (0.92, 0.1),
}


def near_a_bound(shape: str) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Moments after censoring, as a run stores them (here by simulation), and observations."""
    location, scale = NEAR_BOUNDS[shape]
    rng = np.random.default_rng(9)
    y = np.clip(rng.normal(location, scale, (10, 4000)), 0, 1)
    many = np.clip(rng.normal(location, scale, 4_000_000), 0, 1)
    return series(np.full(y.shape, many.mean())), series(np.full(y.shape, many.std())), series(y)


@pytest.mark.parametrize("shape", NEAR_BOUNDS)
def test_calibration_with_mass_on_a_bound(shape: str) -> None:
    mean, std, observed = near_a_bound(shape)
    found = calibration(mean, std, observed)
    np.testing.assert_allclose(found["pit"].mean("site"), 0.1, atol=5 * np.sqrt(0.09 / observed.size) + 0.002)
    for level in LEVELS:
        at = found.sel(level=level)
        # Five standard errors, and the error of the simulated moments.
        assert float(at["coverage"].mean()) == pytest.approx(
            float(at["probability"].mean()), abs=5 * np.sqrt(0.25 / observed.size) + 0.002
        )
        assert float(at["probability"].mean()) >= level - 1e-9
    for wrong in (std / 1.5, std * 1.5):
        off = calibration(mean, wrong.assign_attrs(std.attrs), observed)
        assert float(np.abs(off["pit"].mean("site") - 0.1).max()) > 0.02


def test_clipped_ensembles_are_calibrated_too() -> None:
    rng = np.random.default_rng(10)
    draw = lambda *first: np.clip(rng.normal(0.02, 0.05, (*first, 10, 2000)), 0, 1)  # noqa: E731
    found = ensemble_calibration(series(draw(39), "member"), series(draw()))
    np.testing.assert_allclose(found["pit"].mean("site"), 0.1, atol=0.012)
    at = found.sel(level=[0.5, 0.8, 0.9])
    np.testing.assert_allclose(at["coverage"].mean("site"), at["probability"].mean("site"), atol=0.015)
    assert float(at["probability"].sel(level=0.5).mean()) > 0.6


def test_step_of_rounded_observations() -> None:
    rng = np.random.default_rng(11)
    values = rng.uniform(0.0, 0.4, (6, 200)).astype(np.float32)
    values[1], values[2], values[3] = (np.round(values[0] / s) * s for s in (0.01, 0.005, 0.001))
    values[4] = 0.2
    values[5, 3:] = np.nan
    np.testing.assert_array_equal(rounding_step(values), [0, 0.01, 0.005, 0.001, 0, 0])
    # The daily mean of 24 rounded values is not rounded.
    hourly = np.round(rng.uniform(0, 0.4, (1, 200, 24)), 2)
    assert rounding_step(hourly.mean(-1))[0] == 0


def test_rounded_observations_near_0_have_a_flat_histogram() -> None:
    mean, std, observed = near_a_bound("half at 0")
    rounded = observed.copy(data=np.round(observed.values / 0.01) * 0.01)
    found = calibration(mean, std, rounded)
    assert (found["resolution"] == 0.01).all()
    np.testing.assert_allclose(found["pit"].mean("site"), 0.1, atol=0.01)


def test_sites_without_enough_days_have_a_reason(world: dict[str, xr.DataArray]) -> None:
    world["observed"][3, 20:] = np.nan
    world["std"][5] = np.nan
    found = calibration(**world)
    assert str(found["reason"][3].values).endswith("paired days, fewer than 30")
    assert str(found["reason"][5].values) == "0 paired days, fewer than 30"
    for name in ("CRPS", "coverage", "width", "pit"):
        assert bool(found[name].isel(site=[3, 5]).isnull().all())
        assert bool(found[name].isel(site=[0, 1, 2, 4]).notnull().all())


def test_sites_and_days_are_matched_by_label(world: dict[str, xr.DataArray]) -> None:
    found = calibration(**world)
    shuffled = calibration(
        world["mean"].isel(site=slice(None, None, -1)),
        world["std"],
        world["observed"].isel(time=slice(None, None, -1)),
    )
    np.testing.assert_allclose(shuffled["CRPS"].sel(site=found["site"]), found["CRPS"])


def test_large_ensemble_approaches_the_distribution(world: dict[str, xr.DataArray]) -> None:
    rng = np.random.default_rng(4)
    members = rng.normal(world["mean"].values, world["std"].values, (199, SITES, DAYS))
    found = ensemble_calibration(series(members, "member"), world["observed"])
    exact = calibration(**world, censored=False)
    np.testing.assert_allclose(found["CRPS"], exact["CRPS"], rtol=0.03)
    np.testing.assert_allclose(found["coverage"], exact["coverage"], atol=0.03)
    np.testing.assert_allclose(found["width"], exact["width"], rtol=0.03)
    np.testing.assert_allclose(found["pit"], exact["pit"], atol=0.04)


def test_seven_members_give_no_coverage_of_wide_intervals(world: dict[str, xr.DataArray]) -> None:
    rng = np.random.default_rng(5)
    members = rng.normal(world["mean"].values, world["std"].values, (7, SITES, DAYS))
    found = ensemble_calibration(series(members, "member"), world["observed"])
    # 50 % lies between the second and the sixth of seven; five standard errors of 5,760 days.
    assert float(found["coverage"].sel(level=0.5).mean()) == pytest.approx(0.5, abs=0.033)
    assert bool(found["coverage"].sel(level=[0.8, 0.9, 0.95]).isnull().all())


def test_intervals_of_shares_are_shares() -> None:
    """Two networks with opposite errors: the widened interval of a median share would pass 0 and 1."""
    rng = np.random.default_rng(3)
    observed = series(rng.normal(0.3, 0.03, (6, 300)))
    mean = 0.3 + np.array([0.0, 0.1, 0.0, 0.1, 0.0, 0.1])[:, None] * np.ones(300)
    networks = ("site", ["a", "b"] * 3)
    found = calibration(series(mean, network=networks), series(np.full((6, 300), 0.03), network=networks),
                        observed.assign_coords(network=networks))  # fmt: skip
    for name in ("coverage", "probability", "pit", "CRPS", "width"):
        low, high = found[f"{name}_lower"].values, found[f"{name}_upper"].values
        assert np.isfinite(low).all() and (low >= 0).all() and (low <= high).all()
        assert (high <= 1).all()


def test_invalid_input_is_named(world: dict[str, xr.DataArray]) -> None:
    with pytest.raises(DatasetError, match="negative standard deviation: -"):
        calibration(world["mean"], -world["std"], world["observed"])
    with pytest.raises(DatasetError, match="units '%'"):
        calibration(world["mean"].assign_attrs(units="%"), world["std"], world["observed"])
    with pytest.raises(DatasetError, match="confidence is 95"):
        calibration(**world, confidence=95)
    with pytest.raises(DatasetError, match="min_days is 0"):
        calibration(**world, min_days=0)
    with pytest.raises(DatasetError, match=r"expected \(member, site, time\)"):
        ensemble_calibration(world["mean"], world["observed"])
    with pytest.raises(DatasetError, match="climatology has dimensions"):
        calibration(**world, climatology=world["mean"].expand_dims("product"))
