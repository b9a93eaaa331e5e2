"""One value per UTC day: steps, labels, calendars and zones of a time axis."""

from __future__ import annotations

import re

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from gsm3core import site_scores
from gsm3core.errors import DatasetError
from gsm3core.readers.utc_days import to_utc_days

DAYS = pd.date_range("2015-04-01", periods=60)
# MODIS starts again on 1 January.
EIGHT_DAYS = pd.date_range("2015-01-01", "2015-12-27", freq="8D").append(
    pd.date_range("2016-01-01", "2016-12-26", freq="8D")
)


def daily(times: pd.DatetimeIndex = DAYS, sites: int = 3) -> xr.DataArray:
    """Slow waves between 0.1 and 0.4, one phase per site."""
    x = np.arange(len(times))
    values = np.stack([0.25 + 0.15 * np.sin(x / 5 + k) for k in range(sites)])
    return xr.DataArray(
        values, dims=("site", "time"), coords={"site": [f"S{k}" for k in range(sites)], "time": times},
        attrs={"units": "m3 m-3"},
    )  # fmt: skip


def sub_daily(step: str) -> xr.DataArray:
    """Values within the day around the daily value, so that each day's mean is the daily value."""
    per_day = pd.Timedelta("1D") // pd.Timedelta(step)
    times = pd.date_range(DAYS[0], periods=per_day * len(DAYS), freq=step)
    wave = np.linspace(-0.05, 0.05, per_day)
    values = (daily().values[:, :, None] + wave).reshape(3, -1)
    return xr.DataArray(
        values, dims=("site", "time"), coords={"site": daily().site, "time": times}, attrs={"units": "m3 m-3"}
    )


@pytest.mark.parametrize(
    ("step", "note"),
    [("1h", "every 1 h .* needs 18 of 24"), ("3h", "every 3 h .* needs 6 of 8"), ("30min", "every 30 min .* 36 of 48"),
     ("12h", "needs 1 of 2")],
)  # fmt: skip
def test_steps_within_the_day_are_averaged(step: str, note: str) -> None:
    out, notes = to_utc_days(sub_daily(step), "x")
    np.testing.assert_allclose(out.values, daily().values, atol=1e-12)
    assert list(out.time.values) == list(DAYS.values)
    assert len(notes) == 1
    assert re.search(note, notes[0])


def test_hourly_against_daily_has_no_bias() -> None:
    for first, second in ((sub_daily("1h"), daily()), (daily(), sub_daily("1h"))):
        scores = site_scores(first, second, intervals="none")
        np.testing.assert_allclose(scores["bias"], 0, atol=1e-12)
        np.testing.assert_allclose(scores["RMSE"], 0, atol=1e-7)  # the root of rounding
        assert "a day needs 18 of 24 values" in scores.attrs["notes"]


def test_a_day_with_too_few_values_is_missing() -> None:
    hourly = sub_daily("1h")
    hourly[0, 5 * 24 : 5 * 24 + 7] = np.nan  # 17 left
    hourly[1, 5 * 24 : 5 * 24 + 6] = np.nan  # 18 left
    out, notes = to_utc_days(hourly, "x")
    assert np.isnan(out[0, 5]) and np.isfinite(out[1, 5]) and int(out.isnull().sum()) == 1
    assert "1 days with fewer values are missing" in notes


@pytest.mark.parametrize(("clock", "note"), [("12h", "at 12:00"), ("23h30min", "at 23:30"), ("0h", "")])
def test_daily_labels_off_midnight_keep_their_day(clock: str, note: str) -> None:
    series = daily(DAYS + pd.Timedelta(clock))
    out, notes = to_utc_days(series, "x")
    assert list(out.time.values) == list(DAYS.values)
    np.testing.assert_array_equal(out.values, series.values)
    assert any(note in n for n in notes) if note else not notes


def test_descending_and_unsorted_times_are_sorted() -> None:
    for order in (slice(None, None, -1), np.random.default_rng(0).permutation(60)):
        out, notes = to_utc_days(daily().isel(time=order), "x")
        xr.testing.assert_identical(out.drop_attrs(), daily().drop_attrs())
        assert notes == ["times sorted"]


def test_repeated_times_are_named() -> None:
    twice = daily().isel(time=[*range(60), 7])
    out, notes = to_utc_days(twice, "x")
    assert out.sizes["time"] == 60 and "2015-04-08" in " ".join(notes)
    twice = twice.copy()
    twice[0, 60] = 0.9
    with pytest.raises(DatasetError, match="x: time 2015-04-08 00:00 has several values that differ"):
        to_utc_days(twice, "x")


