"""Predictions of a run at its training sites on its training days."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.files import atomic_write
from gsm3core.fold_files import FoldFiles
from gsm3core.holdouts.base import Fold, Mask
from gsm3core.run import Run


def kept_training_sites(fold: Fold) -> Mask:
    """Return the ``(site)`` mask of the training sites whose fit a fold stores; without its validation sites."""
    return fold.train_sites if fold.fit_sites is None else fold.train_sites & fold.fit_sites


def write_training_predictions(predicted: xr.Dataset, fold: Fold, files: FoldFiles) -> None:
    """Write a fold's predictions at training sites, without the days that are not training days.

    Parameters
    ----------
    predicted
        ``sm_predicted (site, time)`` at the sites of :func:`kept_training_sites`.
    """
    if not predicted.sizes[v.SITE]:
        return
    days = xr.DataArray(fold.train_days, dims=v.TIME)
    atomic_write(predicted[[v.SM_PREDICTED]].where(days), files.training_predictions)


def merge_training_predictions(run: Run, ds: xr.Dataset, folds: list[Fold]) -> xr.Dataset | None:
    """Merge the training predictions of all folds: each site from the fold that it is assigned to.

    Returns
    -------
    xarray.Dataset
        ``sm_predicted`` and ``in_train`` ``(site, time)``, with the coordinate ``fold (site)``, empty for sites without
        a fold, such as validation sites. ``None`` if no fold has such a file: folds of earlier versions have none.
    """
    shape = (ds.sizes[v.SITE], ds.sizes[v.TIME])
    predicted_ST, in_train_ST = np.full(shape, np.nan, np.float32), np.zeros(shape, bool)
    fold_of_site = np.full(shape[0], "", dtype="<U32")
    index = pd.Index(ds[v.SITE].values.astype(str))
    for fold in folds:
        path = run.fold(fold.name).training_predictions
        if not path.exists():
            continue
        with xr.open_dataset(path, engine="h5netcdf") as part:
            at = index.get_indexer(pd.Index(part[v.SITE].values.astype(str)))
            predicted_ST[at] = part[v.SM_PREDICTED].values
        in_train_ST[at] = fold.train_days
        fold_of_site[at] = fold.name
    if not in_train_ST.any():
        return None
    dims = (v.SITE, v.TIME)
    attrs = {"units": v.SM_UNITS, "long_name": "predicted soil moisture at training sites on training days",
             "comment": "fit to the training data, not a test"}  # fmt: skip
    return xr.Dataset(
        {
            v.SM_PREDICTED: (dims, predicted_ST, attrs),
            v.IN_TRAIN: (dims, in_train_ST, {"long_name": "true on training days at training sites"}),
        },
        coords={v.SITE: ds[v.SITE], v.TIME: ds[v.TIME], v.FOLD: (v.SITE, fold_of_site)},
        attrs={
            "run": run.id,
            "simulated": ds.attrs.get("simulated", "false"),
            "model": run.config.model.name,
        },
    )
