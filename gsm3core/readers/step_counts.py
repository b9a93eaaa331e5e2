"""Counts of the items that a processing step read, used and refused, by reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class StepCounts:
    """Number of items (rows, hours, files) read, and refused by reason.

    ``used`` is the rest: ``read == used + sum(refused)`` always holds.

    Parameters
    ----------
    refused
        Reason -> number of items.
    """

    read: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """Number of items used."""
        return self.read - sum(self.refused.values())

    def refuse(self, reason: str, count: int) -> None:
        """Add ``count`` items to a reason; zero adds no entry."""
        if count:
            self.refused[reason] = self.refused.get(reason, 0) + int(count)

    def add(self, other: StepCounts) -> None:
        """Add the counts of another step."""
        self.read += other.read
        for reason, count in other.refused.items():
            self.refuse(reason, count)

    @classmethod
    def total(cls, counts: Iterable[StepCounts]) -> StepCounts:
        """Return the sum of several counts."""
        total = cls()
        for one in counts:
            total.add(one)
        return total

    def as_step(self, unit: str) -> dict[str, object]:
        """Return the counts for a dataset's ``history``, such as ``{"rows_read": 10, "rows_used": 8, ...}``."""
        return {
            f"{unit}_read": self.read,
            f"{unit}_used": self.used,
            f"{unit}_refused": dict(sorted(self.refused.items())),
        }

    def __str__(self) -> str:
        parts = [f"{count:,} {reason}" for reason, count in sorted(self.refused.items())]
        return f"{self.used:,} of {self.read:,}" + (f" (refused: {', '.join(parts)})" if parts else "")
