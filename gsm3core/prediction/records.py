"""Prediction with one network over each site's record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.models.base import Model, State
from gsm3core.models.distribution import censored_moments, location_and_scale
from gsm3core.prediction.mixture import Estimate, Floats
from gsm3core.scaling import Scaler, record_span

_SITES_AT_ONCE = 128
_DAYS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Records:
    """Scaled inputs of some sites and the mask of their records.

    Parameters
    ----------
    x_STF, c_SA
        Scaled forcings and attributes.
    span_ST
        Each site's record (:func:`gsm3core.scaling.record_span`).
    """

    x_STF: Floats
    c_SA: Floats
    span_ST: NDArray[np.bool_]

    @classmethod
    def of(cls, ds: xr.Dataset, scaler: Scaler, sites: NDArray[np.bool_]) -> Records:
        """Return the scaled inputs of the sites of a mask.

        Raises
        ------
        DatasetError
            If an input is missing.
        """
        chosen = ds.isel({v.SITE: sites})
        x_STF, c_SA = scaler.scale_forcings(chosen), scaler.scale_attributes(chosen)
        return cls(x_STF, c_SA, record_span(chosen, scaler.forcings))


def estimate(
    model: Model,
    records: Records,
    target: tuple[float, float],
    *,
    warmup: int,
    device: torch.device,
) -> Estimate:
    """Run one network over each site's record, in fp32: 16 bits would round its output to 0.001 m3 m-3.

    Parameters
    ----------
    model
        Trained, on ``device``.
    target
        Mean and standard deviation that its output is scaled by, m3 m-3.
    warmup
        Days of spin-up: the first ``warmup`` days of a record are run once more beforehand and their output is
        discarded. A shorter record is repeated to that length.
    """
    first_S, days_S = np.argmax(records.span_ST, axis=1), records.span_ST.sum(axis=1)
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
        inside_BT = np.arange(longest) < days_S[part, None]
        warmup_day_BT = first_S[part, None] + np.arange(warmup) % np.maximum(days_S[part, None], 1)
        x_BTF, warmup_BTF = (records.x_STF[part[:, None], days] for days in (day_BT, warmup_day_BT))
        y_BTP = _run(model, x_BTF, warmup_BTF, records.c_SA[part], device)
        location_BT, scale_BT = location_and_scale(y_BTP, target)
        raw_BT = location_BT.cpu().numpy()
        clipped += int((((raw_BT < 0) | (raw_BT > 1)) & inside_BT).sum())
        index = (np.broadcast_to(part[:, None], day_BT.shape)[inside_BT], day_BT[inside_BT])
        if scale_BT is None:
            mean_ST[index] = np.clip(raw_BT[inside_BT], 0, 1)
        else:
            has_std = True
            mean_BT, std_BT = censored_moments(location_BT.cpu(), scale_BT.cpu())
            mean_ST[index] = mean_BT.numpy()[inside_BT]
            std_ST[index] = std_BT.numpy()[inside_BT]
    return Estimate(mean_ST, std_ST if has_std else None, clipped)


@torch.inference_mode()
def _run(model: Model, x_BTF: Floats, warmup_BTF: Floats, c_BA: Floats, device: torch.device) -> torch.Tensor:
    """Run whole records in pieces that pass on the state: the same result with less memory, and faster on a CPU."""
    x, warmup_x, c = (torch.as_tensor(a, device=device) for a in (x_BTF, warmup_BTF, c_BA))
    state: State | None = None
    if warmup_x.shape[1]:
        _, state = model.step(warmup_x, c, None)
    pieces = []
    for start in range(0, x.shape[1], _DAYS_AT_ONCE):
        y_BTP, state = model.step(x[:, start : start + _DAYS_AT_ONCE], c, state)
        pieces.append(y_BTP)
    return torch.cat(pieces, dim=1)
