"""Bin edges of the strata, from text that the user types."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from gsm3core.errors import ConfigError
from gsm3core.statistics.bins import ASPECT_EDGES, DRY_LIMIT, MOISTURE_EDGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """Bin edges of the strata.

    Parameters
    ----------
    moisture, aspect
        Increasing edges; a value on an edge belongs to the bin below it.
    limit
        Sites with at most this mean soil moisture are dry, m3 m-3.
    """

    moisture: tuple[float, ...] = MOISTURE_EDGES
    aspect: tuple[float, ...] = ASPECT_EDGES
    limit: float = DRY_LIMIT

    @classmethod
    def typed(cls, moisture: str, aspect: str, limit: str) -> Bins:
        """Parse comma-separated numbers.

        Raises
        ------
        ConfigError
            If a text is not a list of numbers, or edges do not increase.
        """
        edges = {
            "Mean soil moisture bins": _numbers(moisture, "Mean soil moisture bins"),
            "Aspect bins": _numbers(aspect, "Aspect bins"),
        }
        for label, numbers in edges.items():
            if any(b <= a for a, b in itertools.pairwise(numbers)):
                raise ConfigError(
                    f"{label}: the edges must increase; {', '.join(f'{x:g}' for x in numbers)} do not."
                )
        one = _numbers(limit, "Dry up to")
        if len(one) != 1:
            raise ConfigError(f"Dry up to: one number is expected, such as {DRY_LIMIT}.")
        return cls(moisture=edges["Mean soil moisture bins"], aspect=edges["Aspect bins"], limit=one[0])


def _numbers(text: str, label: str) -> tuple[float, ...]:
    parts = [p.strip() for p in text.replace(";", ",").split(",") if p.strip()]
    try:
        numbers = tuple(float(p.replace("−", "-")) for p in parts)
    except ValueError:
        raise ConfigError(f"{label}: {text!r} is not a list of numbers such as 0.08, 0.16, 0.24.") from None
    if not numbers or not all(map(math.isfinite, numbers)) or len(numbers) > 20:
        raise ConfigError(f"{label}: give 1 to 20 numbers, with commas between them.")
    return numbers
