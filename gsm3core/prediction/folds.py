"""Prediction with the networks of a run (folds and members) on any dataset."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.fold_files import FoldFiles
from gsm3core.models import make_model
from gsm3core.models.base import Model
from gsm3core.models.device import resolve_device
from gsm3core.models.files import load_tensors
from gsm3core.prediction.mixture import Estimate, mixture
from gsm3core.prediction.records import Records, estimate
from gsm3core.run import Run
from gsm3core.scaling import Scaler, missing_inputs, spin_up_text

_SITES_IN_MEMORY = 1024
_STD_COMMENT = {
    "point": "standard deviation between the networks, which underestimates the error, times the fold's std_factor",
    "gaussian": "standard deviation of the mixture of the networks' distributions, times the fold's std_factor",
}


def predict(run: Run, dataset: xr.Dataset, *, device: str = "cpu") -> xr.DataArray:
    """Predict soil moisture on a dataset with the trained networks of a run.

    Parameters
    ----------
    run
        With at least one finished fold.
    dataset
        A SiteDataset with the run's inputs; soil moisture is not needed.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Returns
    -------
    xarray.DataArray
        Mean over all folds and members, ``(site, time)`` m3 m-3; NaN outside a site's record of forcings.

    Raises
    ------
    RunError
        If no fold is finished.
    DatasetError
        If an input is missing.

    Notes
    -----
    On the run's own training dataset, most networks of a spatial holdout were trained on each site: the result is then
    a fit, not a test. Test predictions are in :meth:`gsm3core.Run.predictions`.
    """
    return predict_dataset(run, dataset, device=device)[v.SM_PREDICTED]


def predict_dataset(run: Run, dataset: xr.Dataset, *, device: str = "cpu") -> xr.Dataset:
    """Predict as :func:`predict`, with the predictive standard deviation where the run has one.

    Returns
    -------
    xarray.Dataset
        ``sm_predicted`` and, with several networks or a distribution, ``sm_predicted_std``, both ``(site, time)``
        m3 m-3. The attribute ``filled`` counts the filled missing inputs by variable, ``spin_up`` says what precedes each
        record.
    """
    torch_device = resolve_device(device)
    folds = run.finished_folds()
    all_sites = np.ones(dataset.sizes[v.SITE], bool)
    found = mixture(
        estimate_fold(run.config, files, dataset, all_sites, device=torch_device, std_factor=files.std_factor)
        for files in folds
    )
    predicted = as_dataset(found, dataset, run.config.model.head)
    predicted[v.SM_PREDICTED].attrs["comment"] = f"mean of {found.models} models of run {run.id}"
    filled = missing_inputs(dataset, Scaler.load(folds[0].scaler))
    predicted.attrs["spin_up"] = spin_up_text(run.config.training)
    predicted.attrs["filled"] = ", ".join(f"{name}: {count}" for name, count in filled.items())
    return predicted


def estimate_fold(
    config: ExperimentConfig,
    files: FoldFiles,
    ds: xr.Dataset,
    sites: NDArray[np.bool_],
    *,
    device: torch.device,
    std_factor: float = 1.0,
) -> Estimate:
    """Predict some sites with all networks of one fold, in blocks of sites that fit in memory.

    Parameters
    ----------
    sites
        ``(site)`` mask.
    std_factor
        Calibration factor of the predictive standard deviation, learned at the fold's validation sites.

    Raises
    ------
    RunError
        If the fold has no networks.
    """
    chosen = np.flatnonzero(sites)
    parts = []
    for block in np.array_split(chosen, max(1, -(-len(chosen) // _SITES_IN_MEMORY))):
        mask = np.zeros(len(sites), bool)
        mask[block] = True
        scaler, models = load_models(config, files, device)
        records = Records.of(ds, scaler, mask, config.training)
        parts.append(mixture(estimate(model, records, scaler.target, device=device) for model in models))
    has_std = any(part.std_ST is not None for part in parts)
    # A block of sites without any record has no std_ST: it is NaN, like the mean.
    stds = [part.mean_ST if part.std_ST is None else std_factor * part.std_ST for part in parts]
    return Estimate(
        np.concatenate([part.mean_ST for part in parts]),
        np.concatenate(stds) if has_std else None,
        sum(part.clipped for part in parts),
        parts[0].models,
    )


def load_models(
    config: ExperimentConfig, files: FoldFiles, device: torch.device
) -> tuple[Scaler, Iterator[Model]]:
    """Return a fold's scaler and an iterator over its trained networks.

    Raises
    ------
    RunError
        If the fold has no networks, as with a baseline.
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
    """Return an estimate as a dataset of ``sm_predicted`` and ``sm_predicted_std``.

    Parameters
    ----------
    found, ds
        For the same sites.
    head
        ``model.head`` of the networks; it defines the standard deviation.
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
            "comment": _STD_COMMENT[head],
        }
        predicted[v.SM_PREDICTED_STD] = (dims, found.std_ST, meaning)
    return predicted
