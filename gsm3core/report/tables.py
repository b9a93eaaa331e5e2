"""Tables of the page and number formatting; the CSV files hold full precision."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pandas as pd

# Lines of a cell: the first in full size, the others small below it.
Cell = tuple[str, ...]

NOTHING = "–"
# Prevents a line break between a number and the word before it.
JOIN = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of the page.

    Parameters
    ----------
    name
        Name of the CSV file; empty if there is none.
    caption, notes
        Above and below the table.
    head, rows
        As shown; the first column names the row.
    frame
        Contents of the CSV, in full precision.
    """

    caption: str
    head: tuple[str, ...]
    rows: list[list[Cell]]
    name: str = ""
    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()


def number(value: float, digits: int = 3, *, sign: bool = False) -> str:
    """Return a number with fixed decimals and a minus sign (U+2212), or a dash if it is not finite."""
    if not math.isfinite(value):
        return NOTHING
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    if float(text) == 0 and not sign:
        text = text.lstrip("-")
    return text.replace("-", "−")


def interval(lower: float, upper: float, digits: int = 3) -> str:
    """Return both ends of an interval, or ``no interval``."""
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return "no interval"
    return f"{number(lower, digits)} to{JOIN}{number(upper, digits)}"


def probability(p: float) -> str:
    """Return a p-value, with ``p < 0.001`` for small ones."""
    if not math.isfinite(p):
        return NOTHING
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def display_name(name: str) -> str:
    """Return an identifier with spaces in place of underscores."""
    return name.replace("_", " ")
