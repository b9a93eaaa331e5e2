"""Checked daily values from a user's table of soil moisture (site, time, value, units), with counts of refused rows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.files import sha256
from gsm3core.readers.moisture_units import like_fractions, missing_code
from gsm3core.readers.step_counts import StepCounts
from gsm3core.readers.utc_days import DayRule, day_rule
from gsm3core.user_tables.checks import SITE_NAME, SITE_NAME_RULE, lines, numbers, times, unit_factor
from gsm3core.user_tables.files import RawColumns, read_columns
from gsm3core.user_tables.headers import date_order
from gsm3core.user_tables.places import coordinates_of, refusals, refuse_all

_MAX_INVALID_SHARE = 0.1
_SHOWN = 5
_WIDE = 3  # columns
_HOW = " (rows with an empty value)"


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
    refused
        Site -> why it is not used.
    notes
        How the table was read, and conversions.
    """

    file: str
    sha256: str
    units: str
    daily: pd.DataFrame
    sites: pd.DataFrame
    counts: StepCounts
    refused: dict[str, str] = field(default_factory=dict)
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
        CSV, netCDF or parquet with columns ``site``, ``time``, ``value``, ``units``; see
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
        Values of a site on one UTC day are averaged (:func:`gsm3core.readers.utc_days.day_rule`). A site whose coordinates,
        depth or values are impossible is refused; the others are used.

    Raises
    ------
    DatasetError
        If a column is missing, a time or a value is no time or number, units are unknown or contradict the values, or every
        site is refused. Line numbers start at 1.
    """
    path = Path(path)
    raw = read_columns(path, max_bytes=max_bytes)
    needed = ["site", "time", "value", *(["lat", "lon"] if in_situ else [])]
    check_columns(raw, [*needed], [*needed, "units"], path)
    table = Table(
        path.name, sha256(path), "", pd.DataFrame(), pd.DataFrame(), StepCounts(read=len(raw.frame))
    )
    table.notes += raw.notes
    extra = sorted(set(raw.frame.columns) - {*needed, "units", "depth", "station", "lat", "lon"})
    if extra:
        table.notes.append(f"columns not used: {', '.join(extra)}")
    scale, table.units = unit_factor(raw.frame, units or raw.units.get("value", ""), path.name)
    rows = _rows(raw, table)
    site_of_row = rows["site"].to_numpy()
    rules = _day_rules(rows, table)
    rows = _without_missing(rows, table)
    rows["value"] *= scale
    _check_range(rows, scale, table)
    if in_situ:
        every = raw.frame.assign(site=site_of_row)
        table.sites, refused, notes = coordinates_of(every, raw.units, path.name)
        table.refused |= {k: x for k, x in refused.items() if k not in table.refused}
        table.notes += notes
    rows = _without_duplicates(rows, table)
    _refuse_sites(rows, table)
    rows = rows[~rows["site"].isin(table.refused)]
    possible = rows["value"].between(0, 1)
    table.counts.refuse("outside 0-1 m3 m-3", int((~possible).sum()))
    rows = rows[possible].copy()
    if rows.empty:
        raise DatasetError(f"{path.name}: no valid row: {table.counts}.")
    table.daily = _daily(rows, rules, table)
    for site in sorted(set(rules) - set(table.daily["site"]) - set(table.refused)):
        table.refused[site] = "no valid value"
        table.notes.append(f"site {site!r} has no valid value")
    if in_situ:
        table.sites = table.sites[table.sites.index.isin(table.daily["site"])]
    return table


def check_columns(raw: RawColumns, needed: list[str], expected: list[str], path: Path) -> None:
    """Raise if a column is missing; its other names are in :data:`gsm3core.user_tables.headers.ALIASES`."""
    names = list(raw.frame.columns)
    wide = "time" in names and not {"site", "value"} & set(names) and len(names) > _WIDE
    for column in needed:
        if column not in names:
            if wide:
                raise DatasetError(
                    f"{path.name} has no columns 'site' and 'value', and {len(names) - 1} columns beside the time "
                    f"({', '.join(names[:_SHOWN])}). If each is a site, write one row per site and time: "
                    "frame.melt('time', var_name='site', value_name='value')."
                )
            raise DatasetError(
                f"{path.name} has no column {column!r}; it has {', '.join(names)}. "
                f"Expected {', '.join(expected)}. {did_you_mean(column, names)}"
            )


def _rows(raw: RawColumns, table: Table) -> pd.DataFrame:
    """Return site, line, time and value of every row."""
    frame = raw.frame
    names = {x: str(x).strip() for x in pd.unique(frame["site"].dropna())}
    rows = pd.DataFrame({
        "site": [names.get(x, "") for x in frame["site"]], "line": frame.index.to_numpy(),
    })  # fmt: skip
    nameless = (rows["site"] == "").to_numpy()
    if nameless.any():
        raise DatasetError(f"{table.file}: missing site in line {lines(rows, nameless)}.")
    invalid = [x for x in names.values() if not re.fullmatch(SITE_NAME, x)]
    odd = rows["site"].isin(invalid).to_numpy()
    if odd.any():
        given = rows["site"][odd].iloc[0][:40]
        raise DatasetError(
            f"{table.file}: invalid site name {given!r} in line {lines(rows, odd)}; {SITE_NAME_RULE}."
        )
    order = date_order(raw.units.get("time", ""), "time", table.file)
    rows["time"], notes = times(_with_clock(frame, table), rows, table.file, order)
    table.notes += notes
    rows["value"] = numbers(frame["value"], rows, table.file)
    return rows


def _with_clock(frame: pd.DataFrame, table: Table) -> pd.Series:
    """Return the times; of a table with the columns date and time (of the day), both together."""
    column = frame["time"]
    if (
        "date" not in frame.columns
        or not column.astype("str").str.fullmatch(r"\s*\d{1,2}:\d{2}(:\d{2})?\s*").all()
    ):
        return column
    table.notes.append("columns date and time read together")
    return (frame["date"].astype("str").str.strip() + " " + column.astype("str").str.strip()).rename("time")


def _day_rules(rows: pd.DataFrame, table: Table) -> dict[str, DayRule]:
    """Return how the values of each site become UTC days; a site with values of several days is refused."""
    ordered = rows[["site", "time"]].sort_values(["site", "time"], kind="stable")
    names, first = np.unique(ordered["site"].to_numpy(str), return_index=True)
    rules: dict[str, DayRule] = {}
    for name, labels in zip(names, np.split(ordered["time"].to_numpy(), first[1:]), strict=True):
        try:
            rules[str(name)] = day_rule(pd.DatetimeIndex(np.unique(labels)), f"site {str(name)!r}", how=_HOW)
        except DatasetError as error:
            table.refused[str(name)] = str(error)
    texts = pd.Series([n for rule in rules.values() for n in rule.notes], dtype=object).value_counts()
    table.notes += [f"{n} ({count} sites)" if count > 1 else str(n) for n, count in texts.items()]
    return rules


def _without_missing(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Remove rows without a value or with a code of a missing value, which are counted and named by site."""
    table.counts.refuse("missing", int(rows["value"].isna().sum()))
    rows = rows[rows["value"].notna()]
    codes = missing_code(rows["value"].to_numpy())
    filled = np.isfinite(codes)
    for code in np.unique(codes[filled]):
        found = rows["site"][codes == code].value_counts()
        table.counts.refuse(f"fill value {code:g}", int(found.sum()))
        named = ", ".join(f"{s} ({n:,})" for s, n in found.head(_SHOWN).items())
        more = f" and {len(found) - _SHOWN} more sites" if len(found) > _SHOWN else ""
        table.notes.append(f"missing-value code {code:g} at {named}{more}")
    return rows[~filled].copy()


