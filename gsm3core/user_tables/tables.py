"""A user's table of soil moisture (site, time, value, units) as checked daily values, every refused row counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.files import sha256
from gsm3core.readers.step_counts import StepCounts
from gsm3core.user_tables.checks import (
    SITE_NAME,
    SITE_NAME_WORDS,
    lines,
    numbers,
    times,
    unit_factor,
)
from gsm3core.user_tables.files import read_columns

_FILLS = (-9999.0, -999.0, -99.9, -99.0, 9999.0, 99999.0, -32768.0, -32767.0, 9.96921e36, 1e20)
_TOO_MANY = 0.1


@dataclass(slots=True)
class Table:
    """A user's table, checked.

    Parameters
    ----------
    daily
        Columns ``site``, ``day`` (UTC, datetime64), ``value`` (m3 m-3), one row per site and day.
    places
        For in-situ tables: per site lat, lon and, where given, depth (m) and station.
    ledger
        Rows read, used, and refused with reasons.
    notes
        What was converted.
    """

    file: str
    sha256: str
    units: str
    daily: pd.DataFrame
    places: pd.DataFrame
    ledger: StepCounts
    notes: list[str] = field(default_factory=list)

    def as_step(self, step: str, name: str) -> dict[str, Any]:
        """Return the entry for the dataset's history."""
        return {
            "step": step, "name": name, "file": self.file, "sha256": self.sha256, "units": self.units,
            **self.ledger.as_step("rows"), "notes": self.notes,
        }  # fmt: skip


def read_table(path: Path, *, places: bool = False, units: str = "", largest: int | None = None) -> Table:
    """Read and check a table.

    Parameters
    ----------
    path
        CSV, netCDF-4 or parquet with columns ``site``, ``time``, ``value``, ``units``; see
        :func:`gsm3core.user_tables.files.read_columns`.
    places
        Whether ``lat`` and ``lon`` are needed (in-situ tables); ``depth`` (m) and ``station`` may be there.
    units
        For a table without the column.
    largest
        Bytes; for uploads.

    Returns
    -------
    Table
        Several values of a site on one UTC day at different times become their mean.

    Raises
    ------
    DatasetError
        If a column is missing, a time or a value cannot be read, units are unknown or contradict the values, one site
        has two values at one time, or more than a tenth of the values is impossible. Rows are named as the file's
        lines, the first line being 1.
    """
    path = Path(path)
    raw = read_columns(path, largest=largest)
    needed = ["site", "time", "value", *(["lat", "lon"] if places else [])]
    _check_columns(raw, needed, path)
    table = Table(path.name, sha256(path), "", pd.DataFrame(), pd.DataFrame(), StepCounts(read=len(raw)))
    extra = sorted(set(raw.columns) - {*needed, "units", "depth", "station", "lat", "lon"})
    if extra:
        table.notes.append(f"columns not used: {', '.join(extra)}")
    scale, table.units = unit_factor(raw, units, path.name)
    rows = pd.DataFrame({"site": raw["site"].astype("str").str.strip(), "line": np.arange(len(raw)) + 2})
    nameless = raw["site"].isna().to_numpy() | (rows["site"] == "").to_numpy()
    if nameless.any():
        raise DatasetError(f"{path.name}: no site in line {lines(rows, nameless)}.")
    odd = ~rows["site"].str.fullmatch(SITE_NAME).to_numpy()
    if odd.any():
        given = rows["site"][odd].iloc[0][:40]
        raise DatasetError(
            f"{path.name}: site {given!r} in line {lines(rows, odd)} is no name: {SITE_NAME_WORDS}."
        )
    rows["time"], zoned = times(raw["time"], rows, path.name)
    table.notes += zoned
    rows["value"] = numbers(raw["value"], rows, path.name)
    rows = _without_fills(rows, table)
    rows["value"] *= scale
    _check_range(rows, scale, path)
    possible = rows["value"].between(0, 1)
    table.ledger.refuse("outside 0-1 m3 m-3", int((~possible).sum()))
    rows = _without_duplicates(rows.loc[possible], table, path)
    if rows.empty:
        raise DatasetError(f"{path.name}: no row can be used: {table.ledger}.")
    if places:
        table.places = _places(raw, rows, table, path)
    rows["day"] = rows["time"].dt.floor("D")
    daily = rows.groupby(["site", "day"], sort=True)["value"].mean().reset_index()
    if len(daily) < len(rows):
        table.notes.append(f"{len(rows):,} values averaged to {len(daily):,} UTC days")
    table.daily = daily
    return table


