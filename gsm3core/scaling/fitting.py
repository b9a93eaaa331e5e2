"""Fitting of a fold's scaler on its training sites and days."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.config import DataConfig
from gsm3core.errors import TrainingError
from gsm3core.holdouts.base import Fold
from gsm3core.scaling.copied_targets import refuse_copied_forcings
from gsm3core.scaling.derived import derived_columns
from gsm3core.scaling.inputs import forcing, input_names, record_span
from gsm3core.scaling.long_term_means import AttributeChoice, fold_attributes, with_means
from gsm3core.scaling.scaler import Scaler
from gsm3core.schema import is_categorical, precipitation_names, target_names


def fit_scaler(
    ds: xr.Dataset, fold: Fold, config: DataConfig, *, chosen: AttributeChoice | None = None
) -> Scaler:
    """Fit the scaler on a fold's training sites and training days.

    Parameters
    ----------
    config
        The variables, and the treatment of precipitation and gaps.
    chosen
        Attributes of the fold, from :func:`fold_attributes`; chosen here by default. To be given where validation sites
        have been split from the fold since.

    Raises
    ------
    DatasetError
        If the configuration names variables that the dataset does not have; all are listed.
    ConfigError
        If the configuration names an attribute that the fold must not use (:func:`fold_attributes`), or a forcing has the
        values of a target (:func:`gsm3core.scaling.copied_targets.refuse_copied_forcings`).
    TrainingError
        If the training part has no soil moisture, or no value of a forcing.
    """
    forcings, _, targets = input_names(ds, config)
    refuse_copied_forcings(ds, fold, forcings, target_names(ds))
    if chosen is None:
        _, chosen = fold_attributes(ds, fold, config)
    ds = with_means(ds, chosen.means, chosen.days)
    attributes = list(chosen.names)
    train = ds[[*forcings, *attributes, *targets]].isel({v.SITE: fold.train_sites, v.TIME: fold.train_days})
    # Targets outside a site's record of forcings are not used: the network does not run there.
    span = record_span(ds, forcings)[np.ix_(fold.train_sites, fold.train_days)]
    rain = precipitation_names(ds, forcings)
    transformed = tuple(rain) if config.transform_precipitation else ()
    derived = derived_columns(ds, config.derived, forcings, transformed=transformed)
    known = {n: np.where(span, train[n].transpose(v.SITE, v.TIME).values, np.nan) for n in targets}
    return Scaler(
        forcings={
            n: _moments(forcing(train, n, transform=n in transformed, fill="mean"), n) for n in forcings
        },
        attributes={
            n: _moments(train[n].values, n, constant_if_missing=True)
            for n in attributes
            if not is_categorical(ds[n])
        },
        classes={n: _classes(train[n]) for n in attributes if is_categorical(ds[n])},
        target=_moments(np.concatenate([known[n].ravel() for n in targets]), " and ".join(targets)),
        transformed=transformed,
        precipitation=rain[0] if rain else None,
        fill_forcing=config.fill_forcing,
        targets=tuple(
            sorted((n for n in targets if np.isfinite(known[n]).any()), key=lambda n: n != v.SM_INSITU)
        ),
        flagged=_with_gaps(train, forcings, attributes) if config.flag_missing else (),
        kinds=config.derived,
        derived={n: _moments(a[np.ix_(fold.train_sites, fold.train_days)], n) for n, a in derived.items()},
        means=chosen.means,
        mean_days=chosen.days if chosen.means else ("", ""),
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
