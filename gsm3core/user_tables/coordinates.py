"""Latitudes and longitudes in user tables: decimal degrees, degrees and minutes, hemispheres."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from gsm3core.errors import DatasetError
from gsm3core.readers.moisture_units import missing_code

LIMITS = {"lat": 90.0, "lon": 360.0}
_LETTERS = {"lat": "NS", "lon": "EW"}
_NUMBER = r"\d+(?:[.,]\d+)?"
_DEGREES = re.compile(
    rf"^(?P<before>[NSEW])?\s*(?P<sign>[+-])?\s*(?P<d>{_NUMBER})\s*"
    rf"(?:(?:°|º|˚|deg|d|:|\s)\s*(?:(?P<m>{_NUMBER})\s*(?:(?:'(?!')|′|’|min|m|:|\s)\s*(?:(?P<s>{_NUMBER})\s*(?:\"|″|”|''|s|sec)?)?)?)?)?"
    r"\s*(?P<after>[NSEW])?$",
    re.IGNORECASE,
)


def degrees(
    column: pd.Series, axis: str, where: Callable[[int], str]
) -> tuple[np.ndarray, dict[int, str], str]:
    """Return decimal degrees, positive to the north and east.

    Parameters
    ----------
    axis
        ``lat`` or ``lon``.
    where
        Text for a position, such as " of site 'a' in line 2".

    Returns
    -------
    numpy.ndarray
        NaN where a value is missing or invalid.
    dict
        Position of an invalid value -> what is wrong.
    str
        A note if degrees with minutes or hemispheres were converted.
    """
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, copy=True)
    problems: dict[int, str] = {}
    converted = []
    for k in map(int, np.flatnonzero(np.isnan(numbers))):
        given = column.iloc[k]
        if pd.isna(given) or not str(given).strip():
            problems[k] = f"missing {axis}{where(k)}"
            continue
        try:
            numbers[k] = _parse(str(given).strip(), axis, where(k))
            converted.append(f"{given} is {numbers[k]:.6g}")
        except DatasetError as error:
            problems[k] = str(error)
    low, high = -LIMITS[axis] if axis == "lat" else -180.0, LIMITS[axis]
    codes = missing_code(numbers)
    for k in map(int, np.flatnonzero(((numbers < low) | (numbers > high)) & ~np.isnan(numbers))):
        problems[k] = (
            f"missing {axis} ({numbers[k]:g}){where(k)}"
            if np.isfinite(codes[k])
            else f"{axis} {numbers[k]:g}{where(k)} is invalid; expected {low:g} to {high:g} degrees."
        )
    numbers[list(problems)] = np.nan
    return numbers, problems, f"{axis} converted to decimal degrees: {converted[0]}" if converted else ""


def _parse(text: str, axis: str, where: str) -> float:
    found = _DEGREES.match(text)
    if found is None:
        comma = " Write decimals with a point." if "," in text else ""
        raise DatasetError(
            f"invalid {axis} {text!r}{where}; expected decimal degrees such as -1.28, or 1°17'S.{comma}"
        )
    letters = [x.upper() for x in (found["before"], found["after"]) if x]
    if any(x not in _LETTERS[axis] for x in letters):
        raise DatasetError(
            f"{axis} {text!r}{where} has the letter of the other coordinate. Are lat and lon swapped?"
        )
    if "," in text and not (letters or found["m"]):
        raise DatasetError(
            f"invalid {axis} {text!r}{where}; expected decimal degrees. Write decimals with a point."
        )
    parts = [float(x.replace(",", ".")) for x in (found["d"], found["m"] or "0", found["s"] or "0")]
    negative = found["sign"] == "-"
    if parts[1] >= 60 or parts[2] >= 60 or len(letters) > 1 or (negative and letters):
        raise DatasetError(
            f"invalid {axis} {text!r}{where}; expected decimal degrees such as -1.28, or 1°17'S."
        )
    value = parts[0] + parts[1] / 60 + parts[2] / 3600
    return -value if negative or (letters and letters[0] in "SW") else value
