"""Progress events: from a report of the training loop to a fold, and from its folds to a run."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gsm3core import vocabulary as v

_SHORT = {v.SM_INSITU: "insitu", v.SM_SMAP: "smap"}


@dataclass(frozen=True, slots=True)
class Position:
    """Which network of a fold is being trained.

    Parameters
    ----------
    member, members
        The network's number in the ensemble, counted from 0, and the size of the ensemble.
    """

    fold: str
    member: int
    members: int


def progress_event(at: Position, state: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a fold's ``progress`` event.

    Parameters
    ----------
    state
        A report of :func:`gsm3core.training.loop.train`.

    Returns
    -------
    dict
        ``fraction`` and ``seconds_left`` of the fold, assuming that the remaining members take as long as this one.
        After every epoch also ``loss_insitu`` and ``loss_smap`` (RMSE, m3 m-3, their sum ``loss``), ``nll_insitu`` and
        ``nll_smap`` (nats per day, with a distribution), ``validation_R`` and ``validation_RMSE``.
    """
    fields = dict(state)
    losses, nll = fields.pop("losses"), fields.pop("nll", {})
    scores, done = fields.pop("validation", {}), fields.pop("done")
    left = fields.pop("seconds_left")
    left += (at.members - at.member - 1) * (fields["seconds"] + left)
    if losses:
        fields["loss"] = sum(losses.values())
        fields |= {f"loss_{short}": losses.get(name) for name, short in _SHORT.items()}
        fields |= {f"nll_{short}": nll[name] for name, short in _SHORT.items() if name in nll}
        fields |= {f"validation_{metric}": score for metric, score in scores.items()}
    if fields.get("best_epoch", 0) is None:
        fields.pop("best_epoch")
    rounded = {k: round(x, 6) if isinstance(x, float) else x for k, x in fields.items()}
    return {
        "fold": at.fold, "member": at.member, "members": at.members,
        "fraction": (at.member + done) / at.members, "seconds_left": left, **rounded,
    }  # fmt: skip


class RunProgress:
    """Progress of a whole run from the events of its folds, trained one after another or several at once.

    Parameters
    ----------
    folds
        All folds of the run, in order.
    done
        Folds that were finished before.
    slots
        Number of folds trained at once.
    """

    def __init__(self, folds: list[str], done: Iterable[str] = (), slots: int = 1) -> None:
        self._folds, self._slots = folds, slots
        self._fraction = dict.fromkeys(folds, 0.0) | dict.fromkeys(done, 1.0)
        self._left: dict[str, float] = {}
        self._started: dict[str, float] = {}
        self._fold_seconds = 0.0
        self._reported = 0.0

    def update(self, event: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of a fold's event with the fold's index and the run's progress, which never decreases.

        Parameters
        ----------
        event, fields
            As the fold emits them: ``fraction`` and ``seconds_left`` of a ``progress`` event are those of the fold.
        """
        fold = fields["fold"]
        position = {"index": self._folds.index(fold), "of": len(self._folds)}
        if event == "fold_started":
            self._started[fold], self._left[fold] = time.monotonic(), self._fold_seconds
        elif event == "fold_finished":
            self._fraction[fold] = 1.0
            self._left.pop(fold, None)
        elif event == "progress":
            self._record(fold, fields["fraction"], fields["seconds_left"])
            self._reported = max(self._reported, sum(self._fraction.values()) / len(self._folds))
            fields = fields | {
                "fraction": round(self._reported, 4),
                "seconds_left": round(self._seconds_left(), 1),
            }
        return {"fold": fold, **position, **fields}

    def _record(self, fold: str, fraction: float, left: float) -> None:
        self._fraction[fold], self._left[fold] = max(fraction, self._fraction[fold]), left
        if fraction < 1:
            self._fold_seconds = left / (1 - fraction)
        elif not self._fold_seconds and fold in self._started:
            self._fold_seconds = time.monotonic() - self._started[fold]

    def _seconds_left(self) -> float:
        """Time until the last slot is free, if waiting folds take as long as the last one that reported."""
        waiting = sum(fraction < 1 for name, fraction in self._fraction.items() if name not in self._left)
        free = [*self._left.values(), *[0.0] * (self._slots - len(self._left))]
        heapq.heapify(free)
        for _ in range(waiting):
            heapq.heapreplace(free, free[0] + self._fold_seconds)
        return max(free)
