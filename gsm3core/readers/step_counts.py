"""Counting what a step read, used and refused, so that nothing is lost without a reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class StepCounts:
    """How many of something (rows, hours, files) were read, and why some were refused.

    ``used`` is what is left, so that ``read == used + sum(refused)`` at every moment.

    Parameters
    ----------
    read
        How many there were.
    refused
        Reason -> how many.
    """

    read: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """How many are left."""
        return self.read - sum(self.refused.values())

    def refuse(self, reason: str, count: int) -> None:
        """Book ``count`` of them to a reason; zero leaves no trace."""
        if count:
            self.refused[reason] = self.refused.get(reason, 0) + int(count)

    def add(self, other: StepCounts) -> None:
        """Take over another ledger's counts."""
        self.read += other.read
        for reason, count in other.refused.items():
            self.refuse(reason, count)

    @classmethod
    def total(cls, ledgers: Iterable[StepCounts]) -> StepCounts:
        """Return the sum of ledgers."""
        whole = cls()
        for one in ledgers:
            whole.add(one)
        return whole

    def as_step(self, unit: str) -> dict[str, object]:
        """Return the counts as a part of a dataset's ``history``, such as ``{"rows_read": 10, "rows_used": 8, ...}``."""
        return {
            f"{unit}_read": self.read,
            f"{unit}_used": self.used,
            f"{unit}_refused": dict(sorted(self.refused.items())),
        }

    def __str__(self) -> str:
        parts = [f"{count:,} {reason}" for reason, count in sorted(self.refused.items())]
        return f"{self.used:,} of {self.read:,}" + (f" (refused: {', '.join(parts)})" if parts else "")
