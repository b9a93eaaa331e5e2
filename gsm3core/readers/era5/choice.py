"""Choice of the ERA5 files and variables to read: other products and statistics are set aside and named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gsm3core.catalog import SourceVariable
from gsm3core.errors import DatasetError
from gsm3core.readers.era5.accumulation import Accumulation
from gsm3core.readers.era5.layout import Slab
from gsm3core.readers.era5.product import SOURCES, Contents, Product, doubt_about, product_of
from gsm3core.readers.era5.survey import FileSurvey, Key, Part, grid_key
from gsm3core.readers.granules import Roots

_MAX_NAMES = 3


@dataclass(frozen=True, slots=True)
class Item:
    """Variables of one part of a file that are read together.

    Parameters
    ----------
    names
        Names in the file -> canonical names.
    ends
        Whether labels are at the end of the interval.
    accumulation
        ``day`` for totals since 00 UTC.
    """

    path: Path
    slab: Slab
    contents: Contents
    names: Mapping[str, str]
    ends: bool
    accumulation: Accumulation = "hour"


@dataclass(slots=True)
class Choice:
    """What is read of a source's files.

    Parameters
    ----------
    variables
        Those that at least one file has.
    notes
        Sentences about what was decided.
    monthly
        Canonical names of the variables read from monthly means.
    """

    variables: list[SourceVariable]
    items: list[Item] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    monthly: set[str] = field(default_factory=set)


def choose_files(
    surveys: Sequence[FileSurvey],
    variables: Sequence[SourceVariable],
    *,
    product: Product,
    statistic: str,
    check_product: bool,
    root: Roots,
    unreadable: Mapping[Path, DatasetError],
    explicit: bool,
) -> Choice:
    """Return which parts of which files are read.

    Parameters
    ----------
    surveys
        What the files have.
    variables
        Those that are wanted.
    product, check_product
        The expected product, and whether another one is refused.
    statistic
        Statistic of a day, for daily statistics.
    root
        Folder, for messages.
    unreadable
        Files that cannot be opened, with their errors.
    explicit
        Whether each of the variables must be there.

    Raises
    ------
    DatasetError
        If a wanted variable is in no file that can be read as this product; the reason is that of the first file with it.
    """
    accumulations = _accumulations_by_grid(surveys)
    refused: dict[str, list[Path]] = {}
    reasons: list[tuple[FileSurvey, tuple[str, ...], str]] = []
    candidates: list[Item] = []
    once = _single_months(surveys)
    other: list[tuple[FileSurvey, Product, str]] = []
    doubts: dict[str, list[Path]] = {}
    for survey in surveys:
        if survey.evidence is None:
            continue
        kinds = survey.evidence.accumulations or accumulations.get(survey.grid, {})
        found, why = product_of(replace(survey.evidence, accumulations=kinds), product)
        if check_product and found != product:
            other.append((survey, found, why))
            continue
        if check_product and (doubt := doubt_about(survey.evidence, product)):
            doubts.setdefault(doubt, []).append(survey.path)
        for part in survey.parts:
            contents = Contents("monthly", "mean", "monthly means") if part in once else part.contents
            part_items, reason = _items(
                survey, replace(part, contents=contents), variables, kinds, product, statistic
            )
            candidates += part_items
            if reason:
                reasons.append((survey, part.slab.names, reason))
                refused.setdefault(reason, []).append(survey.path)
    for survey, found, why in other:
        refused.setdefault(f"{found} ({why}), not {product}", []).append(survey.path)
    choice = Choice([x for x in variables if any(x.ours in i.names.values() for i in candidates)])
    absent = [x for x in variables if x not in choice.variables]
    if absent and (explicit or not choice.variables):
        _raise_absent(absent, surveys, other, reasons, product, root, unreadable)
    choice.items = _without_repeats(candidates, choice.notes)
    choice.monthly = {o for i in choice.items if i.contents.frequency == "monthly" for o in i.names.values()}
    for reason, paths in refused.items():
        choice.notes.append(f"not read: {_some(paths)}: {reason}")
    for path, error in unreadable.items():
        choice.notes.append(f"not read: {path.name}: {error}")
    choice.notes += [f"{_some(paths)}: {doubt}" for doubt, paths in doubts.items()]
    choice.notes += _notes_on_contents(choice.items, product)
    return choice


def _items(
    survey: FileSurvey,
    part: Part,
    variables: Sequence[SourceVariable],
    kinds: Mapping[str, Accumulation],
    product: Product,
    statistic: str,
) -> tuple[list[Item], str]:
    """Return what is read of a part of a file, and why the rest is not."""
    contents, slab = part.contents, part.slab
    groups: dict[tuple[bool, Accumulation], dict[str, str]] = {}
    reason = contents.found if contents.frequency == "other" else ""
    for x in variables:
        name = next((t for t in x.theirs if t in slab.names), None)
        if name is None or reason:
            continue
        ends = x.time == "interval_end"
        word = "mean" if ends and contents.statistic == "sum" else contents.statistic
        if contents.frequency == "daily" and word != statistic:
            advice = f"; ask for {x.ours}@{word}" if word in ("mean", "min", "max") else ""
            return [], f"{contents.found} of {name}, not daily {statistic}{advice}"
        if contents.frequency == "monthly" and statistic != "mean":
            return [], f"monthly means of {name}, not daily {statistic}"
        kind: Accumulation = "hour"
        if ends and contents.frequency == "hourly":
            kind = _accumulation(name, kinds, product)
        if kind == "total":
            if product != "ERA5-Land":
                return [], (
                    f"{name} has one value a day, too large for an hour: a daily sum (if so, end the file's name in "
                    "_daily-sum.nc), or ERA5-Land's total of the day before (source era5-land)"
                )
            kind = "day"
        groups.setdefault((ends, kind), {})[name] = x.ours
    return [
        Item(survey.path, slab, contents, names, ends, kind) for (ends, kind), names in groups.items()
    ], reason


def _accumulation(name: str, kinds: Mapping[str, Accumulation], product: Product) -> Accumulation:
    """Return the interval of an accumulated variable: by its values, else by those of others, else of the product."""
    if name in kinds:
        return kinds[name]
    others = set(kinds.values())
    if len(others) == 1:
        return others.pop()
    return "day" if product == "ERA5-Land" else "hour"


def _accumulations_by_grid(surveys: Iterable[FileSurvey]) -> dict[Key | None, dict[str, Accumulation]]:
    """Return what the values of all files with the same cells show; nothing of a variable on which files differ."""
    found: dict[Key | None, dict[str, set[Accumulation]]] = {}
    for survey in surveys:
        for name, kind in (survey.evidence.accumulations if survey.evidence else {}).items():
            found.setdefault(survey.grid, {}).setdefault(name, set()).add(kind)
    return {g: {n: next(iter(k)) for n, k in names.items() if len(k) == 1} for g, names in found.items()}


def _single_months(surveys: Iterable[FileSurvey]) -> list[Part]:
    """Return the parts with one time step each that together are monthly: the first day of several months, nothing else."""
    by_name: dict[object, list[Part]] = {}
    for survey in surveys:
        for part in survey.parts:
            by_name.setdefault((grid_key(part.slab), part.slab.names), []).append(part)
    found = []
    for parts in by_name.values():
        times = np.concatenate([p.slab.times for p in parts])
        single = all(len(p.slab.times) == 1 and p.contents.frequency == "hourly" for p in parts)
        months = times.astype("M8[M]")
        if single and len(set(months.tolist())) == len(times) > 1 and (times.astype("M8[D]") == months).all():
            found += parts
    return found


def _without_repeats(items: list[Item], notes: list[str]) -> list[Item]:
    """Leave out monthly means of variables that files have by the hour or day, and daily values of hourly ones."""
    rank = {"hourly": 0, "daily": 1, "monthly": 2}
    kept: list[Item] = []
    dropped: dict[str, list[Path]] = {}
    full_days: dict[object, set[int]] = {}
    for item in items:
        if item.contents.frequency == "hourly":
            labels = item.slab.times - np.timedelta64(int(item.ends), "h")
            days, number = np.unique(labels.astype("M8[D]").astype(int), return_counts=True)
            for ours in item.names.values():
                full_days.setdefault((grid_key(item.slab), ours), set()).update(days[number >= 18].tolist())
    best: dict[str, int] = {}
    for item in items:
        for ours in item.names.values():
            best[ours] = min(best.get(ours, 9), rank[item.contents.frequency])
    for item in items:
        names = dict(item.names)
        if item.contents.frequency == "monthly":
            names = {t: o for t, o in names.items() if best[o] == rank["monthly"]}
        elif item.contents.frequency == "daily":
            own = set(item.slab.times.astype("M8[D]").astype(int).tolist())
            key = grid_key(item.slab)
            names = {t: o for t, o in names.items() if not own <= full_days.get((key, o), set())}
        for ours in set(item.names.values()) - set(names.values()):
            dropped.setdefault(
                f"{item.contents.found} of {ours}, which other files have by the hour or day", []
            ).append(item.path)
        if names:
            kept.append(replace(item, names=names))
    notes += [f"not read: {_some(paths)}: {reason}" for reason, paths in dropped.items()]
    return kept


def _notes_on_contents(items: Iterable[Item], product: Product) -> list[str]:
    notes: dict[str, dict[str, None]] = {}
    for item in items:
        text = ""
        if item.contents.frequency == "hourly" and item.ends:
            if item.accumulation == "day" and _once_a_day(item.slab):
                text = "one total a day, read as that of the hours since 00 UTC before its label"
            elif item.accumulation == "day":
                text = "totals since 00 UTC, read as the amounts of their hours"
            elif product == "ERA5-Land":
                text = "hourly amounts, as in the CDS's time series of ERA5-Land"
        elif item.contents.frequency == "daily":
            text = (
                f"{item.contents.found} of the files, read as the value of the UTC day (time_zone utc+00:00)"
            )
            if item.contents.statistic == "sum":
                text += "; sums are complete only if they were ordered from hourly steps (frequency 1_hourly)"
        elif item.contents.frequency == "monthly":
            text = (
                "monthly means"
                + (" of daily totals (per day)" if item.ends else "")
                + ", repeated on the days of the month"
            )
        if text:
            notes.setdefault(text, {}).update(dict.fromkeys(item.names.values()))
    return [f"{', '.join(names)}: {text}" for text, names in notes.items()]


def _once_a_day(slab: Slab) -> bool:
    return len(np.unique(slab.times.astype("M8[D]"))) == len(slab.times) > 1


def _raise_absent(
    absent: Sequence[SourceVariable],
    surveys: Sequence[FileSurvey],
    other: Sequence[tuple[FileSurvey, Product, str]],
    reasons: Sequence[tuple[FileSurvey, tuple[str, ...], str]],
    product: Product,
    root: Roots,
    unreadable: Mapping[Path, DatasetError],
) -> None:
    """Raise with the reason why the first of these variables cannot be read."""
    folder = ", ".join(map(str, [root] if isinstance(root, str | Path) else root))
    names = [f"{x.theirs[0]} ({x.ours})" for x in absent]
    theirs = {t for x in absent for t in x.theirs}
    for survey, found, why in other:
        if any(survey.has(t) for t in theirs):
            ours = ",".join(x.ours for x in absent if any(survey.has(t) for t in x.theirs))
            here, there = SOURCES[product], SOURCES[found]
            raise DatasetError(
                f"{survey.path} is {found} ({why}), not {product}. Use {there}:{ours} and --source {there}={folder} in place of "
                f"{here}:{ours} and its --source. If the files are {product} all the same, set options: "
                f"{{check_product: false}} of the source {here} in a recipe."
            )
    for survey, in_part, reason in reasons:
        if theirs & set(in_part):
            raise DatasetError(f"{survey.path}: {reason}.")
    for survey in surveys:
        if problem := next((survey.problems[t] for t in survey.problems if t in theirs), ""):
            raise DatasetError(problem)
    has = sorted({n for s in surveys for n in s.names})
    more = "".join(
        f" {path.name} was not read: {error}" for path, error in list(unreadable.items())[:_MAX_NAMES]
    )
    files = "1 file" if len(surveys) == 1 else f"{len(surveys)} files"
    raise DatasetError(
        f"{folder} has no {', '.join(names)}; it has {', '.join(has) or 'no variables'} in {files}. Request the missing "
        f"variables from the CDS.{more}"
    )


def _some(paths: Sequence[Path]) -> str:
    names = ", ".join(p.name for p in paths[:_MAX_NAMES])
    return names + (f" and {len(paths) - _MAX_NAMES} more files" if len(paths) > _MAX_NAMES else "")