def _check_columns(raw: pd.DataFrame, needed: list[str], path: Path) -> None:
    for column in needed:
        if column not in raw.columns:
            raise DatasetError(
                f"{path.name} has no column {column!r}; it has {', '.join(raw.columns)}. "
                f"Expected {', '.join([*needed, 'units'])}. {did_you_mean(column, raw.columns)}"
            )


def _without_fills(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    table.ledger.refuse("missing", int(rows["value"].isna().sum()))
    rows = rows[rows["value"].notna()]
    filled = np.zeros(len(rows), bool)
    for fill in _FILLS:
        at = np.isclose(rows["value"], fill, rtol=1e-6, atol=0)
        table.ledger.refuse(f"fill value {fill:g}", int(at.sum()))
        filled |= at
    return rows[~filled].copy()


def _check_range(rows: pd.DataFrame, factor: float, path: Path) -> None:
    values = rows["value"].to_numpy()
    if not len(values):
        return
    if factor != 1.0 and values.max() <= 0.01:
        raise DatasetError(
            f"{path.name} states percent, but no value exceeds {values.max() / factor:g}: it looks like m3 m-3."
        )
    outside = (values < 0) | (values > 1)
    if outside.mean() > _TOO_MANY:
        percent = (
            " It looks like percent: state units '%'." if factor == 1.0 and 1 < values.max() <= 100 else ""
        )
        raise DatasetError(
            f"{path.name}: {outside.sum():,} of {len(values):,} values are outside 0 to 1 m3 m-3 (from {values.min():g} to "
            f"{values.max():g}), the first in line {lines(rows, outside)}.{percent}"
        )


def _without_duplicates(rows: pd.DataFrame, table: Table, path: Path) -> pd.DataFrame:
    same = rows.duplicated(["site", "time"], keep="first")
    exact = rows.duplicated(["site", "time", "value"], keep="first")
    if (same & ~exact).any():
        first = rows[same & ~exact].iloc[0]
        pair = rows[(rows["site"] == first["site"]) & (rows["time"] == first["time"])]
        raise DatasetError(
            f"{path.name}: site {first['site']!r} has several values at {first['time']}: "
            f"{', '.join(f'{x:g}' for x in pair['value'])} (lines {', '.join(map(str, pair['line']))})."
        )
    table.ledger.refuse("said twice", int(exact.sum()))
    return rows[~same].copy()


def _places(raw: pd.DataFrame, rows: pd.DataFrame, table: Table, path: Path) -> pd.DataFrame:
    every = pd.DataFrame({"site": raw["site"].astype("str").str.strip(), "line": np.arange(len(raw)) + 2})
    for column in ("lat", "lon", *(["depth"] if "depth" in raw.columns else [])):
        every[column] = numbers(raw[column], every, path.name)
    every["station"] = raw["station"].astype("str") if "station" in raw.columns else every["site"]
    every = every[every["site"].isin(rows["site"])]
    for column, limit in (("lat", 90.0), ("lon", 360.0)):
        off = ~(every[column].abs() <= limit).to_numpy()
        if off.any():
            row = every[off].iloc[0]
            swapped = " Are lat and lon swapped?" if abs(row["lat"]) > 90 and abs(row["lon"]) <= 90 else ""
            raise DatasetError(
                f"{path.name}: {column} {row[column]:g} of site {row['site']!r} in line {row['line']} is not within "
                f"{-limit:g} to {limit:g} degrees.{swapped}"
            )
    east = every["lon"] > 180
    if east.any():
        every.loc[east, "lon"] -= 360
        table.notes.append(
            f"longitudes of 180 to 360 degrees at {every.loc[east, 'site'].nunique()} sites made negative"
        )
    sites = every.groupby("site")[["lat", "lon"]]
    spread = (sites.max() - sites.min()).max(axis=1)
    if (spread > 1e-3).any():
        raise DatasetError(
            f"{path.name}: site {spread.idxmax()!r} is at several places; give each place a site of its own."
        )
    return every.drop(columns="line").groupby("site", sort=True).first()
