"""What went into a dataset: files with hashes, and counts at each step; and what is missing, as an error."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core.assembly.merge import Sampled, distances
from gsm3core.assembly.recipe import Recipe
from gsm3core.assembly.variable_spec import Wanted
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError

_RUNS_TOLD = 6


def source_step(one: Sampled, period: Period, sites: int) -> dict[str, Any]:
    """Return a source's entry for the history.

    Parameters
    ----------
    one
        Its finished pieces.
    period
        Of the dataset.
    sites
        How many there are.
    """
    settings = one.source.settings
    inputs = _inputs(one)
    lines = sorted(f"{h}  {Path(p).name}" for p, h in inputs.items())
    away = distances(one)
    step: dict[str, Any] = {
        "step": "collocate", "source": one.source.entry.name, "method": settings.method, "options": settings.options,
        "files": len(inputs), "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        "first_file": Path(min(inputs, key=lambda p: Path(p).name)).name if inputs else "",
        "last_file": Path(max(inputs, key=lambda p: Path(p).name)).name if inputs else "",
    }  # fmt: skip
    if away is not None:
        step["sites_outside_the_grid"] = int(np.isnan(away).sum())
        if np.isfinite(away).any():
            step["distance_km"] = {
                "median": _rounded(np.nanmedian(away)),
                "largest": _rounded(np.nanmax(away)),
            }
    if one.days:
        step["minimum_share_of_steps"] = settings.minimum
    for note in ("preliminary_steps", "product_version"):
        told = [p.account[note] for p in one.pieces if note in p.account]
        if told:
            step[note] = sum(told) if note == "preliminary_steps" else ", ".join(sorted(set(map(str, told))))
    step["variables"] = {w.name: _counts(one, w, period, sites) for w in one.wanted}
    return step


def _inputs(one: Sampled) -> dict[str, str]:
    """Return the files of all pieces with their SHA-256; pieces of two versions of one make no dataset."""
    inputs: dict[str, str] = {}
    for piece in one.pieces:
        for path, digest in piece.inputs.items():
            if inputs.setdefault(path, digest) != digest:
                raise DatasetError(
                    f"{path} changed while the dataset was built. Give the same command again: what was made of the "
                    "earlier version is made anew."
                )
    return inputs


def check_gaps(one: Sampled, period: Period, sites: int, gaps: str) -> None:
    """Raise if a source lacks what a forcing needs, or has nothing at all of what is wanted.

    Raises
    ------
    DatasetError
        Naming source, variable and days.
    """
    if gaps == "allow":
        return
    name = one.source.entry.name
    for w in one.wanted:
        counts = _counts(one, w, period, sites)
        what = f"{name} ({one.source.root}): {w.variable}" + (
            f", for {w.name}," if w.name != w.variable else ""
        )
        advice = (
            "Get what is missing, change the period, or take it as missing with --allow-gaps (gaps: allow)."
        )
        if w.role == "forcing" and counts["days_lacking"]:
            days = len(pd.date_range(period.start, period.end))
            raise DatasetError(
                f"{what} lacks {counts['days_lacking']} of the {days} days of {period.start} to {period.end}: "
                f"{counts['lacking']}. {advice}"
            )
        if not counts["present"]:
            away = distances(one)
            outside = 0 if away is None else int(np.isnan(away).sum())
            where = f" {outside} of the {sites} sites lie outside its grid." if outside else ""
            raise DatasetError(
                f"{what} has no value at any site from {period.start} to {period.end}.{where} {advice}"
            )


def check_means(ds: xr.Dataset, sampled: Sequence[Sampled], gaps: str) -> None:
    """Raise if a long-term mean could be made at no site.

    Raises
    ------
    DatasetError
        Naming source, variable and what a mean needs.
    """
    for one in sampled:
        for w in one.wanted:
            if gaps == "refuse" and w.days is not None and not bool(ds[w.name].notnull().any()):
                raise DatasetError(
                    f"{one.source.entry.name} ({one.source.root}): {w.variable}, for {w.name}, has no mean at any site "
                    f"({ds[w.name].attrs['averaged']}). Give more files or days, or take it as missing with --allow-gaps."
                )


def files_table(sampled: Sequence[Sampled]) -> str:
    """Return a CSV of every file that was read: source, name, bytes, SHA-256."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n")
    write.writerow(["source", "file", "bytes", "sha256"])
    rows = {
        (one.source.entry.name, Path(p).name, Path(p).stat().st_size, h)
        for one in sampled for piece in one.pieces for p, h in piece.inputs.items()
    }  # fmt: skip
    write.writerows(sorted(rows))
    return text.getvalue()


