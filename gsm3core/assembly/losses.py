"""What a build left out or assumed, as sentences from the dataset's history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_MOST_OUTSIDE = 0.01  # of the values read, beyond the valid range
_NOT_FLAGS = ("read", "kept", "fill", "found")


def losses_of(history: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return one sentence for each loss that a user should know of, in the order of the steps.

    Parameters
    ----------
    history
        Steps of the dataset's attribute ``history``.

    Returns
    -------
    list of str
        Notes of the steps; sites outside a grid, far from a cell or without values; days that a forcing or product lacks; values
        beyond the valid range. Each sentence once.
    """
    found: dict[str, None] = {}
    for step in history:
        source = str(step.get("source", ""))
        prefix = f"{source}: " if source else ""
        for note in step.get("notes", []):
            found[f"{prefix}{note}"] = None
        if outside := step.get("sites_outside_the_grid"):
            found[f"{prefix}sites outside its grid, without values: {outside}"] = None
        if beyond := step.get("sites_beyond_a_cell"):
            largest = step["distance_km"]["largest"]
            found[
                f"{prefix}sites farther than a cell ({step['cell_km']:.3g} km) from the centre of theirs: {beyond}, up to "
                f"{largest:.3g} km"
            ] = None
        for name, counts in step.get("variables", {}).items():
            for text in _losses_of_variable(counts, step.get("sites_outside_the_grid", 0)):
                found[f"{prefix}{name}: {text}"] = None
    return list(found)


def _losses_of_variable(counts: Mapping[str, Any], outside_the_grid: int) -> list[str]:
    texts = []
    if (lacking := counts.get("days_lacking")) and "averaged" not in counts:
        texts.append(f"{lacking} days are missing: {counts['lacking']}")
    if (without := counts.get("sites_without_values", 0)) > outside_the_grid:
        names = ", ".join(counts["such_as"])
        texts.append(
            f"sites without any value: {without} ({names}{', ...' if without > len(counts['such_as']) else ''})"
        )
    screening = counts.get("screening", {})
    valid = screening.get("read", 0) - screening.get("fill", 0)
    outside = screening.get("outside_valid_range", 0)
    if valid and outside > _MOST_OUTSIDE * valid:
        span = screening.get("found")
        values = f", {span[0]:.4g} to {span[1]:.4g}" if span else ""
        texts.append(
            f"{outside / valid:.0%} of the values of its maps are beyond the valid range and missing{values}"
        )
    flags = {
        k: x
        for k, x in screening.items()
        if k not in (*_NOT_FLAGS, "outside_valid_range") and isinstance(x, int)
    }
    if valid and sum(flags.values()) == valid:
        texts.append(f"all values of its maps were removed ({', '.join(k for k, x in flags.items() if x)})")
    if (short := counts.get("short_of_steps", 0)) and short > _MOST_OUTSIDE * counts.get(
        "site_days", short + 1
    ):
        texts.append(f"{short:,} site-days have too few time steps and are missing")
    return texts
