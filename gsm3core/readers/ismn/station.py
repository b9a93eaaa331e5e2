"""The record of one ISMN station: its files, places and sensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from gsm3core import vocabulary as v
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.geography.places import PLACE_KM, km_between, place_suffix, places_of
from gsm3core.readers.ismn.archive import UNREADABLE, Archive, SensorFile, StationFiles
from gsm3core.readers.ismn.sensor_choice import SensorChoice, combine_sensors, find_renamed, merge_days
from gsm3core.readers.ismn.static_variables import read_static
from gsm3core.readers.ismn.stm import (
    REPLACED,
    DailySeries,
    SensorRows,
    daily_means,
    merge_files,
    parse_stm,
)
from gsm3core.readers.ismn.stm_header import Header
from gsm3core.readers.step_counts import StepCounts

_SAME_SHARE = 0.95
_MIN_COMMON = 24
_CENTIMETRES = 2.0  # m; no sensor of surface soil moisture is deeper


@dataclass(slots=True)
class Station:
    """A station at one place: what was read, used and refused.

    Parameters
    ----------
    suffix
        Ends the site's name if the station has sensors at several places.
    days_joined
        Days if sensors that follow each other are joined (:func:`gsm3core.readers.ismn.sensor_choice.combine_sensors`); 0 if
        there are none.
    files, merged
        Data files read, and those of them beyond one for each sensor.
    """

    source: StationFiles
    suffix: str = ""
    counts: StepCounts = field(default_factory=StepCounts)
    notes: list[str] = field(default_factory=list)
    used: list[SensorFile] = field(default_factory=list)
    header: Header | None = None
    series: DailySeries | None = None
    static: dict[str, float] = field(default_factory=dict)
    days_joined: int = 0
    files: int = 0
    merged: int = 0

    @property
    def site(self) -> str:
        """Name of the site."""
        found = self.header
        return f"{found.network}_{found.station}{self.suffix}" if found else self.source.name

    def row(self) -> dict[str, object]:
        """Return the row of the station table."""
        found = self.header
        return {
            "site": self.site, "network": found.network if found else "", "station": found.station if found else "",
            "outcome": "used" if self.used else "refused", "sensors": "; ".join(s.sensor for s in self.used),
            "depth_m": round(self.used[0].depth, 4) if self.used else np.nan,
            "days": len(self.series.day) if self.series else 0,
            "days_if_joined": self.days_joined or np.nan,
            "hours_between_values": self.series.step if self.series else np.nan, "files": self.files,
            "rows_read": self.counts.read, "rows_used": self.counts.used, "note": "; ".join(self.notes),
        }  # fmt: skip


def read_station(
    archive: Archive, source: StationFiles, choice: SensorChoice, period: Period | None
) -> list[Station]:
    """Return the record of a station, one for each place with sensors.

    Notes
    -----
    Sensors more than 1 km apart are not of one place and never combined. Files of one sensor that disagree so on the place
    are of one record if their rows agree: its coordinates were corrected, and those of the last file count.
    """
    if not source.sensors:
        station = Station(source)
        station.notes.append(f"no soil moisture (other variables: {source.other_variables} files)")
        return [station]
    places, notes = _split_places(archive, source)
    read = []
    for place in places:
        station = Station(place, notes=list(notes))
        _read_place(archive, station, choice, period)
        read.append(station)
    if len(places) > 1:
        for station in read:
            if station.header is not None:
                station.suffix = place_suffix(station.header.lat, station.header.lon)
                station.notes.insert(0, f"sensors at {len(places)} places, each a site")
    return read


def _split_places(archive: Archive, source: StationFiles) -> tuple[list[StationFiles], list[str]]:
    """Return the station's files by place, and notes on corrected coordinates."""
    located = [s for s in source.sensors if s.path in source.headers and source.headers[s.path].located]
    headers = [source.headers[s.path] for s in located]
    place = places_of([(h.lat, h.lon) for h in headers])
    if len(set(place)) < 2:
        return [source], []
    notes = []
    for record in dict.fromkeys(s.record for s in located):
        ours = sorted(
            (k for k, s in enumerate(located) if s.record == record), key=lambda k: _order(located[k])
        )
        if len({place[k] for k in ours}) < 2:
            continue
        rows = {k: _rows_of(archive, located[k].path) for k in ours}
        for a, b in pairwise(ours):
            if place[a] != place[b] and _rows_agree(rows[a], rows[b]):
                h, old = headers[b], headers[a]
                notes.append(
                    f"coordinates of {located[b].sensor} corrected by {km_between(h.lat, h.lon, old.lat, old.lon):.1f} km: "
                    f"{h.lat:g}, {h.lon:g} of the last file are used, not {old.lat:g}, {old.lon:g}"
                )
                place = [place[b] if p == place[a] else p for p in place]
    at = {s.path: p for s, p in zip(located, place, strict=True)}
    first = place[0]
    return [
        replace(
            source, sensors=[s for s in source.sensors if at.get(s.path, first) == p],
            other_variables=source.other_variables if p == first else 0,
        ) for p in dict.fromkeys(place)
    ], notes  # fmt: skip


