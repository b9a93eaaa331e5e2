"""All folds together: predictions of the whole dataset, and their scores beside every product's."""

from __future__ import annotations

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.evaluation.test_days import tested_series
from gsm3core.holdouts.base import Fold
from gsm3core.run import Run
from gsm3core.schema import target_names

_LONG_NAMES = {
    v.SM_PREDICTED: "predicted soil moisture",
    v.SM_PREDICTED_STD: "standard deviation of the predicted soil moisture",
}


def gather(run: Run, ds: xr.Dataset, folds: list[Fold]) -> xr.Dataset:
    """Put the folds together: each site predicted by the fold that tests it."""
    shape = (ds.sizes[v.SITE], ds.sizes[v.TIME])
    series: dict[str, np.ndarray] = {}
    comments: dict[str, str] = {}
    in_test = np.zeros(shape, bool)
    of_site = np.full(shape[0], "", dtype="<U32")
    for fold in folds:
        with xr.open_dataset(run.fold(fold.name).predictions, engine="h5netcdf") as part:
            for name in part.data_vars:
                whole = series.setdefault(str(name), np.full(shape, np.nan, np.float32))
                whole[fold.test_sites] = part[name].values
                comments[str(name)] = part[name].attrs.get("comment", "")
        in_test |= fold.test_sites[:, None] & fold.test_days
        of_site[fold.test_sites] = fold.name
    dims = (v.SITE, v.TIME)
    variables: dict[str, tuple] = {}
    for name, values in series.items():
        meaning = {"units": v.SM_UNITS, "long_name": _LONG_NAMES[name]}
        meaning |= {"comment": comments[name]} if comments[name] else {}
        variables[name] = (dims, values, meaning)
    variables[v.IN_TEST] = (dims, in_test, {"long_name": "true on the days that test"})
    return xr.Dataset(
        variables,
        coords={v.SITE: ds[v.SITE], v.TIME: ds[v.TIME], v.FOLD: (v.SITE, of_site)},
        attrs={
            "run": run.id,
            "simulated": ds.attrs.get("simulated", "false"),
            "model": run.config.model.name,
        },
    )


def score(run: Run, ds: xr.Dataset) -> dict[str, dict[str, float]]:
    """Score the run and every product on the run's test days, against each record; return the run's medians."""
    predictions = run.predictions()
    mine = v.MODEL_PRODUCTS[run.config.model.name]
    medians = {}
    for reference in target_names(ds):
        scores = site_scores(
            tested_series(ds, reference, {mine: predictions}),
            ds[reference].load(),
            min_days=run.config.scores.min_days,
            confidence=run.config.scores.confidence,
        )
        scores.attrs |= {"reference": reference, "run": run.id}
        run.write_scores(reference, scores)
        ours = scores.sel({v.PRODUCT: mine})
        medians[reference] = {n: round(float(ours[n].median()), 4) for n in ("R", "RMSE", "ubRMSE", "bias")}
        medians[reference]["sites"] = int(ours["R"].notnull().sum())
    return medians
