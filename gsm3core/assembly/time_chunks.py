"""Split the days of a build into chunks that fit in memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Literal

from gsm3core.config import Period

Border = Literal["month", "year", "none"]

_MAX_BYTES = 256 << 20  # of one chunk's time steps at the sites
_LONGEST = {"month": 31, "year": 366, "none": 36_525}  # days
_STEPS_PER_DAY = {"PT30M": 48, "PT1H": 24, "PT3H": 8}


def split_days(
    period: Period,
    mean_periods: Iterable[Period],
    *,
    sites: int,
    variables: int,
    step: str,
    border: Border = "month",
) -> list[tuple[Period, bool]]:
    """Return chunks of days that cover all periods, in order, each with whether it lies in the dataset's period.

    Parameters
    ----------
    period
        Days of the dataset.
    mean_periods
        Days of long-term means.
    sites, variables, step
        Values per time step, and the source's time step (ISO 8601). They bound the size of a chunk: at most a calendar
        month, shorter where a month at the sites exceeds 256 MB.
    border
        Chunks end at calendar months, at years, or nowhere: for sources whose files have a site's whole record.
    """
    max_days = max(
        1,
        min(
            _LONGEST[border],
            _MAX_BYTES // (4 * max(sites, 1) * max(variables, 1) * _STEPS_PER_DAY.get(step, 1)),
        ),
    )
    one_day = dt.timedelta(days=1)
    periods = [period, *mean_periods]
    # Chunks break wherever a period begins or ends, so that counts refer to the dataset's days only.
    borders = sorted({d for p in periods for d in (p.start, p.end + one_day)})
    chunks = []
    for first, after in pairwise(borders):
        if any(p.start <= first <= p.end for p in periods):
            in_period = period.start <= first <= period.end
            chunks += [(chunk, in_period) for chunk in _split(first, after - one_day, max_days, border)]
    return chunks


def _split(first: dt.date, last: dt.date, max_days: int, border: Border) -> Iterator[Period]:
    while first <= last:
        month_end = (first.replace(day=1) + dt.timedelta(days=32)).replace(day=1) - dt.timedelta(days=1)
        ends = {"month": month_end, "year": dt.date(first.year, 12, 31), "none": last}
        end = min(last, ends[border], first + dt.timedelta(days=max_days - 1))
        yield Period(start=first, end=end)
        first = end + dt.timedelta(days=1)
