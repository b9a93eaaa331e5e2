"""Stations and sensors of USDA's Air and Water Database (AWDB): SCAN and SNOTEL."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gsm3core.errors import DatasetError
from gsm3core.readers.ismn.sensor_choice import SensorChoice

AWDB = {"scan": "SCAN", "snotel": "SNTL"}
"""Name in the catalogue -> network code of the service."""
STATION_FILE = "stations.json"
ELEMENT = "SMS"  # soil moisture percent
UNITS = "pct"
_DURATION = "HOURLY"
_INCH, _FOOT = 0.0254, 0.3048
_TRIPLET = re.compile(r"^[A-Za-z0-9]+:[A-Z]{2}:[A-Z]+$")
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Sensor:
    """One soil-moisture sensor: several at one depth differ by the ordinal.

    Parameters
    ----------
    depth
        m below the surface.
    inches
        As the service names it, below the surface negative.
    first, last
        Days of its record.
    """

    ordinal: int
    depth: float
    inches: float
    units: str
    first: dt.date
    last: dt.date

    @property
    def element(self) -> str:
        """Name of the element in a request, such as ``SMS:-2:1``."""
        return f"{ELEMENT}:{self.inches:g}:{self.ordinal}"

    def covers(self, years: Iterable[int]) -> bool:
        """Return whether its record has days of one of these years."""
        return any(self.first.year <= year <= self.last.year for year in years)


@dataclass(slots=True)
class AwdbStation:
    """One station of the service's list.

    Parameters
    ----------
    triplet
        ``ID:STATE:NETWORK``, by which the service identifies a station.
    elevation
        m above sea level; NaN where the service has none.
    utc_offset
        Hours that the station's clock is ahead of UTC, the same in summer and winter.
    problem
        Why the station cannot be used; empty if it can.
    """

    triplet: str
    name: str
    lat: float
    lon: float
    elevation: float
    utc_offset: float
    sensors: tuple[Sensor, ...]
    problem: str = ""

    @property
    def file_name(self) -> str:
        """Name of the station's file of one year."""
        return self.triplet.replace(":", "_") + ".json"

    def near(self, choice: SensorChoice) -> list[Sensor]:
        """Return the sensors at or near the depth of a choice, the nearest first."""
        suitable = [
            s
            for s in self.sensors
            if s.depth <= choice.depth + 0.001 or abs(s.depth - choice.depth) <= choice.tolerance + 1e-4
        ]
        return sorted(suitable, key=lambda s: (round(abs(s.depth - choice.depth), 4), s.ordinal))


def read_stations(path: Path, code: str) -> list[AwdbStation]:
    """Read the answer of ``/stations`` with ``returnStationElements=true``.

    Parameters
    ----------
    code
        Network code that the stations must have; the service ignores filters that it does not know.

    Raises
    ------
    DatasetError
        If the file is no such list, or has no station of the network.

    Notes
    -----
    Fields: https://wcc.sc.egov.usda.gov/awdbRestApi/swagger-ui/index.html. Elevations are in feet, depths in inches
    (negative below the surface), ``dataTimeZone`` is in hours from UTC without daylight saving time.
    """
    if problem := check_answer(path):
        raise DatasetError(f"{path}: {problem}. Remove the file and download it again with `gsm3 data pull`.")
    rows = [r for r in json.loads(path.read_text(encoding="utf-8")) if r.get("networkCode", code) == code]
    stations = [s for r in rows if (s := _station(r)) is not None and s.triplet.endswith(f":{code}")]
    if not stations:
        raise DatasetError(f"{path} has no station of the network {code}; expected the list of /stations.")
    return stations


def check_answer(path: Path, triplet: str = "") -> str:
    """Return what is wrong with an answer of the service (an error in JSON with status 200), or an empty text.

    Parameters
    ----------
    triplet
        The only station that a file of values may have.
    """
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return "not complete JSON"
    if isinstance(answer, dict):
        text = next((str(answer[k]) for k in ("message", "error", "detail", "title") if answer.get(k)), "")
        return f"the service answers {text[:_SHOWN]!r}" if text else "not a list of stations"
    if not isinstance(answer, list) or not all(isinstance(r, dict) for r in answer):
        return "not a list of stations"
    names = [str(r.get("stationTriplet", "")) for r in answer]
    if wrong := [n for n in names if not _TRIPLET.match(n)]:
        return f"invalid station triplet {wrong[0][:_SHOWN]!r}"
    if triplet and (wrong := [n for n in names if n != triplet]):
        return f"values of the station {wrong[0]!r}, expected {triplet!r}"
    return ""


def inches_of(height_depth: Any) -> float:
    """Return a sensor's height in inches, a number or ``{"value": -2, "unitCode": "in"}``; NaN without one."""
    if isinstance(height_depth, dict):
        if str(height_depth.get("unitCode", "in")) not in ("in", "inches"):
            return np.nan
        height_depth = height_depth.get("value")
    return _number(height_depth)


def ordinal_of(element: dict[str, Any]) -> int:
    """Return the number of a sensor among those at one depth; 1 without one."""
    number = _number(element.get("ordinal", 1))
    return int(number) if np.isfinite(number) else 1


def _station(row: dict[str, Any]) -> AwdbStation | None:
    triplet = str(row.get("stationTriplet", ""))
    lat, lon = _number(row.get("latitude")), _number(row.get("longitude"))
    offset, feet = _number(row.get("dataTimeZone")), _number(row.get("elevation"))
    problem = ""
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        problem = f"invalid coordinates, latitude {lat:g}, longitude {lon:g}"
    elif not abs(offset) <= 14:
        problem = "no time zone: its hours cannot be assigned to UTC days"
    sensors = [s for e in row.get("stationElements") or [] if (s := _sensor(e)) is not None]
    elevation = feet * _FOOT if -1500 < feet < 30000 else np.nan
    name = str(row.get("name") or triplet).strip()
    return AwdbStation(triplet, name, lat, lon, elevation, offset, tuple(sensors), problem)


def _sensor(element: dict[str, Any]) -> Sensor | None:
    if element.get("elementCode") != ELEMENT or element.get("durationName", _DURATION) != _DURATION:
        return None
    inches = inches_of(element.get("heightDepth"))
    if not inches < 0:
        return None
    try:
        first, last = (dt.date.fromisoformat(str(element[k])[:10]) for k in ("beginDate", "endDate"))
    except (KeyError, ValueError):
        first, last = dt.date(1900, 1, 1), dt.date(2100, 1, 1)
    units = str(element.get("storedUnitCode") or UNITS)
    return Sensor(ordinal_of(element), -inches * _INCH, inches, units, first, last)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan
