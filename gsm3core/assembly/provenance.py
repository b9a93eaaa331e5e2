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

from gsm3core.assembly.merge import SampledSource, cell_distances
from gsm3core.assembly.point_sources import missing_notes, service_record, sites_without_files
from gsm3core.assembly.recipe import Recipe
from gsm3core.assembly.variable_spec import VariableSpec
from gsm3core.catalog import source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError

_MAX_RANGES = 6
_SHOWN = 5
_KM_PER_DEGREE = 111.2
_SITE_TITLES = {"grid": "9 km cells", "table": "Sites"}


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
            if np.nanmax(distance) > (cell := _KM_PER_DEGREE * sampled.source.entry.grid.cell_degrees):
                step["sites_beyond_a_cell"] = int((distance > cell).sum())
                step["cell_km"] = _round(cell)
    if sampled.chunks:
        step["minimum_share_of_steps"] = settings.minimum
    if sampled.source.has_points:
        step.pop("sites_outside_the_grid", None)  # the distance is NaN where no file or no cell is known
        step |= {"method": "points"} | service_record(sampled, list(inputs))
        if absent := sites_without_files(sampled):
            step["sites_without_files"] = absent
    if notes := list(dict.fromkeys(n for p in sampled.pieces for n in p.metadata.get("notes", []))):
        step["notes"] = notes
    for note in ("preliminary_steps", "product_version"):
        values = [p.metadata[note] for p in sampled.pieces if note in p.metadata]
        if values:
            step[note] = (
                sum(values) if note == "preliminary_steps" else ", ".join(sorted(set(map(str, values))))
            )
    step["variables"] = {x.name: count_values(sampled, x, period, sites) for x in sampled.variables}
    if sampled.source.has_points and (found := missing_notes(sampled, step["variables"])):
        step["notes"] = [*step.get("notes", []), *found]
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
        mode="json", exclude_defaults=True, exclude={"sites": {"__all__": {"path"}}, "sources": True}
    )
    return {"step": "assemble", "recipe": given, "period": f"{period.start} to {period.end}", **replaced}


def global_attributes(
    recipe: Recipe, site_references: str, sampled: Sequence[SampledSource]
) -> dict[str, Any]:
    """Return title, sources, licenses and references of the dataset; those of its sites come first."""
    networks = [source_entry(spec.kind) for spec in recipe.sites if spec.kind not in _SITE_TITLES]
    entries = [*networks, *(one.source.entry for one in sampled)]
    kinds = [
        _SITE_TITLES.get(spec.kind, f"{spec.kind.upper().removesuffix('-DAILY')} stations")
        for spec in recipe.sites
    ]
    sources = ", ".join(one.source.entry.name for one in sampled)
    title = recipe.title or " and ".join(kinds) + (f" with {sources}" if sources else "")
    references = [site_references] + [
        f"{e.citation} doi:{e.doi}".removesuffix(" doi:") for e in entries if e not in networks
    ]
    return {
        "Conventions": "CF-1.11", "featureType": "timeSeries", "title": title,
        "source": " + ".join(dict.fromkeys(e.provider for e in entries)),
        "license": " + ".join(dict.fromkeys(e.license for e in entries)) or "as given by the user",
        "references": " + ".join(filter(None, references)),
    }  # fmt: skip


def count_values(sampled: SampledSource, spec: VariableSpec, period: Period, sites: int) -> dict[str, Any]:
    """Return how many values of a variable are present, missing and screened, and which days the source lacks."""
    origin = {"of": spec.variable, "role": spec.role, "statistic": spec.statistic}
    if spec.is_static:
        assert sampled.static is not None
        static = sampled.static.metadata[spec.variable]
        origin["statistic"] = "static"
        counts = {"sites": sites, "present": static["present"], "missing": sites - static["present"]}
        if static.get("empty") and static["present"]:
            counts |= {"sites_without_values": len(static["empty"]), "such_as": static["empty"][:_SHOWN]}
        return origin | counts | {"screening": static["screening"]}
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
    gaps: dict[str, Any] = {"days_lacking": len(lacking), "lacking": format_days(lacking)}
    empty = [set(c["empty"]) if c.get("empty") is not None else None for c in chosen]
    if empty and None not in empty and present and (always := set.intersection(*empty)):  # type: ignore[arg-type]
        gaps["sites_without_values"] = len(always)
        gaps["such_as"] = sorted(always)[:_SHOWN]
    for key in ("interval", "absent", "reason"):
        if found := list(dict.fromkeys(c[key] for c in chosen if key in c)):
            gaps[key] = found[0]
    return origin | counts | gaps | {"screening": screening}


def add_counts(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sum of two nested records of counts."""
    total = dict(one)
    for key, count in other.items():
        total[key] = (
            add_counts(total.get(key, {}), count)
            if isinstance(count, Mapping)
            else _range(total.get(key), count)
            if isinstance(count, list)
            else total.get(key, 0) + count
        )
    return total


def _range(one: list[float] | None, other: list[float]) -> list[float]:
    """Return the range of two ranges."""
    return [min(one[0], other[0]), max(one[1], other[1])] if one else other


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
