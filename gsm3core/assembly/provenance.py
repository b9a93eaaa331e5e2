"""Provenance of an assembled dataset: input files with hashes, counts per variable, and checks for gaps."""

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

from gsm3core.assembly.merge import SampledSource, cell_distances
from gsm3core.assembly.recipe import Recipe
from gsm3core.assembly.variable_spec import VariableSpec
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError

_MAX_RANGES = 6


def source_step(sampled: SampledSource, period: Period, sites: int) -> dict[str, Any]:
    """Return a source's entry in the dataset's history.

    Parameters
    ----------
    period
        Days of the dataset.
    sites
        Number of sites.
    """
    settings = sampled.source.settings
    inputs = _input_files(sampled)
    lines = sorted(f"{h}  {Path(p).name}" for p, h in inputs.items())
    distance = cell_distances(sampled)
    step: dict[str, Any] = {
        "step": "collocate", "source": sampled.source.entry.name, "method": settings.method, "options": settings.options,
        **({"resolution_degrees": sampled.source.resolution} if sampled.source.resolution else {}),
        "files": len(inputs), "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        "first_file": Path(min(inputs, key=lambda p: Path(p).name)).name if inputs else "",
        "last_file": Path(max(inputs, key=lambda p: Path(p).name)).name if inputs else "",
    }  # fmt: skip
    if distance is not None:
        step["sites_outside_the_grid"] = int(np.isnan(distance).sum())
        if np.isfinite(distance).any():
            step["distance_km"] = {
                "median": _round(np.nanmedian(distance)),
                "largest": _round(np.nanmax(distance)),
            }
    if sampled.chunks:
        step["minimum_share_of_steps"] = settings.minimum
    for note in ("preliminary_steps", "product_version"):
        values = [p.metadata[note] for p in sampled.pieces if note in p.metadata]
        if values:
            step[note] = (
                sum(values) if note == "preliminary_steps" else ", ".join(sorted(set(map(str, values))))
            )
    step["variables"] = {x.name: _counts(sampled, x, period, sites) for x in sampled.variables}
    return step


def _input_files(sampled: SampledSource) -> dict[str, str]:
    """Return the files of all pieces with their SHA-256; raise if two pieces read different versions of a file."""
    inputs: dict[str, str] = {}
    for piece in sampled.pieces:
        for path, digest in piece.inputs.items():
            if inputs.setdefault(path, digest) != digest:
                raise DatasetError(
                    f"{path} changed while the dataset was built. Rerun the command: pieces from the earlier version "
                    "are computed again."
                )
    return inputs


def check_gaps(sampled: SampledSource, period: Period, sites: int, gaps: str) -> None:
    """Raise if a forcing lacks days, or a variable has no value at any site.

    Raises
    ------
    DatasetError
        Naming source, variable and days.
    """
    if gaps == "allow":
        return
    name = sampled.source.entry.name
    for spec in sampled.variables:
        counts = _counts(sampled, spec, period, sites)
        what = f"{name} ({sampled.source.root}): {spec.variable}" + (
            f", for {spec.name}," if spec.name != spec.variable else ""
        )
        advice = "Add the missing files, change the period, or accept missing values with --allow-gaps (gaps: allow)."
        if spec.role == "forcing" and counts["days_lacking"]:
            days = len(pd.date_range(period.start, period.end))
            raise DatasetError(
                f"{what} lacks {counts['days_lacking']} of the {days} days of {period.start} to {period.end}: "
                f"{counts['lacking']}. {advice}"
            )
        if not counts["present"]:
            distance = cell_distances(sampled)
            outside = 0 if distance is None else int(np.isnan(distance).sum())
            where = f" {outside} of the {sites} sites lie outside its grid." if outside else ""
            raise DatasetError(
                f"{what} has no value at any site from {period.start} to {period.end}.{where} {advice}"
            )


def check_means(ds: xr.Dataset, sampled: Sequence[SampledSource], gaps: str) -> None:
    """Raise if a long-term mean is missing at all sites.

    Raises
    ------
    DatasetError
        Naming source, variable and the number of days that a mean needs.
    """
    for one in sampled:
        for spec in one.variables:
            if gaps == "refuse" and spec.days is not None and not bool(ds[spec.name].notnull().any()):
                raise DatasetError(
                    f"{one.source.entry.name} ({one.source.root}): {spec.variable}, for {spec.name}, has no mean at any "
                    f"site ({ds[spec.name].attrs['averaged']}). Add files or days, or accept missing values with --allow-gaps."
                )


