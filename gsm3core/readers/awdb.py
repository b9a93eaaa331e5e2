"""Hourly soil moisture of SCAN and SNOTEL stations, from answers of USDA's AWDB service, one file per station and year."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.awdb_stations import (
    AWDB,
    ELEMENT,
    STATION_FILE,
    UNITS,
    AwdbStation,
    Sensor,
    check_answer,
    inches_of,
    ordinal_of,
    read_stations,
)
from gsm3core.readers.ismn.sensor_choice import SensorChoice, combine_sensors
from gsm3core.readers.ismn.stm import DailySeries
from gsm3core.readers.step_counts import StepCounts

KEPT_FLAGS = ("V", "N", "E", "")
"""Quality flags of used values: valid, no profile for an automated check, edited, none. Not S (suspect) and estimates."""
NETWORK_NAMES = {"scan": "SCAN", "snotel": "SNOTEL"}
_MANY_ZEROS = 0.1  # share of a sensor's hours
_FEWEST = 30  # differences of time that decide how often a sensor reports
_SHOWN = 5

Progress = Callable[[int, int], None]
_Key = tuple[float, int]  # inches and ordinal of a sensor


@dataclass(slots=True)
class _Hours:
    """Values of one sensor: minutes since 1970 (UTC) and m3 m-3."""

    time: list[NDArray[np.datetime64]] = field(default_factory=list)
    value: list[NDArray[np.float64]] = field(default_factory=list)


@dataclass(slots=True)
class _Record:
    """One station while it is read."""

    station: AwdbStation
    years: list[int] = field(default_factory=list)
    hours: dict[_Key, _Hours] = field(default_factory=dict)
    counts: StepCounts = field(default_factory=StepCounts)
    used: list[Sensor] = field(default_factory=list)
    series: DailySeries | None = None
    zeros: bool = False
    notes: list[str] = field(default_factory=list)


def read_awdb(
    root: Path,
    name: str,
    period: Period | None = None,
    choice: SensorChoice | None = None,
    progress: Progress | None = None,
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Read all stations of a folder that ``gsm3 data pull scan`` or ``pull snotel`` has filled.

    Parameters
    ----------
    root
        Folder of ``stations.json`` and ``YEAR/ID_STATE_NETWORK.json``.
    name
        ``scan`` or ``snotel``.
    period
        UTC days to keep.
    choice
        Depth, fewest good hours of a day, and what to do with several sensors; its flags are not used.
    progress
        Called with the stations read and their number.

    Returns
    -------
    xarray.Dataset
        ``sm_insitu`` (site, time), m3 m-3, and ``elevation`` (site), m; ``attrs["steps"]`` is a JSON list for the history.
    pandas.DataFrame
        One row per station: used or refused, sensor, days, counts, and a note with the reasons.

    Raises
    ------
    DatasetError
        If there is no such file, or no station can be used.

    Notes
    -----
    A value is the percentage of the soil's volume, at the hour stated by the station's clock. ``dataTimeZone`` gives the
    clock's distance from UTC (standard time all year; for most SNOTEL stations Pacific standard time), so that hours are
    assigned to UTC days. A day is the mean of its good hours. AWDB's own daily values are not used: those of
    instantaneous quantities are of midnight
    (https://opencdss.state.co.us/tstool/latest/doc-user/datastore-ref/NRCS-AWDB/NRCS-AWDB/). A value counts for the hours to
    the next one, so that stations that report every four or six hours are used. AWDB checks values less than ISMN does,
    which flags spikes and frozen soil of the same stations besides.
    Flags: header of the service's reports, https://wcc.sc.egov.usda.gov/reportGenerator/. Schaefer et al. (2007),
    doi:10.1175/2007JTECHA930.1.
    """
    root, choice = Path(root), choice or SensorChoice()
    if choice.depth != SensorChoice().depth:
        raise DatasetError(
            f"depth {choice.depth:g} m: only the sensors near {SensorChoice().depth:g} m of {NETWORK_NAMES[name]} are "
            "downloaded. Leave the depth out; other depths of these stations are in ISMN archives."
        )
    if not (root / STATION_FILE).is_file():
        raise DatasetError(f"{root} has no {STATION_FILE}; expected a folder of `gsm3 data pull {name}`.")
    listed = {s.file_name: s for s in read_stations(root / STATION_FILE, AWDB[name])}
    files = sorted(p for p in root.glob("[12][0-9][0-9][0-9]/*.json") if p.name in listed)
    if not files:
        raise DatasetError(
            f"{root} has no values of {NETWORK_NAMES[name]}; expected files like 2020/2057_AL_SCAN.json. "
            f"Download them with `gsm3 data pull {name} --years 2020 --into {root}`."
        )
    records: dict[str, _Record] = {}
    for path in files:
        record = records.setdefault(path.name, _Record(listed[path.name]))
        record.years.append(int(path.parent.name))
    years = sorted({y for r in records.values() for y in r.years})
    for station in listed.values():
        if station.problem and any(s.covers(years) for s in station.near(choice)):
            records.setdefault(station.file_name, _Record(station))
    for k, record in enumerate(records.values()):
        _read_station(root, record, choice, period, years)
        if progress:
            progress(k + 1, len(records))
    network = NETWORK_NAMES[name]
    table = pd.DataFrame([_row(r, network) for r in records.values()])
    used = [(r, r.series) for r in records.values() if r.series is not None]
    if not used:
        reasons = Counter(r.notes[-1] for r in records.values() if r.notes).most_common(_SHOWN)
        shown = "\n".join(f"  - {count} station(s): {reason}" for reason, count in reasons)
        raise DatasetError(f"{root}: none of {len(records)} station(s) can be used:\n{shown}")
    ds = _dataset(used, network, choice)
    step = {
        "step": f"read {name}", "files": len(files), "years": years, "sensors": choice.rule,
        "quality_flags_used": [f or "none" for f in KEPT_FLAGS], "min_hours": choice.min_hours,
        "days": "UTC days, means of hourly values; hours by each station's own time zone",
        "stations_read": len(records), "stations_used": len(used),
        **StepCounts.total(r.counts for r in records.values()).as_step("hours"),
    }  # fmt: skip
    if zeros := sum(r.zeros for r, _ in used):
        step["notes"] = [
            f"{zeros} stations have many hours of exactly 0 %, as of a broken sensor: see the station table"
        ]
    ds.attrs["steps"] = json.dumps([step])
    return ds, table


