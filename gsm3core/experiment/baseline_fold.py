"""One fold of a baseline, with the events and files of a network's fold."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.baselines import API_BUCKET, GRADIENT_BOOSTING, predict_fold
from gsm3core.config import ExperimentConfig
from gsm3core.experiment.devices import DeviceSlot
from gsm3core.experiment.folds import targets_of
from gsm3core.experiment.training_predictions import kept_training_sites, write_training_predictions
from gsm3core.files import atomic_write
from gsm3core.holdouts.base import Fold
from gsm3core.run import Run
from gsm3core.scaling import fold_attributes, input_names
from gsm3core.schema import precipitation_names


def run_fold(
    run: Run,
    ds: xr.Dataset,
    fold: Fold,
    emit: Callable[..., None],
    cancelled: Callable[[], bool],
    slot: DeviceSlot,
) -> None:
    """Fit and predict one fold; only its predictions are written, not the fitted model.

    Parameters
    ----------
    emit, cancelled
        As in :func:`gsm3core.experiment.execute`.
    slot
        Not used: baselines run on the CPU.
    """
    started = time.monotonic()
    _, chosen = fold_attributes(ds, fold, run.config.data)
    # The others use no attributes.
    attribute_notes = chosen.notes if run.config.model.name == GRADIENT_BOOSTING else []
    training = ds.isel({v.SITE: fold.train_sites, v.TIME: fold.train_days})
    emit(
        "fold_started", fold=fold.name, device="cpu", model=run.config.model.name,
        train_sites={n: int(training[n].notnull().any(v.TIME).sum()) for n in targets_of(ds, run.config)},
        test_sites=int(fold.test_sites.sum()), filled={},
        notes=[*_precipitation_notes(ds, run.config), *attribute_notes],
    )  # fmt: skip

    def report(event: str, *, done: float, **_: Any) -> None:
        seconds = time.monotonic() - started
        left = seconds * (1 - done) / max(done, 1e-3)
        emit(
            event,
            fold=fold.name,
            epoch=0,
            epochs=1,
            seconds=round(seconds, 1),
            fraction=done,
            seconds_left=left,
        )

    # Fitted once: the training sites whose fit is scored are predicted with the test sites.
    fitted = kept_training_sites(fold)
    both = replace(fold, test_sites=fold.test_sites | fitted)
    predicted = predict_fold(run.config.model.name, ds, both, run.config, report, cancelled)
    found, files = predicted.to_dataset(name=v.SM_PREDICTED), run.fold(fold.name)
    write_training_predictions(found.isel({v.SITE: fitted[both.test_sites]}), fold, files)
    atomic_write(found.isel({v.SITE: fold.test_sites[both.test_sites]}), files.predictions)
    emit(
        "fold_finished", fold=fold.name, seconds=round(time.monotonic() - started, 1),
        clipped=int(predicted.attrs.get("clipped", 0)),
    )  # fmt: skip


def _precipitation_notes(ds: xr.Dataset, config: ExperimentConfig) -> list[str]:
    names = precipitation_names(ds, input_names(ds, config.data)[0])
    what = {API_BUCKET: "Precipitation of the bucket", GRADIENT_BOOSTING: "Antecedent precipitation"}
    return [f"{what[config.model.name]}: {names[0]}."] if names and config.model.name in what else []
