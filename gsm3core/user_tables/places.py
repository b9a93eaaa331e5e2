"""Places in user tables: names, coordinates and depths of sites; what is wrong is known by site."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from gsm3core.errors import DatasetError
from gsm3core.readers.moisture_units import missing_code
from gsm3core.user_tables.checks import SITE_NAME, SITE_NAME_RULE
from gsm3core.user_tables.coordinates import degrees
from gsm3core.user_tables.files import read_columns

MAX_DEPTH = 3.0  # m; the deepest soil-moisture sensors are at 2 to 3 m
_TO_METRES = {
    "": 1.0,
    "m": 1.0,
    "metre": 1.0,
    "metres": 1.0,
    "meter": 1.0,
    "meters": 1.0,
    "cm": 0.01,
    "mm": 0.001,
}
_SAME_PLACE = 1e-3  # degrees
_SHOWN = 5


@dataclass(slots=True)
class Places:
    """Sites of a table of places.

    Parameters
    ----------
    sites
        Per site lat, lon (-180 to 180), station and network, if given.
    refused
        Site -> why it is not used.
    notes
        How the table was read.
    """

    sites: pd.DataFrame
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_places(path: Path) -> Places:
    """Read a table of places: site, lat, lon and, optionally, station and network.

    Parameters
    ----------
    path
        See :func:`gsm3core.user_tables.files.read_columns`.

    Raises
    ------
    DatasetError
        If a column is missing, a site is invalid or repeated, or every site is refused.
    """
    raw = read_columns(path)
    frame = raw.frame
    if absent := [c for c in ("site", "lat", "lon") if c not in frame.columns]:
        raise DatasetError(
            f"{path.name} lacks the column(s) {', '.join(absent)}; expected site, lat, lon. It has {', '.join(frame.columns)}."
        )
    names = frame["site"].astype("str").str.strip()
    invalid = (frame["site"].isna() | ~names.str.fullmatch(SITE_NAME)).to_numpy()
    if invalid.any():
        k = int(np.flatnonzero(invalid)[0])
        raise DatasetError(
            f"{path.name}, line {frame.index[k]}: invalid site name {str(frame['site'].iloc[k])[:40]!r}: {SITE_NAME_RULE}."
        )
    if names.duplicated().any():
        twice = names[names.duplicated()].iloc[0]
        at = ", ".join(map(str, frame.index[(names == twice).to_numpy()]))
        raise DatasetError(f"{path.name}: duplicate site {twice!r} (lines {at}); expected one line per site.")
    sites, refused, notes = coordinates_of(frame.assign(site=names), raw.units, path.name)
    if sites.empty:
        refuse_all(refused, path.name)
    notes += refusals(refused)
    given = [c for c in ("lat", "lon", "station", "network") if c in frame.columns]
    return Places(sites.loc[[n for n in names if n in sites.index], given], refused, [*raw.notes, *notes])


def coordinates_of(
    frame: pd.DataFrame, units: Mapping[str, str], file: str
) -> tuple[pd.DataFrame, dict[str, str], list[str]]:
    """Return the coordinates of each site, the refused sites with the reason, and notes.

    Parameters
    ----------
    frame
        Columns site, lat, lon and, optionally, depth, station and network; the index has the line numbers.
    units
        Units in the header, such as ``{"depth": "cm"}``.

    Returns
    -------
    pandas.DataFrame
        Per site lat, lon (-180 to 180), station, network and depth (m, NaN where missing).
    """
    columns = [c for c in ("lat", "lon", "depth", "station", "network") if c in frame.columns]
    every = (
        frame[["site", *columns]]
        .assign(line=frame.index)
        .drop_duplicates(["site", *columns])
        .reset_index(drop=True)
    )
    refused: dict[str, str] = {}
    notes: list[str] = []

    def where(k: int) -> str:
        return f" of site {every['site'].iloc[k]!r} in line {every['line'].iloc[k]}"

    given = every[["lat", "lon"]].copy()
    for axis in ("lat", "lon"):
        every[axis], problems, note = degrees(given[axis], axis, where)
        notes += [note] if note else []
        for k, why in problems.items():
            refused.setdefault(str(every["site"].iloc[k]), f"{why}{_swapped(given.iloc[k], why)}")
    if "depth" in every.columns:
        every["depth"], problems, more = _depths(every["depth"], units.get("depth", ""), where, file)
        notes += more
        for k, why in problems.items():
            refused.setdefault(str(every["site"].iloc[k]), why)
    else:
        every["depth"] = np.nan
    good = every[~every["site"].isin(refused)]
    for column, tolerance in (("lat", _SAME_PLACE), ("lon", _SAME_PLACE), ("depth", 1e-9)):
        grouped = good.groupby("site")[column]
        for site in grouped.max().index[(grouped.max() - grouped.min()) > tolerance]:
            what = "depths" if column == "depth" else "coordinates"
            rule = "sensor" if column == "depth" else "location"
            refused.setdefault(
                str(site), f"site {str(site)!r} has several {what}; use one site id per {rule}."
            )
    good = good[~good["site"].isin(refused)].copy()
    east = good["lon"] >= 180
    if east.any():
        good.loc[east, "lon"] -= 360
        count = good.loc[east, "site"].nunique()
        notes.append(f"longitudes of 180 to 360 degrees at {count} sites converted to -180 to 180")
    good["station"] = good["station"].fillna("").astype("str") if "station" in columns else good["site"]
    if "network" in columns:
        good["network"] = good["network"].fillna("").astype("str")
    deep = good[good["depth"] > 1]
    if len(deep):
        notes.append(
            f"depths of more than 1 m, such as {deep['depth'].iloc[0]:g} m at {deep['site'].iloc[0]}"
        )
    return good.drop(columns="line").groupby("site", sort=True).first(), refused, notes


def refusals(refused: Mapping[str, str]) -> list[str]:
    """Return the refused sites with the reasons as notes, the first of many."""
    notes = [f"site {s!r} is refused: {why}" for s, why in list(refused.items())[:_SHOWN]]
    return notes + ([f"{len(refused)} sites are refused in all"] if len(refused) > _SHOWN else [])


def refuse_all(refused: Mapping[str, str], file: str) -> None:
    """Raise because no site of a table can be used; the reasons are named by site."""
    reasons = list(refused.values())
    if len(reasons) == 1:
        raise DatasetError(f"{file}: {reasons[0]}")
    listed = "".join(f"\n  - {why}" for why in reasons[:_SHOWN])
    more = f"\n  - and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    raise DatasetError(f"{file}: no site can be used:{listed}{more}")


def _swapped(row: pd.Series, why: str) -> str:
    """Return the question whether lat and lon are swapped, where they would be valid the other way round."""
    lat, lon = (pd.to_numeric(pd.Series([row[c]]), errors="coerce").iloc[0] for c in ("lat", "lon"))
    return (
        " Are lat and lon swapped?"
        if 90 < abs(lat) <= 360 and abs(lon) <= 90 and "swapped" not in why
        else ""
    )


def _depths(
    column: pd.Series, unit: str, where: Callable[[int], str], file: str
) -> tuple[np.ndarray, dict[int, str], list[str]]:
    """Return depths in m, NaN where missing, and impossible ones by position."""
    unit = unit.strip().lower()
    if unit not in _TO_METRES:
        raise DatasetError(f"{file}: the header of depth states {unit!r}; expected m, cm or mm.")
    parts = (
        column.astype("str")
        .str.strip()
        .str.extract(r"^(?P<number>[+-]?[\d.]+(?:[eE][+-]?\d+)?)\s*(?P<unit>mm|cm|m)?$")
    )
    stated = column.notna().to_numpy()
    numbers = pd.to_numeric(parts["number"], errors="coerce").to_numpy(np.float64, copy=True)
    problems: dict[int, str] = {}
    for k in map(int, np.flatnonzero(stated & np.isnan(numbers))):
        problems[k] = f"invalid depth {str(column.iloc[k])!r}{where(k)}; expected a number in m."
    codes = np.isfinite(missing_code(numbers))
    notes = [f"{int(codes.sum())} depths that are codes of missing values are missing"] if codes.any() else []
    numbers[codes] = np.nan
    factor = parts["unit"].map(_TO_METRES).fillna(_TO_METRES[unit]).to_numpy(np.float64)
    metres = numbers * factor
    if (factor != 1).any() and np.isfinite(metres).any():
        notes.append("depths converted to m")
    for k in map(int, np.flatnonzero(metres < 0)):
        problems[k] = (
            f"depth {numbers[k]:g}{where(k)}: expected metres below the surface, positive. Is it {-metres[k]:g}?"
        )
    for k in map(int, np.flatnonzero(metres > MAX_DEPTH)):
        problems[k] = (
            f"depth {numbers[k]:g}{where(k)}: expected metres, at most {MAX_DEPTH:g}; is it centimetres? Write "
            f"{numbers[k] / 100:g}, or name the column 'depth [cm]'."
        )
    return metres, problems, notes
