"""Sentences on an ISMN archive for the summary of a build and the dataset's history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from gsm3core.readers.ismn.sensor_choice import SensorChoice
from gsm3core.readers.ismn.station import Station
from gsm3core.readers.ismn.stm import REPEATED, REPLACED

_SHOWN = 5
_LARGE_LOSS = 0.5


def summary_notes(
    stations: Sequence[Station], choice: SensorChoice, problems: Sequence[str], unrecognized: Sequence[str]
) -> list[str]:
    """Return what a user should know about the records and cannot see in their number."""
    used = [s for s in stations if s.used]
    notes = [f"not read: {p}" for p in problems]
    if unrecognized:
        notes.append(
            f"{len(unrecognized)} file name(s) do not follow ISMN's pattern: {_some(list(unrecognized))}."
        )
    replaced = [s for s in used if s.days_joined]
    if replaced:
        days, joined = (
            sum(len(s.series.day) for s in replaced if s.series), sum(s.days_joined for s in replaced)
        )  # fmt: skip
        does = (
            "are joined in time; their levels are not adjusted" if choice.combine == "join"
            else f"are not joined: {days:,} days are used, --combine join would use {joined:,}"
        )  # fmt: skip
        notes.append(
            f"{len(replaced)} station(s) have sensors that follow each other (a replaced sensor), which {does}: "
            f"{_sites(replaced)}."
        )
    if several := [s for s in used if s.merged]:
        repeated, differ = (sum(s.counts.refused.get(r, 0) for s in several) for r in (REPEATED, REPLACED))
        notes.append(
            f"{len(several)} station(s) have a sensor with several files, read as one record: {repeated:,} rows are repeated, "
            f"{differ:,} differ (the file whose period ends last is used; of equal ones, that of the last archive given)."
        )
    if moved := [s for s in stations if s.suffix]:
        notes.append(
            f"sensors of one station are more than 1 km apart; each place is a site, with its coordinates in the name: "
            f"{_sites(moved)}."
        )
    for text, what in (
        ("corrected by", "coordinates differ by more than 1 km between files with the same values"),
        ("within a file", "the station moved by more than 1 km within a file; only the last place is used"),
        ("elevation missing", "no elevation"),
        ("invalid coordinates", "no possible coordinates"),
    ):
        if found := [s for s in stations if any(text in n for n in s.notes)]:
            notes.append(f"{what}: {len(found)} station(s), {_sites(found)}.")
    steps = Counter(s.series.step for s in used if s.series and s.series.step > 1)
    for step, count in sorted(steps.items()):
        networks = sorted({s.header.network for s in used if s.header and s.series and s.series.step == step})
        needed = int(np.ceil(choice.min_hours / step - 1e-9))
        notes.append(
            f"{count} station(s) have a value every {step:g} hours ({_some(networks)}): {needed} good value(s) make a day "
            f"(--min-hours {choice.min_hours})."
        )
    if lossy := [s for s in used if s.counts.used < _LARGE_LOSS * _candidates(s)]:
        reasons: Counter[str] = Counter()
        for s in lossy:
            reasons.update({r: c for r, c in s.counts.refused.items() if r not in _NO_LOSS})
        notes.append(
            f"{len(lossy)} used station(s) lose more than half of their rows, most to: "
            + ", ".join(f"{c:,} {r}" for r, c in reasons.most_common(3))
            + "."
        )
    return notes


_NO_LOSS = (REPEATED, REPLACED, "outside the period")


def _candidates(station: Station) -> int:
    return station.counts.read - sum(station.counts.refused.get(r, 0) for r in _NO_LOSS)


def _sites(stations: Sequence[Station]) -> str:
    return _some([s.site for s in stations])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