def files_table(sampled: Sequence[SampledSource]) -> str:
    """Return a CSV of the files read: source, name, bytes, SHA-256."""
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
    """Return the recipe's entry in the dataset's history, without local paths."""
    given = recipe.model_dump(
        mode="json", exclude_defaults=True, exclude={"sites": {"path"}, "sources": True}
    )
    return {"step": "assemble", "recipe": given, "period": f"{period.start} to {period.end}", **replaced}


def global_attributes(
    recipe: Recipe, site_references: str, sampled: Sequence[SampledSource]
) -> dict[str, Any]:
    """Return title, sources, licenses and references of the dataset; those of its sites come first."""
    entries = [source_entry(recipe.sites.kind)] if recipe.sites.kind in ("ismn", "uscrn-daily") else []
    entries += [one.source.entry for one in sampled]
    sites = {
        "ismn": "ISMN stations",
        "uscrn-daily": "USCRN stations",
        "grid": "9 km cells",
        "table": "Sites",
    }
    sources = ", ".join(one.source.entry.name for one in sampled)
    title = recipe.title or sites[recipe.sites.kind] + (f" with {sources}" if sources else "")
    references = [site_references] + [
        f"{e.citation} doi:{e.doi}".removesuffix(" doi:") for e in entries if e.name != recipe.sites.kind
    ]
    return {
        "Conventions": "CF-1.11", "featureType": "timeSeries", "title": title,
        "source": " + ".join(dict.fromkeys(e.provider for e in entries)),
        "license": " + ".join(dict.fromkeys(e.license for e in entries)) or "as given by the user",
        "references": " + ".join(filter(None, references)),
    }  # fmt: skip


def _counts(sampled: SampledSource, spec: VariableSpec, period: Period, sites: int) -> dict[str, Any]:
    """Return how many values of a variable are present, missing and screened, and which days the source lacks."""
    origin = {"of": spec.variable, "role": spec.role, "statistic": spec.statistic}
    if spec.is_static:
        assert sampled.static is not None
        static = sampled.static.metadata[spec.variable]
        origin["statistic"] = "static"
        return origin | {"sites": sites, "present": static["present"], "missing": sites - static["present"],
                         "screening": static["screening"]}  # fmt: skip
    chosen = [
        piece.metadata[spec.daily_name] for chunk, in_period, piece in sampled.chunks
        if (in_period if spec.role != "attribute" else spec.averages(chunk))
    ]  # fmt: skip
    days = sum((chunk.end - chunk.start).days + 1 for chunk, in_period, _ in sampled.chunks if in_period)
    lacking = [d for c in chosen for d in c["lacking"]]
    present = sum(c["present"] for c in chosen)
    screening: dict[str, Any] = {}
    for c in chosen:
        screening = add_counts(screening, c["screening"])
    counts = {"present": present, "short_of_steps": sum(c["short_of_steps"] for c in chosen)}
    if spec.days is not None:
        origin["averaged"] = f"{spec.days.start} to {spec.days.end}"
    else:
        counts = {"site_days": sites * days, **counts, "missing": sites * days - present}
    gaps = {"days_lacking": len(lacking), "lacking": format_days(lacking)}
    return origin | counts | gaps | {"screening": screening}


def add_counts(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sum of two nested records of counts."""
    total = dict(one)
    for key, count in other.items():
        total[key] = (
            add_counts(total.get(key, {}), count) if isinstance(count, Mapping) else total.get(key, 0) + count
        )
    return total


def format_days(days: Sequence[str]) -> str:
    """Return days as text: ranges of consecutive days, at most six."""
    if not days:
        return ""
    dates = pd.DatetimeIndex(sorted(days))
    ends = np.flatnonzero(np.diff(dates.to_numpy()) > np.timedelta64(1, "D"))
    firsts, lasts = np.r_[0, ends + 1], np.r_[ends, len(dates) - 1]
    ranges = [
        f"{dates[a].date()}" + (f" to {dates[b].date()}" if b > a else "")
        for a, b in zip(firsts, lasts, strict=True)
    ]
    more = f" and {len(ranges) - _MAX_RANGES} more ranges" if len(ranges) > _MAX_RANGES else ""
    return ", ".join(ranges[:_MAX_RANGES]) + more


def _round(value: Any) -> float:
    return round(float(value), 3)
