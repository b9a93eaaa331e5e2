"""Long-term means among the attributes: averaged over a fold's training days, or left out where they are held out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.config import DataConfig
from gsm3core.errors import ConfigError, DatasetError
from gsm3core.holdouts.base import Fold, Mask
from gsm3core.scaling.copied_targets import copied_statistic, target_statistics
from gsm3core.schema import attribute_names, forcing_names, products, target_names

# Fewest values of a long-term mean, of a daily and of a monthly record.
MIN_DAYS, MIN_MONTHS = 30, 12
MONTHLY = "P1M"
_DATES = re.compile(r"(\d{4}-\d\d-\d\d) to (\d{4}-\d\d-\d\d)")

Days = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeChoice:
    """The attributes of a fold.

    Parameters
    ----------
    names
        Those used.
    means
        Attribute -> daily variable of the dataset, for those averaged over the training days.
    dropped
        Attribute -> reason, for those left out.
    days
        First and last training day.
    """

    names: tuple[str, ...]
    days: Days
    means: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """Sentences on what was changed, for the run's events."""
        found = []
        if self.means:
            found.append(
                f"Attributes averaged over the training days ({self.days[0]} to {self.days[1]}): "
                f"{', '.join(sorted(self.means))}."
            )
        if self.dropped:
            reasons = "; ".join(f"{n} ({why})" for n, why in sorted(self.dropped.items()))
            found.append(f"Attributes left out: {reasons}.")
        return found


def fold_attributes(ds: xr.Dataset, fold: Fold, data: DataConfig) -> tuple[xr.Dataset, AttributeChoice]:
    """Return the dataset with the attributes that a fold may use, and what was changed.

    Parameters
    ----------
    ds
        With the whole time axis.
    data
        ``data.attributes`` names the attributes; all by default.

    Raises
    ------
    ConfigError
        If ``data.attributes`` names an attribute that the fold must not use; all are listed.
    DatasetError
        If the days that an attribute states are no dates.

    Notes
    -----
    A long-term mean over test days holds what a test must not know. An attribute is a long-term mean if its attribute
    ``mean_of`` names the averaged variable, by its name (``mean_sm_smap``), or if its values are a statistic of a target
    at the training sites (:func:`gsm3core.scaling.copied_targets.copied_statistic`).

    - Of a target, where sites are held out: left out, because the record is predicted or scored there.
    - Of any other record of the dataset, or of a target where only days are held out: the mean over the training days,
      at every site; at least :data:`MIN_DAYS` days, or :data:`MIN_MONTHS` complete months of a monthly record.
      What an attribute says to average has precedence over a near copy of a target.
    - Without such a record: kept if the days that it states (``period_start``, ``period_end``) are no held-out test days;
      else the mean of the forcing of its name (``mean_air_temperature``) over the training days, or left out. The weather of
      a held-out place is known.
    """
    names = list(data.attributes) if data.attributes is not None else attribute_names(ds)
    known = attribute_names(ds)
    present = [n for n in names if n in known]  # a missing one is reported with the other missing inputs
    decide = _Rules(ds, fold)
    means: dict[str, str] = {}
    dropped: dict[str, str] = {}
    for name in present:
        variable, reason = decide.rule(name)
        if reason:
            dropped[name] = reason
        elif variable:
            means[name] = variable
    averaged = with_means(ds, means, decide.days)
    for name in list(means):
        if not np.isfinite(averaged[name].values[fold.train_sites]).any():
            variable = means.pop(name)
            if reason := decide.without_record(name, variable):
                dropped[name] = f"{reason}, and no training site has a mean over the training days"
            else:
                averaged[name] = ds[name]
    if dropped and data.attributes is not None:
        listed = "\n".join(f"  - {n}: {why}" for n, why in dropped.items())
        raise ConfigError(
            f"fold {fold.name}: data.attributes names attributes that the holdout must not use:\n{listed}\n"
            "Remove them from data.attributes."
        )
    used = tuple(n for n in names if n not in dropped)
    return averaged.drop_vars(list(dropped)), AttributeChoice(
        names=used, means=means, dropped=dropped, days=decide.days
    )


