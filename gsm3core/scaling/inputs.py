"""A dataset's inputs as arrays: daily forcings, gap filling, and each site's record."""

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
    """Return the mask of each site's record ``(site, time)``: from its first to its last day with any forcing.

    Joined datasets have sites with different periods on one time axis; models neither train nor predict outside a
    site's record.
    """
    known = np.zeros((ds.sizes[v.SITE], ds.sizes[v.TIME]), bool)
    for name in forcings:
        known |= np.isfinite(ds[name].transpose(v.SITE, v.TIME).values)
    after_first = np.maximum.accumulate(known, axis=1)
    before_last = np.maximum.accumulate(known[:, ::-1], axis=1)[:, ::-1]
    return after_first & before_last


def forcing(ds: xr.Dataset, name: str, *, transform: bool, fill: str) -> NDArray[np.float64]:
    """Return one unscaled forcing ``(site, time)``.

    Parameters
    ----------
    transform, fill
        ``data.transform_precipitation`` and ``data.fill_forcing`` of the configuration.
    """
    array = ds[name].transpose(v.SITE, v.TIME).astype(np.float64)
    if fill == "interpolate":
        array = array.interpolate_na(v.TIME, max_gap=np.timedelta64(8, "D"))
    values: NDArray[np.float64] = array.values
    return log_transform(values) if name == PRECIPITATION and transform else values


def log_transform(rain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log10(sqrt(x) + 0.1), which reduces the skewness of daily precipitation (as in hydroDL)."""
    return np.log10(np.sqrt(np.maximum(rain, 0)) + 0.1)


def require_variables(ds: xr.Dataset, names: Any, what: str) -> None:
    """Raise unless the dataset has all these variables in a role: ``forcing``, ``attribute`` or ``target``."""
    has = {"forcing": forcing_names, "attribute": attribute_names, "target": target_names}[what](ds)
    for name in names:
        # The role matters, not only the name: soil moisture must not be a forcing.
        if name not in has:
            if name in ds:
                raise DatasetError(
                    f"{name!r} cannot be used as {what}. Expected one of: {', '.join(has) or 'none'}."
                )
            raise DatasetError(
                f"{what} {name!r} is not in the dataset. {did_you_mean(name, has)} It has: {', '.join(has) or 'none'}."
            )
