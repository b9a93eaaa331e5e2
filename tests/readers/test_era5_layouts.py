"""ERA5 in other layouts than that of the CDS: the file's dimensions are followed, or named in an error."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.era5.reader import Era5LandReader, Era5Reader
from support.era5_files import (
    RAIN,
    START,
    axes,
    daily_means,
    ends,
    hourly_rain,
    seconds,
    since_midnight,
    write_cds,
)

DAYS = Period(start=dt.date(2024, 6, 1), end=dt.date(2024, 6, 3))
SINCE = {"units": "seconds since 1970-01-01"}
LAT, LON = axes(0.25)
HOURS = pd.date_range(START, periods=72, freq="h")
AIR = 290 + HOURS.day.to_numpy().astype(float)
MEANS = [291.0, 292.0, 293.0]


def grid(
    values: np.ndarray, dims: tuple[str, ...], units: str = "K"
) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
    full = np.broadcast_to(values[..., None, None], (*values.shape, 3, 3)).astype(np.float32)
    return (*dims, "latitude", "longitude"), full, {"units": units}


def forecasts(
    first: str, starts: int, every: int, steps: int
) -> tuple[np.ndarray, np.ndarray, pd.DatetimeIndex]:
    """Start and step of forecasts in seconds and hours, and their validity times."""
    start = pd.date_range(first, periods=starts, freq=f"{every}h")
    step = np.arange(1, steps + 1)
    return seconds(start), step, start


def of_cfgrib() -> xr.Dataset:
    """cfgrib's own layout of an analysis: the start of the forecast and the validity time are the same."""
    return xr.Dataset(
        {"t2m": grid(AIR, ("time",))},
        coords={
            "number": 0, "time": ("time", seconds(HOURS), SINCE), "step": ((), 0.0, {"units": "hours"}), "surface": 0.0,
            "heightAboveGround": 2.0, "latitude": LAT, "longitude": LON, "valid_time": ("time", seconds(HOURS), SINCE),
        },
    )  # fmt: skip


def of_forecasts(
    order: tuple[str, str] = ("time", "step"), valid: bool = True, padded: bool = True
) -> xr.Dataset:
    """cfgrib's layout of ERA5's accumulations: forecasts from 06 and 18 UTC with steps of 1 to 12 hours."""
    start, step, stamps = forecasts("2024-05-31T18", 7, 12, 12)
    times = stamps.to_numpy()[:, None] + step * np.timedelta64(1, "h")
    rain = pd.Series(hourly_rain(), ends()).reindex(times.ravel()).to_numpy().reshape(7, 12)
    rain = rain if padded else np.nan_to_num(rain)
    ds = xr.Dataset(
        {"tp": grid(rain, ("time", "step"), "m")},
        coords={
            "number": 0, "time": ("time", start, SINCE), "step": ("step", step.astype(float), {"units": "hours"}),
            "surface": 0.0, "latitude": LAT, "longitude": LON,
        },
    )  # fmt: skip
    if valid:
        ds = ds.assign_coords(valid_time=(("time", "step"), start[:, None] + step * 3600.0, SINCE))
    return ds.transpose(*order, ...)


def with_steps_in(unit: str, factor: float) -> xr.Dataset:
    ds = of_forecasts(valid=False)
    return ds.assign_coords(step=("step", ds.step.values * factor, {"units": unit}))


def renamed_times(**names: str) -> xr.Dataset:
    return of_forecasts(valid=False).rename(names)


@pytest.mark.parametrize(
    "make",
    [
        of_forecasts,
        lambda: of_forecasts(("step", "time")),
        lambda: of_forecasts(valid=False),
        lambda: of_forecasts(padded=False),
        lambda: with_steps_in("nanoseconds", 3.6e12),
        lambda: with_steps_in("days", 1 / 24),
        lambda: renamed_times(time="forecast_reference_time", step="forecast_period"),
        lambda: renamed_times(time="forecast_initial_time", step="forecast_hour"),
    ],
    ids=[
        "2-D valid_time",
        "step first",
        "no valid_time",
        "not padded",
        "ns",
        "days",
        "CDS names",
        "NCAR names",
    ],
)
def test_forecasts_and_steps(tmp_path: Path, make: Callable[[], xr.Dataset]) -> None:
    make().to_netcdf(tmp_path / "tp.nc", engine="h5netcdf")
    ds = Era5Reader().open(tmp_path, DAYS)
    assert daily_means(ds, "precipitation") == pytest.approx(RAIN[:3], rel=1e-4)
    assert ds.sizes["time"] == 72


