"""One fold of a baseline, with the events and files of a network's fold."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.baselines import predict_fold
from gsm3core.experiment.devices import DeviceSlot
from gsm3core.experiment.folds import targets_of
from gsm3core.files import atomic_write
from gsm3core.holdouts.base import Fold
from gsm3core.run import Run


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
    training = ds.isel({v.SITE: fold.train_sites, v.TIME: fold.train_days})
    emit(
        "fold_started", fold=fold.name, device="cpu", model=run.config.model.name,
        train_sites={n: int(training[n].notnull().any(v.TIME).sum()) for n in targets_of(ds, run.config)},
        test_sites=int(fold.test_sites.sum()), filled={},
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

    predicted = predict_fold(run.config.model.name, ds, fold, run.config, report, cancelled)
    atomic_write(predicted.to_dataset(name=v.SM_PREDICTED), run.fold(fold.name).predictions)
    emit(
        "fold_finished", fold=fold.name, seconds=round(time.monotonic() - started, 1),
        clipped=int(predicted.attrs.get("clipped", 0)),
    )  # fmt: skip