def with_means(ds: xr.Dataset, means: Mapping[str, str], days: Days) -> xr.Dataset:
    """Return the dataset with long-term means computed from its daily records.

    Parameters
    ----------
    means
        Attribute -> daily variable.
    days
        First and last training day. If the dataset has all of them, the mean is over these; else over all its days.

    Notes
    -----
    An attribute whose daily variable the dataset lacks stays as it is.
    """
    changed = {}
    for name, variable in means.items():
        record = stored_record(ds, name, variable)
        if record is None:
            continue
        attrs = dict(ds[name].attrs) if name in ds else {"units": str(record.attrs.get("units", "1"))}
        chosen = _mean_days(ds, days)
        labels = ds[v.TIME].values[chosen]
        attrs |= {
            v.MEAN_OF: variable,
            v.PERIOD_START: str(labels[0])[:10],
            v.PERIOD_END: str(labels[-1])[:10],
        }
        attrs.pop("averaged", None)
        changed[name] = (v.SITE, mean_over(record, chosen), attrs)
    return ds.assign(changed)


def mean_over(record: xr.DataArray, days: Mask) -> NDArray[np.float32]:
    """Return the mean of each site ``(site)`` over some days; NaN with too few.

    Parameters
    ----------
    record
        ``(site, time)``. With the attribute ``time_step`` ``P1M`` each day holds the value of its month; months of
        which some days are not chosen are left out, and each month has the same weight.
    days
        ``(time)`` mask.
    """
    values_ST = np.ascontiguousarray(record.transpose(v.SITE, v.TIME).values, dtype=np.float64)
    fewest = MIN_DAYS
    if record.attrs.get("time_step") == MONTHLY:
        month_T = record[v.TIME].values.astype("datetime64[M]")
        complete = [m for m in np.unique(month_T) if days[month_T == m].all()]
        monthly = [np.fmax.reduce(values_ST[:, month_T == m], axis=1) for m in complete]
        values_ST, fewest = np.array(monthly).reshape(len(complete), -1).T, MIN_MONTHS
    else:
        values_ST = values_ST[:, days]
    known = np.isfinite(values_ST)
    count = known.sum(axis=1)
    total = np.ascontiguousarray(np.where(known, values_ST, 0.0)).sum(axis=1)
    return np.where(count >= fewest, total / np.maximum(count, 1), np.nan).astype(np.float32)


def averaged_days(attribute: xr.DataArray) -> Days | None:
    """Return the first and last day that an attribute states to average; ``None`` if it states none.

    Raises
    ------
    DatasetError
        If it states only one of them, or one that is no date (``2015``, ``2015-04`` and ``2015-04-01`` are dates).
    """
    attrs = attribute.attrs
    stated = [str(attrs[k]) for k in (v.PERIOD_START, v.PERIOD_END) if k in attrs]
    if not stated and (found := _DATES.search(str(attrs.get("averaged", "")))):
        return found[1], found[2]
    if not stated:
        return None
    try:
        first, last = (pd.Period(day) for day in stated)
        days = str(first.start_time.date()), str(last.end_time.date())
    except ValueError as error:
        raise DatasetError(
            f"attribute {attribute.name!r} states to average the days {' to '.join(stated)}; expected both {v.PERIOD_START} and "
            f"{v.PERIOD_END}, such as 2015-04-01 and 2020-12-31. Correct its attributes."
        ) from error
    return min(days), max(days)


