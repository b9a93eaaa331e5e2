"""Choice of the sensors of an ISMN station: depth, quality flags, hours per day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gsm3core.errors import DatasetError
from gsm3core.readers.ismn.archive import SensorFile
from gsm3core.readers.ismn.stm import GOOD_FLAGS

_ROUNDING = 0.001  # m; depths are written with centimetres


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorChoice:
    """Choice of the sensors of a station's record.

    Of the sensors within 0 to ``depth``, or whose middle is within ``tolerance`` of ``depth``, those nearest to ``depth``
    are used; if none of them has a day, the next nearest.

    Parameters
    ----------
    depth, tolerance
        m. The paper uses "about 5 cm": this includes SCAN's 2 inches (5.08 cm), but not a 0-19 cm cosmic-ray probe.
    flags
        Quality flags to keep (Dorigo et al., 2013, doi:10.2136/vzj2012.0097).
    min_hours
        Fewest good hours of a day. Six of 24 keep networks that report every four hours; at 5 cm the diurnal cycle of
        soil moisture is small compared with its day-to-day changes.
    combine
        Several sensors at one depth: ``best`` uses the one with the most days (ties: the first by name), ``mean`` their
        mean on each day. Sensors differ by offsets of several 0.01 m3 m-3, so a mean jumps whenever one of them has a
        gap: hence the default.
    """

    depth: float = 0.05
    tolerance: float = 0.02
    flags: tuple[str, ...] = GOOD_FLAGS
    min_hours: int = 6
    combine: Literal["best", "mean"] = "best"

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (0 <= self.depth <= 10 and 0 <= self.tolerance <= 10):
            raise DatasetError(
                f"invalid depth {self.depth} or tolerance {self.tolerance}; expected 0 to 10 m."
            )
        if not 1 <= self.min_hours <= 24:
            raise DatasetError(f"invalid min_hours {self.min_hours}; expected 1 to 24.")
        if self.combine not in ("best", "mean"):
            raise DatasetError(f"unknown combine {self.combine!r}. Known: best, mean.")

    @property
    def rule(self) -> str:
        """The rule as text, for the dataset's history."""
        return (
            f"within 0-{self.depth:g} m or {self.tolerance:g} m from {self.depth:g} m; the nearest depth; "
            f"several sensors: {self.combine}"
        )

    def accepts(self, sensor: SensorFile) -> bool:
        """Return whether a sensor's depth is suitable."""
        within = sensor.top >= -_ROUNDING and sensor.bottom <= self.depth + _ROUNDING
        return within or abs(sensor.depth - self.depth) <= self.tolerance + _ROUNDING / 10

    def rank(self, sensor: SensorFile) -> tuple[float, float]:
        """Return the sort key of a depth: the nearest first, then the thinnest layer."""
        return round(abs(sensor.depth - self.depth), 4), round(sensor.bottom - sensor.top, 4)
