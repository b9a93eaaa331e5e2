"""An experiment from its configuration to its scores: create, run, resume."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.baselines import BASELINES
from gsm3core.config import ExperimentConfig
from gsm3core.errors import CancelledError, ConfigError, GSM3Error, did_you_mean
from gsm3core.experiment.devices import device_slots
from gsm3core.experiment.folds import divide, folds_of, split_validation_sites, targets_of
from gsm3core.experiment.footprint import footprint_notes, group_notes
from gsm3core.experiment.progress import RunProgress
from gsm3core.experiment.provenance import provenance_of, refuse_changed_dataset, with_absolute_regions
from gsm3core.experiment.scoring import merge_predictions, score, spin_up_notes
from gsm3core.experiment.training_predictions import merge_training_predictions
from gsm3core.experiment.worker_pool import run_folds_at_once
from gsm3core.holdouts.base import Fold
from gsm3core.holdouts.division import division_lines
from gsm3core.run import Run
from gsm3core.scaling import fit_scaler
from gsm3core.schema import open_dataset

OnEvent = Callable[[dict[str, Any]], None]


def run_experiment(
    config: ExperimentConfig,
    *,
    out: str | Path = "runs",
    on_event: OnEvent | None = None,
    on_created: Callable[[Run], None] | None = None,
) -> Run:
    """Train, predict and score every fold of one experiment.

    Parameters
    ----------
    config
        ``config.data.dataset`` is the path of a SiteDataset.
    out
        Folder of all runs; the new run's folder is created in it.
    on_event
        Called with every event, as it is written to the run.
    on_created
        Called with the new run before training.

    Returns
    -------
    Run
        Finished.

    Raises
    ------
    GSM3Error
        If the configuration does not fit the dataset, or training fails; the run then has the state ``failed``.
    """
    run, ds, folds = _create(config, out)
    if on_created:
        on_created(run)
    return _execute(run, lambda: (ds, folds), on_event, lambda: False)


def create_run(config: ExperimentConfig, root: str | Path) -> Run:
    """Check a configuration against its dataset and create the run's folder, without training.

    Parameters
    ----------
    config
        ``config.data.dataset`` is the path of a SiteDataset.
    root
        Folder of all runs.

    Raises
    ------
    GSM3Error
        If the dataset cannot be opened, lacks a variable that the configuration names, or cannot be divided.
    """
    return _create(config, root)[0]


def _create(config: ExperimentConfig, root: str | Path) -> tuple[Run, xr.Dataset, list[Fold]]:
    if not config.data.dataset:
        raise ConfigError("data.dataset is empty: give the path of a dataset (--dataset PATH).")
    if config.model.name not in v.MODEL_PRODUCTS:
        raise ConfigError(
            f"unknown model {config.model.name!r}. {did_you_mean(config.model.name, v.MODEL_PRODUCTS)}"
        )
    path = Path(config.data.dataset).resolve()
    config = with_absolute_regions(config)
    ds = open_dataset(path)
    folds = folds_of(ds, config)
    _check_folds(ds, folds, config)
    return Run.create(root, config, provenance_of(config, path, ds)), ds, folds


def _check_folds(ds: xr.Dataset, folds: list[Fold], config: ExperimentConfig) -> None:
    """Raise errors of the configuration before a folder is created; scaling, which is slower, on the first fold only."""
    fit_scaler(ds, folds[0], config.data)
    share = config.training.validation_share
    if share and config.model.name not in BASELINES:
        for fold in folds:
            split_validation_sites(
                ds, fold, targets_of(ds, config), share, config.training.seed, holdout=config.holdout
            )


def execute(
    run: Run, *, on_event: OnEvent | None = None, cancelled: Callable[[], bool] = lambda: False
) -> Run:
    """Run or resume an experiment; finished folds are kept, an interrupted one resumes from its checkpoint.

    Parameters
    ----------
    run
        New, killed, cancelled or failed.
    on_event
        Called with every event.
    cancelled
        Polled often; the work stops when it returns true.

    Raises
    ------
    CancelledError
        If cancelled.
    GSM3Error
        If it fails; the event ``run_failed`` holds the message.
    """

    def open_checked() -> tuple[xr.Dataset, list[Fold]]:
        ds = open_dataset(run.dataset_path)
        refuse_changed_dataset(run)
        return ds, folds_of(ds, run.config)

    return _execute(run, open_checked, on_event, cancelled)


def _execute(
    run: Run,
    open_inputs: Callable[[], tuple[xr.Dataset, list[Fold]]],
    on_event: OnEvent | None,
    cancelled: Callable[[], bool],
) -> Run:
    def emit(event: str, **fields: Any) -> None:
        line = run.append_event(event, **fields)
        if on_event:
            on_event(line)

    started = time.monotonic()
    try:
        ds, folds = open_inputs()
        division = divide(ds, run.config)[1]
        emit(
            "run_started", folds=[f.name for f in folds], device=run.config.training.device, division=division,
            notes=[
                *division_lines(division), *group_notes(ds, run.config), *footprint_notes(ds, folds, run.config),
                *spin_up_notes(ds, folds, run.config),
            ],
        )  # fmt: skip
        _run_folds(run, ds, folds, emit, cancelled)
        predictions = merge_predictions(run, ds, folds)
        run.write_predictions(predictions)
        training = merge_training_predictions(run, ds, folds)
        if training is not None:
            run.write_training_predictions(training)
        medians = score(run, ds, predictions, training)
        emit("run_finished", seconds=round(time.monotonic() - started, 1), medians=medians)
    except (CancelledError, KeyboardInterrupt):
        emit("run_cancelled")
        raise
    except Exception as error:
        emit(
            "run_failed",
            message=str(error) if isinstance(error, GSM3Error) else f"{type(error).__name__}: {error}",
        )
        raise
    return run


def _run_folds(
    run: Run, ds: xr.Dataset, folds: list[Fold], emit: Callable[..., None], cancelled: Callable[[], bool]
) -> None:
    """Run the unfinished folds: in this process one after another, or in one process per device slot."""
    slots = device_slots(run.config, len(folds))
    done = [fold.name for fold in folds if run.fold(fold.name).done]
    progress = RunProgress([fold.name for fold in folds], done, len(slots))
    remaining = [fold for fold in folds if fold.name not in done]

    def emit_from_fold(event: str, **fields: Any) -> None:
        emit(event, **progress.update(event, fields))

    if len(slots) > 1:
        run_folds_at_once(run, [f.name for f in remaining], slots, emit_from_fold, cancelled)
        return
    for fold in remaining:
        fold_runner(run.config)(run, ds, fold, emit_from_fold, cancelled, slots[0])


def fold_runner(config: ExperimentConfig) -> Callable[..., None]:
    """Return the function that runs one fold: of the LSTM, or of a baseline."""
    if config.model.name in BASELINES:
        from gsm3core.experiment import baseline_fold

        return baseline_fold.run_fold
    from gsm3core.experiment import lstm_fold

    return lstm_fold.run_fold
