"""Cutting the days of a build into runs that fit in memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import pairwise

from gsm3core.config import Period

_BUDGET = 256 << 20  # bytes of one run's steps at the sites
_STEPS = {"PT30M": 48, "PT1H": 24, "PT3H": 8}


def runs_of(
    period: Period, others: Iterable[Period], *, sites: int, terms: int, step: str
) -> list[tuple[Period, bool]]:
    """Return runs of days that cover all periods, in order, and whether each lies in the first.

    Parameters
    ----------
    period
        Days of the dataset.
    others
        Days of long-term means.
    sites, terms, step
        How many values a step has, and the source's step (ISO 8601), for the size of a run: at most a calendar month,
        shorter where a month of steps at the sites is more than 256 MB.
    """
    longest = max(1, min(31, _BUDGET // (4 * max(sites, 1) * max(terms, 1) * _STEPS.get(step, 1))))
    one = dt.timedelta(days=1)
    spans = [period, *others]
    # Wherever a period begins or ends, a run does: counts are of the dataset's days alone.
    borders = sorted({d for p in spans for d in (p.start, p.end + one)})
    runs = []
    for first, after in pairwise(borders):
        if any(p.start <= first <= p.end for p in spans):
            inside = period.start <= first <= period.end
            runs += [(run, inside) for run in _cut(first, after - one, longest)]
    return runs


def _cut(first: dt.date, last: dt.date, longest: int) -> Iterator[Period]:
    while first <= last:
        month = (first.replace(day=1) + dt.timedelta(days=32)).replace(day=1) - dt.timedelta(days=1)
        end = min(last, month, first + dt.timedelta(days=longest - 1))
        yield Period(start=first, end=end)
        first = end + dt.timedelta(days=1)
