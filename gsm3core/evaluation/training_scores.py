"""Scores of a run on its training days: a product of its own, never part of its test scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.evaluation.reference_scaling import NO_SCALING
from gsm3core.evaluation.scoring import at_sites, dataset_of, require_days, score_on_test_days
from gsm3core.evaluation.test_days import training_product, without_products
from gsm3core.metrics import METRICS, PAIRED_METRICS
from gsm3core.run import Run

_NOT_TRAINED = "not a training site of this run"


def has_training_scores(run: Run, reference: str) -> bool:
    """Return whether a run has predictions on its training days, and was trained on the reference."""
    return run.has_training_predictions and reference in (run.config.data.targets or v.TARGETS)


def score_training(
    run: Run,
    *,
    dataset: xr.Dataset | None = None,
    reference: str | None = None,
    season: str | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    min_days: int | None = None,
    **options: Any,
) -> xr.Dataset | None:
    """Return the scores of a run on its training days at each training site.

    Stored scores are read; others are computed, in the same way as those on test days.

    Parameters
    ----------
    run
        Each training site is scored with one fold that trained on it.
    dataset, reference, season, metrics, min_days
        As for :func:`gsm3core.score_run`; metrics of triple collocation are left out.
    **options
        Further options of :func:`gsm3core.evaluation.scoring.score_on_test_days`.

    Returns
    -------
    xarray.Dataset
        ``(product, site)`` with the one product :func:`gsm3core.evaluation.test_days.training_product`. ``None`` if the
        run stored no training predictions, or was not trained on the reference.

    Raises
    ------
    DatasetError
        If the dataset cannot be read, or a metric or season is unknown.
    """
    reference = reference or next(iter(run.references()), v.SM_INSITU)
    if not has_training_scores(run, reference):
        return None
    wanted = [m for m in metrics if m in PAIRED_METRICS] or list(METRICS)
    other_days = season is not None or any(x for n, x in options.items() if (n, x) != ("scaling", NO_SCALING))
    found = None if other_days else run.training_scores(reference)
    missing = [m for m in wanted if found is None or m not in found]
    if missing:
        dataset = dataset_of(run) if dataset is None else dataset
        more = training_scores(
            run, dataset, reference, season=season, metrics=missing, min_days=run.config.scores.min_days,
            confidence=run.config.scores.confidence, intervals="none" if found else "R" if season else "all", **options,
        )  # fmt: skip
        found = more if found is None else at_sites(found, dataset).assign(
            {m: (more[m].dims, more[m].values, more[m].attrs) for m in missing}
        )  # fmt: skip
    assert found is not None
    return require_days(found if dataset is None else at_sites(found, dataset), min_days or 0)


def training_scores(
    run: Run, dataset: xr.Dataset, reference: str, *, predictions: xr.Dataset | None = None, **options: Any
) -> xr.Dataset:
    """Compute the scores of a run on its training days, ``(product, site)`` with one product.

    Parameters
    ----------
    run, dataset, reference, predictions
        As for :func:`gsm3core.evaluation.test_days.training_series`.
    **options
        Of :func:`gsm3core.evaluation.scoring.score_on_test_days`.
    """
    made = run.training_predictions() if predictions is None else predictions
    fit = {training_product(run): made.rename({v.IN_TRAIN: v.IN_TEST})}
    return score_on_test_days(without_products(dataset, reference), reference, fit, **options)


def append_training_scores(scores: xr.Dataset, training: xr.Dataset | None) -> xr.Dataset:
    """Return scores on test days with the training scores as the last product; what these lack is NaN.

    Parameters
    ----------
    scores
        From :func:`gsm3core.score_run`.
    training
        From :func:`score_training`.
    """
    if training is None:
        return scores
    of_sites = training.assign_coords({v.SITE: training[v.SITE].values.astype(str)})
    fit = of_sites.reset_coords(drop=True).reindex({v.SITE: scores[v.SITE].values.astype(str)})
    together: dict[Any, Any] = {}
    for name, array in scores.data_vars.items():
        if v.PRODUCT not in array.dims:
            together[name] = array
            continue
        one = array.transpose(v.PRODUCT, ...)
        text = one.dtype.kind not in "biuf"
        if name in fit:
            own = fit[name].transpose(*one.dims)
            values = own.where(own.notnull(), _NOT_TRAINED).values.astype(str) if text else own.values
        else:
            values = np.full((1, *one.shape[1:]), "" if text else np.nan)
        together[name] = (
            one.dims,
            np.concatenate([one.values.astype(str) if text else one.values, values]),
            one.attrs,
        )
    coords = {n: c for n, c in scores.coords.items() if v.PRODUCT not in c.dims}
    products = [str(n) for ds in (scores, training) for n in ds[v.PRODUCT].values]
    return xr.Dataset(together, coords=coords | {v.PRODUCT: products}, attrs=scores.attrs)
