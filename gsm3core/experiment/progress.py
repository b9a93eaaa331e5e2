"""What a run tells of its progress: one event from one report of the training loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gsm3core import vocabulary as v

_SHORT = {v.SM_INSITU: "insitu", v.SM_SMAP: "smap"}


@dataclass(frozen=True, slots=True)
class Position:
    """Which network of a run is being fitted.

    Parameters
    ----------
    fold, index, of
        The fold, its number, and of how many.
    member, members
        The network's number in it, and of how many.
    """

    fold: str
    index: int
    of: int
    member: int
    members: int


def progress_event(at: Position, state: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a ``progress`` event.

    Parameters
    ----------
    at
        What is being fitted.
    state
        What :func:`gsm3core.training.loop.train` reports.

    Returns
    -------
    dict
        ``fraction`` and ``seconds_left`` of the whole run, taking what is to come to last as long as this network
        does; ``loss_insitu`` and ``loss_smap`` (RMSE, m3 m-3, their sum ``loss``), with a distribution also ``nll_insitu``
        and ``nll_smap`` (nats per day), and ``validation_R``, ``validation_RMSE``, after every epoch.
    """
    fields = dict(state)
    losses, nll = fields.pop("losses"), fields.pop("nll", {})
    scores, done = fields.pop("validation", {}), fields.pop("done")
    networks = at.of * at.members
    number = at.index * at.members + at.member
    left = fields.pop("seconds_left")
    left += (networks - number - 1) * (fields["seconds"] + left)
    if losses:
        fields["loss"] = sum(losses.values())
        fields |= {f"loss_{short}": losses.get(name) for name, short in _SHORT.items()}
        fields |= {f"nll_{short}": nll[name] for name, short in _SHORT.items() if name in nll}
        fields |= {f"validation_{metric}": score for metric, score in scores.items()}
    if fields.get("best_epoch", 0) is None:
        fields.pop("best_epoch")
    rounded = {k: round(x, 6) if isinstance(x, float) else x for k, x in fields.items()}
    return {
        "fold": at.fold, "index": at.index, "of": at.of, "member": at.member, "members": at.members,
        "fraction": round((number + done) / networks, 4), "seconds_left": round(left, 1), **rounded,
    }  # fmt: skip
