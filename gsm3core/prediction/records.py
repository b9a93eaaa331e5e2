"""Prediction with one network over each site's record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.config import TrainingConfig
from gsm3core.models.base import Model, State
from gsm3core.models.distribution import censored_moments, location_and_scale
from gsm3core.prediction.mixture import Estimate, Floats
from gsm3core.scaling import Scaler, record_span, with_spin_up

_SITES_AT_ONCE = 128
_DAYS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Records:
    """Scaled inputs of some sites, with spin-up, and the mask of their records.

    Parameters
    ----------
    x_STF, c_SA
        Scaled forcings and attributes. The time axis of the forcings begins up to ``spin_up`` days before the dataset's.
    span_ST
        Each site's record on the dataset's days (:func:`gsm3core.scaling.record_span`).
    spin_up
        Days before a record that the network runs over and whose output is discarded.
    """

    x_STF: Floats
    c_SA: Floats
    span_ST: NDArray[np.bool_]
    spin_up: int = 0

    @classmethod
    def of(
        cls, ds: xr.Dataset, scaler: Scaler, sites: NDArray[np.bool_], training: TrainingConfig
    ) -> Records:
        """Return the scaled inputs of the sites of a mask.

        Parameters
        ----------
        training
            ``spin_up_days`` and ``warmup`` are read.

        Raises
        ------
        DatasetError
            If an input is missing.

        Notes
        -----
        Derived inputs are computed with the spin-up days, so that means over previous days are complete on the first
        day of a record (:func:`gsm3core.scaling.with_spin_up`).
        """
        chosen = ds.isel({v.SITE: sites})
        scaler.require_inputs(chosen)
        span_ST, c_SA = record_span(chosen, scaler.forcings), scaler.scale_attributes(chosen)
        if training.spin_up_days == "warmup":
            x_STF = _repeat_first_days(scaler.scale_forcings(chosen), span_ST, training.warmup)
            return cls(x_STF, c_SA, span_ST, training.warmup)
        extended = with_spin_up(chosen, list(scaler.forcings), training.spin_up_days)
        return cls(scaler.scale_forcings(extended), c_SA, span_ST, training.spin_up_days)


def estimate(
    model: Model, records: Records, target: tuple[float, float], *, device: torch.device
) -> Estimate:
    """Run one network over each site's record, in fp32: 16 bits would round its output to 0.001 m3 m-3.

    Parameters
    ----------
    model
        Trained, on ``device``.
    target
        Mean and standard deviation that its output is scaled by, m3 m-3.
    """
    lead = records.x_STF.shape[1] - records.span_ST.shape[1]
    known_S = records.span_ST.any(axis=1)
    first_S = np.argmax(records.span_ST, axis=1) + lead - records.spin_up
    days_S = np.where(known_S, records.span_ST.sum(axis=1) + records.spin_up, 0)
    mean_ST = np.full(records.span_ST.shape, np.nan, np.float32)
    std_ST = np.full(records.span_ST.shape, np.nan, np.float32)
    clipped, has_std = 0, False
    model.eval()
    order = np.argsort(-days_S, kind="stable")
    for part in np.array_split(order, max(1, -(-len(order) // _SITES_AT_ONCE))):
        longest = int(days_S[part].max(initial=0))
        if longest == 0:
            continue
        day_BT = np.minimum(first_S[part, None] + np.arange(longest), records.x_STF.shape[1] - 1)
        day_of_B = np.arange(longest)
        inside_BT = (day_of_B >= records.spin_up) & (day_of_B < days_S[part, None])
        y_BTP = _run(model, records.x_STF[part[:, None], day_BT], records.c_SA[part], device)
        location_BT, scale_BT = location_and_scale(y_BTP, target)
        raw_BT = location_BT.cpu().numpy()
        clipped += int((((raw_BT < 0) | (raw_BT > 1)) & inside_BT).sum())
        index = (np.broadcast_to(part[:, None], day_BT.shape)[inside_BT], day_BT[inside_BT] - lead)
        if scale_BT is None:
            mean_ST[index] = np.clip(raw_BT[inside_BT], 0, 1)
        else:
            has_std = True
            mean_BT, std_BT = censored_moments(location_BT.cpu(), scale_BT.cpu())
            mean_ST[index] = mean_BT.numpy()[inside_BT]
            std_ST[index] = std_BT.numpy()[inside_BT]
    return Estimate(mean_ST, std_ST if has_std else None, clipped)


def _repeat_first_days(x_STF: Floats, span_ST: NDArray[np.bool_], days: int) -> Floats:
    """Return scaled forcings with the first days of each record once more before it."""
    known_S = np.flatnonzero(span_ST.any(axis=1))
    first_S, length_S = np.argmax(span_ST, axis=1)[known_S], span_ST.sum(axis=1)[known_S]
    lead = max(0, days - int(first_S.min(initial=days)))
    longer_STF = np.pad(x_STF, ((0, 0), (lead, 0), (0, 0)))
    day_D = np.arange(days)
    target_SD = first_S[:, None] + lead - days + day_D
    longer_STF[known_S[:, None], target_SD] = x_STF[
        known_S[:, None], first_S[:, None] + day_D % length_S[:, None]
    ]
    return longer_STF


@torch.inference_mode()
def _run(model: Model, x_BTF: Floats, c_BA: Floats, device: torch.device) -> torch.Tensor:
    """Run whole records in pieces that pass on the state: the same result with less memory, and faster on a CPU."""
    x, c = (torch.as_tensor(a, device=device) for a in (x_BTF, c_BA))
    state: State | None = None
    pieces = []
    for start in range(0, x.shape[1], _DAYS_AT_ONCE):
        y_BTP, state = model.step(x[:, start : start + _DAYS_AT_ONCE], c, state)
        pieces.append(y_BTP)
    return torch.cat(pieces, dim=1)
