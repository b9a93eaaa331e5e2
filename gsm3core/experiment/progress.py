"""What a run tells of its progress: one event from one report of the training loop, then seen from the whole run."""

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
    """Which network of a fold is being fitted.

    Parameters
    ----------
    fold
        The fold's name.
    member, members
        The network's number in it, and of how many.
    """

    fold: str
    member: int
    members: int


def progress_event(at: Position, state: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a ``progress`` event, as seen from its fold.

    Parameters
    ----------
    at
        What is being fitted.
    state
        What :func:`gsm3core.training.loop.train` reports.

    Returns
    -------
    dict
        ``fraction`` and ``seconds_left`` of the fold, taking what is to come to last as long as this network
        does; ``loss_insitu`` and ``loss_smap`` (RMSE, m3 m-3, their sum ``loss``), with a distribution also ``nll_insitu``
        and ``nll_smap`` (nats per day), and ``validation_R``, ``validation_RMSE``, after every epoch.
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
    """Where a whole run stands, from what its folds tell: one after the other, or several at once.

    Parameters
    ----------
    folds
        All of the run, in order.
    done
        Those that were done before.
    places
        How many are trained at once.
    """

    def __init__(self, folds: list[str], done: Iterable[str] = (), places: int = 1) -> None:
        self._folds, self._places = folds, places
        self._share = dict.fromkeys(folds, 0.0) | dict.fromkeys(done, 1.0)
        self._left: dict[str, float] = {}
        self._started: dict[str, float] = {}
        self._whole = 0.0
        self._told = 0.0

    def seen_from_run(self, event: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of a fold's event with the fold's number, and with how far the run is, which never falls.

        Parameters
        ----------
        event, fields
            As a fold tells them: ``fraction`` and ``seconds_left`` of a ``progress`` event are its own.
        """
        fold = fields["fold"]
        place = {"index": self._folds.index(fold), "of": len(self._folds)}
        if event == "fold_started":
            self._started[fold], self._left[fold] = time.monotonic(), self._whole
        elif event == "fold_finished":
            self._share[fold] = 1.0
            self._left.pop(fold, None)
        elif event == "progress":
            self._note(fold, fields["fraction"], fields["seconds_left"])
            self._told = max(self._told, sum(self._share.values()) / len(self._folds))
            fields = fields | {
                "fraction": round(self._told, 4),
                "seconds_left": round(self._seconds_left(), 1),
            }
        return {"fold": fold, **place, **fields}

    def _note(self, fold: str, share: float, left: float) -> None:
        self._share[fold], self._left[fold] = max(share, self._share[fold]), left
        if share < 1:
            self._whole = left / (1 - share)
        elif not self._whole and fold in self._started:
            self._whole = time.monotonic() - self._started[fold]

    def _seconds_left(self) -> float:
        """Until the last place is free, if the folds that wait last as long as the one heard of last."""
        waiting = sum(share < 1 for name, share in self._share.items() if name not in self._left)
        free = [*self._left.values(), *[0.0] * (self._places - len(self._left))]
        heapq.heapify(free)
        for _ in range(waiting):
            heapq.heapreplace(free, free[0] + self._whole)
        return max(free)