@pytest.mark.parametrize(
    ("times", "what"),
    [
        (pd.date_range("2015-01-01", periods=12, freq="MS"), "a month"),
        (pd.date_range("2015-01-15", periods=12, freq="30D"), "month"),
        (pd.date_range("2015-01-05", periods=30, freq="7D"), "every 7 days"),
        (pd.date_range("2015-01-01", periods=5, freq="YS"), "a year"),
        (pd.DatetimeIndex([f"2015-{m:02d}-{d:02d}" for m in (1, 2, 3) for d in (1, 11, 21)]), "every 10 days"),
        (EIGHT_DAYS, "every 8 days"),
    ],
)  # fmt: skip
def test_values_of_several_days_are_refused(times: pd.DatetimeIndex, what: str) -> None:
    series = daily(times)
    with pytest.raises(DatasetError, match=what) as error:
        site_scores(series, daily(pd.date_range(times[0], times[-1])), min_days=5)
    # The advice: the days between as missing values.
    assert "resample(time='1D').asfreq()" in str(error.value)
    filled = series.resample(time="1D").asfreq()
    scores = site_scores(filled, daily(pd.date_range(times[0], times[-1])), min_days=5, intervals="none")
    assert int(scores["n_valid"][0]) == len(times)


def test_irregular_overpasses_are_averaged() -> None:
    times = pd.DatetimeIndex(["2015-04-01T06:03", "2015-04-01T18:10", "2015-04-02T05:40", "2015-04-04T17:55"])
    out, notes = to_utc_days(daily(times, 1), "x")
    assert [str(d)[:10] for d in out.time.values] == ["2015-04-01", "2015-04-02", "2015-04-04"]
    assert float(out[0, 0]) == pytest.approx(float(daily(times, 1)[0, :2].mean()))
    assert notes == ["several values a day at irregular times averaged"]


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "julian"])
def test_other_calendars_are_named(calendar: str) -> None:
    series = daily().assign_coords(
        time=xr.date_range("2015-04-01", periods=60, calendar=calendar, use_cftime=True)
    )
    with pytest.raises(DatasetError, match=f"x: times have the calendar '{calendar}'") as raised:
        to_utc_days(series, "x")
    # Only where every day is a date of the usual calendar does a conversion keep the days.
    assert ("convert_calendar" in str(raised.value)) == (calendar == "noleap")
    if calendar == "noleap":
        data = series.to_dataset(name="sm").convert_calendar("standard", align_on="date", use_cftime=False)
        converted, _ = to_utc_days(data["sm"], "x")
        np.testing.assert_array_equal(converted, series)
        assert str(converted.time.values[0])[:10] == "2015-04-01"


def test_cftime_dates_of_the_usual_calendar_are_read() -> None:
    times = [cftime.DatetimeGregorian(d.year, d.month, d.day) for d in DAYS]
    out, _ = to_utc_days(daily().assign_coords(time=times), "x")
    assert list(out.time.values) == list(DAYS.values)


def test_times_stated_as_local_are_refused() -> None:
    for attrs in ({"time_zone": "America/Chicago"}, {"timezone": "UTC+3"}, {"long_name": "local time"}):
        series = sub_daily("1h")
        series["time"].attrs = attrs
        with pytest.raises(DatasetError, match=r"x: times are stated as .*expected UTC"):
            to_utc_days(series, "x")
    series["time"].attrs = {"time_zone": "UTC"}
    to_utc_days(series, "x")


def test_a_missing_time_is_counted() -> None:
    times = DAYS.to_numpy().copy()
    times[3] = np.datetime64("NaT")
    with pytest.raises(DatasetError, match="1 of 60 times are missing"):
        to_utc_days(daily().assign_coords(time=times), "x")


def test_site_ids_of_another_type_or_spelling_match() -> None:
    base = daily()
    numbers = base.assign_coords(site=[1, 2, 3])
    padded = base.assign_coords(site=np.array([b"1   ", b"2", b"3 "]))
    assert float(site_scores(numbers, padded, intervals="none")["RMSE"].max()) < 1e-7
    lower = base.assign_coords(site=["s0", "s1", "S2"])
    scores = site_scores(lower, base, intervals="none")
    assert list(scores.site.values) == ["S0", "S1", "S2"]
    assert "2 sites matched without regard to case, such as 's0' and 'S0'" in scores.attrs["notes"]
    other = base.assign_coords(site=["S0", "X", "Y"])
    scores = site_scores(other, base, intervals="none")
    assert (
        scores.sizes["site"] == 1
        and "2 of 3 sites of predicted are not in the other" in scores.attrs["notes"]
    )
    with pytest.raises(DatasetError, match=r"no site or no day in common.*'A' to 'C' against 'S0' to 'S2'"):
        site_scores(base.assign_coords(site=["A", "B", "C"]), base)
