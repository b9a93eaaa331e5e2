"""Stations of USCRN's daily files: the records of one WBAN number, by place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.geography.places import km_between, place_suffix, places_of
from gsm3core.readers.step_counts import StepCounts

_FIELDS = 28
_WBAN, _DATE, _LON, _LAT = 0, 1, 3, 4
_ROUNDING_KM = 1.6  # coordinates have two decimals: two roundings of one place differ by at most this
SPLIT_KM = 5.0  # farther apart, the records are those of two places


@dataclass(frozen=True, slots=True)
class UscrnColumn:
    """One of the 28 fields; ``value * scale + offset`` is in canonical units."""

    field: int
    missing: float
    what: str
    scale: float = 1.0
    offset: float = 0.0


# Field numbers of the readme minus one. The missing value is "the lowest possible integer for a given column format" (note C).
COLUMNS = {
    v.SM_INSITU: UscrnColumn(18, -99.0, "soil moisture at 5 cm, mean of three probes"),
    "precipitation": UscrnColumn(9, -9999.0, "precipitation"),
    "air_temperature": UscrnColumn(8, -9999.0, "mean of all 5-minute air temperatures", offset=273.15),
    "air_temperature_max": UscrnColumn(5, -9999.0, "maximum air temperature", offset=273.15),
    "air_temperature_min": UscrnColumn(6, -9999.0, "minimum air temperature", offset=273.15),
    "shortwave_down": UscrnColumn(10, -9999.0, "global solar radiation", scale=1e6 / 86400),
    "surface_temperature": UscrnColumn(14, -9999.0, "mean infrared surface temperature", offset=273.15),
    "relative_humidity": UscrnColumn(17, -9999.0, "mean relative humidity", scale=0.01),
    "soil_temperature": UscrnColumn(23, -9999.0, "soil temperature at 5 cm", offset=273.15),
}


@dataclass(slots=True)
class UscrnFile:
    """Rows of one file: day, raw values, latitude and longitude, in the order of its lines."""

    path: Path
    name: str
    wban: str
    days: NDArray[np.datetime64]
    values: NDArray[np.float64]
    at: NDArray[np.float64]
    rows: StepCounts
    damaged: int

    @property
    def last(self) -> np.datetime64:
        """The last day, by which the files of a station are sorted."""
        return self.days.max() if len(self.days) else np.datetime64("0001-01-01")


@dataclass(slots=True)
class UscrnStation:
    """A station at one place."""

    name: str
    wban: str
    lat: float = np.nan
    lon: float = np.nan
    days: NDArray[np.datetime64] = field(default_factory=lambda: np.empty(0, "datetime64[D]"))
    values: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, len(COLUMNS))))
    rows: StepCounts = field(default_factory=StepCounts)
    refused: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    suffix: str = ""
    names: list[str] = field(default_factory=list)
    moved: bool = False

    @property
    def site(self) -> str:
        """Name of the site."""
        return f"USCRN|{self.name}{self.suffix}"


def read_file(path: Path, name: str) -> UscrnFile:
    """Return the rows of a file of the station that its name gives; damaged lines are counted."""
    text = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("ascii", "replace")
    lines = [f for line in text.splitlines() if (f := line.split())]
    complete = [f for f in lines if len(f) == _FIELDS]
    numbers, at = np.full((len(complete), len(COLUMNS)), np.nan), np.full((len(complete), 2), np.nan)
    days = np.full(len(complete), "NaT", "datetime64[D]")
    for k, fields in enumerate(complete):
        try:
            days[k] = np.datetime64(f"{fields[_DATE][:4]}-{fields[_DATE][4:6]}-{fields[_DATE][6:]}", "D")
            numbers[k] = [float(fields[c.field]) for c in COLUMNS.values()]
            at[k] = _location(float(fields[_LAT]), float(fields[_LON]))
        except ValueError:  # counted below; the other values of the line are not used either
            days[k] = "NaT"
    dated = ~np.isnat(days)
    damaged = len(lines) - int(dated.sum())
    counts = StepCounts(len(lines), {"line without 28 readable fields": damaged} if damaged else {})
    wban = next((f[_WBAN] for f in complete if f[_WBAN].isdigit()), "")
    return UscrnFile(
        path, name, wban.zfill(5) if wban else "", days[dated], numbers[dated], at[dated], counts, damaged
    )


def _location(lat: float, lon: float) -> tuple[float, float]:
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        raise ValueError("invalid coordinates")
    return lat, lon


def stations_of(files: Sequence[UscrnFile]) -> list[UscrnStation]:
    """Return the stations by WBAN number, sorted by name; files without one belong to the station of their name.

    Of files that end on the same day, the later one counts.
    """
    known = {f.name: f.wban for f in files if f.wban}
    groups: dict[str, list[UscrnFile]] = {}
    for file in files:
        groups.setdefault(file.wban or known.get(file.name, file.name), []).append(file)
    return [
        station
        for ours in sorted(groups.values(), key=lambda g: min(f.name for f in g))
        for station in _places_of_station(sorted(ours, key=lambda f: f.last))
    ]


def _places_of_station(files: list[UscrnFile]) -> list[UscrnStation]:
    """Return the records of one WBAN number, one for each place; the files are in the order of their last days."""
    at = np.concatenate([f.at for f in files])
    places = np.unique(at, axis=0)
    number = dict(
        zip(
            map(tuple, places.tolist()),
            places_of([tuple(p) for p in places.tolist()], SPLIT_KM),
            strict=True,
        )
    )
    found: dict[int, UscrnStation] = {}
    for file in files:
        numbers = np.array([number[tuple(p)] for p in file.at.tolist()], np.int64)
        # A file without a readable line belongs to the first place.
        for place in np.unique(numbers) if len(numbers) else [next(iter(found), 0)]:
            station = found.setdefault(int(place), UscrnStation(file.name, file.wban))
            _add(station, file, numbers == place)
    for station in found.values():
        _finish(station)
        if len(found) > 1:
            station.suffix = place_suffix(station.lat, station.lon)
            station.notes.insert(0, f"WBAN {station.wban} has {len(found)} places, each a site")
    return list(found.values())


def _add(station: UscrnStation, file: UscrnFile, here: NDArray[np.bool_]) -> None:
    station.name, station.wban = file.name, file.wban or station.wban
    if file.name not in station.names:
        station.names.append(file.name)
    if file.damaged:
        station.notes.append(f"{file.path.name}: {file.damaged} damaged lines")
    station.rows.add(StepCounts(int(here.sum()) + file.damaged, dict(file.rows.refused)))
    for lat, lon in file.at[here][np.sort(np.unique(file.at[here], axis=0, return_index=True)[1])].tolist():
        if np.isfinite(station.lat) and (km := km_between(station.lat, station.lon, lat, lon)) > _ROUNDING_KM:
            station.moved = True
            station.notes.append(
                f"moved {km:.1f} km from {station.lat:g}, {station.lon:g} to {lat:g}, {lon:g} in {file.path.name}; the last "
                "location is used"
            )
        station.lat, station.lon = lat, lon
    station.days = np.concatenate([station.days, file.days[here]])
    station.values = np.concatenate([station.values, file.values[here]])


def _finish(station: UscrnStation) -> None:
    """Sort the days, each once, and convert the values; missing and out-of-range values are NaN, the latter counted."""
    # The last line of a duplicate day is used: files are appended to, and later files come last.
    days, last = np.unique(station.days[::-1], return_index=True)
    raw = station.values[::-1][last]
    repeated = np.searchsorted(days, station.days)
    differs = ~np.isclose(station.values, raw[repeated], equal_nan=True).all(axis=1)
    station.rows.refuse("duplicate day", len(station.days) - len(days))
    if differs.any():
        station.notes.append(
            f"{int(differs.sum())} duplicate days differ: the last line of the latest file is used"
        )
    if len(station.names) > 1:
        station.notes.append(f"one station by its WBAN number, with the names {', '.join(station.names)}")
    values = np.empty_like(raw)
    for k, (name, column) in enumerate(COLUMNS.items()):
        one = np.where(
            np.isclose(raw[:, k], column.missing), np.nan, raw[:, k] * column.scale + column.offset
        )
        known = v.VARIABLES[name]
        low, high = known.valid_min, known.valid_max
        assert low is not None and high is not None  # each of these variables has a range
        invalid = (one < low) | (one > high)
        if invalid.any():
            reason = f"values of {name} outside {low:g} to {high:g} {known.units}"
            station.refused[reason] = station.refused.get(reason, 0) + int(invalid.sum())
        values[:, k] = np.where(invalid, np.nan, one)
    station.days, station.values = days, values
