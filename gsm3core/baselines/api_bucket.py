"""A bucket that rain fills and time empties: two parameters between precipitation and soil moisture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.baselines.features import PRECIPITATION
from gsm3core.baselines.training_record import Floats, as_prediction, inputs, training_record
from gsm3core.config import ExperimentConfig
from gsm3core.errors import CancelledError, ConfigError
from gsm3core.holdouts.base import Fold

# A site is fitted by itself from this many training days on: four numbers need more than a handful.
FEWEST_DAYS = 60
_HALF_LIVES = np.geomspace(0.5, 180, 40)
_STORAGES = np.array([3.0, 6.0, 12.0, 25.0, 50.0, 100.0, 200.0, 400.0, np.inf])
_REFINEMENTS = 12


@dataclass(frozen=True, slots=True)
class Bucket:
    """Parameters of one bucket, or of one per site.

    Parameters
    ----------
    keeps
        ``k``: the share of its water that the bucket keeps from one day to the next.
    storage
        ``c``, mm: how much fills it; infinite for a bucket that never saturates.
    dry, gain
        Soil moisture of the empty bucket, and what a full one adds (of an infinite one: what a millimetre adds).
    error
        Root mean square error over the training days, m3 m-3.
    """

    keeps: Floats
    storage: Floats
    dry: Floats
    gain: Floats
    error: Floats

    def at(self, sites: NDArray[np.intp]) -> Bucket:
        """Return the buckets of some sites."""
        return Bucket(*(getattr(self, name)[sites] for name in self.__slots__))

    def soil_moisture(self, rain_ST: Floats, usual: float) -> Floats:
        """Return the bucket's soil moisture ``(site, time)``, m3 m-3, for rain without gaps, mm d-1."""
        saturated = saturation(antecedent(rain_ST, self.keeps, usual), self.storage)
        return self.dry[:, None] + self.gain[:, None] * saturated


def predict_bucket(
    ds: xr.Dataset,
    fold: Fold,
    config: ExperimentConfig,
    tell: Callable[..., None],
    cancelled: Callable[[], bool],
) -> xr.DataArray:
    """Fit a bucket to a fold's training part and run it over its test sites.

    Parameters
    ----------
    ds, fold, config, tell, cancelled
        As for :func:`gsm3core.baselines.predict_fold`.

    Raises
    ------
    ConfigError
        If precipitation is not among the inputs.

    Notes
    -----
    ``API_t = k API_{t-1} + P_t``, saturation ``w = 1 - exp(-API / c)`` (``API`` itself for infinite c), soil moisture
    linear in ``w``: dry end and gain are least squares. The index is that of Kohler and Linsley (1951, U.S. Weather
    Bureau Research Paper 34); the saturating form keeps a saturated spell from adding water for ever, as the filling of
    pores does. A site with :data:`FEWEST_DAYS` training days of its own (temporal holdouts) has its own bucket, all
    others share the one that fits all training sites best. A missing day's rain, and that of the days before the
    record, is the training mean: a gap is no drought.
    """
    forcings, _ = inputs(ds, config)
    if PRECIPITATION not in forcings:
        raise ConfigError(
            f"model api_bucket needs {PRECIPITATION!r} among the forcings; it has {', '.join(forcings)}."
        )
    taught = training_record(ds, fold, config)
    rain = ds[PRECIPITATION].transpose(v.SITE, v.TIME).values.astype(float)
    usual = _training_mean(rain, fold)
    rain = np.where(np.isfinite(rain), rain, usual)

    own = taught.of_site()
    test = np.flatnonzero(fold.test_sites)
    alone = np.isfinite(own[test]).sum(axis=1) >= FEWEST_DAYS
    values_ST = np.empty((len(test), rain.shape[1]))
    if alone.any():
        mine = fit_bucket(rain[test[alone]], own[test[alone]], usual, shared=False, cancelled=cancelled)
        values_ST[alone] = mine.soil_moisture(rain[test[alone]], usual)
    if not alone.all():
        target = taught.streams[taught.reference]
        teaches = np.isfinite(target).any(axis=1)
        one = fit_bucket(rain[teaches], target[teaches], usual, shared=True, cancelled=cancelled)
        others = one.at(np.zeros(int((~alone).sum()), np.intp))
        values_ST[~alone] = others.soil_moisture(rain[test[~alone]], usual)
    tell("progress", fold=fold.name, done=1.0)
    return as_prediction(values_ST, ds, fold, forcings)


