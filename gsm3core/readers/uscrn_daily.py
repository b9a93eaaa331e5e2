"""U.S. Climate Reference Network daily text files (CRND0103) of NOAA, one file per station and year."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.files import copy_order
from gsm3core.readers.step_counts import StepCounts
from gsm3core.readers.uscrn_stations import COLUMNS, SPLIT_KM, UscrnStation, read_file, stations_of

FILE_NAME = re.compile(
    r"^CRND0103-(?P<year>\d{4})-(?P<station>[A-Z]{2}_[A-Za-z0-9._'-]+)(?: ?\(\d+\))?\.txt$"
)
STATION_TABLE = "stations.tsv"
_FOOT = 0.3048
_SHOWN = 5
_SOURCE = "USCRN daily product CRND0103, {}"
_NO_SOIL = "no soil moisture at 5 cm"


class UscrnDailyReader:
    """Reads soil moisture at 5 cm and the stations' weather from a folder of daily files."""

    def open(self, root: Path, period: Period | None = None) -> xr.Dataset:
        """Return the stations with soil moisture as sites; see :func:`read_uscrn_daily`."""
        return read_uscrn_daily(Path(root), period)[0]


def read_uscrn_daily(
    root: Path | Sequence[Path], period: Period | None = None
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Read all daily files in one or several folders and their subfolders.

    Parameters
    ----------
    root
        Folder with ``CRND0103-YYYY-SS_Name.txt`` files, with or without subfolders for years, or several; the optional
        ``stations.tsv`` has the elevations, which the daily files lack. A station is what has one WBAN number, whatever its
        files are called: a renamed station is one, with its latest name.
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
    states. Flagged values are already missing in the files (note E). Places more than 5 km apart are sites of their own,
    with the coordinates in their names; of smaller moves the last place is used.
    """
    roots = [root] if isinstance(root, (str, Path)) else list(root)
    # In the order of the folders, so that of equal files the one given last counts.
    files = [
        (m["station"], p)
        for r in roots
        for p in sorted(Path(r).rglob("CRND0103-*.txt"), key=lambda p: copy_order(p.as_posix()))
        if (m := FILE_NAME.match(p.name))
    ]
    if not files:
        raise DatasetError(
            f"{', '.join(map(str, roots))} has no USCRN daily file; expected names like CRND0103-2020-TX_Monahans_6_ENE.txt."
        )
    ignored = [
        p.name for r in roots for p in Path(r).rglob("CRN*") if p.is_file() and not FILE_NAME.match(p.name)
    ]
    stations = stations_of([read_file(path, name) for name, path in files])
    table, used = [], []
    for station in stations:
        if period is not None and len(station.days):
            inside = (station.days >= np.datetime64(period.start)) & (
                station.days <= np.datetime64(period.end)
            )
            station.days, station.values = station.days[inside], station.values[inside]
        with_soil = int(np.isfinite(station.values[:, 0]).sum())
        if not with_soil:
            station.notes.insert(0, _NO_SOIL if len(station.days) else "no day in the period")
        else:
            used.append(station)
        notes = [
            *station.notes,
            *(f"{count:,} {reason}" for reason, count in sorted(station.refused.items())),
        ]
        table.append({
            "site": station.site, "network": "USCRN", "station": station.name,
            "outcome": "used" if with_soil else "refused", "wban": station.wban, "days": len(station.days),
            "days_with_soil_moisture": with_soil, "rows_read": station.rows.read, "rows_used": station.rows.used,
            "note": "; ".join(notes),
        })  # fmt: skip
    if not used:
        raise DatasetError(
            f"{', '.join(map(str, roots))}: none of {len(stations)} stations has soil moisture at 5 cm"
            + (f" from {period.start} to {period.end}." if period else ".")
        )
    elevations = {w: e for r in roots for w, e in _elevations(Path(r)).items()}
    ds = _dataset(used, elevations)
    rows = StepCounts.total(s.rows for s in stations)
    step: dict[str, object] = {
        "step": "read uscrn-daily", "files": len(files), "stations_read": len(stations), "stations_used": len(used),
        "elevations": len(elevations), **rows.as_step("rows"),
    }  # fmt: skip
    notes = _summary(used)
    if ignored:
        notes.append(
            f"{len(ignored)} file(s) are not named like CRND0103-2020-TX_Monahans_6_ENE.txt and not read: {_some(ignored)}."
        )
    if notes:
        step["notes"] = notes
    ds.attrs["steps"] = json.dumps([step])
    return ds, pd.DataFrame(table)


def _summary(stations: Sequence[UscrnStation]) -> list[str]:
    """Return sentences on renamed and moved stations."""
    notes = []
    if renamed := [s for s in stations if len(s.names) > 1]:
        notes.append(
            f"{len(renamed)} station(s) have several names and one WBAN number: each is one site with its latest name "
            f"({_some([' and '.join(s.names) for s in renamed])})."
        )
    if moved := [s for s in stations if s.suffix]:
        notes.append(
            f"places of one WBAN number are more than {SPLIT_KM:g} km apart: each is a site, with its coordinates in the name "
            f"({_some([s.site for s in moved])})."
        )
    if moved := [s for s in stations if s.moved]:
        notes.append(
            f"{len(moved)} station(s) moved by less than {SPLIT_KM:g} km; their last place is used "
            f"({_some([s.site for s in moved])})."
        )
    return notes


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


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


def _dataset(used: Sequence[UscrnStation], elevations: dict[str, float]) -> xr.Dataset:
    first, last = min(s.days[0] for s in used), max(s.days[-1] for s in used)
    axis = np.arange(first, last + 1)
    cube = np.full((len(COLUMNS), len(used), len(axis)), np.nan, np.float32)
    for row, station in enumerate(used):
        cube[:, row, (station.days - first).astype(np.int64)] = station.values.T
    ds = xr.Dataset(
        coords={
            v.SITE: np.array([s.site for s in used]),
            v.TIME: pd.DatetimeIndex(axis.astype("datetime64[ns]")),
            v.LAT: (v.SITE, np.array([s.lat for s in used])),
            v.LON: (v.SITE, np.array([s.lon for s in used])),
            v.NETWORK: (v.SITE, np.full(len(used), "USCRN")),
            v.STATION: (v.SITE, np.array([s.name.replace("_", " ") for s in used])),
            v.DEPTH: (v.SITE, np.full(len(used), 0.05), {"units": "m", "long_name": "sensor depth"}),
        }
    )
    for (name, column), series in zip(COLUMNS.items(), cube, strict=True):
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
            v.SITE, np.array([elevations.get(s.wban.zfill(5), np.nan) for s in used], np.float32),
            {"units": "m", "long_name": v.VARIABLES["elevation"].long_name, "source": "USCRN station table"},
        )  # fmt: skip
    return ds
