"""A run from its configuration to its scores: made, carried out, gone on with."""

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
from gsm3core.experiment.folds import folds_of, split_validation_sites, targets_of
from gsm3core.experiment.progress import RunProgress
from gsm3core.experiment.provenance import provenance_of, refuse_changed_dataset
from gsm3core.experiment.scoring import gather, score
from gsm3core.experiment.worker_pool import run_folds_at_once
from gsm3core.holdouts.base import Fold
from gsm3core.run import Run
from gsm3core.scaling import fit_scaler
from gsm3core.schema import open_dataset

Listener = Callable[[dict[str, Any]], None]


def run_experiment(
    config: ExperimentConfig, *, out: str | Path = "runs", listen: Listener | None = None
) -> Run:
    """Train, predict and score every fold of one experiment.

    Parameters
    ----------
    config
        The experiment; ``config.data.dataset`` is the path of a SiteDataset.
    out
        Folder of all runs; the new run's directory is made in it.
    listen
        Called with every event, as it is written to the run.

    Returns
    -------
    Run
        Finished.

    Raises
    ------
    GSM3Error
        If the configuration does not fit the dataset, or training fails; the run then says so.
    """
    return execute(create_run(config, out), listen=listen)


def create_run(config: ExperimentConfig, root: str | Path) -> Run:
    """Check a configuration against its dataset and make the run's directory; nothing is trained yet.

    Parameters
    ----------
    config, root
        As for :func:`run_experiment`.

    Raises
    ------
    GSM3Error
        If the dataset cannot be opened, lacks a variable that the configuration names, or cannot be divided.
    """
    if not config.data.dataset:
        raise ConfigError("data.dataset is empty: give the path of a dataset (--dataset PATH).")
    if config.model.name not in v.MODEL_PRODUCTS:
        raise ConfigError(
            f"model {config.model.name!r} is not known. {did_you_mean(config.model.name, v.MODEL_PRODUCTS)}"
        )
    path = Path(config.data.dataset).resolve()
    ds = open_dataset(path)
    _try_folds(ds, folds_of(ds, config), config)
    return Run.create(root, config, provenance_of(config, path, ds))


def _try_folds(ds: xr.Dataset, folds: list[Fold], config: ExperimentConfig) -> None:
    """Find what cannot be trained before a directory is made for it; the scaling, which takes longer, by one fold."""
    fit_scaler(ds, folds[0], config.data)
    share = config.training.validation_share
    if share and config.model.name not in BASELINES:
        for fold in folds:
            split_validation_sites(ds, fold, targets_of(ds, config), share, config.training.seed)


def execute(
    run: Run, *, listen: Listener | None = None, cancelled: Callable[[], bool] = lambda: False
) -> Run:
    """Carry a run to its end; folds that are done are kept, a started one goes on from its checkpoint.

    Parameters
    ----------
    run
        New, killed, cancelled or failed.
    listen
        Called with every event.
    cancelled
        Asked often; when true the work stops and the run says so.

    Raises
    ------
    CancelledError
        If cancelled.
    GSM3Error
        If it fails; the event ``run_failed`` holds the message.
    """

    def tell(event: str, **fields: Any) -> None:
        line = run.append_event(event, **fields)
        if listen:
            listen(line)

    started = time.monotonic()
    try:
        ds = open_dataset(run.dataset_path)
        refuse_changed_dataset(run)
        folds = folds_of(ds, run.config)
        tell("run_started", folds=[f.name for f in folds], device=run.config.training.device)
        _carry_out(run, ds, folds, tell, cancelled)
        run.write_predictions(gather(run, ds, folds))
        medians = score(run, ds)
        tell("run_finished", seconds=round(time.monotonic() - started, 1), medians=medians)
    except (CancelledError, KeyboardInterrupt):
        tell("run_cancelled")
        raise
    except Exception as error:
        tell(
            "run_failed",
            message=str(error) if isinstance(error, GSM3Error) else f"{type(error).__name__}: {error}",
        )
        raise
    return run


def _carry_out(
    run: Run, ds: xr.Dataset, folds: list[Fold], tell: Callable[..., None], cancelled: Callable[[], bool]
) -> None:
    """Do the folds that are not done: here, one after the other, or in processes where there are several places."""
    places = device_slots(run.config, len(folds))
    done = [fold.name for fold in folds if run.fold(fold.name).done]
    overview = RunProgress([fold.name for fold in folds], done, len(places))

    left = [fold for fold in folds if fold.name not in done]

    def tell_of_fold(event: str, **fields: Any) -> None:
        tell(event, **overview.seen_from_run(event, fields))

    if len(places) > 1:
        run_folds_at_once(run, [f.name for f in left], places, tell_of_fold, cancelled)
        return
    for fold in left:
        fold_runner(run.config)(run, ds, fold, tell_of_fold, cancelled, places[0])


def fold_runner(config: ExperimentConfig) -> Callable[..., None]:
    """Return what carries out one fold: of the network, or of a comparison model."""
    if config.model.name in BASELINES:
        from gsm3core.experiment.baseline_fold import run_fold as compare

        return compare
    from gsm3core.experiment.lstm_fold import run_fold as fit

    return fit
