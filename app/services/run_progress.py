"""How far a run is, folded from the events that it writes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace
from typing import Any

from gsm3core.run import ENDED

_MOST_POINTS = 4000
_NO_NUMBER = float("nan")


@dataclass(frozen=True, slots=True)
class Losses:
    """The loss after every epoch, one network beside the other; NaN opens the line between two.

    Networks that are trained at once tell of their epochs in turns: each epoch has its place all the same.

    Parameters
    ----------
    epoch
        Epochs since the start of the first network: every fold has one, or as many as the run has members.
    insitu, satellite
        The two terms of the loss (RMSE, m3 m-3); NaN where a run has no such term.
    validation
        Median RMSE (m3 m-3) at the training sites that are held back; NaN where a run holds none back.
    """

    epoch: tuple[float, ...] = ()
    insitu: tuple[float, ...] = ()
    satellite: tuple[float, ...] = ()
    validation: tuple[float, ...] = ()

    def after(self, event: dict[str, Any]) -> Losses:
        """Return the losses after a ``progress`` event; within an epoch it brings none."""
        if "loss" not in event:
            return self
        network = event["index"] * event.get("members", 1) + event.get("member", 0)
        passed = float(network * event["epochs"] + event["epoch"])
        # An epoch that is told again, after a resume, replaces what was told of it.
        first, last = bisect_left(self.epoch, passed), bisect_right(self.epoch, passed)
        opens, closes = network * event["epochs"] + 0.5, (network + 1) * event["epochs"] + 0.5
        before = first > 0 and self.epoch[first - 1] < opens
        after = last < len(self.epoch) and self.epoch[last] > closes

        def with_new(old: tuple[float, ...], new: float, gap: tuple[float, float]) -> tuple[float, ...]:
            some = (*gap[:before], new, *(gap[1:] if after else ()))
            return (*old[:first], *some, *old[last:])[-_MOST_POINTS:]

        none = (_NO_NUMBER, _NO_NUMBER)
        return Losses(
            with_new(self.epoch, passed, (opens, closes)),
            with_new(self.insitu, _number(event.get("loss_insitu")), none),
            with_new(self.satellite, _number(event.get("loss_smap")), none),
            with_new(self.validation, _number(event.get("validation_RMSE")), none),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is, folded from its events."""

    run: str
    state: str = "new"
    message: str = ""
    fold: str = ""
    index: int = 0
    of: int = 0
    member: int = 0
    members: int = 1
    epoch: int = 0
    epochs: int = 0
    fraction: float = 0.0
    seconds_left: float | None = None
    seconds: float | None = None
    device: str = ""
    started: float | None = None
    losses: Losses = field(default_factory=Losses)

    def after(self, event: dict[str, Any]) -> Progress:
        """Return the progress after one more event."""
        kind = event["event"]
        if kind == "run_started":
            return replace(
                self,
                state="running",
                device=str(event.get("device", "")),
                started=event.get("time"),
                message="",
            )
        if kind == "fold_started":
            return replace(
                self,
                state="running",
                fold=str(event["fold"]),
                index=event["index"],
                of=event["of"],
                epoch=0,
                device=str(event.get("device", self.device)),
            )
        if kind == "progress":
            return replace(
                self,
                state="running",
                fold=str(event["fold"]),
                index=event["index"],
                of=event["of"],
                member=event.get("member", 0),
                members=event.get("members", 1),
                epoch=event["epoch"],
                epochs=event["epochs"],
                fraction=float(event["fraction"]),
                seconds_left=event.get("seconds_left"),
                losses=self.losses.after(event),
            )
        if kind in ENDED:
            finished = kind == "run_finished"
            return replace(
                self,
                state=ENDED[kind],
                message=str(event.get("message", "")),
                seconds_left=None,
                seconds=event.get("seconds"),
                fraction=1.0 if finished else self.fraction,
            )
        return self


def _number(value: float | None) -> float:
    return _NO_NUMBER if value is None else float(value)
