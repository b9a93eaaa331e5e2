"""A dataset's inputs as arrays: daily forcings, what fills their gaps, and each site's own record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.schema import attribute_names, forcing_names, target_names

PRECIPITATION = "precipitation"


def record_span(ds: xr.Dataset, forcings: Iterable[str]) -> NDArray[np.bool_]:
    """Return each site's own record ``(site, time)``: from its first to its last day with any forcing.

    Joined datasets have sites with different periods on one time axis; a model neither trains nor predicts
    where a site has no forcings at all.
    """
    known = np.zeros((ds.sizes[v.SITE], ds.sizes[v.TIME]), bool)
    for name in forcings:
        known |= np.isfinite(ds[name].transpose(v.SITE, v.TIME).values)
    after_first = np.maximum.accumulate(known, axis=1)
    before_last = np.maximum.accumulate(known[:, ::-1], axis=1)[:, ::-1]
    return after_first & before_last


def forcing(ds: xr.Dataset, name: str, *, transform: bool, fill: str) -> NDArray[np.float64]:
    """Return one forcing ``(site, time)``, before it is scaled.

    Parameters
    ----------
    ds, name
        The dataset and its variable.
    transform, fill
        ``data.transform_precipitation`` and ``data.fill_forcing`` of the configuration.
    """
    array = ds[name].transpose(v.SITE, v.TIME).astype(np.float64)
    if fill == "interpolate":
        array = array.interpolate_na(v.TIME, max_gap=np.timedelta64(8, "D"))
    values: NDArray[np.float64] = array.values
    return even_rain(values) if name == PRECIPITATION and transform else values


def even_rain(rain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log10(sqrt(x) + 0.1): many small and few large amounts become one even spread."""
    return np.log10(np.sqrt(np.maximum(rain, 0)) + 0.1)


def require(ds: xr.Dataset, names: Any, what: str) -> None:
    """Raise unless the dataset has all of these as ``forcing``, ``attribute`` or ``target``."""
    has = {"forcing": forcing_names, "attribute": attribute_names, "target": target_names}[what](ds)
    for name in names:
        # By what it is, not only by its name: soil moisture is no forcing, and nothing else is a target.
        if name not in has:
            there = f"It has: {', '.join(has) or 'none'}."
            if name in ds:
                raise DatasetError(f"{name!r} is no {what} of the dataset. {there}")
            raise DatasetError(f"{what} {name!r} is not in the dataset. {did_you_mean(name, has)} {there}")