def _check_range(rows: pd.DataFrame, factor: float, table: Table) -> None:
    """Refuse sites with more than a tenth of their values outside 0 to 1 m3 m-3; raise if that is every site."""
    values = rows["value"].to_numpy()
    if not len(values):
        return
    if like_fractions(values, factor):
        raise DatasetError(
            f"{table.file} has units of percent, but values up to {values.max() / factor:g} only; correct the units (m3 m-3?). "
            "If they are percent, divide them by 100 and give the units m3 m-3."
        )
    if factor != 1.0:
        largest = rows.groupby("site")["value"].max()
        small = [str(s) for s in largest.index if like_fractions(largest.loc[[s]].to_numpy(), factor)]
        if small:
            table.notes.append(
                f"{len(small)} of {len(largest)} sites have values up to 1 % only, such as {small[0]!r} "
                f"({largest[small[0]] / factor:g} %): are these m3 m-3?"
            )
    outside = pd.Series((values < 0) | (values > 1), index=rows.index)
    share = outside.groupby(rows["site"]).mean()
    bad = share.index[share > _MAX_INVALID_SHARE]

    def text(of: pd.DataFrame) -> str:
        off, found = outside[of.index].to_numpy(), of["value"]
        like_percent = factor == 1.0 and 1 < found.max() <= 100
        percent = " It looks like percent: set units '%'." if like_percent else ""
        return (
            f"{off.sum():,} of {len(off):,} values are outside 0 to 1 m3 m-3 (range {found.min():g} to {found.max():g}), "
            f"first in line {lines(of, off)}.{percent}"
        )

    if len(bad) == len(share):
        raise DatasetError(f"{table.file}: {text(rows)}")
    for site in bad:
        table.refused.setdefault(str(site), text(rows[rows["site"] == site]))


