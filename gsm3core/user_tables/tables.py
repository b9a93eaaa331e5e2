"""Checked daily values from a user's table of soil moisture (site, time, value, units), with counts of refused rows."""

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
    SITE_NAME_RULE,
    lines,
    numbers,
    times,
    unit_factor,
)
from gsm3core.user_tables.files import read_columns

_FILLS = (-9999.0, -999.0, -99.9, -99.0, 9999.0, 99999.0, -32768.0, -32767.0, 9.96921e36, 1e20)
_MAX_INVALID_SHARE = 0.1


@dataclass(slots=True)
class Table:
    """A checked table.

    Parameters
    ----------
    daily
        Columns ``site``, ``day`` (UTC, datetime64), ``value`` (m3 m-3), one row per site and day.
    sites
        For in-situ tables: per site lat, lon, station and, if given, depth (m).
    counts
        Rows read, used, and refused by reason.
    notes
        Conversions.
    """

    file: str
    sha256: str
    units: str
    daily: pd.DataFrame
    sites: pd.DataFrame
    counts: StepCounts
    notes: list[str] = field(default_factory=list)

    def as_step(self, step: str, name: str) -> dict[str, Any]:
        """Return the step for the dataset's history."""
        return {
            "step": step, "name": name, "file": self.file, "sha256": self.sha256, "units": self.units,
            **self.counts.as_step("rows"), "notes": self.notes,
        }  # fmt: skip


def read_table(path: Path, *, in_situ: bool = False, units: str = "", max_bytes: int | None = None) -> Table:
    """Read and check a table.

    Parameters
    ----------
    path
        CSV, netCDF-4 or parquet with columns ``site``, ``time``, ``value``, ``units``; see
        :func:`gsm3core.user_tables.files.read_columns`.
    in_situ
        Whether ``lat`` and ``lon`` are required; ``depth`` (m) and ``station`` are optional.
    units
        Units of a table without the column.
    max_bytes
        Limit for uploads.

    Returns
    -------
    Table
        Values of a site at different times of one UTC day are averaged.

    Raises
    ------
    DatasetError
        If a column is missing, a time or a value is invalid, units are unknown or contradict the values, a site has two
        values at one time, or more than a tenth of the values are out of range. Line numbers start at 1.
    """
    path = Path(path)
    raw = read_columns(path, max_bytes=max_bytes)
    needed = ["site", "time", "value", *(["lat", "lon"] if in_situ else [])]
    _check_columns(raw, needed, path)
    table = Table(path.name, sha256(path), "", pd.DataFrame(), pd.DataFrame(), StepCounts(read=len(raw)))
    extra = sorted(set(raw.columns) - {*needed, "units", "depth", "station", "lat", "lon"})
    if extra:
        table.notes.append(f"columns not used: {', '.join(extra)}")
    scale, table.units = unit_factor(raw, units, path.name)
    rows = pd.DataFrame({"site": raw["site"].astype("str").str.strip(), "line": np.arange(len(raw)) + 2})
    nameless = raw["site"].isna().to_numpy() | (rows["site"] == "").to_numpy()
    if nameless.any():
        raise DatasetError(f"{path.name}: missing site in line {lines(rows, nameless)}.")
    odd = ~rows["site"].str.fullmatch(SITE_NAME).to_numpy()
    if odd.any():
        given = rows["site"][odd].iloc[0][:40]
        raise DatasetError(
            f"{path.name}: invalid site name {given!r} in line {lines(rows, odd)}; {SITE_NAME_RULE}."
        )
    rows["time"], zoned = times(raw["time"], rows, path.name)
    table.notes += zoned
    rows["value"] = numbers(raw["value"], rows, path.name)
    rows = _without_fills(rows, table)
    rows["value"] *= scale
    _check_range(rows, scale, path)
    possible = rows["value"].between(0, 1)
    table.counts.refuse("outside 0-1 m3 m-3", int((~possible).sum()))
    rows = _without_duplicates(rows.loc[possible], table, path)
    if rows.empty:
        raise DatasetError(f"{path.name}: no valid row: {table.counts}.")
    if in_situ:
        table.sites = _site_table(raw, rows, table, path)
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
    table.counts.refuse("missing", int(rows["value"].isna().sum()))
    rows = rows[rows["value"].notna()]
    filled = np.zeros(len(rows), bool)
    for fill in _FILLS:
        at = np.isclose(rows["value"], fill, rtol=1e-6, atol=0)
        table.counts.refuse(f"fill value {fill:g}", int(at.sum()))
        filled |= at
    return rows[~filled].copy()


def _check_range(rows: pd.DataFrame, factor: float, path: Path) -> None:
    values = rows["value"].to_numpy()
    if not len(values):
        return
    if factor != 1.0 and values.max() <= 0.01:
        raise DatasetError(
            f"{path.name} has units of percent, but values up to {values.max() / factor:g} only; correct the units (m3 m-3?)."
        )
    outside = (values < 0) | (values > 1)
    if outside.mean() > _MAX_INVALID_SHARE:
        percent = (
            " It looks like percent: set units '%'." if factor == 1.0 and 1 < values.max() <= 100 else ""
        )
        raise DatasetError(
            f"{path.name}: {outside.sum():,} of {len(values):,} values are outside 0 to 1 m3 m-3 (range {values.min():g} to "
            f"{values.max():g}), first in line {lines(rows, outside)}.{percent}"
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
    table.counts.refuse("duplicate row", int(exact.sum()))
    return rows[~same].copy()


def _site_table(raw: pd.DataFrame, rows: pd.DataFrame, table: Table, path: Path) -> pd.DataFrame:
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
                f"{path.name}: {column} {row[column]:g} of site {row['site']!r} in line {row['line']} is invalid; expected "
                f"{-limit:g} to {limit:g} degrees.{swapped}"
            )
    east = every["lon"] > 180
    if east.any():
        every.loc[east, "lon"] -= 360
        table.notes.append(
            f"longitudes of 180 to 360 degrees at {every.loc[east, 'site'].nunique()} sites converted to -180 to 180"
        )
    sites = every.groupby("site")[["lat", "lon"]]
    extent = (sites.max() - sites.min()).max(axis=1)
    if (extent > 1e-3).any():
        raise DatasetError(
            f"{path.name}: site {extent.idxmax()!r} has several coordinates; use one site id per location."
        )
    return every.drop(columns="line").groupby("site", sort=True).first()