def _read_station(
    root: Path, record: _Record, choice: SensorChoice, period: Period | None, years: list[int]
) -> None:
    station = record.station
    if station.problem:
        record.notes.append(station.problem)
        return
    near = station.near(choice)
    expected = [y for y in years if any(s.covers([y]) for s in near)]
    if absent := sorted(set(expected) - set(record.years)):
        record.notes.append(f"not downloaded: {', '.join(map(str, absent))}")
    for year in record.years:
        path = root / str(year) / station.file_name
        if problem := check_answer(path, station.triplet):
            record.notes.append(f"{year}/{path.name}: {problem}; download it again")
            continue
        for answer in json.loads(path.read_text(encoding="utf-8")):
            for element in answer.get("data") or []:
                _read_element(element, record)
    _choose(record, near, choice, period)


def _read_element(element: dict[str, Any], record: _Record) -> None:
    """Add the good values of one sensor of one file."""
    about = element.get("stationElement") or {}
    inches = inches_of(about.get("heightDepth"))
    if about.get("elementCode") != ELEMENT or not inches < 0:
        return
    ordinal = ordinal_of(about)
    rows = [r for r in element.get("values") or [] if isinstance(r, dict)]
    if (stated := str(about.get("storedUnitCode") or UNITS)) != UNITS:
        record.counts.add(StepCounts(len(rows), {"unknown units": len(rows)} if rows else {}))
        record.notes.append(f"{ELEMENT}:{inches:g}:{ordinal} has units {stated!r}; expected {UNITS!r}")
        return
    known = v.VARIABLES[v.SM_INSITU]
    time = _times([str(r.get("date", "")) for r in rows])
    raw = pd.to_numeric(pd.Series([r.get("value") for r in rows], dtype=object), errors="coerce").to_numpy(
        float
    )
    value = raw / 100
    flag = np.array([str(r.get("qcFlag") or "").strip().upper() for r in rows], dtype=str)
    good = np.ones(len(rows), bool)
    counts = StepCounts(len(rows))
    reasons = [("no value", np.isnan(value)), ("time not readable", np.isnat(time))]
    reasons += [(f"flag {f}", flag == f) for f in sorted(set(flag.tolist()) - set(KEPT_FLAGS))]
    reasons += [("outside 0 to 100 %", (value < (known.valid_min or 0)) | (value > (known.valid_max or 1)))]
    for reason, wrong in reasons:
        counts.refuse(reason, int((good & wrong).sum()))
        good &= ~wrong
    record.counts.add(counts)
    hours = record.hours.setdefault((inches, ordinal), _Hours())
    offset = np.timedelta64(round(record.station.utc_offset * 60), "m")
    hours.time.append(time[good] - offset)
    hours.value.append(value[good])


