"""The daily record behind a long-term mean, so that a run can average its own training days."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.assembly.variable_spec import VariableSpec
from gsm3core.config import Period
from gsm3core.scaling.long_term_means import MONTHLY


def recorded_days(period: Period, means: Sequence[Period]) -> Period | None:
    """Return the days of a dataset that lie in the periods of its long-term means; ``None`` if none does."""
    first = max(period.start, min(m.start for m in means))
    last = min(period.end, max(m.end for m in means))
    return Period(start=first, end=last) if first <= last else None


def with_record(
    mean: xr.DataArray,
    spec: VariableSpec,
    specs: Sequence[VariableSpec],
    daily: xr.Dataset,
    days: xr.DataArray,
    *,
    monthly: bool,
) -> dict[str, xr.DataArray]:
    """Return a long-term mean that names its daily variable, and that variable if the dataset lacks it.

    Parameters
    ----------
    mean, spec
        The mean, and its specification.
    specs
        All variables of the same source.
    daily
        Values of the source in the dataset's period, ``(site, time)``.
    days
        The dataset's days.
    monthly
        Whether ``daily`` has one value per month; the record then has it on each day of the month.

    Returns
    -------
    dict
        By name. A record of its own is ``NAME_record``, with the attribute ``record_of``; it is no input of a model.
    """
    for other in specs:
        if other.role != "attribute" and other.daily_name == spec.daily_name:
            return {spec.name: mean.assign_attrs({v.MEAN_OF: other.name})}
    if spec.daily_name not in daily or spec.days is None:
        return {spec.name: mean}
    record = _on_days(daily[spec.daily_name], days, monthly)
    labels = days.values
    inside = (labels >= np.datetime64(spec.days.start)) & (labels <= np.datetime64(spec.days.end))
    record = record.where(xr.DataArray(inside, dims=v.TIME, coords={v.TIME: days})).astype(np.float32)
    kept = ("units", "source", "license", "cell_methods", "collocation", "grid")
    record.attrs = {k: x for k, x in daily[spec.daily_name].attrs.items() if k in kept} | {
        "long_name": f"record averaged for {spec.name}",
        v.RECORD_OF: spec.variable,
    }
    if monthly:
        record.attrs["time_step"] = MONTHLY
    name = f"{spec.name}_record"
    return {spec.name: mean.assign_attrs({v.MEAN_OF: name}), name: record}


def _on_days(record: xr.DataArray, days: xr.DataArray, monthly: bool) -> xr.DataArray:
    if not monthly:
        return record.reindex({v.TIME: days.values})
    months = pd.DatetimeIndex(days.values).to_period("M").to_timestamp()
    return record.reindex({v.TIME: months}).assign_coords({v.TIME: days.values})
