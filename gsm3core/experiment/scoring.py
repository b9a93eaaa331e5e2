"""Predictions of all folds in one dataset, and the scores of the run and of every product."""

from __future__ import annotations

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.baselines import BASELINES, CLIMATOLOGY
from gsm3core.config import ExperimentConfig
from gsm3core.evaluation.scoring import score_on_test_days
from gsm3core.evaluation.training_scores import training_scores
from gsm3core.experiment.folds import targets_of
from gsm3core.holdouts.base import Fold
from gsm3core.run import Run
from gsm3core.scaling import spin_up_days, spin_up_note
from gsm3core.schema import target_names

_LONG_NAMES = {
    v.SM_PREDICTED: "predicted soil moisture",
    v.SM_PREDICTED_STD: "standard deviation of the predicted soil moisture",
}


def merge_predictions(run: Run, ds: xr.Dataset, folds: list[Fold]) -> xr.Dataset:
    """Merge the predictions of all folds: each site predicted by the fold that tests it."""
    shape = (ds.sizes[v.SITE], ds.sizes[v.TIME])
    series: dict[str, np.ndarray] = {}
    comments: dict[str, str] = {}
    in_test = np.zeros(shape, bool)
    fold_of_site = np.full(shape[0], "", dtype="<U32")
    for fold in folds:
        with xr.open_dataset(run.fold(fold.name).predictions, engine="h5netcdf") as part:
            for name in part.data_vars:
                values_ST = series.setdefault(str(name), np.full(shape, np.nan, np.float32))
                values_ST[fold.test_sites] = part[name].values
                comments[str(name)] = part[name].attrs.get("comment", "")
        in_test |= fold.test_sites[:, None] & fold.test_days
        fold_of_site[fold.test_sites] = fold.name
    dims = (v.SITE, v.TIME)
    variables: dict[str, tuple] = {}
    for name, values in series.items():
        attrs = {"units": v.SM_UNITS, "long_name": _LONG_NAMES[name]}
        attrs |= {"comment": comments[name]} if comments[name] else {}
        variables[name] = (dims, values, attrs)
    variables[v.IN_TEST] = (dims, in_test, {"long_name": "true on test days"})
    return xr.Dataset(
        variables,
        coords={v.SITE: ds[v.SITE], v.TIME: ds[v.TIME], v.FOLD: (v.SITE, fold_of_site)},
        attrs={
            "run": run.id,
            "simulated": ds.attrs.get("simulated", "false"),
            "model": run.config.model.name,
            "spin_up": " ".join(spin_up_notes(ds, folds, run.config)),
        },
    )


def spin_up_notes(ds: xr.Dataset, folds: list[Fold], config: ExperimentConfig) -> list[str]:
    """Return the note on the spin-up of an experiment; none for the climatology, which has no state."""
    if config.model.name == CLIMATOLOGY:
        return []
    if config.model.name in BASELINES:
        # Only networks run their first days twice.
        config = config.replace("training", spin_up_days=spin_up_days(config.training))
    return [spin_up_note(ds, folds, config)]


def score(
    run: Run, ds: xr.Dataset, predictions: xr.Dataset, training: xr.Dataset | None = None
) -> dict[str, dict[str, float]]:
    """Score the run and every product on the run's test days, and the run on its training days; return the run's medians.

    Parameters
    ----------
    predictions
        As :func:`merge_predictions` returns them.
    training
        As :func:`gsm3core.experiment.training_predictions.merge_training_predictions` returns them; stored apart from the
        scores on test days, and not part of the medians.
    """
    model = v.MODEL_PRODUCTS[run.config.model.name]
    medians = {}
    for reference in target_names(ds):
        scores = score_on_test_days(
            ds,
            reference,
            {model: predictions},
            min_days=run.config.scores.min_days,
            confidence=run.config.scores.confidence,
        )
        scores.attrs |= {"reference": reference, "run": run.id}
        run.write_scores(reference, scores)
        if training is not None and reference in targets_of(ds, run.config):
            fit = training_scores(
                run, ds, reference, predictions=training, min_days=run.config.scores.min_days,
                confidence=run.config.scores.confidence,
            )  # fmt: skip
            run.write_scores(reference, fit.assign_attrs(reference=reference, run=run.id), training=True)
        model_scores = scores.sel({v.PRODUCT: model})
        medians[reference] = {
            n: round(float(model_scores[n].median()), 4) for n in ("R", "RMSE", "ubRMSE", "bias")
        }
        medians[reference]["sites"] = int(model_scores["R"].notnull().sum())
    return medians