def _times(texts: list[str]) -> NDArray[np.datetime64]:
    """Return the minutes of texts like ``2020-01-01 13:00``; what cannot be read is NaT."""
    try:
        return np.array(texts, dtype="datetime64[m]")
    except ValueError:
        parsed = pd.to_datetime(pd.Series(texts, dtype=object), errors="coerce", format="%Y-%m-%d %H:%M")
        return parsed.to_numpy().astype("datetime64[m]")


def _choose(record: _Record, near: list[Sensor], choice: SensorChoice, period: Period | None) -> None:
    """Set the days of the sensors at the nearest depth that has any."""
    known = {(s.inches, s.ordinal): s for s in near}
    for depth in dict.fromkeys(round(s.depth, 4) for s in near):
        read = []
        for key in sorted(k for k in record.hours if k in known and round(known[k].depth, 4) == depth):
            series = _days(record, key, choice, period)
            if len(series.day):
                read.append((known[key], series))
        if read:
            combined = combine_sensors([(sensor.element, series) for sensor, series in read], choice.combine)
            record.used = [read[k][0] for k in combined.used]
            record.series = combined.series
            record.notes += combined.notes
            return
    where = ", ".join(sorted({f"{s.depth:.2f} m" for s in record.station.sensors})) or "none"
    record.notes.append(
        "no day left" if near else f"no hourly sensor near {choice.depth:g} m (sensors at: {where})"
    )