def fit_bucket(
    rain_ST: Floats,
    target_ST: Floats,
    usual: float,
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
        ``(site, time)`` m3 m-3; NaN does not count.
    usual
        Rain of every day before the first, mm d-1.
    shared
        One for all sites (a bucket of one site is returned), or one each.
    cancelled
        Asked before each pass.

    Notes
    -----
    A grid of 40 half-lives from 0.5 to 180 days by nine storages (dry end and gain follow from moments), then twelve
    rounds of three by three about the best so far, each with half the logarithmic step. All sites at once.
    """
    number = len(rain_ST)
    groups = 1 if shared else number
    unknown = np.full(groups, np.nan)
    best = Bucket(unknown, unknown, unknown, unknown, error=np.full(groups, np.inf))

    def consider(keeps: Floats, storages: list[Floats]) -> None:
        nonlocal best
        if cancelled():
            raise CancelledError("Cancelled while a bucket was being fitted; nothing of this fold is kept.")
        api = antecedent(rain_ST, np.broadcast_to(keeps, number), usual)
        for storage in storages:
            saturated = saturation(api, np.broadcast_to(storage, number))
            dry, gain, error = _line(saturated, target_ST, shared)
            found = Bucket(np.broadcast_to(keeps, groups), np.broadcast_to(storage, groups), dry, gain, error)
            better = error < best.error
            best = Bucket(*(np.where(better, getattr(found, n), getattr(best, n)) for n in Bucket.__slots__))

    for half_life in _HALF_LIVES:
        consider(np.array([0.5 ** (1 / half_life)]), [np.array([c]) for c in _STORAGES])
    step_half_life, step_storage = _HALF_LIVES[1] / _HALF_LIVES[0], 2.0
    for _ in range(_REFINEMENTS):
        step_half_life, step_storage = np.sqrt(step_half_life), np.sqrt(step_storage)
        half_life = np.log(0.5) / np.log(best.keeps)
        storages = [best.storage * f for f in (1 / step_storage, 1.0, step_storage)]
        for factor in (1 / step_half_life, 1.0, step_half_life):
            consider(0.5 ** (1 / (half_life * factor)), storages)
    return best


def antecedent(rain_ST: Floats, keeps: Floats, usual: float) -> Floats:
    """Return ``API_t = k API_{t-1} + P_t`` for every site's own k, mm.

    Parameters
    ----------
    rain_ST
        ``(site, time)`` mm d-1, without gaps.
    keeps
        ``(site)``, below 1.
    usual
        Rain of every day before the first: the index starts where that would have brought it.
    """
    api = np.empty_like(rain_ST.T, order="C")
    level = usual / (1 - keeps)
    for t, rain in enumerate(rain_ST.T):
        level = keeps * level + rain
        api[t] = level
    return api.T


def saturation(api_ST: Floats, storage: Floats) -> Floats:
    """Return ``1 - exp(-API / c)``, or the index itself where c is infinite."""
    full = storage[:, None]
    if np.isinf(full).all():
        return api_ST
    return np.where(np.isinf(full), api_ST, -np.expm1(-api_ST / full))


def _line(wet_ST: Floats, target_ST: Floats, shared: bool) -> tuple[Floats, Floats, Floats]:
    """Least squares of soil moisture on saturation: dry end, gain, and the root mean square error left."""
    known = np.isfinite(target_ST)
    axes = (0, 1) if shared else (1,)
    n = np.atleast_1d(known.sum(axes))
    x, y = np.where(known, wet_ST, 0.0), np.where(known, target_ST, 0.0)
    mean_x, mean_y = (np.atleast_1d(a.sum(axes)) / n for a in (x, y))
    dx = np.where(known, wet_ST - mean_x[:, None], 0.0)
    dy = np.where(known, target_ST - mean_y[:, None], 0.0)
    xx, xy, yy = (np.atleast_1d((a * b).sum(axes)) for a, b in ((dx, dx), (dx, dy), (dy, dy)))
    # More rain, drier soil would be no bucket: such a site has its mean.
    gain = np.where(xx > 0, np.maximum(xy, 0) / np.where(xx > 0, xx, 1.0), 0.0)
    error = np.sqrt(np.maximum(yy - 2 * gain * xy + gain**2 * xx, 0) / n)
    return mean_y - gain * mean_x, gain, error


def _training_mean(rain_ST: Floats, fold: Fold) -> float:
    training = rain_ST[np.ix_(fold.train_sites, fold.train_days)]
    known = training[np.isfinite(training)]
    return float(known.mean()) if known.size else 0.0
