"""Spin-up: forcings before each site's record, from its first year, repeated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig, TrainingConfig
from gsm3core.holdouts.base import Fold
from gsm3core.scaling.inputs import input_names, record_span

_YEAR = 365


def spin_up_days(training: TrainingConfig) -> int:
    """Return the days of :func:`with_spin_up`; 0 also for runs stored before ``spin_up_days`` existed."""
    return 0 if training.spin_up_days == "warmup" else training.spin_up_days


def with_spin_up(ds: xr.Dataset, forcings: Sequence[str], days: int) -> xr.Dataset:
    """Return forcings with each site's record preceded by ``days`` days, its first year repeated.

    Parameters
    ----------
    ds
        With the whole time axis.
    forcings
        Names of the daily inputs; other daily variables are left out, above all soil moisture.
    days
        Days before the first day of a record; 0 adds none.

    Returns
    -------
    xarray.Dataset
        The forcings and all static variables. The time axis begins earlier where a record would otherwise lack a day
        before it; the dataset's own days are its last ones.

    Notes
    -----
    A land-surface model is spun up by looping through a single year (Rodell et al. 2005, doi:10.1175/JHM414.1); its
    soil moisture stops drifting after about one year (Cosgrove et al. 2003, doi:10.1029/2002JD003316). The season
    continues over the seam. Where the first year is unusual, the state keeps its anomaly for a while. A record of less
    than a year is repeated whole, and the season does not fit there.
    """
    forcings = list(forcings)
    span_ST = record_span(ds, forcings)
    first_S, length_S = np.argmax(span_ST, axis=1), span_ST.sum(axis=1)
    recorded = np.flatnonzero(length_S)
    lead = max(0, days - int(first_S[recorded].min())) if len(recorded) else 0
    extended = ds.drop_dims(v.TIME).assign_coords({v.TIME: _extended_days(ds[v.TIME].values, lead)})
    before_D = np.arange(-days, 0)
    target_SD = first_S[recorded, None] + before_D + lead
    source_SD = first_S[recorded, None] + before_D % np.minimum(length_S[recorded], _YEAR)[:, None]
    for name in forcings:
        values_ST = ds[name].transpose(v.SITE, v.TIME).values
        values_ST = values_ST if values_ST.dtype.kind == "f" else values_ST.astype(float)
        longer_ST = np.pad(values_ST, ((0, 0), (lead, 0)), constant_values=np.nan)
        longer_ST[recorded[:, None], target_SD] = values_ST[recorded[:, None], source_SD]
        extended[name] = ((v.SITE, v.TIME), longer_ST, ds[name].attrs)
    return extended


def spin_up_note(ds: xr.Dataset, folds: Sequence[Fold], config: ExperimentConfig) -> str:
    """Return a sentence on what precedes the test days of an experiment: its spin-up, or a cold start.

    Parameters
    ----------
    folds
        All folds; counts are over their test sites.
    config
        ``data.forcings`` defines each site's record.
    """
    span_ST = record_span(ds, input_names(ds, config.data)[0])
    sites, short = 0, 0
    days = spin_up_days(config.training) or _YEAR
    for fold in folds:
        tested_ST = span_ST[fold.test_sites] & fold.test_days
        known_S = tested_ST.any(axis=1)
        before_S = np.argmax(tested_ST, axis=1) - np.argmax(span_ST[fold.test_sites], axis=1)
        sites += int(known_S.sum())
        short += int((known_S & (before_S < days)).sum())
    begins = (
        f"at {short} of {sites} test sites the record of forcings begins less than {days} days before the test days"
        if short
        else f"the record of forcings begins at least {days} days before the test days at all {sites} test sites"
    )
    if config.training.spin_up_days == "warmup" and config.training.warmup:
        return f"Spin-up: the first {config.training.warmup} days of each record run twice; {begins}."
    if not spin_up_days(config.training):
        return f"No spin-up: a cold start on the first day of each record; {begins}."
    if not short:
        return f"Spin-up: at least {days} days of forcings before the test days at all {sites} test sites."
    return f"Spin-up: {days} days of forcings before the test days; {begins}, and its first year is repeated."


def spin_up_text(training: TrainingConfig) -> str:
    """Return what precedes each record in a prediction, without regard to test days."""
    if training.spin_up_days == "warmup" and training.warmup:
        return f"the first {training.warmup} days of each record run twice"
    days = spin_up_days(training)
    return f"{days} days of each record's first year, repeated" if days else "none: a cold start"


def _extended_days(days_T: NDArray[np.datetime64], lead: int) -> NDArray[np.datetime64]:
    one = np.timedelta64(1, "D")
    return np.concatenate([days_T[0] - one * np.arange(lead, 0, -1), days_T])
