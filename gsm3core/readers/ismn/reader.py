"""Daily in-situ surface soil moisture from ISMN archives, with a table of stations used and refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.ismn.archive import (
    UNREADABLE,
    Archive,
    SensorFile,
    StationFiles,
    list_stations,
    open_archive,
)
from gsm3core.readers.ismn.sensor_choice import SensorChoice
from gsm3core.readers.ismn.static_variables import as_attributes, read_static
from gsm3core.readers.ismn.stm import DailySeries, Header, read_stm
from gsm3core.readers.step_counts import StepCounts

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class _Station:
    files: StationFiles
    counts: StepCounts = field(default_factory=StepCounts)
    notes: list[str] = field(default_factory=list)
    used: list[SensorFile] = field(default_factory=list)
    header: Header | None = None
    series: DailySeries | None = None
    static: dict[str, float] = field(default_factory=dict)

    @property
    def site(self) -> str:
        return f"{self.header.network}_{self.header.station}" if self.header else self.files.name

    def row(self) -> dict[str, object]:
        found = self.header
        return {
            "site": self.site, "network": found.network if found else "", "station": found.station if found else "",
            "outcome": "used" if self.used else "refused", "sensors": "; ".join(s.sensor for s in self.used),
            "depth_m": round(self.used[0].depth, 4) if self.used else np.nan,
            "days": len(self.series.day) if self.series else 0, "rows_read": self.counts.read,
            "rows_used": self.counts.used, "note": "; ".join(self.notes),
        }  # fmt: skip


class IsmnReader:
    """Reads an ISMN archive (zip or folder, header+values or CEOP)."""

    def __init__(self, choice: SensorChoice | None = None) -> None:
        self.choice = choice or SensorChoice()

    def open(self, root: Path, period: Period | None = None) -> xr.Dataset:
        """Return the stations with at least one day as sites; see :func:`read_ismn`."""
        return read_ismn(Path(root), period, self.choice)[0]


def read_ismn(
    root: Path,
    period: Period | None = None,
    choice: SensorChoice | None = None,
    progress: Progress | None = None,
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Read an ISMN archive.

    Parameters
    ----------
    root
        The downloaded ``.zip``, or its folder. Nothing is unpacked or written.
    period
        Days to keep.
    choice
        Sensors, flags and hours per day.
    progress
        Called with the stations read and their number.

    Returns
    -------
    xarray.Dataset
        ``sm_insitu`` (site, time), static attributes (site), coordinates; ``attrs["steps"]`` is a JSON list for the
        dataset's history.
    pandas.DataFrame
        One row per station of the archive: used or refused, sensors, counts, and a note with the reasons.

    Raises
    ------
    DatasetError
        If the archive cannot be read, or no station has a day; the message counts the reasons.

    Notes
    -----
    Dorigo et al. (2021), doi:10.5194/hess-25-5749-2021. The ``ismn`` package (1.5.4) is the reference in the tests. It
    is not used here: it opens every file of an archive twice, deep sensors too, writes a cache, depends on 14 packages
    with a second netCDF library, and takes twice the time for one depth per station.
    """
    choice, stations, folders = choice or SensorChoice(), list[_Station](), dict[str, str]()
    with open_archive(root) as archive:
        found, unrecognized = list_stations(archive, root)
        for k, files in enumerate(found):
            station = _read_station(archive, files, choice, period)
            if station.used and station.site in folders:
                station.notes.insert(0, f"duplicate of the station in {folders[station.site]!r}")
                station.used = []
            elif station.used:
                folders[station.site] = files.folder
            stations.append(station)
            if progress:
                progress(k + 1, len(found))
    table = pd.DataFrame([s.row() for s in stations])
    used = [s for s in stations if s.used]
    if not used:
        reasons = Counter(s.notes[-1] for s in stations if s.notes).most_common(5)
        listed = "\n".join(f"  - {count} station(s): {reason}" for reason, count in reasons)
        raise DatasetError(
            f"{root}: none of {len(stations)} station(s) can be used"
            + (f" ({len(unrecognized)} file names do not follow ISMN's pattern)" if unrecognized else "")
            + (f":\n{listed}" if listed else ".")
        )
    ds = _dataset(used, choice)
    rows = StepCounts.total(s.counts for s in stations)
    step = {
        "step": "read ismn",
        "sensors": choice.rule,
        "flags": list(choice.flags),
        "min_hours": choice.min_hours,
        "stations_read": len(stations),
        "stations_used": len(used),
        "unrecognized_files": len(unrecognized),
        **rows.as_step("rows"),
    }
    ds.attrs["steps"] = json.dumps([step])
    return ds, table


