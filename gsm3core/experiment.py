"""One configuration to one Run: every fold trained, predicted and scored, resumable at any point."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.errors import CancelledError, ConfigError, GSM3Error
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.geography.grids import cell_of
from gsm3core.holdouts import make_holdout
from gsm3core.holdouts.base import Fold, Sites
from gsm3core.run import Run
from gsm3core.scaling import fit_scaler, missing_inputs
from gsm3core.schema import fingerprint, open_dataset, products, target_names, write_whole

Listener = Callable[[dict[str, Any]], None]
_VERSIONS = ("gsm3", "torch", "numpy", "xarray", "pandas")


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


def prepare_process() -> None:
    """Set what torch reads from the environment once, before it is loaded; for a command's own process.

    Notes
    -----
    Threads that wait actively for each other stall as soon as anything else wants a core: measured on two shared
    cores, one training step took 5 to 10 s with the default and 0.3 s with a passive wait. Huge pages save the page
    faults of the large, short-lived activations. What the user has set is left alone.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


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
    path = Path(config.data.dataset).resolve()
    ds = open_dataset(path)
    folds = _folds(ds, config)
    fit_scaler(ds, folds[0], config.data)
    provenance = {
        "created": pd.Timestamp.now("UTC").isoformat(timespec="seconds"),
        "dataset_path": str(path),
        "dataset_sha256": fingerprint(path),
        "dataset_title": ds.attrs.get("title", ""),
        "simulated": ds.attrs.get("simulated", "false"),
        "seed": config.training.seed,
        "device": config.training.device,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in _VERSIONS},
    }
    return Run.create(root, config, provenance)


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
        _refuse_changed_dataset(run)
        folds = _folds(ds, run.config)
        tell("run_started", folds=[f.name for f in folds], device=run.config.training.device)
        for index, fold in enumerate(folds):
            if not run.fold(fold.name).done:
                _run_fold(run, ds, fold, (index, len(folds)), tell, cancelled)
        run.write_predictions(_gather(run, ds, folds))
        medians = _score(run, ds)
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


def _run_fold(
    run: Run,
    ds: xr.Dataset,
    fold: Fold,
    position: tuple[int, int],
    tell: Callable[..., None],
    cancelled: Callable[[], bool],
) -> None:
    import torch

    from gsm3core.models import make_model
    from gsm3core.prediction import predict_sites
    from gsm3core.training.loop import train
    from gsm3core.windows import record_span, training_windows

    config, files = run.config, run.fold(fold.name)
    index, of = position
    device = _device(config.training.device)
    started = time.monotonic()
    scaler = fit_scaler(ds, fold, config.data)
    scaler.save(files.scaler)
    windows = training_windows(
        ds, fold, scaler, targets=_targets(ds, config),
        window=config.training.window, warmup=config.training.warmup, device=device,
    )  # fmt: skip
    tell(
        "fold_started", fold=fold.name, index=index, of=of, device=str(device),
        train_sites={n: len(s) for n, s in windows.streams.items()}, test_sites=int(fold.test_sites.sum()),
        filled=missing_inputs(ds, scaler, record_span(ds, list(scaler.forcings))),
    )  # fmt: skip

    def report(state: dict[str, Any]) -> None:
        losses, done = state.pop("losses"), state.pop("done")
        # The folds to come are taken to last as long as this one.
        left = state.pop("seconds_left")
        left += (of - index - 1) * (state["seconds"] + left)
        by_teacher = {"loss_insitu": losses.get(v.SM_INSITU), "loss_smap": losses.get(v.SM_SMAP)}
        state |= {"loss": sum(losses.values()), **by_teacher} if losses else {}
        rounded = {k: round(x, 6) if isinstance(x, float) else x for k, x in state.items()}
        where = {"fold": fold.name, "index": index, "of": of, "fraction": round((index + done) / of, 4)}
        tell("progress", **where, seconds_left=round(left, 1), **rounded)

    torch.manual_seed(config.training.seed)
    model = make_model(config.model, scaler.n_forcings, scaler.n_attributes).to(device)
    train(
        model,
        windows,
        config.training,
        target=scaler.target,
        checkpoint=files.checkpoint,
        report=report,
        cancelled=cancelled,
    )
    beside = files.model.with_suffix(".part")
    torch.save(model.state_dict(), beside)
    beside.replace(files.model)
    predicted, clipped = predict_sites(
        model, ds, scaler, fold.test_sites, warmup=config.training.warmup, device=device
    )
    write_whole(predicted.to_dataset(), files.predictions)
    tell(
        "fold_finished",
        fold=fold.name,
        index=index,
        of=of,
        seconds=round(time.monotonic() - started, 1),
        clipped=clipped,
    )


