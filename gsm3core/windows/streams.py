"""Training streams of a fold: targets at training sites on training days, and the range of their windows."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import TrainingError
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import Scaler, record_span


class Stream:
    """One training target with its eligible sites and days.

    Parameters
    ----------
    target_ST
        m3 m-3, ``(site, time)``; NaN outside the training sites and days, so held-out values are not in memory.
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
        # A target in the warm-up of every window that covers it never enters the loss.
        day_T = torch.arange(target_ST.shape[1], device=target_ST.device)
        after_warmup_ST = day_T >= self.earliest_S[:, None] + warmup
        self.sites = torch.nonzero((torch.isfinite(target_ST) & after_warmup_ST).any(dim=1)).flatten()

    def __len__(self) -> int:
        return len(self.sites)

    def choose(self, batch: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Sample windows: a site uniformly, then a start uniformly over its record.

        Parameters
        ----------
        batch
            Number of windows.
        generator
            The only source of randomness, so that a checkpoint can resume it.

        Returns
        -------
        site_B, start_B
            Positions in the dataset.
        """
        device = self.target_ST.device
        site_B = self.sites[torch.randint(len(self.sites), (batch,), generator=generator, device=device)]
        n_starts_B = (self.latest_S[site_B] - self.earliest_S[site_B] + 1).float()
        offset_B = (torch.rand(batch, generator=generator, device=device) * n_starts_B).floor().long()
        return site_B, torch.minimum(self.earliest_S[site_B] + offset_B, self.latest_S[site_B])

    def days(self, start_B: torch.Tensor) -> torch.Tensor:
        """Return the day positions of windows ``(B, T)``."""
        return start_B[:, None] + torch.arange(self.window, device=start_B.device)

    def targets(self, site_B: torch.Tensor, start_B: torch.Tensor) -> torch.Tensor:
        """Return the targets of windows ``(B, T)``; NaN where there is none, and in the warm-up."""
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
    """Return a fold's streams by target name; the only place where targets become tensors.

    Parameters
    ----------
    scaler
        Fitted on the same fold.
    targets
        Names of the training targets.
    window, warmup
        Days.

    Raises
    ------
    TrainingError
        If the window is longer than the dataset, or no target has a value to train on.
    """
    n_days = ds.sizes[v.TIME]
    if window > n_days:
        raise TrainingError(
            f"training.window is {window} days, but the dataset has {n_days}. Choose a shorter window."
        )
    span_ST = record_span(ds, scaler.forcings)
    in_period_ST = span_ST & fold.train_days
    # The warm-up may use forcings before the training days, but not before the site's record begins.
    first_S = torch.as_tensor(
        np.maximum(np.argmax(in_period_ST, axis=1) - warmup, np.argmax(span_ST, axis=1))
    )
    last_S = torch.as_tensor(n_days - np.argmax(in_period_ST[:, ::-1], axis=1))
    trainable_ST = in_period_ST & fold.train_sites[:, None]
    streams = {}
    for name in targets:
        observed = ds[name].transpose(v.SITE, v.TIME).values
        target_ST = torch.as_tensor(
            np.where(trainable_ST, observed, np.nan).astype(np.float32), device=device
        )
        stream = Stream(target_ST, first_S.to(device), last_S.to(device), window, warmup)
        if len(stream):
            streams[name] = stream
    if not streams:
        raise TrainingError(
            f"fold {fold.name}: no soil moisture to train on ({', '.join(targets)}) at the {int(fold.train_sites.sum())} "
            f"training sites on the {int(fold.train_days.sum())} training days, where they have forcings"
            + (f" and are not the first {warmup} days of the record (training.warmup)." if warmup else ".")
        )
    return streams
