"""Triple collocation against planted errors and pytesmo, and with small or invalid samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks.benchmark_series import ar1
from gsm3core import triple_collocation
from gsm3core.errors import DatasetError

ERRORS, GAINS = (0.02, 0.03, 0.05), (1.0, 0.7, 1.4)
TRUTH_STD = 0.06


def triplets(
    sites: int, days: int, lag1: float = 0.8, seed: int = 0, gaps: float = 0.1
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Three products of one AR(1) truth, each with its gain, bias and independent AR(1) error."""
    rng = np.random.default_rng(seed)
    truth = TRUTH_STD * ar1(rng, (sites, days), lag1)
    coords = {"site": np.arange(sites), "time": pd.date_range("2015-04-01", periods=days)}
    found = []
    for k, (error, gain) in enumerate(zip(ERRORS, GAINS, strict=True)):
        x = 0.2 + 0.03 * k + gain * truth + error * ar1(rng, (sites, days), lag1)
        x[rng.random(x.shape) < gaps] = np.nan
        found.append(xr.DataArray(x, dims=("site", "time"), coords=coords, name="xyz"[k]))
    return found[0], found[1], found[2]


def test_planted_errors_are_recovered() -> None:
    found = triple_collocation(*triplets(40, 3000), replicates=100)
    r = [g * TRUTH_STD / np.hypot(g * TRUTH_STD, e) for g, e in zip(GAINS, ERRORS, strict=True)]
    # 40 sites x about 243 independent days: a standard error near 1 %, four of them allowed.
    np.testing.assert_allclose(found.error_std.mean("site"), ERRORS, rtol=0.04)
    np.testing.assert_allclose(found.R.mean("site"), r, atol=0.01)
    np.testing.assert_allclose(found.scale.mean("site"), [1, 1 / 0.7, 1 / 1.4], rtol=0.02)
    np.testing.assert_allclose(
        found.snr.mean("site"), 10 * np.log10(np.square(GAINS) * TRUTH_STD**2 / np.square(ERRORS)), atol=0.5
    )
    assert (found.reason == "").all()


def test_equal_to_pytesmo() -> None:
    tcol_metrics = pytest.importorskip("pytesmo.metrics").tcol_metrics
    series = triplets(25, 900, seed=3)
    found = triple_collocation(*series, replicates=100)
    negative = 0
    for site in range(25):
        days = np.isfinite([s.values[site] for s in series]).all(0)
        values = [s.values[site, days] for s in series]
        snr, std, beta = tcol_metrics(*values)
        q = np.cov(values)
        # pytesmo uses the absolute value of a negative error variance; here the result is NaN with a reason.
        error = [q[0, 0] - q[0, 1] * q[0, 2] / q[1, 2], q[1, 1] - q[0, 1] * q[1, 2] / q[0, 2],
                 q[2, 2] - q[0, 2] * q[1, 2] / q[0, 1]]  # fmt: skip
        known = np.array(error) >= 0
        negative += int((~known).sum())
        r = np.sqrt(1 / (1 + 10 ** (-snr / 10)))
        np.testing.assert_allclose(found.scale[:, site], beta, rtol=1e-9)
        # pytesmo rescales to the first product.
        for ours, theirs in (
            (found.snr[:, site], snr), (found.error_std[:, site] * found.scale[:, site], std), (found.R[:, site], r)
        ):  # fmt: skip
            np.testing.assert_allclose(ours, np.where(known, theirs, np.nan), rtol=1e-7)
    assert negative < 10


@pytest.mark.parametrize("lag1", [0.0, 0.9])
def test_intervals_cover_the_planted_error(lag1: float) -> None:
    found = triple_collocation(*triplets(300, 2000, lag1=lag1, seed=7), replicates=400)
    r = [g * TRUTH_STD / np.hypot(g * TRUTH_STD, e) for g, e in zip(GAINS, ERRORS, strict=True)]
    for name, truth in (("error_std", ERRORS), ("R", r)):
        t = np.array(truth)[:, None]
        share = ((found[f"{name}_lower"] <= t) & (found[f"{name}_upper"] >= t)).mean("site").values
        # Three standard errors of 0.95 over 300 sites are 0.038; 0.03 more is allowed for autocorrelation.
        assert (share >= 0.88).all(), (name, share)


def test_small_or_invalid_samples_give_reasons() -> None:
    x, y, z = (s.copy() for s in triplets(6, 400, seed=1))
    x[0] = np.nan
    y[1, 90:] = np.nan
    z[2] = 0.3
    z[3] = -z[3]
    rng = np.random.default_rng(0)
    x[4] = (
        0.2 + 0.05 * y[4] + 1e-6 * rng.normal(size=400)
    )  # x contains the error of y, and no error of its own
    found = triple_collocation(x, y, z, replicates=100)
    reasons = found.reason.values
    assert all("0 days with all three, fewer than 100" in r for r in reasons[:, 0])
    assert all("days with all three, fewer than 100" in r for r in reasons[:, 1])
    assert all(r == "z is constant" for r in reasons[:, 2])
    assert all("x and z are not positively correlated" in r for r in reasons[:, 3])
    assert (reasons[:, 5] == "").all()
    without = np.isnan(found.error_std.values)
    assert without[:, :4].all()
    for name in ("error_std", "R", "snr"):
        np.testing.assert_array_equal(np.isnan(found[name].values), without)
    negative = np.char.find(reasons.astype(str), "negative") >= 0
    assert (without[negative]).all()
    assert not without[:, 5].any()


def test_unrelated_series_give_no_narrow_interval() -> None:
    """Three unrelated series rarely have an interval, and never a narrow one."""
    rng = np.random.default_rng(2)
    coords = {"site": np.arange(60), "time": pd.date_range("2015-04-01", periods=400)}
    x, y, z = (
        xr.DataArray(rng.normal(size=(60, 400)), dims=("site", "time"), coords=coords, name=n) for n in "xyz"
    )
    found = triple_collocation(x, y, z, replicates=200)
    assert (found.R_lower.isnull() | (found.R_lower < 0.5)).all()
    assert float(found.R_lower.notnull().mean()) < 0.1


def test_results_are_seeded_and_invalid_input_is_named() -> None:
    series = triplets(3, 400)
    xr.testing.assert_identical(
        triple_collocation(*series, replicates=100), triple_collocation(*series, replicates=100)
    )
    with pytest.raises(DatasetError, match="three different names"):
        triple_collocation(series[0], series[1], series[0])
    with pytest.raises(DatasetError, match="z has dimensions"):
        triple_collocation(series[0], series[1], series[2][0])
    with pytest.raises(DatasetError, match="no site or no day in common"):
        triple_collocation(series[0], series[1], series[2].assign_coords(site=[7, 8, 9]))
