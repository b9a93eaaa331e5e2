"""From a fitted network and a dataset to daily soil moisture over every site's whole record."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.models import make_model
from gsm3core.models.base import Model, State
from gsm3core.run import Run
from gsm3core.scaling import Scaler
from gsm3core.windows import record_span

_SITES_AT_ONCE = 128
_DAYS_AT_ONCE = 64


def predict(run: Run, dataset: xr.Dataset, *, device: str = "cpu") -> xr.DataArray:
    """Predict soil moisture on a dataset with the fitted models of a run.

    Parameters
    ----------
    run
        With at least one finished fold. With several, the mean of their models is returned.
    dataset
        A SiteDataset with the run's inputs; it needs no soil moisture of its own that the model would read.
    device
        ``cpu``, ``cuda`` or ``cuda:N``.

    Returns
    -------
    xarray.DataArray
        ``(site, time)`` m3 m-3; NaN outside a site's own record of forcings.

    Raises
    ------
    RunError
        If no fold is finished.
    DatasetError
        If an input is missing.

    Notes
    -----
    Where the dataset is the one that the run was trained on, most models of a spatial holdout have seen each site:
    this is then a fit, not a test. The tests are in :meth:`gsm3core.Run.predictions`.
    """
    folds, where = run.finished_folds(), torch.device(device)
    everywhere = np.ones(dataset.sizes[v.SITE], bool)
    members = []
    for files in folds:
        scaler = Scaler.load(files.scaler)
        model = make_model(run.config.model, scaler.n_forcings, scaler.n_attributes).to(where)
        model.load_state_dict(torch.load(files.model, map_location=where, weights_only=True))
        member, _ = predict_sites(
            model, dataset, scaler, everywhere, warmup=run.config.training.warmup, device=where
        )
        members.append(member.values)
    mean = member.copy(data=np.mean(members, axis=0))
    mean.attrs["comment"] = f"mean of {len(members)} models of run {run.id}"
    return mean


def predict_sites(
    model: Model,
    ds: xr.Dataset,
    scaler: Scaler,
    sites: NDArray[np.bool_],
    *,
    warmup: int,
    device: torch.device,
) -> tuple[xr.DataArray, int]:
    """Predict soil moisture at some sites, each over its own record.

    Parameters
    ----------
    model
        Fitted, on ``device``.
    ds, scaler
        The dataset, and the scaling the model was fitted with.
    sites
        ``(site)`` mask.
    warmup
        The network first runs over the first ``warmup`` days of a record once, so that it does not start from
        a soil that has no history; what it says there is thrown away.
    device
        Where to compute.

    Returns
    -------
    xarray.DataArray
        ``(site, time)`` m3 m-3, the sites asked for; NaN on days outside a site's record.
    int
        How many values were clipped to the physical range 0 to 1.
    """
    chosen = ds.isel({v.SITE: sites})
    span_ST = record_span(chosen, list(scaler.forcings))
    x_STF, c_SA = scaler.scale_forcings(chosen), scaler.scale_attributes(chosen)
    first_S, days_S = np.argmax(span_ST, axis=1), span_ST.sum(axis=1)
    predicted = np.full(span_ST.shape, np.nan, np.float32)
    mean, std = scaler.target
    model.eval()
    order = np.argsort(-days_S, kind="stable")
    for part in np.array_split(order, max(1, -(-len(order) // _SITES_AT_ONCE))):
        longest = int(days_S[part].max(initial=0))
        day_BT = np.minimum(first_S[part, None] + np.arange(longest), x_STF.shape[1] - 1)
        y_BT = mean + std * _run(model, x_STF[part[:, None], day_BT], c_SA[part], warmup, device)
        for row, site in enumerate(part):
            predicted[site, first_S[site] : first_S[site] + days_S[site]] = y_BT[row, : days_S[site]]
    with np.errstate(invalid="ignore"):
        clipped = int(((predicted < 0) | (predicted > 1)).sum())
    array = xr.DataArray(
        np.clip(predicted, 0, 1),
        dims=(v.SITE, v.TIME),
        coords={v.SITE: chosen[v.SITE], v.TIME: ds[v.TIME]},
        name=v.SM_PREDICTED,
        attrs={"units": v.SM_UNITS, "long_name": "predicted soil moisture"},
    )
    return array, clipped


@torch.inference_mode()
def _run(
    model: Model, x_BTF: NDArray[np.float32], c_BA: NDArray[np.float32], warmup: int, device: torch.device
) -> NDArray[np.float32]:
    """Run whole records in pieces that carry the state: the same numbers, less memory, faster on a CPU."""
    x, c = torch.as_tensor(x_BTF, device=device), torch.as_tensor(c_BA, device=device)
    state: State | None = None
    if warmup:
        _, state = model.step(x[:, :warmup], c, None)
    pieces = []
    for start in range(0, x.shape[1], _DAYS_AT_ONCE):
        y_BT, state = model.step(x[:, start : start + _DAYS_AT_ONCE], c, state)
        pieces.append(y_BT)
    return torch.cat(pieces, dim=1).cpu().numpy() if pieces else np.zeros((len(c), 0), np.float32)
