"""Fitting of a fold's scaler on its training sites and days."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.config import DataConfig
from gsm3core.errors import DatasetError, TrainingError
from gsm3core.holdouts.base import Fold
from gsm3core.scaling.derived import derived_columns
from gsm3core.scaling.inputs import forcing, record_span, require_variables
from gsm3core.scaling.scaler import Scaler
from gsm3core.schema import attribute_names, forcing_names, is_categorical, target_names


def fit_scaler(ds: xr.Dataset, fold: Fold, config: DataConfig) -> Scaler:
    """Fit the scaler on a fold's training sites and training days.

    Parameters
    ----------
    config
        The variables, and the treatment of precipitation and gaps.

    Raises
    ------
    DatasetError
        If the configuration names a variable that the dataset does not have.
    TrainingError
        If the training part has no soil moisture, or no value of a forcing.
    """
    forcings = list(config.forcings) if config.forcings is not None else forcing_names(ds)
    attributes = list(config.attributes) if config.attributes is not None else attribute_names(ds)
    targets = list(config.targets) if config.targets is not None else target_names(ds)
    for names, what in ((forcings, "forcing"), (attributes, "attribute"), (targets, "target")):
        require_variables(ds, names, what)
    if not forcings:
        raise DatasetError(
            "The dataset has no forcing: expected at least one (site, time) input besides soil moisture."
        )
    train = ds[[*forcings, *attributes, *targets]].isel({v.SITE: fold.train_sites, v.TIME: fold.train_days})
    # Targets outside a site's record of forcings are not used: the network does not run there.
    span = record_span(ds, forcings)[np.ix_(fold.train_sites, fold.train_days)]
    derived = derived_columns(ds, config.derived, forcings, transform=config.transform_precipitation)
    known = {n: np.where(span, train[n].transpose(v.SITE, v.TIME).values, np.nan) for n in targets}
    return Scaler(
        forcings={
            n: _moments(forcing(train, n, transform=config.transform_precipitation, fill="mean"), n)
            for n in forcings
        },
        attributes={
            n: _moments(train[n].values, n, constant_if_missing=True)
            for n in attributes
            if not is_categorical(ds[n])
        },
        classes={n: _classes(train[n]) for n in attributes if is_categorical(ds[n])},
        target=_moments(np.concatenate([known[n].ravel() for n in targets]), " and ".join(targets)),
        transform_precipitation=config.transform_precipitation,
        fill_forcing=config.fill_forcing,
        targets=tuple(
            sorted((n for n in targets if np.isfinite(known[n]).any()), key=lambda n: n != v.SM_INSITU)
        ),
        flagged=_with_gaps(train, forcings, attributes) if config.flag_missing else (),
        kinds=config.derived,
        derived={n: _moments(a[np.ix_(fold.train_sites, fold.train_days)], n) for n, a in derived.items()},
    )


def _moments(values: NDArray[Any], name: str, *, constant_if_missing: bool = False) -> tuple[float, float]:
    known = values[np.isfinite(values)].astype(np.float64)
    if known.size == 0:
        if constant_if_missing:
            return 0.0, 1.0
        raise TrainingError(
            f"{name} has no value at the training sites on the training days. Check holdout.train and holdout.test."
        )
    std = float(known.std())
    return float(known.mean()), std if std > 1e-12 * (1 + abs(float(known.mean()))) else 1.0


def _with_gaps(train: xr.Dataset, forcings: list[str], attributes: list[str]) -> tuple[str, ...]:
    """Return the numeric inputs with gaps; days on which a site has no forcing at all do not count."""
    known = {n: train[n].transpose(v.SITE, v.TIME).notnull().values for n in forcings}
    recorded = np.logical_or.reduce(list(known.values()))
    gappy = [n for n in forcings if (recorded & ~known[n]).any()]
    numeric = [n for n in attributes if not is_categorical(train[n])]
    return (*gappy, *(n for n in numeric if train[n].isnull().any()))


def _classes(variable: xr.DataArray) -> tuple[int, ...]:
    values = variable.values.astype(float)
    return tuple(int(c) for c in np.unique(values[np.isfinite(values)]))