def _read_station(
    archive: Archive, files: StationFiles, choice: SensorChoice, period: Period | None
) -> _Station:
    station = _Station(files)
    if not files.sensors:
        station.notes.append(f"no soil moisture (other variables: {files.other_variables} files)")
        return station
    suitable = sorted((s for s in files.sensors if choice.accepts(s)), key=choice.rank)
    if others := sorted({(s.top, s.bottom) for s in set(files.sensors) - set(suitable)}):
        depths = ", ".join(f"{t:g}-{b:g}" if t != b else f"{t:g}" for t, b in others)
        station.notes.append(f"not near {choice.depth:g} m: sensors at {depths} m")
    for rank in dict.fromkeys(choice.rank(s) for s in suitable):
        read = []
        for sensor in [s for s in suitable if choice.rank(s) == rank]:
            series = _read_sensor(archive, sensor, station, choice, period)
            if series is not None and len(series.day):
                read.append((sensor, series))
        if read:
            _combine(station, read, choice)
            break
    if station.used and files.static:
        try:
            station.static = read_static(archive.read(files.static), station.used[0].depth)
        except UNREADABLE as error:
            station.notes.append(f"static variables cannot be read: {error}")
    if station.used and station.header:
        station.static["elevation"] = station.header.elevation
    return station


def _read_sensor(
    archive: Archive, sensor: SensorFile, station: _Station, choice: SensorChoice, period: Period | None
) -> DailySeries | None:
    label = f"{sensor.sensor} at {sensor.depth:g} m"
    try:
        header, series, counts = read_stm(
            archive.read(sensor.path), flags=choice.flags, min_hours=choice.min_hours, period=period
        )
    except (DatasetError, *UNREADABLE) as error:
        station.notes.append(f"{label}: {error}")
        return None
    station.counts.add(counts)
    if not (abs(header.lat) <= 90 and abs(header.lon) <= 180):
        station.notes.append(
            f"{label}: invalid coordinates, latitude {header.lat:g}, longitude {header.lon:g}"
        )
        return None
    station.header = station.header or header
    reasons = ", ".join(f"{c:,} {r}" for r, c in sorted(counts.refused.items()))
    if not len(series.day):
        station.notes.append(f"{label}: no day left of {counts.read:,} rows ({reasons or 'empty'})")
    elif reasons:
        station.notes.append(f"{label}: refused {reasons}")
    return series


def _combine(station: _Station, read: list[tuple[SensorFile, DailySeries]], choice: SensorChoice) -> None:
    if choice.combine == "best" or len(read) == 1:
        best, series = min(read, key=lambda r: (-len(r[1].day), r[0].sensor, r[0].path))
        station.used, station.series = [best], series
        if len(read) > 1:
            others = ", ".join(f"{s.sensor} ({len(d.day)} days)" for s, d in read if s is not best)
            station.notes.append(f"used the sensor with the most days ({len(series.day)}), not {others}")
        return
    days = np.concatenate([d.day for _, d in read])
    day, index, count = np.unique(days, return_inverse=True, return_counts=True)
    value, hours = (
        np.bincount(index, np.concatenate(w))
        for w in ([d.value for _, d in read], [d.hours for _, d in read])
    )
    station.used, station.series = (
        [s for s, _ in read],
        DailySeries(day, value / count, hours.astype(np.int64)),
    )
    station.notes.append(f"mean of {len(read)} sensors")


def _dataset(stations: list[_Station], choice: SensorChoice) -> xr.Dataset:
    series = [s.series for s in stations if s.series is not None]
    first, last = min(int(s.day[0]) for s in series), max(int(s.day[-1]) for s in series)
    values = np.full((len(stations), last - first + 1), np.nan, np.float32)
    for row, one in zip(values, series, strict=True):
        row[one.day - first] = one.value
    headers = [s.header for s in stations if s.header is not None]
    known = v.VARIABLES[v.SM_INSITU]
    source = f"ISMN, daily mean of at least {choice.min_hours} hours with flag {', '.join(choice.flags)}"
    attrs = {
        "units": known.units,
        "long_name": known.long_name,
        "standard_name": known.standard_name,
        "source": source,
    }
    ds = xr.Dataset(
        {v.SM_INSITU: ((v.SITE, v.TIME), values, attrs)},
        coords={
            v.SITE: np.array([s.site for s in stations]),
            v.TIME: pd.date_range(np.datetime64(first, "D"), periods=last - first + 1, unit="ns"),
            v.LAT: (v.SITE, np.array([h.lat for h in headers])),
            v.LON: (v.SITE, np.array([h.lon for h in headers])),
            v.NETWORK: (v.SITE, np.array([h.network for h in headers])),
            v.STATION: (v.SITE, np.array([h.station for h in headers])),
            v.DEPTH: (v.SITE, np.array([s.used[0].depth for s in stations]), {"units": "m", "long_name": "sensor depth"}),
        },
    )  # fmt: skip
    return ds.assign(as_attributes([s.static for s in stations]))
