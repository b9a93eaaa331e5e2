"""Cases of the field benchmark and the rules that turn an outcome into a verdict."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

RIGHT = "right"
REFUSED = "refused, cause named"
UNNAMED = "right value, not named"
WRONG_REPORTED = "wrong, reported"
READABLE = "refused, can be read"
MISLEADING = "misleading"
TRACEBACK = "traceback"
HANG = "no end"
NOT_RUN = "not run"
WRONG = "WRONG, NOT REPORTED"
GOOD = (RIGHT, REFUSED)
# From the best to the worst outcome.
VERDICTS = (RIGHT, REFUSED, UNNAMED, WRONG_REPORTED, READABLE, MISLEADING, TRACEBACK, HANG, NOT_RUN, WRONG)
KINDS = {
    "A": "a sibling product passes for the expected one",
    "B": "time labels are joined without their meaning",
    "C": "a file's own coordinates and scaling are ignored",
    "D": "identity is taken from file names",
    "E": "unforeseen layouts",
    "F": "names that distributors deliver",
    "G": "gaps are judged per piece",
    "H": "one bad entry stops or poisons all",
}
_ERROR = re.compile(r"Error:?\s(?P<text>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a command made: text for the table, and whether it is right."""

    text: str
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the commands of a case left.

    Parameters
    ----------
    folder
        Working folder of the commands.
    output
        Text that all commands printed, one blank between words.
    last
        Text of the last command alone.
    code
        Exit status of the last command; ``None`` if it did not end in time.
    """

    folder: Path
    output: str
    last: str
    code: int | None

    def dataset(self, name: str = "out.zarr") -> xr.Dataset:
        """Return the dataset that a command wrote."""
        path = self.folder / name
        if path.suffix == ".zarr":
            return xr.open_zarr(path, consolidated=False)
        return xr.open_dataset(path, engine="h5netcdf")

    @property
    def error(self) -> str:
        """The message after "Error:"; empty if there is none."""
        found = _ERROR.search(self.last)
        return " ".join(found["text"].split()) if found else ""

    @property
    def reported(self) -> str:
        """Everything that a user can read: output, the dataset's history, and the tables beside it."""
        texts = [self.output]
        for path in sorted(self.folder.glob("*.stations.csv")):
            texts.append(path.read_text(encoding="utf-8", errors="replace"))
        return "\n".join([*texts, self.history])

    @property
    def history(self) -> str:
        """The history of the dataset, or nothing."""
        try:
            return str(self.dataset().attrs.get("history", ""))
        except (OSError, ValueError, KeyError):
            return ""


Measure = Callable[[Outcome], Found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One situation, the commands of a user in it, and what is right.

    Parameters
    ----------
    kind
        Key of :data:`KINDS`.
    right
        The right outcome, as text.
    commands
        Arguments of ``gsm3``, one tuple per command; ``("groups", PATH)`` prints which sites are held out together.
    prepare
        Writes the inputs into the working folder.
    measure
        Reads what the commands made and compares it with the right values. ``None``: nothing may be made.
    cause
        Regular expression of an error message that names the cause.
    refusal
        Whether such an error is right; otherwise the input can be read and must be.
    named
        Regular expressions of what output or history must say for a right value to be right.
    noted
        Likewise, but the table of stations beside the dataset may say it too.
    warned
        Regular expression of a message that makes a wrong value a reported one; by default those of ``named`` and ``noted``.
    source
        Where users met it: a link.
    """

    kind: str
    name: str
    right: str
    commands: tuple[tuple[str, ...], ...]
    prepare: Callable[[Path], None]
    measure: Measure | None
    cause: str = r"(?!)"
    refusal: bool = True
    named: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()
    warned: str = ""
    source: str = ""


def judge(case: Case, outcome: Outcome) -> tuple[str, str]:
    """Return the verdict, one of :data:`VERDICTS`, and the outcome in a line.

    Notes
    -----
    An error is right where the case allows a refusal and the message names the cause, misleading where it does not name it.
    A value is right within the case's tolerance; if the case demands that something is named, it must be. A wrong value
    is "reported" only if everything that the case demands to be named is named.
    """
    if outcome.code is None:
        return HANG, "the command did not end"
    if "Traceback (most recent call last)" in outcome.output:
        return TRACEBACK, _last_line(outcome.output)
    if outcome.code != 0:
        if not re.search(case.cause, outcome.error, re.IGNORECASE):
            return MISLEADING, outcome.error or _last_line(outcome.last)
        return (REFUSED if case.refusal else READABLE), outcome.error
    if case.measure is None:
        return WRONG, "made without an error"
    try:
        found = case.measure(outcome)
    except (OSError, KeyError, ValueError, IndexError) as error:
        return WRONG, f"no such result: {type(error).__name__}: {error}"
    wanted = [(x, outcome.output + outcome.history) for x in case.named]
    wanted += [(x, outcome.reported) for x in case.noted]
    named = all(re.search(x, text, re.IGNORECASE) for x, text in wanted)
    if found.right:
        return (RIGHT if named else UNNAMED), found.text
    warned = bool(case.warned and re.search(case.warned, outcome.reported, re.IGNORECASE))
    return (WRONG_REPORTED if warned or (named and wanted) else WRONG), found.text


def _last_line(text: str) -> str:
    lines = [x.strip(" │╰╯─") for x in text.splitlines()]
    return next((x for x in reversed(lines) if x), "nothing printed")


def close(
    name: str, right: Any, tolerance: float, *, site: str | None = None, out: str = "out.zarr"
) -> Measure:
    """Return a measure of a variable at a site (the first by default): its values, NaN equal to NaN.

    Parameters
    ----------
    right
        Numbers in the order of the dataset's days, or one number for a variable of the site.
    tolerance
        Largest absolute difference.
    """

    def measure(outcome: Outcome) -> Found:
        ds = outcome.dataset(out)
        values = at_site(ds, name, site)
        wanted = np.atleast_1d(np.asarray(right, float))
        same = values.shape == wanted.shape and np.allclose(
            values, wanted, rtol=0, atol=tolerance, equal_nan=True
        )
        return Found(text=numbers(values), right=bool(same))

    return measure


def every(*measures: Measure) -> Measure:
    """Return a measure that is right if all of several are."""

    def measure(outcome: Outcome) -> Found:
        found = [m(outcome) for m in measures]
        return Found(text="; ".join(f.text for f in found), right=all(f.right for f in found))

    return measure


def counted(what: str, right: int, count: Callable[[xr.Dataset], int], out: str = "out.zarr") -> Measure:
    """Return a measure of a count in the dataset."""

    def measure(outcome: Outcome) -> Found:
        number = int(count(outcome.dataset(out)))
        return Found(text=f"{number} {what}", right=number == right)

    return measure


def at_site(ds: xr.Dataset, name: str, site: str | None) -> np.ndarray:
    """Return a variable's values at a site, over time; of a product variable those of the only product."""
    array = ds[name]
    if "product" in array.dims:
        array = array.isel(product=-1)
    row = 0 if site is None else [str(x) for x in ds["site"].values].index(site)
    return np.atleast_1d(np.asarray(array.isel(site=row).values, float))


def numbers(values: np.ndarray) -> str:
    """Return up to four numbers as text, or the count and the range of more."""
    if len(values) <= 4:
        return ", ".join(f"{x:.4g}" for x in values)
    good = values[np.isfinite(values)]
    span = f"{good.min():.4g} to {good.max():.4g}" if len(good) else "no value"
    return f"{span}, {len(good)} of {len(values)} days"
