"""Strict reading of units, times and numbers in a user's table; errors name the lines."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gsm3core.errors import DatasetError
from gsm3core.readers.moisture_units import moisture_factor
from gsm3core.readers.time_texts import parse_times

# Names are shown in web pages and written to tables, where a spreadsheet must not read them as formulas.
SITE_NAME = r"(?![=+@])(?!-.*[^\d._-])[^\x00-\x1f\x7f<>]{1,80}"
SITE_NAME_RULE = "expected 1 to 80 characters without < and >, not starting like a formula (= + @ -)"
_SHOWN = 3


def unit_factor(raw: pd.DataFrame, units: str, file: str) -> tuple[float, str]:
    """Return the factor that converts the values to m3 m-3, and the stated unit.

    Raises
    ------
    DatasetError
        If there is no unit or several, or it is not volumetric or contradicts ``units``.
    """
    stated = (
        sorted({str(u).strip() for u in raw["units"].dropna().unique()}) if "units" in raw.columns else []
    )
    if len(stated) > 1:
        raise DatasetError(
            f"{file} has several units: {', '.join(map(repr, stated[:_SHOWN]))}; expected one for all rows."
        )
    if stated and units and stated[0] != units:
        raise DatasetError(f"{file} has units {stated[0]!r}, but {units!r} was given; correct one of them.")
    unit = (stated or [units])[0]
    if not unit:
        raise DatasetError(f"{file} has no units: add a column 'units' (m3 m-3 or %), or set --units.")
    factor = moisture_factor(unit)
    if factor is not None:
        return factor, unit
    plain = " ".join(unit.lower().split())
    more = (
        " Divide a water column by the depth of its layer first."
        if plain in {"mm", "kg m-2", "kg/m2", "m"}
        else ""
    )
    raise DatasetError(
        f"{file} has units {unit!r}; expected volumetric soil moisture in 'm3 m-3' or '%'.{more}"
    )


def times(column: pd.Series, rows: pd.DataFrame, file: str, order: str = "") -> tuple[np.ndarray, list[str]]:
    """Return UTC times, and notes on how they were read.

    Parameters
    ----------
    order
        ``day`` or ``month`` if the header says which comes first.

    Raises
    ------
    DatasetError
        If a time is invalid, or 01/02/2020 is ambiguous.
    """
    notes: list[str] = []
    bad = column.isna().to_numpy()
    if column.dtype.kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
        stamps = pd.to_datetime(column, utc=True)
    elif column.dtype.kind in "iuf":
        raise DatasetError(
            f"{file}: times are numbers ({column.iloc[0]}); expected dates such as 2020-02-01."
        )
    else:
        stamps = pd.Series(pd.NaT, index=column.index, dtype="datetime64[ns, UTC]")
        found, notes = parse_times(column[~bad], file, order=order)
        stamps[~bad] = found.astype(stamps.dtype)
    bad = stamps.isna().to_numpy()
    if bad.any():
        given = column[bad].iloc[0]
        raise DatasetError(
            f"{file}: invalid time {given!r} in line {lines(rows, bad)} ({int(bad.sum()):,} in all); expected "
            "2020-02-01, 2020-02-01T06:00 (UTC) or 2020-02-01T06:00+02:00."
        )
    return stamps.dt.tz_localize(None).to_numpy().astype("datetime64[ns]"), notes


def numbers(column: pd.Series, rows: pd.DataFrame, file: str) -> np.ndarray:
    """Return a column as numbers, NaN where missing.

    Raises
    ------
    DatasetError
        If a text is not a number, or a number is infinite.
    """
    numbers = pd.to_numeric(column, errors="coerce")
    bad = (numbers.isna() & column.notna()).to_numpy() | np.isinf(numbers.to_numpy(np.float64))
    if bad.any():
        given = str(column[bad].iloc[0])
        comma = " Write decimals with a point." if "," in given else ""
        raise DatasetError(
            f"{file}: invalid {column.name} {given!r} in line {lines(rows, bad)} ({int(bad.sum()):,} in all); expected a finite "
            f"number.{comma}"
        )
    return numbers.to_numpy(np.float64)


def lines(rows: pd.DataFrame, bad: np.ndarray) -> str:
    """Return the first of the bad line numbers, as text."""
    found = rows["line"].to_numpy()[bad]
    return ", ".join(map(str, found[:_SHOWN])) + (", ..." if len(found) > _SHOWN else "")