def test_era5_land_from_grib(tmp_path: Path) -> None:
    """A forecast a day with steps of 1 to 24 hours: totals since its start, which is 00 UTC; step 0 is no interval."""
    start = pd.date_range(START, periods=3, freq="D")
    step = np.arange(25)
    totals = np.concatenate([np.zeros((3, 1)), since_midnight(hourly_rain()).reshape(3, 24)], axis=1)
    lat, lon = axes(0.1)
    xr.Dataset(
        {"tp": grid(totals, ("time", "step"), "m")},
        coords={"time": ("time", seconds(start), SINCE), "step": ("step", step, {"units": "hours"}),
                "latitude": lat, "longitude": lon},
    ).to_netcdf(tmp_path / "tp.nc", engine="h5netcdf")  # fmt: skip
    assert daily_means(Era5LandReader().open(tmp_path, DAYS), "precipitation") == pytest.approx(
        RAIN[:3], rel=1e-4
    )
    with pytest.raises(DatasetError, match="is ERA5-Land"):
        Era5Reader().open(tmp_path)


def analysis(**changes: object) -> xr.Dataset:
    ds = xr.Dataset(
        {"t2m": grid(AIR, ("time",))},
        coords={"time": ("time", seconds(HOURS), SINCE), "latitude": LAT, "longitude": LON},
    )
    return ds.assign_coords(changes) if changes else ds


def two_time_axes() -> xr.Dataset:
    ds = analysis()
    ds["sp"] = (
        ("valid_time", "latitude", "longitude"),
        np.full((10, 3, 3), 9e4, np.float32),
        {"units": "Pa"},
    )
    return ds.assign_coords(valid_time=("valid_time", seconds(HOURS[:10]), SINCE))


def texts() -> xr.Dataset:
    return analysis(time=("time", np.array([t.strftime("%Y-%m-%dT%H:%M:%SZ") for t in HOURS], dtype=object)))


def days_as_numbers() -> xr.Dataset:
    numbers = [float(t.strftime("%Y%m%d")) + t.hour / 24 for t in HOURS]
    return analysis(time=("time", numbers, {"units": "day as %Y%m%d.%f"}))


def dates_without_units() -> xr.Dataset:
    """Days as numbers, and attributes that say what their values are."""
    ds = analysis().isel(time=slice(None, None, 24)).assign_attrs(comment="daily_mean")
    numbers = np.array([int(t.strftime("%Y%m%d")) for t in HOURS[::24]])
    return ds.assign_coords(time=("time", numbers)).rename(time="date")


def beyond_360() -> xr.Dataset:
    return analysis().assign_coords(longitude=[359.75, 360.0, 360.25])


def fractions_of_days() -> xr.Dataset:
    return analysis(
        time=("time", np.arange(72) / 24, {"units": "days since 2024-06-01", "calendar": "julian"})
    )


def level_of_size_one() -> xr.Dataset:
    ds = analysis()
    return ds.assign(t2m=ds.t2m.expand_dims({"level": [2.0], "number": [0]}))


@pytest.mark.parametrize(
    "make",
    [
        of_cfgrib,
        lambda: of_cfgrib().drop_vars("valid_time"),
        lambda: analysis().transpose("longitude", "latitude", "time"),
        lambda: analysis().sortby("latitude"),
        lambda: analysis().isel(time=slice(None, None, -1)),
        lambda: analysis().rename(t2m="2m_temperature"),
        lambda: analysis().rename(latitude="lat", longitude="lon"),
        lambda: analysis().rename(time="date"),
        two_time_axes,
        texts,
        days_as_numbers,
        fractions_of_days,
        dates_without_units,
        beyond_360,
        level_of_size_one,
    ],
    ids=["cfgrib", "no valid_time", "lon-lat-time", "ascending", "backwards", "ARCO name", "lat lon", "date", "two axes",
         "texts", "numbers", "fractions", "dates", "beyond 360", "size one"],
)  # fmt: skip
def test_layouts_of_an_analysis(tmp_path: Path, make: Callable[[], xr.Dataset]) -> None:
    make().to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    ds = Era5Reader(["air_temperature"]).open(tmp_path, DAYS)
    assert daily_means(ds, "air_temperature") == pytest.approx(MEANS)
    assert ds.lat.values.tolist() == [50.0, 50.25, 50.5]


def versions(numbers: list[object], final: int | None, early: int | None) -> xr.Dataset:
    """expver as a dimension: the last day is preliminary only, and 400 K stands where nothing must be read."""
    parts = np.full((72, len(numbers)), np.nan)
    if final is not None:
        parts[: 48 if early is not None else 72, final] = AIR[: 48 if early is not None else 72]
    if early is not None:
        parts[48 if final is not None else 0 :, early] = AIR[48 if final is not None else 0 :]
    return xr.Dataset(
        {"t2m": grid(parts, ("time", "expver"))},
        coords={
            "time": ("time", seconds(HOURS), SINCE),
            "expver": np.array(numbers),
            "latitude": LAT,
            "longitude": LON,
        },
    )


