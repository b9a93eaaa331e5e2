"""U.S. Climate Reference Network daily text files (CRND0103) of NOAA, one file per station and year."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.step_counts import StepCounts

FILE_NAME = re.compile(r"^CRND0103-(?P<year>\d{4})-(?P<station>[A-Z]{2}_[A-Za-z0-9._'-]+)\.txt$")
STATION_TABLE = "stations.tsv"
_FIELDS = 28
_WBAN, _DATE, _LON, _LAT = 0, 1, 3, 4
_FOOT = 0.3048
_MAX_MOVE = 0.05  # degrees: more than the rounding in the files, less than a 9 km cell
_SOURCE = "USCRN daily product CRND0103, {}"
_NO_SOIL = "no soil moisture at 5 cm"


@dataclass(frozen=True, slots=True)
class _Column:
    """One of the 28 fields; ``value * scale + offset`` is in canonical units."""

    field: int
    missing: float
    what: str
    scale: float = 1.0
    offset: float = 0.0


# Field numbers of the readme minus one. The missing value is "the lowest possible integer for a given column format" (note C).
_COLUMNS = {
    v.SM_INSITU: _Column(18, -99.0, "soil moisture at 5 cm, mean of three probes"),
    "precipitation": _Column(9, -9999.0, "precipitation"),
    "air_temperature": _Column(8, -9999.0, "mean of all 5-minute air temperatures", offset=273.15),
    "air_temperature_max": _Column(5, -9999.0, "maximum air temperature", offset=273.15),
    "air_temperature_min": _Column(6, -9999.0, "minimum air temperature", offset=273.15),
    "shortwave_down": _Column(10, -9999.0, "global solar radiation", scale=1e6 / 86400),
    "surface_temperature": _Column(14, -9999.0, "mean infrared surface temperature", offset=273.15),
    "relative_humidity": _Column(17, -9999.0, "mean relative humidity", scale=0.01),
    "soil_temperature": _Column(23, -9999.0, "soil temperature at 5 cm", offset=273.15),
}


@dataclass(slots=True)
class _Station:
    wban: str = ""
    lat: float = np.nan
    lon: float = np.nan
    parts: list[tuple[NDArray[np.datetime64], NDArray[np.float64]]] = field(default_factory=list)
    rows: StepCounts = field(default_factory=StepCounts)
    refused: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class UscrnDailyReader:
    """Reads soil moisture at 5 cm and the stations' weather from a folder of daily files."""

    def open(self, root: Path, period: Period | None = None) -> xr.Dataset:
        """Return the stations with soil moisture as sites; see :func:`read_uscrn_daily`."""
        return read_uscrn_daily(Path(root), period)[0]


def read_uscrn_daily(root: Path, period: Period | None = None) -> tuple[xr.Dataset, pd.DataFrame]:
    """Read all daily files in a folder and its subfolders.

    Parameters
    ----------
    root
        Folder with ``CRND0103-YYYY-SS_Name.txt`` files, with or without subfolders for years; the optional
        ``stations.tsv`` has the elevations, which the daily files lack.
    period
        Days to keep.

    Returns
    -------
    xarray.Dataset
        See :class:`gsm3core.readers.base.Reader`; ``attrs["steps"]`` is a JSON list for the dataset's history.
    pandas.DataFrame
        One row per station: used or refused, days, counts, and a note with the reasons.

    Raises
    ------
    DatasetError
        If there is no such file, or no station has soil moisture.

    Notes
    -----
    Layout: readme.txt of https://www.ncei.noaa.gov/pub/data/uscrn/products/daily01 (2017-07-06). Diamond et al. (2013),
    doi:10.1175/BAMS-D-12-00170.1; Bell et al. (2013), doi:10.1175/JHM-D-12-0146.1. A day is the station's local
    standard day (note D), not a UTC day; daily values cannot be shifted, so the date is kept, as each variable's comment
    states. Flagged values are already missing in the files (note E).
    """
    files = sorted((m["station"], p) for p in root.rglob("CRND0103-*.txt") if (m := FILE_NAME.match(p.name)))
    if not files:
        raise DatasetError(
            f"{root} has no USCRN daily file; expected names like CRND0103-2020-TX_Monahans_6_ENE.txt."
        )
    stations: dict[str, _Station] = {}
    for name, path in files:
        _read_file(path, stations.setdefault(name, _Station()))
    table, used = [], {}
    for name, station in stations.items():
        days, values = _join_years(station)
        if period is not None and len(days):
            inside = (days >= np.datetime64(period.start)) & (days <= np.datetime64(period.end))
            days, values = days[inside], values[inside]
        with_soil = int(np.isfinite(values[:, 0]).sum()) if len(days) else 0
        if not with_soil:
            station.notes.insert(0, _NO_SOIL if len(days) else "no day in the period")
        else:
            used[name] = (station, days, values)
        notes = [
            *station.notes,
            *(f"{count:,} {reason}" for reason, count in sorted(station.refused.items())),
        ]
        table.append({
            "site": f"USCRN|{name}", "network": "USCRN", "station": name, "outcome": "used" if with_soil else "refused",
            "wban": station.wban, "days": len(days), "days_with_soil_moisture": with_soil,
            "rows_read": station.rows.read, "rows_used": station.rows.used, "note": "; ".join(notes),
        })  # fmt: skip
    if not used:
        raise DatasetError(
            f"{root}: none of {len(stations)} stations has soil moisture at 5 cm"
            + (f" from {period.start} to {period.end}." if period else ".")
        )
    elevations = _elevations(root)
    ds = _dataset(used, elevations)
    rows = StepCounts.total(s.rows for s in stations.values())
    step = {
        "step": "read uscrn-daily", "files": len(files), "stations_read": len(stations), "stations_used": len(used),
        "elevations": len(elevations), **rows.as_step("rows"),
    }  # fmt: skip
    ds.attrs["steps"] = json.dumps([step])
    return ds, pd.DataFrame(table)