class _Rules:
    """The rules of :func:`fold_attributes` for one fold."""

    def __init__(self, ds: xr.Dataset, fold: Fold) -> None:
        self.ds, self.fold = ds, fold
        self.targets = target_names(ds)
        self.target_statistics = target_statistics(ds, fold, self.targets)
        self.holds_out_sites = bool((fold.test_sites & ~fold.train_sites).any())
        self.held_out_days = ds[v.TIME].values[fold.test_days & ~fold.train_days]
        trained = ds[v.TIME].values[fold.train_days]
        self.days: Days = (str(trained[0])[:10], str(trained[-1])[:10])

    def rule(self, name: str) -> tuple[str, str]:
        """Return the daily variable to average, or the reason for leaving the attribute out; both empty to keep it."""
        variable = self._variable(name)
        recorded = bool(variable) and stored_record(self.ds, name, variable) is not None
        target, statistic = self._target(variable), "mean"
        if not target and (copied := self._copied(name, near=not variable)):
            target, statistic = copied
        if target and self.holds_out_sites:
            return "", f"{statistic} of {target}, which is held out at the test sites"
        if recorded:
            return variable, ""
        if target and statistic != "mean":
            return "", f"{statistic} of {target}, which is held out on the test days"
        if target and stored_record(self.ds, name, target) is not None:
            return target, ""
        reason = self.without_record(name, variable)
        forcing = name.removeprefix("mean_")
        if reason and forcing != name and forcing in forcing_names(self.ds):
            return forcing, ""
        return "", reason

    def without_record(self, name: str, variable: str) -> str:
        """Return why an attribute cannot be kept without averaging a record; empty if it can."""
        if variable == v.SM_INSITU and self.holds_out_sites:
            return "mean of in-situ soil moisture, which a held-out site does not have"
        stated = averaged_days(self.ds[name])
        if not len(self.held_out_days) or not (stated or variable):
            return ""
        if stated and not _overlaps(self.held_out_days, stated):
            return ""
        days = (
            f"its days {stated[0]} to {stated[1]} include test days" if stated else "its days are not known"
        )
        return f"{days}, and the dataset has no daily record of it"

    def _copied(self, name: str, *, near: bool) -> tuple[str, str] | None:
        values_S = self.ds[name].values.astype(float)[self.fold.train_sites]
        return copied_statistic(values_S, self.target_statistics, near=near)

    def _variable(self, name: str) -> str:
        """Return the daily variable that an attribute averages; empty if none is known."""
        attrs = self.ds[name].attrs
        if v.MEAN_OF in attrs:
            return str(attrs[v.MEAN_OF])
        base = name.removeprefix("mean_").removesuffix("_mean")
        if base == name:
            return ""
        known = {n: n for n in (*v.TARGETS, *products(self.ds))} | {v.SMAP: v.SM_SMAP}
        return known.get(base, "")

    def _target(self, variable: str) -> str:
        """Return the target that a daily variable holds; empty if it is none."""
        if variable in self.ds and v.RECORD_OF in self.ds[variable].attrs:
            variable = str(self.ds[variable].attrs[v.RECORD_OF])
        variable = v.SM_SMAP if variable == v.SMAP else variable
        return variable if variable in self.targets else ""


def stored_record(ds: xr.Dataset, name: str, variable: str) -> xr.DataArray | None:
    """Return the daily record of a long-term mean, if the dataset has one with values."""
    own = str(ds[name].attrs.get(v.MEAN_OF, "")) if name in ds else ""
    others = products(ds)
    for candidate in dict.fromkeys(filter(None, (variable, own))):
        record = ds[candidate] if candidate in ds else others.get(candidate)
        if record is not None and v.TIME in record.dims and bool(record.notnull().any()):
            return record
    return None


def _mean_days(ds: xr.Dataset, days: Days) -> Mask:
    labels = ds[v.TIME].values
    first, last = np.datetime64(days[0]), np.datetime64(days[1])
    if labels[0] <= first and last <= labels[-1]:
        return np.asarray((labels >= first) & (labels <= last))
    return np.ones(len(labels), bool)


def _overlaps(held_out: NDArray[np.datetime64], days: Days) -> bool:
    return bool(((held_out >= np.datetime64(days[0])) & (held_out <= np.datetime64(days[1]))).any())
