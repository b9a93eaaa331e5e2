"""What the page shows as a table, and how it writes numbers; the CSV beside it holds them in full."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pandas as pd

# Lines of a cell: the first in full size, the others small beneath it.
Cell = tuple[str, ...]

NOTHING = "–"
# Keeps a number with the word before it when a narrow column breaks the line.
JOIN = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of the page.

    Parameters
    ----------
    name
        Of the CSV file; empty where there is none.
    caption, notes
        Above and beneath it.
    head, rows
        As shown; the first column names the row.
    frame
        The same and more, in full precision, for the CSV.
    """

    caption: str
    head: tuple[str, ...]
    rows: list[list[Cell]]
    name: str = ""
    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()


def number(value: float, digits: int = 3, *, sign: bool = False) -> str:
    """Return a number with fixed decimals and a true minus, or a dash where there is none."""
    if not math.isfinite(value):
        return NOTHING
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    if float(text) == 0 and not sign:
        text = text.lstrip("-")
    return text.replace("-", "−")


def interval(lower: float, upper: float, digits: int = 3) -> str:
    """Return both ends, or nothing where there is no interval."""
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return "no interval"
    return f"{number(lower, digits)} to{JOIN}{number(upper, digits)}"


def probability(p: float) -> str:
    """Return a p-value as it is reported: never as 0."""
    if not math.isfinite(p):
        return NOTHING
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def words(name: str) -> str:
    """Return a name of ours as a reader writes it."""
    return name.replace("_", " ")