def _read_file(path: Path, station: _Station) -> None:
    lines = [f for line in path.read_bytes().decode("ascii", "replace").splitlines() if (f := line.split())]
    complete = [f for f in lines if len(f) == _FIELDS]
    numbers, days = (
        np.full((len(complete), len(_COLUMNS)), np.nan),
        np.full(len(complete), "NaT", "datetime64[D]"),
    )
    for k, fields in enumerate(complete):
        try:
            days[k] = np.datetime64(f"{fields[_DATE][:4]}-{fields[_DATE][4:6]}-{fields[_DATE][6:]}", "D")
            numbers[k] = [float(fields[c.field]) for c in _COLUMNS.values()]
            station.lat, station.lon = _check_location(
                station, float(fields[_LAT]), float(fields[_LON]), path
            )
        except ValueError:  # counted below; the other values of the line are not used either
            days[k] = "NaT"
    dated = ~np.isnat(days)
    damaged = len(lines) - int(dated.sum())
    station.rows.add(StepCounts(len(lines), {"line without 28 readable fields": damaged}))
    if damaged:
        station.notes.append(f"{path.name}: {damaged} damaged lines")
    if complete:
        station.wban = complete[0][_WBAN]
    station.parts.append((days[dated], numbers[dated]))


def _check_location(station: _Station, lat: float, lon: float, path: Path) -> tuple[float, float]:
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        raise ValueError("invalid coordinates")
    if abs(lat - station.lat) > _MAX_MOVE or abs(lon - station.lon) > _MAX_MOVE:
        station.notes.append(
            f"moved from {station.lat:g}, {station.lon:g} to {lat:g}, {lon:g} in {path.name}; the last location is used"
        )
    return lat, lon


def _join_years(station: _Station) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    """Return sorted days and values in canonical units; missing and out-of-range values are NaN, the latter counted."""
    days = np.concatenate([d for d, _ in station.parts])
    raw = np.concatenate([n for _, n in station.parts])
    # The last line of a duplicate day is used: files are appended to.
    days, first = np.unique(days[::-1], return_index=True)
    station.rows.refuse("duplicate day", len(raw) - len(days))
    raw = raw[::-1][first]
    values = np.empty_like(raw)
    for k, (name, column) in enumerate(_COLUMNS.items()):
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
    return days, values


def _elevations(root: Path) -> dict[str, float]:
    """Return metres above sea level by WBAN number; NOAA's station table has feet."""
    path = next((p for p in (root / STATION_TABLE, *sorted(root.rglob(STATION_TABLE))) if p.is_file()), None)
    if path is None:
        return {}
    table = pd.read_csv(path, sep="\t", dtype=str, encoding="latin-1", on_bad_lines="skip")
    table.columns = table.columns.str.strip().str.upper()
    if not {"WBAN", "ELEVATION"} <= set(table.columns):
        return {}
    feet = pd.to_numeric(table["ELEVATION"], errors="coerce")
    return {
        str(w).strip().zfill(5): f * _FOOT for w, f in zip(table["WBAN"], feet, strict=True) if np.isfinite(f)
    }


def _dataset(
    used: dict[str, tuple[_Station, NDArray[np.datetime64], NDArray[np.float64]]],
    elevations: dict[str, float],
) -> xr.Dataset:
    first, last = min(d[0] for _, d, _ in used.values()), max(d[-1] for _, d, _ in used.values())
    axis = np.arange(first, last + 1)
    cube = np.full((len(_COLUMNS), len(used), len(axis)), np.nan, np.float32)
    for row, (_, days, values) in enumerate(used.values()):
        cube[:, row, (days - first).astype(np.int64)] = values.T
    stations = [s for s, _, _ in used.values()]
    ds = xr.Dataset(
        coords={
            v.SITE: np.array([f"USCRN|{name}" for name in used]),
            v.TIME: pd.DatetimeIndex(axis.astype("datetime64[ns]")),
            v.LAT: (v.SITE, np.array([s.lat for s in stations])),
            v.LON: (v.SITE, np.array([s.lon for s in stations])),
            v.NETWORK: (v.SITE, np.full(len(used), "USCRN")),
            v.STATION: (v.SITE, np.array([name.replace("_", " ") for name in used])),
            v.DEPTH: (v.SITE, np.full(len(used), 0.05), {"units": "m", "long_name": "sensor depth"}),
        }
    )
    for (name, column), series in zip(_COLUMNS.items(), cube, strict=True):
        known = v.VARIABLES[name]
        attrs = {
            "units": known.units, "long_name": known.long_name, "source": _SOURCE.format(column.what),
            "comment": "day in the station's local standard time, not UTC",
        }  # fmt: skip
        if known.standard_name:
            attrs["standard_name"] = known.standard_name
        ds[name] = ((v.SITE, v.TIME), series, attrs)
    if elevations:
        ds["elevation"] = (
            v.SITE, np.array([elevations.get(s.wban.zfill(5), np.nan) for s in stations], np.float32),
            {"units": "m", "long_name": v.VARIABLES["elevation"].long_name, "source": "USCRN station table"},
        )  # fmt: skip
    return ds
