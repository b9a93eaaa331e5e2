"""Training targets and predictions of a baseline, on the same sites and days as the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.errors import TrainingError
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import input_names, record_span

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """A fold's training targets, without any held-out value.

    Parameters
    ----------
    streams
        By target name, ``(site, time)`` m3 m-3, NaN outside the training sites and days. In situ first; targets
        without training values are left out.
    """

    streams: dict[str, Floats]

    @property
    def reference(self) -> str:
        """The record that is predicted: in situ if it is a training target, else the satellite's."""
        return next(iter(self.streams))

    def by_site(self) -> Floats:
        """Return each site's training record ``(site, time)``: in situ where it has one, else the satellite's."""
        first, *others = self.streams.values()
        own = first.copy()
        for other in others:
            without_target = ~np.isfinite(own).any(axis=1)
            own[without_target] = other[without_target]
        return own


def training_record(ds: xr.Dataset, fold: Fold, config: ExperimentConfig) -> TrainingRecord:
    """Return a fold's training targets.

    Parameters
    ----------
    fold
        Only targets at its training sites on its training days are read.
    config
        ``data.targets`` names the targets; ``data.forcings`` defines each site's record.

    Raises
    ------
    DatasetError
        If the configuration names variables that the dataset does not have; all are listed.
    TrainingError
        If no target has a training value.
    """
    forcings, _, targets = input_names(ds, config.data)
    trainable_ST = record_span(ds, forcings) & fold.train_sites[:, None] & fold.train_days
    streams = {}
    for name in sorted(targets, key=v.TARGETS.index):
        values = ds[name].transpose(v.SITE, v.TIME).values.astype(float)
        values = np.where(trainable_ST & np.isfinite(values), values, np.nan)
        if np.isfinite(values).any():
            streams[name] = values
    if not streams:
        raise TrainingError(
            f"fold {fold.name}: no soil moisture to train on ({', '.join(targets)}) at the {int(fold.train_sites.sum())} "
            f"training sites on the {int(fold.train_days.sum())} training days."
        )
    return TrainingRecord(streams)


def to_prediction(values_ST: Floats, ds: xr.Dataset, fold: Fold, forcings: list[str]) -> xr.DataArray:
    """Return a fold's prediction as a DataArray, clipped to the physical range 0 to 1.

    Parameters
    ----------
    values_ST
        ``(test site, time)`` m3 m-3, the fold's test sites in the dataset's order.
    forcings
        Predictions outside a site's record of these are NaN.

    Returns
    -------
    xarray.DataArray
        ``sm_predicted (site, time)``; the attribute ``clipped`` counts the values that were outside 0 to 1.
    """
    chosen = ds.isel({v.SITE: fold.test_sites})
    values = np.where(record_span(chosen, forcings), values_ST, np.nan)
    clipped = int(((values < 0) | (values > 1)).sum())
    return xr.DataArray(
        np.clip(values, 0, 1).astype(np.float32),
        dims=(v.SITE, v.TIME),
        coords={v.SITE: chosen[v.SITE], v.TIME: ds[v.TIME]},
        name=v.SM_PREDICTED,
        attrs={"units": v.SM_UNITS, "long_name": "predicted soil moisture", "clipped": clipped},
    )