def _days(record: _Record, key: _Key, choice: SensorChoice, period: Period | None) -> DailySeries:
    """Return the means of the UTC days of one sensor that have enough hours."""
    time, value = np.concatenate(record.hours[key].time), np.concatenate(record.hours[key].value)
    step = _hours_between(time)
    hour = time.astype("datetime64[h]").astype(np.int64)
    # The last value of an hour is used: corrected years are appended to.
    hour, last = np.unique(hour[::-1], return_index=True)
    record.counts.refuse("same hour again", len(time) - len(hour))
    value = value[::-1][last]
    if len(value) and (zeros := float((value == 0).mean())) > _MANY_ZEROS:
        record.notes.append(
            f"{ELEMENT}:{key[0]:g}:{key[1]}: {zeros:.0%} of the hours are exactly 0 %, as of a broken sensor"
        )
        record.zeros = True
    day, index, count = np.unique(hour // 24, return_inverse=True, return_counts=True)
    mean = np.bincount(index, value, len(day)) / np.maximum(count, 1)
    inside = np.ones(len(day), bool)
    if period is not None:
        first, end = (int(np.datetime64(d, "D").astype(np.int64)) for d in (period.start, period.end))
        inside = (day >= first) & (day <= end)
    enough = count * step >= choice.min_hours
    if few := int((inside & ~enough).sum()):
        record.notes.append(
            f"{ELEMENT}:{key[0]:g}:{key[1]}: {few} days with fewer than {choice.min_hours} good hours"
        )
    kept = inside & enough
    return DailySeries(day[kept], mean[kept], count[kept], step)


def _hours_between(time: NDArray[np.datetime64]) -> float:
    """Return the hours that a value stands for: stations with satellite links report every four or six hours."""
    minutes = np.diff(np.unique(time)).astype(np.int64)
    if len(minutes) < _FEWEST:
        return 1.0
    found, count = np.unique(minutes, return_counts=True)
    most = int(np.argmax(count))
    return float(np.clip(found[most] / 60, 1, 24)) if count[most] > len(minutes) / 2 else 1.0


def _site(station: AwdbStation, network: str) -> str:
    """Return the site's name, made of the station's number and state: its name may change."""
    number, state, _ = station.triplet.split(":")
    return f"{network}|{number}_{state}"


def _row(record: _Record, network: str) -> dict[str, Any]:
    station = record.station
    notes = list(record.notes)
    if refused := [f"{n:,} {reason}" for reason, n in sorted(record.counts.refused.items())]:
        notes.append(f"refused {', '.join(refused)}")
    return {
        "site": _site(station, network), "network": network, "station": station.name,
        "outcome": "used" if record.used else "refused", "triplet": station.triplet,
        "sensor": ", ".join(s.element for s in record.used), "utc_offset_hours": station.utc_offset,
        "days_with_soil_moisture": 0 if record.series is None else len(record.series.day), "hours_read": record.counts.read,
        "hours_used": record.counts.used, "note": "; ".join(dict.fromkeys(notes)),
    }  # fmt: skip


def _dataset(used: list[tuple[_Record, DailySeries]], network: str, choice: SensorChoice) -> xr.Dataset:
    first, last = min(int(x.day[0]) for _, x in used), max(int(x.day[-1]) for _, x in used)
    values = np.full((len(used), last - first + 1), np.nan, np.float32)
    for row, (_, series) in zip(values, used, strict=True):
        row[series.day - first] = series.value
    known = v.VARIABLES[v.SM_INSITU]
    attrs = {
        "units": known.units, "long_name": known.long_name, "standard_name": known.standard_name,
        "source": f"{network} (USDA NRCS), mean of at least {choice.min_hours} hours of a UTC day",
    }  # fmt: skip
    stations = [r.station for r, _ in used]
    depth = [r.used[0].depth for r, _ in used]
    elevation = v.VARIABLES["elevation"]
    return xr.Dataset(
        {
            v.SM_INSITU: ((v.SITE, v.TIME), values, attrs),
            "elevation": (
                v.SITE, np.array([s.elevation for s in stations], np.float32),
                {"units": elevation.units, "long_name": elevation.long_name, "source": f"{network} station list (AWDB)"},
            ),
        },
        coords={
            v.SITE: np.array([_site(s, network) for s in stations]),
            v.TIME: pd.date_range(np.datetime64(first, "D"), periods=values.shape[1], unit="ns"),
            v.LAT: (v.SITE, np.array([s.lat for s in stations])),
            v.LON: (v.SITE, np.array([s.lon for s in stations])),
            v.NETWORK: (v.SITE, np.full(len(used), network)),
            v.STATION: (v.SITE, np.array([s.name for s in stations])),
            v.DEPTH: (v.SITE, np.array(depth), {"units": "m", "long_name": "sensor depth"}),
        },
    )  # fmt: skip
