"""Antecedent precipitation index (API) bucket: a two-parameter storage driven by precipitation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.baselines.training_record import Floats, to_prediction, training_record
from gsm3core.config import ExperimentConfig
from gsm3core.errors import CancelledError, ConfigError
from gsm3core.holdouts.base import Fold
from gsm3core.scaling import input_names, spin_up_days, with_spin_up
from gsm3core.schema import daily_precipitation, precipitation_names

# Fewest training days for a site's own bucket of four parameters.
FEWEST_DAYS = 60
_HALF_LIVES = np.geomspace(0.5, 180, 40)
_STORAGES = np.array([3.0, 6.0, 12.0, 25.0, 50.0, 100.0, 200.0, 400.0, np.inf])
_REFINEMENTS = 12


@dataclass(frozen=True, slots=True)
class Bucket:
    """Parameters of one bucket, or of one per site.

    Parameters
    ----------
    retention
        ``k``: the fraction of the index retained from one day to the next.
    storage
        ``c``, mm: the scale of saturation; infinite for a linear bucket.
    dry, gain
        Soil moisture of the empty bucket, and the increase to a full one (of a linear bucket: per mm), m3 m-3.
    error
        Root mean square error over the training days, m3 m-3.
    """

    retention: Floats
    storage: Floats
    dry: Floats
    gain: Floats
    error: Floats

    def at(self, sites: NDArray[np.intp]) -> Bucket:
        """Return the buckets of some sites."""
        return Bucket(*(getattr(self, name)[sites] for name in self.__slots__))

    def soil_moisture(self, rain_ST: Floats, mean_rain: float) -> Floats:
        """Return soil moisture ``(site, time)``, m3 m-3, for precipitation without gaps, mm d-1."""
        saturated = saturation(precipitation_index(rain_ST, self.retention, mean_rain), self.storage)
        return self.dry[:, None] + self.gain[:, None] * saturated


def predict_bucket(
    ds: xr.Dataset,
    fold: Fold,
    config: ExperimentConfig,
    emit: Callable[..., None],
    cancelled: Callable[[], bool],
) -> xr.DataArray:
    """Fit a bucket to a fold's training part and run it over its test sites.

    Parameters
    ----------
    ds, fold, config, emit, cancelled
        As for :func:`gsm3core.baselines.predict_fold`.

    Raises
    ------
    ConfigError
        If precipitation is not among the inputs.

    Notes
    -----
    ``API_t = k API_{t-1} + P_t``, saturation ``w = 1 - exp(-API / c)`` (``API`` itself for infinite c), soil moisture
    linear in ``w``: dry end and gain by least squares. The index is that of Kohler and Linsley (1951, U.S. Weather
    Bureau Research Paper 34); the saturating form bounds it by the pore space. A site with :data:`FEWEST_DAYS` training
    days of its own (temporal holdouts) has its own bucket; all others share the one that fits all training sites best.
    Of several precipitation forcings the first of :func:`gsm3core.schema.precipitation_names` is used. In prediction the
    index is spun up on the precipitation of each record's first year (:func:`gsm3core.scaling.with_spin_up`). Missing
    precipitation, and that before the record in training, is the training mean, so that a gap does not appear dry.
    """
    forcings, _, _ = input_names(ds, config.data)
    found = precipitation_names(ds, forcings)
    if not found:
        raise ConfigError(
            "model api_bucket needs precipitation among the forcings: one with the CF standard_name "
            f"{' or '.join(v.TOTAL_PRECIPITATION)}; data.forcings has {', '.join(forcings)}."
        )
    training = training_record(ds, fold, config)
    rain = daily_precipitation(ds, found[0])
    mean_rain = _training_mean(rain, fold)
    spun_up = daily_precipitation(with_spin_up(ds, found[:1], spin_up_days(config.training)), found[0])
    rain, spun_up = (np.where(np.isfinite(a), a, mean_rain) for a in (rain, spun_up))

    own = training.by_site()
    test = np.flatnonzero(fold.test_sites)
    has_own = np.isfinite(own[test]).sum(axis=1) >= FEWEST_DAYS
    values_ST = np.empty((len(test), spun_up.shape[1]))
    if has_own.any():
        own_buckets = fit_bucket(
            rain[test[has_own]], own[test[has_own]], mean_rain, shared=False, cancelled=cancelled
        )
        values_ST[has_own] = own_buckets.soil_moisture(spun_up[test[has_own]], mean_rain)
    if not has_own.all():
        target = training.streams[training.reference]
        has_target = np.isfinite(target).any(axis=1)
        shared_bucket = fit_bucket(
            rain[has_target], target[has_target], mean_rain, shared=True, cancelled=cancelled
        )
        repeated = shared_bucket.at(np.zeros(int((~has_own).sum()), np.intp))
        values_ST[~has_own] = repeated.soil_moisture(spun_up[test[~has_own]], mean_rain)
    emit("progress", fold=fold.name, done=1.0)
    return to_prediction(values_ST[:, -rain.shape[1] :], ds, fold, forcings)


def fit_bucket(
    rain_ST: Floats,
    target_ST: Floats,
    mean_rain: float,
    *,
    shared: bool,
    cancelled: Callable[[], bool] = lambda: False,
) -> Bucket:
    """Fit one bucket to all sites, or one to each.

    Parameters
    ----------
    rain_ST
        ``(site, time)`` mm d-1, without gaps.
    target_ST
        ``(site, time)`` m3 m-3; NaN is missing.
    mean_rain
        Precipitation of every day before the first, mm d-1.
    shared
        One bucket for all sites (an array of length 1), or one for each.
    cancelled
        Polled before each pass.

    Notes
    -----
    Grid search over 40 half-lives from 0.5 to 180 days by nine storages (dry end and gain by least squares), then twelve
    3 x 3 refinements around the best point, each with half the logarithmic step, vectorised over sites.
    """
    number = len(rain_ST)
    groups = 1 if shared else number
    unknown = np.full(groups, np.nan)
    best = Bucket(unknown, unknown, unknown, unknown, error=np.full(groups, np.inf))

    def consider(retention: Floats, storages: list[Floats]) -> None:
        nonlocal best
        if cancelled():
            raise CancelledError("Cancelled while fitting the bucket; this fold is not saved.")
        api = precipitation_index(rain_ST, np.broadcast_to(retention, number), mean_rain)
        for storage in storages:
            saturated = saturation(api, np.broadcast_to(storage, number))
            dry, gain, error = _fit_line(saturated, target_ST, shared)
            found = Bucket(
                np.broadcast_to(retention, groups), np.broadcast_to(storage, groups), dry, gain, error
            )
            better = error < best.error
            best = Bucket(*(np.where(better, getattr(found, n), getattr(best, n)) for n in Bucket.__slots__))

    for half_life in _HALF_LIVES:
        consider(np.array([0.5 ** (1 / half_life)]), [np.array([c]) for c in _STORAGES])
    step_half_life, step_storage = _HALF_LIVES[1] / _HALF_LIVES[0], 2.0
    for _ in range(_REFINEMENTS):
        step_half_life, step_storage = np.sqrt(step_half_life), np.sqrt(step_storage)
        half_life = np.log(0.5) / np.log(best.retention)
        storages = [best.storage * f for f in (1 / step_storage, 1.0, step_storage)]
        for factor in (1 / step_half_life, 1.0, step_half_life):
            consider(0.5 ** (1 / (half_life * factor)), storages)
    return best


def precipitation_index(rain_ST: Floats, retention: Floats, mean_rain: float) -> Floats:
    """Return the antecedent precipitation index ``API_t = k API_{t-1} + P_t``, mm, with one k per site.

    Parameters
    ----------
    rain_ST
        ``(site, time)`` mm d-1, without gaps.
    retention
        ``(site)``, below 1.
    mean_rain
        Precipitation before the first day, mm d-1: the index starts at its equilibrium.
    """
    api = np.empty_like(rain_ST.T, order="C")
    level = mean_rain / (1 - retention)
    for t, rain in enumerate(rain_ST.T):
        level = retention * level + rain
        api[t] = level
    return api.T


def saturation(api_ST: Floats, storage: Floats) -> Floats:
    """Return the saturation ``1 - exp(-API / c)``, or the index itself where c is infinite."""
    full = storage[:, None]
    if np.isinf(full).all():
        return api_ST
    return np.where(np.isinf(full), api_ST, -np.expm1(-api_ST / full))


def _fit_line(saturation_ST: Floats, target_ST: Floats, shared: bool) -> tuple[Floats, Floats, Floats]:
    """Return dry end, gain and RMSE of the least-squares fit of soil moisture on saturation."""
    known = np.isfinite(target_ST)
    axes = (0, 1) if shared else (1,)
    n = np.atleast_1d(known.sum(axes))
    x, y = np.where(known, saturation_ST, 0.0), np.where(known, target_ST, 0.0)
    mean_x, mean_y = (np.atleast_1d(a.sum(axes)) / n for a in (x, y))
    dx = np.where(known, saturation_ST - mean_x[:, None], 0.0)
    dy = np.where(known, target_ST - mean_y[:, None], 0.0)
    xx, xy, yy = (np.atleast_1d((a * b).sum(axes)) for a, b in ((dx, dx), (dx, dy), (dy, dy)))
    # A negative gain is not physical: such a site gets its mean.
    gain = np.where(xx > 0, np.maximum(xy, 0) / np.where(xx > 0, xx, 1.0), 0.0)
    error = np.sqrt(np.maximum(yy - 2 * gain * xy + gain**2 * xx, 0) / n)
    return mean_y - gain * mean_x, gain, error


def _training_mean(rain_ST: Floats, fold: Fold) -> float:
    training = rain_ST[np.ix_(fold.train_sites, fold.train_days)]
    known = training[np.isfinite(training)]
    return float(known.mean()) if known.size else 0.0
