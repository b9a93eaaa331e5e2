"""Which sensors of an ISMN station make its record: depth, flags, hours of a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gsm3core.errors import DatasetError
from gsm3core.readers.ismn.archive import SensorFile
from gsm3core.readers.ismn.stm import GOOD

_ROUNDING = 0.001  # m; depths are written with centimetres


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorChoice:
    """Which sensors of a station make its record.

    Of the sensors that lie within 0 to ``depth``, or whose middle is within ``tolerance`` of ``depth``, those at the
    depth nearest to ``depth`` are taken; if none of them has a day, the next nearest.

    Parameters
    ----------
    depth, tolerance
        m. The paper: "about 5 cm"; SCAN's 2 inches (5.08 cm) are within it, a 0-19 cm cosmic-ray probe is not.
    flags
        Quality flags to keep (Dorigo et al., 2013, doi:10.2136/vzj2012.0097).
    min_hours
        Fewest good hours of a day. Six of 24 keep networks that report every four hours; at 5 cm the daily cycle of
        soil moisture is small beside its day-to-day changes.
    combine
        Several sensors at one depth: ``best`` takes the one with the most days (the first by name among equals),
        ``mean`` their mean on each day. Sensors differ by an offset of several 0.01 m3 m-3, so that a mean jumps
        whenever one of them falls silent: hence ``best`` by default.
    """

    depth: float = 0.05
    tolerance: float = 0.02
    flags: tuple[str, ...] = GOOD
    min_hours: int = 6
    combine: Literal["best", "mean"] = "best"

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not (0 <= self.depth <= 10 and 0 <= self.tolerance <= 10):
            raise DatasetError(f"depth {self.depth} and tolerance {self.tolerance} are in metres, 0 to 10.")
        if not 1 <= self.min_hours <= 24:
            raise DatasetError(f"min_hours is {self.min_hours}; a day has 1 to 24.")
        if self.combine not in ("best", "mean"):
            raise DatasetError(f"combine is {self.combine!r}; known: best, mean.")

    @property
    def rule(self) -> str:
        """The rule in words, for the record."""
        return (
            f"within 0-{self.depth:g} m or {self.tolerance:g} m from {self.depth:g} m; the nearest depth; "
            f"several sensors: {self.combine}"
        )

    def accepts(self, sensor: SensorFile) -> bool:
        """Tell whether a sensor's depth will do."""
        within = sensor.top >= -_ROUNDING and sensor.bottom <= self.depth + _ROUNDING
        return within or abs(sensor.depth - self.depth) <= self.tolerance + _ROUNDING / 10

    def rank(self, sensor: SensorFile) -> tuple[float, float]:
        """Sort key of a depth: the nearest first, then the thinnest layer."""
        return round(abs(sensor.depth - self.depth), 4), round(sensor.bottom - sensor.top, 4)