def _without_duplicates(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Remove repeated rows; refuse sites with different values at one time."""
    same = rows.duplicated(["site", "time"], keep="first")
    exact = rows.duplicated(["site", "time", "value"], keep="first")
    for site, first in rows[same & ~exact].groupby("site", sort=False).first().iterrows():
        pair = rows[(rows["site"] == site) & (rows["time"] == first["time"])]
        table.refused.setdefault(
            str(site),
            f"{str(site)!r} has several values at {first['time']}: {', '.join(f'{x:g}' for x in pair['value'])} "
            f"(lines {', '.join(map(str, pair['line']))}).",
        )
    table.counts.refuse("duplicate row", int(exact.sum()))
    return rows[~exact].copy()


def _refuse_sites(rows: pd.DataFrame, table: Table) -> None:
    """Count the rows of refused sites; raise if no site is left."""
    if not table.refused:
        return
    gone = rows["site"].isin(table.refused)
    if gone.all():
        refuse_all(table.refused, table.file)
    table.counts.refuse("site refused", int(gone.sum()))
    table.notes += refusals(table.refused)


def _daily(rows: pd.DataFrame, rules: dict[str, DayRule], table: Table) -> pd.DataFrame:
    """Return one value per site and UTC day."""
    rows["day"] = rows["time"].dt.floor("D")
    groups = rows.groupby(["site", "day"], sort=True)["value"].agg(["mean", "size"]).reset_index()
    enough = groups["size"] >= groups["site"].map({s: r.needed for s, r in rules.items()})
    daily = groups[enough].rename(columns={"mean": "value"})[["site", "day", "value"]].reset_index(drop=True)
    if len(groups) < len(rows):
        table.notes.append(f"{len(rows):,} values averaged to {len(daily):,} UTC days")
    if short := int((~enough).sum()):
        table.notes.append(f"{short:,} days with too few values are missing")
    if daily.empty:
        raise DatasetError(f"{table.file}: no UTC day has enough values: {'; '.join(table.notes)}.")
    return daily