@pytest.mark.parametrize(
    ("make", "preliminary"),
    [
        (lambda: versions([1, 5], 0, 1), 24),
        (lambda: versions(["0005", "0001"], 1, 0), 24),
        (lambda: versions([5], None, 0), 72),
        (lambda: versions(["0001"], 0, None), 0),
        (lambda: analysis(expver=("time", np.array(["0001"] * 48 + ["0005"] * 24, dtype=object))), 24),
        (lambda: analysis(expver=("time", np.array(["0001"] * 70 + ["", "x"], dtype=object))), 0),
        (lambda: analysis(expver=((), "0005")), 72),
        (lambda: analysis(expver=("time", np.array([1.0] * 71 + [np.nan]))), 0),
    ],
    ids=["1 and 5", "texts", "only 5", "only 1", "per step", "odd texts", "scalar", "missing"],
)
def test_versions(tmp_path: Path, make: Callable[[], xr.Dataset], preliminary: int) -> None:
    make().to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    ds = Era5Reader().open(tmp_path, DAYS)
    assert daily_means(ds, "air_temperature") == pytest.approx(MEANS)
    assert ds.attrs["preliminary_steps"] == preliminary


@pytest.mark.parametrize("dims", [(), ("latitude", "longitude")])
def test_point_series(tmp_path: Path, dims: tuple[str, ...]) -> None:
    """The CDS's time series: one cell, with its place as numbers or as axes of one."""
    ds = analysis().isel(latitude=[0], longitude=[0]).rename(time="valid_time")
    ds = ds if dims else ds.squeeze(["latitude", "longitude"])
    ds.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    out = Era5Reader().open(tmp_path, DAYS)
    assert dict(out.sizes) == {"time": 72, "lat": 1, "lon": 1}
    assert daily_means(out, "air_temperature") == pytest.approx(MEANS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: ds.assign(t2m=ds.t2m.expand_dims(level=[1000, 850])), r"t2m\(level: 2, time: 72, .*dimension level"),
        (lambda ds: ds.assign(t2m=ds.t2m.expand_dims(number=range(10))), "10 ensemble members"),
        (lambda ds: ds.drop_vars("time"), r"no times for t2m\(time: 72, latitude: 3"),
        (lambda ds: ds.rename(latitude="y").drop_vars("y"), r"a\.nc has no lat: expected .*longitude\(longitude: 3\)"),
        (lambda ds: ds.assign_coords(time=("time", np.arange(72), {"units": "hours"})), r"time\(time: 72\) has units 'hours'"),
        (lambda ds: ds.assign_coords(time=("time", np.arange(72), {"units": "hours since 2024-06-01", "calendar": "noleap"})),
         "calendar 'noleap'"),
        (lambda ds: ds.rename(latitude="y", longitude="x").assign_coords(
            latitude=(("y", "x"), np.full((3, 3), 50.0)), longitude=(("y", "x"), np.full((3, 3), 9.0))),
         r"latitude\(y: 3, x: 3\) has 2 dimensions"),
        (lambda ds: ds.assign_coords(latitude=[350.0, 351, 352]), "latitudes are 350 to 352.*swapped"),
    ],
    ids=["level", "members", "no times", "no latitudes", "units", "calendar", "2-D", "swapped"],
)  # fmt: skip
def test_errors_name_file_variable_and_dimensions(
    tmp_path: Path, change: Callable[[xr.Dataset], xr.Dataset], message: str
) -> None:
    change(analysis()).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(DatasetError, match=message) as caught:
        Era5Reader(["air_temperature"]).open(tmp_path)
    assert str(tmp_path / "a.nc") in str(caught.value)


def test_accumulations_at_half_hours_are_refused(tmp_path: Path) -> None:
    write_cds(tmp_path / "a.nc", {"tp": hourly_rain()}, ends() - pd.Timedelta("30min"))
    with pytest.raises(
        DatasetError, match=r"tp\(valid_time: 72, .* has the time 2024-06-01T00:30; expected full hours"
    ):
        Era5Reader(["precipitation"]).open(tmp_path)


def test_file_of_another_format_is_set_aside(tmp_path: Path) -> None:
    write_cds(tmp_path / "a.nc", {"t2m": AIR}, HOURS)
    (tmp_path / "b.grib").write_bytes(b"GRIB" + b"0" * 50)
    ds = Era5Reader().open(tmp_path, DAYS)
    assert daily_means(ds, "air_temperature") == pytest.approx(MEANS)
    assert "not read: b.grib: " in ds.attrs["notes"] and "is GRIB" in ds.attrs["notes"]
    with pytest.raises(
        DatasetError, match=r"has no tp .precipitation.; it has t2m .*b\.grib was not read: .*is GRIB"
    ):
        Era5Reader(["precipitation"]).open(tmp_path)


