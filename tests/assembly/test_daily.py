"""Daily statistics against known sums and pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from gsm3core.assembly.daily import to_daily
from gsm3core.errors import DatasetError


def hourly(values: np.ndarray, start: str = "2020-01-01", step: float = 3600, units: str = "K") -> xr.Dataset:
    times = pd.date_range(start, periods=len(values), freq=pd.Timedelta(seconds=step))
    return xr.Dataset(
        {"x": (("time", "site"), np.float32(values).reshape(len(values), -1), {"units": units})},
        coords={"time": times},
        attrs={"time_step": step},
    )


def test_means_sums_and_extremes() -> None:
    ds = hourly(np.arange(48.0), units="mm")
    assert to_daily(ds).x.values.ravel().tolist() == [11.5, 35.5]
    assert to_daily(ds, how={"x": "sum"}).x.values.ravel().tolist() == [276.0, 852.0]
    assert to_daily(ds, how={"x": "min"}).x.values.ravel().tolist() == [0.0, 24.0]
    daily = to_daily(ds, how={"x": "max"})
    assert daily.x.values.ravel().tolist() == [23.0, 47.0]
    assert daily.x.attrs["cell_methods"] == "time: maximum (interval: 3600 s)"
    assert [str(t)[:16] for t in daily.time.values] == ["2020-01-01T00:00", "2020-01-02T00:00"]
    assert daily.attrs["time_step"] == 86400


def test_too_few_steps_and_an_axis_without_gaps() -> None:
    values = np.arange(72.0)
    values[:7] = np.nan  # 17 of 24 left on the first day
    values[24:30] = np.nan  # 18 of 24 on the second
    ds = hourly(values)
    daily = to_daily(ds)
    assert np.isnan(daily.x.values[0, 0])
    assert daily.x.values[1, 0] == pytest.approx(np.arange(30, 48).mean())
    assert daily.x.attrs["days_short_of_steps"] == 1
    assert to_daily(ds, minimum=0.01).x.values[0, 0] == pytest.approx(np.arange(7, 24).mean())
    without = ds.isel(time=np.r_[0:24, 48:72])
    daily = to_daily(without, minimum=0.5)
    assert daily.sizes["time"] == 3
    assert np.isnan(daily.x.values[1, 0])


@given(
    per_day=st.sampled_from([1, 2, 4, 8, 24, 48]),
    minimum=st.floats(0.05, 1),
    seed=st.integers(0, 1000),
)
def test_agrees_with_pandas(per_day: int, minimum: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(280, 10, per_day * 4)
    values[rng.random(values.size) < 0.4] = np.nan
    ds = hourly(values, step=86400 / per_day)
    series = pd.Series(np.float32(values).astype(float), index=ds.time.values)
    count = series.resample("D").count()
    expected = series.resample("D").mean().where(count >= np.ceil(minimum * per_day - 1e-9))
    np.testing.assert_allclose(to_daily(ds, minimum=minimum).x.values.ravel(), expected.to_numpy(), rtol=1e-6)


def test_grids_and_static_variables_are_kept() -> None:
    ds = hourly(np.arange(48.0))
    ds = ds.expand_dims({"lat": [1.0, 2.0]}).transpose("lat", "time", "site")
    ds["elevation"] = ("lat", [5.0, 6.0])
    daily = to_daily(ds)
    assert daily.x.dims == ("lat", "time", "site")
    assert daily.elevation.values.tolist() == [5.0, 6.0]
    assert daily.lat.values.tolist() == [1.0, 2.0]


def test_invalid_input_is_an_error() -> None:
    ds = hourly(np.arange(48.0))
    with pytest.raises(DatasetError, match=r"time step of 0 s does not divide a day"):
        to_daily(ds.drop_attrs(deep=False))
    with pytest.raises(DatasetError, match=r"time step of 50000 s does not divide a day"):
        to_daily(ds, step=50000)
    with pytest.raises(DatasetError, match=r"must ascend without duplicates"):
        to_daily(ds.isel(time=[0, 0, 1]))
    with pytest.raises(DatasetError, match=r"invalid minimum 18; expected a share"):
        to_daily(ds, minimum=18)
    with pytest.raises(DatasetError, match=r"unknown statistic 'median' of 'x'"):
        to_daily(ds, how={"x": "median"})  # type: ignore[dict-item]
    with pytest.raises(DatasetError, match=r"no variable 'y'; the dataset has x"):
        to_daily(ds, how={"y": "sum"})
    with pytest.raises(DatasetError, match=r"a sum of values in 'mm d-1' is not an amount"):
        to_daily(hourly(np.arange(48.0), units="mm d-1"), how={"x": "sum"})
    with pytest.raises(DatasetError, match=r"no time step"):
        to_daily(ds.isel(time=[]))