def _order(sensor: SensorFile) -> tuple[str, int]:
    """Return the sort key of precedence: the file whose period ends last is the latest download, then the last one given."""
    return sensor.end, sensor.position


def _rows_of(archive: Archive, path: str) -> SensorRows | None:
    try:
        return parse_stm(archive.read(path))
    except (DatasetError, *UNREADABLE):
        return None


def _rows_agree(one: SensorRows | None, other: SensorRows | None) -> bool:
    if one is None or other is None:
        return False
    a, b = (dict(zip(r.minutes.tolist(), r.rows["value"].tolist(), strict=True)) for r in (one, other))
    common = a.keys() & b.keys()
    equal = sum(abs(a[t] - b[t]) <= 5e-5 for t in common)
    return len(common) >= _MIN_COMMON and equal >= _SAME_SHARE * len(common)


def _read_place(archive: Archive, station: Station, choice: SensorChoice, period: Period | None) -> None:
    source = station.source
    suitable = [s for s in source.sensors if choice.accepts(s)]
    if others := sorted({(s.top, s.bottom) for s in set(source.sensors) - set(suitable)}):
        depths = ", ".join(f"{t:g}-{b:g}" if t != b else f"{t:g}" for t, b in others)
        station.notes.append(f"not near {choice.depth:g} m: sensors at {depths} m{_depth_hint(others)}")
    for rank in sorted({choice.rank(s) for s in suitable}):
        records: dict[tuple[float, float, str], list[SensorFile]] = {}
        for sensor in sorted((s for s in suitable if choice.rank(s) == rank), key=_order):
            records.setdefault(sensor.record, []).append(sensor)
        read = []
        for files in records.values():
            found = _read_sensor(archive, files, station, choice, period)
            if found is not None and len(found[1].day):
                read.append((files[-1], *found))
        if read:
            read = _merge_renamed(station, read)
            combined = combine_sensors([(s.sensor, d) for s, _, d in read], choice.combine)
            station.used = [read[k][0] for k in combined.used]
            station.header = max((read[k][1] for k in combined.used), key=lambda h: h.decimals)
            station.series, station.days_joined = combined.series, combined.days_joined
            station.notes += combined.notes
            break
    if station.used and station.header:
        _add_static(archive, station)


def _merge_renamed(
    station: Station, read: list[tuple[SensorFile, Header, DailySeries]]
) -> list[tuple[SensorFile, Header, DailySeries]]:
    """Return one record for each probe; the names of one probe can differ between downloads."""
    merged = []
    for group in find_renamed([(s.sensor, d) for s, _, d in read]):
        latest = max((read[k] for k in group), key=lambda r: _order(r[0]))
        ours = [latest, *(read[k] for k in group if read[k] is not latest)]
        merged.append((latest[0], latest[1], merge_days([d for _, _, d in ours])))
        if len(ours) > 1:
            names = ", ".join(s.sensor for s, _, _ in ours)
            station.notes.append(f"{names} have the same values: one sensor under {len(ours)} names")
    return merged


