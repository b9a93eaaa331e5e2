"""What a fold learns from: targets at training sites on training days, and where windows of them may lie."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import TrainingError
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import Scaler, record_span


class Stream:
    """One teacher: a target and the sites and days on which it may teach.

    Parameters
    ----------
    target_ST
        m3 m-3, ``(site, time)``; NaN at every site and day that does not train. The held-out values are not
        hidden: they are not there.
    first_S, last_S
        For each site, the first and one past the last day that a window may cover.
    window, warmup
        Days in a window; its first ``warmup`` days give no loss.
    """

    def __init__(
        self, target_ST: torch.Tensor, first_S: torch.Tensor, last_S: torch.Tensor, window: int, warmup: int
    ) -> None:
        self.target_ST = target_ST
        self.window, self.warmup = window, warmup
        # A window ends inside the record; where the record is shorter it starts earlier, on filled forcings.
        self.latest_S = (last_S - window).clamp(min=0)
        self.earliest_S = torch.minimum(first_S, self.latest_S)
        # A day that lies in the warm-up of every window that covers it teaches nobody.
        day_T = torch.arange(target_ST.shape[1], device=target_ST.device)
        reached_ST = day_T >= self.earliest_S[:, None] + warmup
        self.sites = torch.nonzero((torch.isfinite(target_ST) & reached_ST).any(dim=1)).flatten()

    def __len__(self) -> int:
        return len(self.sites)

    def choose(self, batch: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Choose random windows: a site uniformly, then a start uniformly over its record.

        Parameters
        ----------
        batch
            Number of windows.
        generator
            The only source of randomness, so that a checkpoint can continue it.

        Returns
        -------
        site_B, start_B
            Positions in the dataset.
        """
        device = self.target_ST.device
        site_B = self.sites[torch.randint(len(self.sites), (batch,), generator=generator, device=device)]
        room_B = (self.latest_S[site_B] - self.earliest_S[site_B] + 1).float()
        offset_B = (torch.rand(batch, generator=generator, device=device) * room_B).floor().long()
        return site_B, torch.minimum(self.earliest_S[site_B] + offset_B, self.latest_S[site_B])

    def days(self, start_B: torch.Tensor) -> torch.Tensor:
        """Return the days of windows ``(B, T)``."""
        return start_B[:, None] + torch.arange(self.window, device=start_B.device)

    def targets(self, site_B: torch.Tensor, start_B: torch.Tensor) -> torch.Tensor:
        """Return what windows teach ``(B, T)``; NaN where there is no target, and in the warm-up."""
        y_BT = self.target_ST[site_B[:, None], self.days(start_B)]
        if self.warmup:
            warm_T = torch.arange(self.window, device=y_BT.device) < self.warmup
            y_BT = torch.where(warm_T, torch.nan, y_BT)
        return y_BT


def training_streams(
    ds: xr.Dataset,
    fold: Fold,
    scaler: Scaler,
    *,
    targets: list[str],
    window: int,
    warmup: int,
    device: torch.device,
) -> dict[str, Stream]:
    """Return what a fold learns from, by target: the one place where a target becomes a tensor.

    Parameters
    ----------
    ds, fold, scaler
        Dataset, division, and the scaling fitted on that division.
    targets
        Soil-moisture records that teach.
    window, warmup
        Days; a window longer than the dataset is an error.
    device
        Where to.

    Raises
    ------
    TrainingError
        If the window is longer than the dataset, or no target has a value to train on.
    """
    n_days = ds.sizes[v.TIME]
    if window > n_days:
        raise TrainingError(f"training.window is {window} days, but the dataset has {n_days}. Shorten it.")
    span_ST = record_span(ds, scaler.forcings)
    may_train_ST = span_ST & fold.train_days
    # Forcings before the training days may warm a window up; before the site's own record there are none.
    first_S = torch.as_tensor(
        np.maximum(np.argmax(may_train_ST, axis=1) - warmup, np.argmax(span_ST, axis=1))
    )
    last_S = torch.as_tensor(n_days - np.argmax(may_train_ST[:, ::-1], axis=1))
    trains_ST = may_train_ST & fold.train_sites[:, None]
    streams = {}
    for name in targets:
        observed = ds[name].transpose(v.SITE, v.TIME).values
        taught = torch.as_tensor(np.where(trains_ST, observed, np.nan).astype(np.float32), device=device)
        stream = Stream(taught, first_S.to(device), last_S.to(device), window, warmup)
        if len(stream):
            streams[name] = stream
    if not streams:
        raise TrainingError(
            f"fold {fold.name}: no soil moisture to train on ({', '.join(targets)}) at the {int(fold.train_sites.sum())} "
            f"training sites on the {int(fold.train_days.sum())} training days, where they have forcings"
            + (f" and are not the first {warmup} days of the record (training.warmup)." if warmup else ".")
        )
    return streams