def recipe_step(recipe: Recipe, period: Period, replaced: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry for the recipe itself, without the machine's paths."""
    told = recipe.model_dump(mode="json", exclude_defaults=True, exclude={"sites": {"path"}, "sources": True})
    return {"step": "assemble", "recipe": told, "period": f"{period.start} to {period.end}", **replaced}


def global_attributes(recipe: Recipe, cited_by_sites: str, sampled: Sequence[Sampled]) -> dict[str, Any]:
    """Return title, sources, terms and citations of the dataset, of its sites first."""
    entries = [source_entry(recipe.sites.kind)] if recipe.sites.kind in ("ismn", "uscrn-daily") else []
    entries += [one.source.entry for one in sampled]
    places = {
        "ismn": "ISMN stations",
        "uscrn-daily": "USCRN stations",
        "grid": "9 km cells",
        "table": "places",
    }
    with_ = ", ".join(one.source.entry.name for one in sampled)
    title = recipe.title or places[recipe.sites.kind] + (f" with {with_}" if with_ else "")
    cited = [cited_by_sites] + [
        f"{e.citation} doi:{e.doi}".removesuffix(" doi:") for e in entries if e.name != recipe.sites.kind
    ]
    return {
        "Conventions": "CF-1.11", "featureType": "timeSeries", "title": title,
        "source": " + ".join(dict.fromkeys(e.provider for e in entries)),
        "license": " + ".join(dict.fromkeys(e.license for e in entries)) or "as given by the user",
        "references": " + ".join(filter(None, cited)),
    }  # fmt: skip


def _counts(one: Sampled, wanted: Wanted, period: Period, sites: int) -> dict[str, Any]:
    made = {"of": wanted.variable, "role": wanted.role, "statistic": wanted.statistic}
    if wanted.static:
        assert one.static is not None
        there = one.static.account[wanted.variable]
        made["statistic"] = "static"
        return made | {"sites": sites, "present": there["present"], "missing": sites - there["present"],
                       "screening": there["screening"]}  # fmt: skip
    chosen = [
        p.account[wanted.daily_name] for run, inside, p in one.days
        if (inside if wanted.role != "attribute" else wanted.averages(run))
    ]  # fmt: skip
    days = sum((run.end - run.start).days + 1 for run, inside, _ in one.days if inside)
    lacking = [d for c in chosen for d in c["lacking"]]
    present = sum(c["present"] for c in chosen)
    screening: dict[str, Any] = {}
    for c in chosen:
        screening = added(screening, c["screening"])
    counted = {"present": present, "short_of_steps": sum(c["short_of_steps"] for c in chosen)}
    if wanted.days is not None:
        made["averaged"] = f"{wanted.days.start} to {wanted.days.end}"
    else:
        counted = {"site_days": sites * days, **counted, "missing": sites * days - present}
    return (
        made | counted | {"days_lacking": len(lacking), "lacking": told_days(lacking), "screening": screening}
    )


def added(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sum of two records of counts, whose values may be records again."""
    total = dict(one)
    for key, count in other.items():
        total[key] = (
            added(total.get(key, {}), count) if isinstance(count, Mapping) else total.get(key, 0) + count
        )
    return total


def told_days(days: Sequence[str]) -> str:
    """Return days in words: runs of them, the first six."""
    if not days:
        return ""
    dates = pd.DatetimeIndex(sorted(days))
    ends = np.flatnonzero(np.diff(dates.to_numpy()) > np.timedelta64(1, "D"))
    firsts, lasts = np.r_[0, ends + 1], np.r_[ends, len(dates) - 1]
    runs = [
        f"{dates[a].date()}" + (f" to {dates[b].date()}" if b > a else "")
        for a, b in zip(firsts, lasts, strict=True)
    ]
    more = f" and {len(runs) - _RUNS_TOLD} more runs" if len(runs) > _RUNS_TOLD else ""
    return ", ".join(runs[:_RUNS_TOLD]) + more


def _rounded(value: Any) -> float:
    return round(float(value), 3)