def _read_sensor(
    archive: Archive,
    files: Sequence[SensorFile],
    station: Station,
    choice: SensorChoice,
    period: Period | None,
) -> tuple[Header, DailySeries] | None:
    label = f"{files[-1].sensor} at {files[-1].depth:g} m"
    parsed: list[SensorRows] = []
    texts = set()
    for file in files:
        try:
            raw = archive.read(file.path)
            if raw in texts:
                station.notes.append(f"{label}: a copy of a file was not read again")
                continue
            texts.add(raw)
            found = parse_stm(raw)
        except (DatasetError, *UNREADABLE) as error:
            station.notes.append(f"{label}: {error}")
            continue
        if not found.header.located:
            station.counts.add(found.counts)
            station.counts.refuse("without coordinates", found.counts.used)
            station.notes.append(
                f"{label}: invalid coordinates, latitude {found.header.lat:g}, longitude {found.header.lon:g}"
            )
            continue
        parsed.append(found)
    if not parsed:
        return None
    station.files += len(parsed)
    station.merged += len(parsed) - 1
    one = merge_files(parsed)
    series = daily_means(one, flags=choice.flags, min_hours=choice.min_hours, period=period)
    station.counts.add(one.counts)
    station.header = station.header or one.header
    station.notes += [f"{label}: {n}" for n in one.notes]
    apart = max(km_between(one.header.lat, one.header.lon, f.header.lat, f.header.lon) for f in parsed)
    if 0.001 < apart <= PLACE_KM:
        station.notes.append(f"{label}: coordinates of its files differ by {apart:.2f} km")
    if len(parsed) > 1:
        differ = one.counts.refused.get(REPLACED, 0)
        station.notes.append(
            f"{label}: one record from {len(parsed)} files"
            + (f", {differ:,} rows differ between them: the last file counts" if differ else "")
        )
    reasons = ", ".join(f"{c:,} {r}" for r, c in sorted(one.counts.refused.items()))
    if not len(series.day):
        few = any(r.startswith("in days with fewer") for r in one.counts.refused)
        station.notes.append(
            f"{label}: no day left of {one.counts.read:,} rows ({reasons or 'empty'})"
            + (f"; --min-hours below {choice.min_hours} keeps days with fewer hours" if few else "")
        )
    elif reasons:
        station.notes.append(f"{label}: refused {reasons}")
    return one.header, series


def _add_static(archive: Archive, station: Station) -> None:
    """Add the static variables and the elevation; impossible values are missing, with a note."""
    assert station.header is not None
    for path in station.source.statics:
        try:
            found = read_static(archive.read(path), station.used[0].depth)
        except UNREADABLE as error:
            station.notes.append(f"static variables cannot be read: {error}")
            continue
        station.static |= found  # those of the last archive count
    for name, value in list(station.static.items()):
        known = v.VARIABLES.get(name)
        low, high = (known.valid_min, known.valid_max) if known else (0.0, None)
        if (low is not None and value < low) or (high is not None and value > high):
            station.notes.append(f"{name} is {value:g} in the static variables, which is impossible: missing")
            del station.static[name]
    station.static["elevation"] = station.header.elevation
    if np.isnan(station.header.elevation):
        text = station.header.elevation_text
        station.notes.append(f"elevation missing ({text!r} in the file)" if text else "elevation missing")


def _depth_hint(depths: Sequence[tuple[float, float]]) -> str:
    if any(top < 0 or bottom < 0 for top, bottom in depths):
        return " (a negative depth is above the ground in ISMN; if it is below, rename the file with a positive depth)"
    if all(bottom >= _CENTIMETRES and top == round(top) for top, bottom in depths):
        return " (if these are centimetres, rename the files with metres, such as sm_0.050000_0.050000)"
    return ""
