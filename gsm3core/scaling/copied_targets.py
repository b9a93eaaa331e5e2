"""Attributes and forcings whose values are those of a training target, whatever their names."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import rankdata

from gsm3core import vocabulary as v
from gsm3core.errors import ConfigError
from gsm3core.holdouts.base import Fold

# A correlation that only a copy in other units has; fewer sites are compared value by value.
_CORRELATION, _FEWEST_CORRELATED, _FEWEST = 0.9999, 6, 3
_TOLERANCE = 1e-3
# A rank correlation that only a copy has: rounded, noisy, a logarithm, a median. On 330 real SMAP cells the highest of a
# natural attribute is 0.85. Below the second bound the correlation is not ranked.
_RANK_CORRELATION, _FEWEST_RANKED, _WORTH_RANKING = 0.97, 20, 0.5
# Median over sites of the correlation in time that only a copy has, also of anomalies or of a neighbouring day.
_DAILY_CORRELATION, _DAILY_SITES, _FEWEST_DAYS, _SHIFTS = 0.97, 100, 30, (0, -1, 1)

Floats = NDArray[np.float64]
_STATISTICS: dict[str, Callable[..., Floats]] = {
    "mean": np.nanmean, "standard deviation": np.nanstd, "minimum": np.nanmin, "maximum": np.nanmax,
}  # fmt: skip


class TargetStatistic(NamedTuple):
    """A statistic of a target at the training sites of a fold, ``(training site)`` m3 m-3."""

    target: str
    name: str
    values: Floats


def target_statistics(ds: xr.Dataset, fold: Fold, targets: Sequence[str]) -> list[TargetStatistic]:
    """Return mean, standard deviation, minimum and maximum of each target over all, the training and the test days."""
    found = []
    for target in targets:
        values_ST = ds[target].transpose(v.SITE, v.TIME).values[fold.train_sites].astype(float)
        everywhere = np.ones(values_ST.shape[1], bool)
        masks = [everywhere, *(m for m in (fold.train_days, fold.test_days) if m.any() and not m.all())]
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)  # sites without values
            for days in masks:
                chosen_ST = values_ST[:, days]
                found += [TargetStatistic(target, n, f(chosen_ST, axis=1)) for n, f in _STATISTICS.items()]
    return found


def copied_statistic(
    attribute: Floats, statistics: Iterable[TargetStatistic], *, near: bool = True
) -> tuple[str, str] | None:
    """Return the target and the statistic that an attribute copies; ``None`` if it copies none.

    Parameters
    ----------
    attribute
        ``(training site)`` values.
    statistics
        From :func:`target_statistics`.
    near
        Whether a near copy counts.

    Notes
    -----
    Equal to 0.001 m3 m-3; or, at six or more sites, correlated by 0.9999 (``mean in other units``); or, at twenty or more,
    with a rank correlation of 0.97 (``near copy of the mean``: rounded, noisy, a logarithm, a median, classes). Statistics
    over few days, or mixed with another quantity, are not recognised.
    """
    nearest: tuple[float, str, str] = (0.0, "", "")
    for target, name, values in statistics:
        both = np.isfinite(attribute) & np.isfinite(values)
        a, b = attribute[both], values[both]
        if len(a) < _FEWEST or np.ptp(a) == 0 or np.ptp(b) == 0:
            continue
        if np.abs(a - b).max() <= _TOLERANCE:
            return target, name
        correlation = abs(float(np.corrcoef(a, b)[0, 1]))
        if len(a) >= _FEWEST_CORRELATED and correlation >= _CORRELATION:
            return target, f"{name} in other units"
        if near and len(a) >= _FEWEST_RANKED and correlation >= _WORTH_RANKING:
            ranks = abs(float(np.corrcoef(rankdata(a), rankdata(b))[0, 1]))
            nearest = max(nearest, (ranks, target, f"near copy of the {name}"))
    return nearest[1:] if nearest[0] >= _RANK_CORRELATION else None


def refuse_copied_forcings(
    ds: xr.Dataset, fold: Fold, forcings: Iterable[str], targets: Iterable[str]
) -> None:
    """Raise if a forcing has the values of a target, whatever its name and units.

    Parameters
    ----------
    fold
        Read at up to 100 of its training sites, on its training days.

    Raises
    ------
    ConfigError
        If the median over sites of the correlation in time with a target is at least 0.97, on the same day or with one
        day in between. It names the forcing and the target.

    Notes
    -----
    The highest of a forcing at 330 real SMAP cells is 0.41 (precipitation). A mixture of a target with another quantity is
    not recognised.
    """
    for target in targets:
        sites = np.flatnonzero(fold.train_sites)
        values_ST = ds[target].isel({v.TIME: fold.train_days}).transpose(v.SITE, v.TIME).values
        recorded = sites[np.isfinite(values_ST[sites]).sum(axis=1) >= _FEWEST_DAYS]
        chosen = recorded[:: -(-len(recorded) // _DAILY_SITES) or 1]
        target_ST = values_ST[chosen].astype(float)
        for name in forcings:
            daily = ds[name].isel({v.SITE: chosen, v.TIME: fold.train_days})
            forcing_ST = daily.transpose(v.SITE, v.TIME).values.astype(float)
            for shift in _SHIFTS:
                found = _median_correlation(_shifted(forcing_ST, shift), target_ST)
                if found >= _DAILY_CORRELATION:
                    raise ConfigError(
                        f"forcing {name!r} has the values of {target}: their correlation in time is {found:.3f} (median of "
                        f"{len(chosen)} training sites). The soil moisture that is predicted cannot be an input. List "
                        "data.forcings without it."
                    )


def _shifted(values_ST: Floats, days: int) -> Floats:
    out = np.full_like(values_ST, np.nan)
    kept = values_ST.shape[1] - abs(days)
    out[:, max(days, 0) :][:, :kept] = values_ST[:, max(-days, 0) :][:, :kept]
    return out


def _median_correlation(a_ST: Floats, b_ST: Floats) -> float:
    """Return the median over sites of the absolute correlation in time; 0 without sites of enough days."""
    both = np.isfinite(a_ST) & np.isfinite(b_ST)
    number = both.sum(axis=1)
    both, a_ST, b_ST = (x[number >= _FEWEST_DAYS] for x in (both, a_ST, b_ST))
    number = both.sum(axis=1, keepdims=True)
    a, b = (
        np.where(both, x - np.where(both, x, 0).sum(axis=1, keepdims=True) / number, 0) for x in (a_ST, b_ST)
    )
    power = (a * a).sum(axis=1) * (b * b).sum(axis=1)
    varying = power > 0
    if not varying.any():
        return 0.0
    return float(np.median(np.abs((a * b).sum(axis=1)[varying]) / np.sqrt(power[varying])))