def test_several_boxes_need_sites(tmp_path: Path) -> None:
    """Whole maps of two areas cannot be one grid; at sites they can (tests/assembly/test_era5_builds.py)."""
    write_cds(tmp_path / "a.nc", {"t2m": AIR}, HOURS)
    write_cds(tmp_path / "b.nc", {"t2m": AIR}, HOURS, south=-30.0)
    with pytest.raises(DatasetError, match=r"b\.nc has another grid .*50 to 50\.5"):
        Era5Reader().open(tmp_path)


def test_land_sea_mask_of_another_file(tmp_path: Path) -> None:
    """Its latitudes ascend; those of the data descend."""
    write_cds(tmp_path / "soil.nc", {"swvl1": np.full(72, 0.3)}, HOURS)
    mask = np.zeros((3, 3), np.float32)
    mask[0, 1] = 1
    xr.Dataset(
        {"lsm": (("time", "latitude", "longitude"), mask[None], {"units": "(0 - 1)"})},
        coords={"time": ("time", seconds(HOURS[:1]), SINCE), "latitude": LAT[::-1], "longitude": LON},
    ).to_netcdf(tmp_path / "mask.nc", engine="h5netcdf")
    ds = Era5Reader().open(tmp_path, DAYS)
    land = ds.sm_product.notnull().all("time")
    assert land.values.sum() == 1 and bool(land.sel(lat=50.0, lon=9.25))


def test_overlapping_downloads(tmp_path: Path) -> None:
    """The same values are read once; final values are read before preliminary ones; others are an error."""
    write_cds(tmp_path / "a.nc", {"t2m": AIR[:50]}, HOURS[:50])
    write_cds(tmp_path / "b.nc", {"t2m": AIR[40:]}, HOURS[40:])
    ds = Era5Reader().open(tmp_path, DAYS)
    assert daily_means(ds, "air_temperature") == pytest.approx(MEANS)
    assert ds.sizes["time"] == 72
    assert "overlapping times not read: b.nc: the same values as in a.nc" in ds.attrs["notes"]
    write_cds(tmp_path / "b.nc", {"t2m": AIR[40:] + 1}, HOURS[40:])
    with pytest.raises(
        DatasetError, match=r"air_temperature at 2024-06-02T16:00 is in two files: .*a\.nc and .*b\.nc"
    ):
        Era5Reader().open(tmp_path, DAYS)
    early = analysis(expver=("time", np.array(["0005"] * 72, dtype=object)))
    early["t2m"] = (early.t2m + 1).assign_attrs(early.t2m.attrs)
    early.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    write_cds(tmp_path / "b.nc", {"t2m": AIR[:48]}, HOURS[:48])
    ds = Era5Reader().open(tmp_path, DAYS)
    assert daily_means(ds, "air_temperature") == pytest.approx([*MEANS[:2], MEANS[2] + 1])
    assert ds.attrs["preliminary_steps"] == 24
    assert "a.nc: preliminary values of times in b.nc" in ds.attrs["notes"]


def test_time_series_as_csv(tmp_path: Path) -> None:
    """The CDS's time series of two places; a table without ERA5's columns beside it is left alone."""
    one = pd.DataFrame(
        {"valid_time": ends(), "t2m": 290.0, "tp": hourly_rain(), "latitude": 50.25, "longitude": 9.25}
    )
    one.to_csv(tmp_path / "one.csv", index=False)
    (tmp_path / "places.csv").write_text("site,lat,lon\na,50.25,9.25\n")
    ds = Era5Reader(["precipitation"]).open(tmp_path, DAYS)
    assert dict(ds.sizes) == {"time": 72, "lat": 1, "lon": 1}
    assert daily_means(ds, "precipitation") == pytest.approx(RAIN[:3], rel=1e-4)
    pd.concat([one, one.iloc[[5]]]).to_csv(tmp_path / "one.csv", index=False)
    with pytest.raises(DatasetError, match=r"one\.csv has 2024-06-01 06:00:00 at 50\.25, 9\.25 twice"):
        Era5Reader(["precipitation"]).open(tmp_path, DAYS)
    one.assign(tp="x").to_csv(tmp_path / "one.csv", index=False)
    with pytest.raises(DatasetError, match=r"one\.csv: column 'tp' has text 'x'"):
        Era5Reader(["precipitation"]).open(tmp_path, DAYS)
