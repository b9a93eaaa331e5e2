"""The networks of a run, all folds and members of it, on any dataset."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.models import make_model
from gsm3core.models.base import Model
from gsm3core.models.device import device_named
from gsm3core.models.files import load_tensors
from gsm3core.prediction.mixture import Estimate, mixture
from gsm3core.prediction.records import Records, estimate
from gsm3core.run import FoldFiles, Run
from gsm3core.scaling import Scaler, missing_inputs

_SITES_IN_MEMORY = 1024
_SPREAD = {
    "point": "how much the networks disagree, which is less than how wrong they are, times the fold's spread factor",
    "gaussian": "of the mixture of the networks' distributions, times the fold's spread factor",
}


def predict(run: Run, dataset: xr.Dataset, *, device: str = "cpu") -> xr.DataArray:
    """Predict soil moisture on a dataset with the fitted networks of a run.

    Parameters
    ----------
    run
        With at least one finished fold. The mean of all networks, of every fold and member, is returned.
    dataset
        A SiteDataset with the run's inputs; it needs no soil moisture of its own that the model would read.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

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
    return predict_dataset(run, dataset, device=device)[v.SM_PREDICTED]


def predict_dataset(run: Run, dataset: xr.Dataset, *, device: str = "cpu") -> xr.Dataset:
    """Predict as :func:`predict`, with the spread where the run has one.

    Returns
    -------
    xarray.Dataset
        ``sm_predicted`` and, with several networks or a distribution, ``sm_predicted_std``, both ``(site, time)``
        m3 m-3. The attribute ``filled`` counts the missing inputs, by variable, that were filled.
    """
    where = device_named(device)
    folds = run.finished_folds()
    everywhere = np.ones(dataset.sizes[v.SITE], bool)
    found = mixture(
        estimate_fold(run.config, files, dataset, everywhere, device=where, spread=files.spread_factor)
        for files in folds
    )
    predicted = as_dataset(found, dataset, run.config.model.head)
    predicted[v.SM_PREDICTED].attrs["comment"] = f"mean of {found.models} models of run {run.id}"
    filled = missing_inputs(dataset, Scaler.load(folds[0].scaler))
    predicted.attrs["filled"] = ", ".join(f"{name}: {count}" for name, count in filled.items())
    return predicted


def estimate_fold(
    config: ExperimentConfig,
    files: FoldFiles,
    ds: xr.Dataset,
    sites: NDArray[np.bool_],
    *,
    device: torch.device,
    spread: float = 1.0,
) -> Estimate:
    """Predict some sites with all the networks of one fold, so many sites at a time that their inputs fit anywhere.

    Parameters
    ----------
    config, files
        What the networks are, and where.
    ds, sites
        The dataset, and a ``(site)`` mask.
    device
        Where to compute.
    spread
        What the standard deviation is multiplied by: the fold's ``spread_factor``.

    Raises
    ------
    RunError
        If the fold has no networks.
    """
    wanted = np.flatnonzero(sites)
    parts = []
    for block in np.array_split(wanted, max(1, -(-len(wanted) // _SITES_IN_MEMORY))):
        mask = np.zeros(len(sites), bool)
        mask[block] = True
        scaler, models = load_models(config, files, device)
        records = Records.of(ds, scaler, mask)
        parts.append(
            mixture(
                estimate(model, records, scaler.target, warmup=config.training.warmup, device=device)
                for model in models
            )
        )
    has_spread = any(part.std_ST is not None for part in parts)
    # Sites without any record have no spread either: missing, like their mean.
    stds = [part.mean_ST if part.std_ST is None else spread * part.std_ST for part in parts]
    return Estimate(
        np.concatenate([part.mean_ST for part in parts]),
        np.concatenate(stds) if has_spread else None,
        sum(part.clipped for part in parts),
        parts[0].models,
    )


def load_models(
    config: ExperimentConfig, files: FoldFiles, device: torch.device
) -> tuple[Scaler, Iterator[Model]]:
    """Return a fold's scaling, and its fitted networks one at a time, first member first.

    Raises
    ------
    RunError
        If the fold has none: it is a comparison model's.
    """
    paths = files.models()
    scaler = Scaler.load(files.scaler)

    def models() -> Iterator[Model]:
        for path in paths:
            model = make_model(config.model, scaler.n_forcings, scaler.n_attributes, scaler.targets)
            model.load_state_dict(load_tensors(path, device, remedy="Delete it and resume the run."))
            yield model.to(device).eval()

    return scaler, models()


def as_dataset(found: Estimate, ds: xr.Dataset, head: str) -> xr.Dataset:
    """Return an estimate with the sites and days of a dataset, as ``sm_predicted`` and ``sm_predicted_std``.

    Parameters
    ----------
    found, ds
        For the same sites.
    head
        ``model.head`` of the networks: what their spread is made of.
    """
    dims = (v.SITE, v.TIME)
    meaning = {"units": v.SM_UNITS, "long_name": "predicted soil moisture"}
    predicted = xr.Dataset(
        {v.SM_PREDICTED: (dims, found.mean_ST, meaning)}, coords={v.SITE: ds[v.SITE], v.TIME: ds[v.TIME]}
    )
    if found.std_ST is not None:
        meaning = {
            "units": v.SM_UNITS,
            "long_name": "standard deviation of the predicted soil moisture",
            "comment": _SPREAD[head],
        }
        predicted[v.SM_PREDICTED_STD] = (dims, found.std_ST, meaning)
    return predicted