def _gather(run: Run, ds: xr.Dataset, folds: list[Fold]) -> xr.Dataset:
    """Put the folds together: each site predicted by the fold that tests it."""
    shape = (ds.sizes[v.SITE], ds.sizes[v.TIME])
    predicted, in_test = np.full(shape, np.nan, np.float32), np.zeros(shape, bool)
    of_site = np.full(shape[0], "", dtype="<U32")
    for fold in folds:
        with xr.open_dataset(run.fold(fold.name).predictions, engine="h5netcdf") as part:
            predicted[fold.test_sites] = part[v.SM_PREDICTED].values
        in_test |= fold.test_sites[:, None] & fold.test_days
        of_site[fold.test_sites] = fold.name
    return xr.Dataset(
        {
            v.SM_PREDICTED: (
                (v.SITE, v.TIME),
                predicted,
                {"units": v.SM_UNITS, "long_name": "predicted soil moisture"},
            ),
            v.IN_TEST: ((v.SITE, v.TIME), in_test, {"long_name": "true on the days that test"}),
        },
        coords={v.SITE: ds[v.SITE], v.TIME: ds[v.TIME], v.FOLD: (v.SITE, of_site)},
        attrs={
            "run": run.id,
            "simulated": ds.attrs.get("simulated", "false"),
            "model": run.config.model.name,
        },
    )


def _score(run: Run, ds: xr.Dataset) -> dict[str, dict[str, float]]:
    """Score the run and every product on the run's test days, against each record; return the run's medians."""
    predictions = run.predictions()
    in_test = predictions[v.IN_TEST]
    medians = {}
    for reference in target_names(ds):
        series = {v.MULTITASK_LSTM: predictions[v.SM_PREDICTED]} | products(ds)
        if reference == v.SM_SMAP:
            series.pop(v.SMAP, None)
        stacked = xr.concat(
            [a.reset_coords(drop=True).load() for a in series.values()],
            dim=pd.Index(list(series), name=v.PRODUCT),
            join="exact",
        )
        stacked.attrs["units"] = v.SM_UNITS
        scores = site_scores(
            stacked.where(in_test),
            ds[reference].load(),
            min_days=run.config.scores.min_days,
            confidence=run.config.scores.confidence,
        )
        scores.attrs |= {"reference": reference, "run": run.id}
        run.write_scores(reference, scores)
        ours = scores.sel({v.PRODUCT: v.MULTITASK_LSTM})
        medians[reference] = {n: round(float(ours[n].median()), 4) for n in ("R", "RMSE", "ubRMSE", "bias")}
        medians[reference]["sites"] = int(ours["R"].notnull().sum())
    return medians


def _folds(ds: xr.Dataset, config: ExperimentConfig) -> list[Fold]:
    insitu = (
        ds[v.SM_INSITU].notnull().any(v.TIME).values
        if v.SM_INSITU in ds
        else np.zeros(ds.sizes[v.SITE], bool)
    )
    sites = Sites(
        site=ds[v.SITE].values.astype(str),
        network=ds[v.NETWORK].values.astype(str) if v.NETWORK in ds.coords else np.full(ds.sizes[v.SITE], ""),
        lat=ds[v.LAT].values.astype(float),
        lon=ds[v.LON].values.astype(float),
        region=ds[v.REGION].values.astype(str),
        group=satellite_groups(ds),
        has_insitu=insitu,
        days=pd.DatetimeIndex(ds[v.TIME].values),
    )
    folds = list(make_holdout(config.holdout).folds(sites))
    only = config.holdout.only_folds
    if only is not None:
        names = [f.name for f in folds]
        if unknown := [n for n in only if n not in names]:
            raise ConfigError(
                f"holdout.only_folds names {unknown[0]!r}; this holdout has {', '.join(names)}."
            )
        folds = [f for f in folds if f.name in only]
    return folds


def satellite_groups(ds: xr.Dataset) -> np.ndarray:
    """Return one number per site, the same for sites in one satellite cell.

    The grid is the one that ``sm_smap`` names in its attribute ``grid`` (``M09`` or ``M36``); 9 km by default.
    """
    grid = str(ds[v.SM_SMAP].attrs.get("grid", "M09")) if v.SM_SMAP in ds else "M09"
    cell = cell_of(ds[v.LAT].values, ds[v.LON].values, grid)
    alone = cell < 0
    return np.where(alone, -1 - np.arange(len(cell)), cell)


def _targets(ds: xr.Dataset, config: ExperimentConfig) -> list[str]:
    return list(config.data.targets) if config.data.targets is not None else target_names(ds)


def _device(name: str) -> Any:
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(
            f"training.device is {name!r}, but this machine has no CUDA device that torch can use. Use 'auto' or 'cpu'."
        )
    return torch.device(name)


def _refuse_changed_dataset(run: Run) -> None:
    before, now = run.provenance.get("dataset_sha256"), fingerprint(run.dataset_path)
    if before and before != now:
        raise ConfigError(
            f"{run.dataset_path} has changed since run {run.id} was made; its folds would not fit together. Start a new run."
        )


def _commit() -> str:
    """Return the commit of the checkout that runs, or an empty text in an installed copy."""
    here = Path(__file__).resolve().parent
    if not (here.parent / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
