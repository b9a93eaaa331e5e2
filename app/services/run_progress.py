"""Progress and loss history of a run, accumulated from its events."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace
from typing import Any

from gsm3core.run import ENDED

_MAX_POINTS = 4000
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class LossHistory:
    """Loss after every epoch of all networks, one after the other; NaN between two networks breaks the line.

    Events of networks trained in parallel arrive interleaved; each epoch is stored at its own position.

    Parameters
    ----------
    epoch
        Epoch number counted from the first network's start. Each fold has one network per ensemble member.
    insitu, satellite
        Terms of the loss (RMSE, m3 m-3); NaN if the run does not train on this target.
    validation
        Median RMSE (m3 m-3) at the validation sites; NaN without validation sites.
    """

    epoch: tuple[float, ...] = ()
    insitu: tuple[float, ...] = ()
    satellite: tuple[float, ...] = ()
    validation: tuple[float, ...] = ()

    def after(self, event: dict[str, Any]) -> LossHistory:
        """Return the losses after a ``progress`` event; those within an epoch carry no loss."""
        if "loss" not in event:
            return self
        network = event["index"] * event.get("members", 1) + event.get("member", 0)
        position = float(network * event["epochs"] + event["epoch"])
        # An epoch that is reported again after a resume replaces the earlier one.
        first, last = bisect_left(self.epoch, position), bisect_right(self.epoch, position)
        start, end = network * event["epochs"] + 0.5, (network + 1) * event["epochs"] + 0.5
        gap_before = first > 0 and self.epoch[first - 1] < start
        gap_after = last < len(self.epoch) and self.epoch[last] > end

        def insert(old: tuple[float, ...], new: float, gap: tuple[float, float]) -> tuple[float, ...]:
            inserted = (*gap[:gap_before], new, *(gap[1:] if gap_after else ()))
            return (*old[:first], *inserted, *old[last:])[-_MAX_POINTS:]

        nans = (_NAN, _NAN)
        return LossHistory(
            insert(self.epoch, position, (start, end)),
            insert(self.insitu, _to_float(event.get("loss_insitu")), nans),
            insert(self.satellite, _to_float(event.get("loss_smap")), nans),
            insert(self.validation, _to_float(event.get("validation_RMSE")), nans),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Progress of a run, accumulated from its events."""

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
    losses: LossHistory = field(default_factory=LossHistory)
    notes: tuple[str, ...] = ()

    def after(self, event: dict[str, Any]) -> Progress:
        """Return the progress after one more event."""
        following = self._after(event)
        return replace(following, notes=tuple(dict.fromkeys((*self.notes, *event.get("notes", ())))))

    def _after(self, event: dict[str, Any]) -> Progress:
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


def _to_float(value: float | None) -> float:
    return _NAN if value is None else float(value)
