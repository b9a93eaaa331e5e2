"""Units of volumetric soil moisture as files and tables state them, and codes of missing values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FRACTION = {
    "m3 m-3", "m3/m3", "m^3 m^-3", "m^3/m^3", "m**3 m**-3", "m**3/m**3", "m³ m⁻³", "m³/m³", "m3.m-3", "m3m-3", "cm3/cm3",
    "cm3 cm-3", "cm^3/cm^3", "cm**3/cm**3", "cm³/cm³", "v/v", "vol/vol", "1", "-", "fraction",
}  # fmt: skip
PERCENT = {
    "%",
    "percent",
    "pct",
    "vol%",
    "vol.%",
    "vol.-%",
    "vol-%",
    "% vol",
    "%vol",
    "% vol.",
    "volumetric percent",
}
MISSING_CODES = (
    -9999.0, -6999.0, -999.0, -99.99, -99.9, -99.0, 999.0, 9999.0, 99999.0, -32768.0, -32767.0, 32767.0, 65535.0, 9.96921e36,
    1e20,
)  # fmt: skip
_LARGE = 0.99 * min(map(abs, MISSING_CODES))
_LARGEST_FRACTION = 1.0


def moisture_factor(units: str) -> float | None:
    """Return the factor that converts values in these units to m3 m-3; None for units of another quantity."""
    plain = " ".join(units.lower().split())
    return 1.0 if plain in FRACTION else 0.01 if plain in PERCENT else None


def missing_code(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the code of a missing value that each value is, NaN where it is none."""
    found = np.full(values.shape, np.nan)
    large = np.abs(values) > _LARGE
    some = values[large]
    codes = np.full(some.shape, np.nan)
    for code in MISSING_CODES:
        codes[np.isclose(some, code, rtol=1e-6, atol=0)] = code
    found[large] = codes
    return found


def like_fractions(values: NDArray[np.floating], factor: float) -> bool:
    """Return whether values that a file states in percent, here in m3 m-3, are so small that they were fractions."""
    largest = np.nanmax(values, initial=0.0)
    return factor != 1.0 and 0 < largest <= _LARGEST_FRACTION * factor
