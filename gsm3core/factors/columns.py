"""Factors of a site by name: attributes, long-term means of forcings, mean soil moisture and poleward aspect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.geography.aspect import poleward_aspect
from gsm3core.schema import attribute_names, forcing_names, is_categorical, products

Array = NDArray[np.float64]

MEAN = "mean_"
POLEWARD_ASPECT = "poleward_aspect"
ASPECT = "aspect"


def moisture_name(attributes: xr.Dataset, moisture: str | xr.DataArray | None) -> str | None:
    """Return the name of the mean soil moisture factor, such as ``mean_sm_smap``; None if there is no record.

    Parameters
    ----------
    attributes
        A SiteDataset, or any dataset with variables ``(site)``.
    moisture
        Name of a soil-moisture record (``sm_smap``, ``sm_insitu``) or product, or an array ``(site[, time])``. By default
        SMAP as in the paper, or in situ if the dataset has no SMAP.

    Raises
    ------
    DatasetError
        If the dataset lacks the record.
    """
    if isinstance(moisture, xr.DataArray):
        return str(moisture.name or "moisture")
    if moisture is not None:
        if _source(attributes, MEAN + moisture) is None:
            known = [n for n in v.TARGETS if n in attributes] + list(products(attributes))
            raise DatasetError(
                f"moisture is {moisture!r}, which is not a soil-moisture record of the dataset. {did_you_mean(moisture, known)}"
            )
        return MEAN + moisture
    defaults = [MEAN + name for name in (v.SM_SMAP, v.SM_INSITU)]
    return next((name for name in defaults if _source(attributes, name) is not None), None)


def available_factors(attributes: xr.Dataset) -> list[str]:
    """Return the names of all factors of a dataset except means of soil moisture.

    Aspect in degrees is replaced by :data:`POLEWARD_ASPECT`: 1 and 359 degrees are neighbours, and north-facing slopes
    receive different radiation in the two hemispheres.
    """
    names = [n for n in attribute_names(attributes) if n != ASPECT]
    if ASPECT in attributes and POLEWARD_ASPECT not in names:
        names.append(POLEWARD_ASPECT)
    means = [MEAN + n for n in forcing_names(attributes) if MEAN + n not in names]
    return sorted(n for n in {*names, *means} if n not in {MEAN + t for t in v.TARGETS})


def factor_values(attributes: xr.Dataset, names: Sequence[str]) -> Array:
    """Return factor values ``(site, factor)``, with classes as numbers; NaN where missing or infinite.

    Parameters
    ----------
    attributes
        With a variable ``(site)`` of each name, or its source: ``x (site, time)`` or the product ``x`` for ``mean_x``,
        ``aspect`` and ``lat`` for ``poleward_aspect``.
    names
        Names of factors.

    Raises
    ------
    DatasetError
        If a factor can neither be read nor computed.
    """
    columns = []
    for name in names:
        source = _source(attributes, name)
        if source is None:
            known = [*available_factors(attributes), *(MEAN + t for t in v.TARGETS if t in attributes)]
            raise DatasetError(f"factor {name!r} is not in the dataset. {did_you_mean(name, known)}")
        columns.append(np.asarray(source.values, float))
    values = np.column_stack(columns) if columns else np.empty((attributes.sizes[v.SITE], 0))
    return np.where(np.isfinite(values), values, np.nan)


def class_meanings(attributes: xr.Dataset, name: str) -> dict[float, str] | None:
    """Return the meanings of a factor's class numbers; None for a numeric factor."""
    if name not in attributes or not is_categorical(attributes[name]):
        return None
    attrs = attributes[name].attrs
    numbers = np.atleast_1d(attrs["flag_values"]).astype(float)
    meanings = str(attrs.get("flag_meanings", "")).split()
    if len(meanings) == len(numbers):
        return {float(k): m.replace("_", " ") for k, m in zip(numbers, meanings, strict=True)}
    return {float(k): v.CLASSES.get(name, {}).get(int(k), f"class {k:g}") for k in numbers}


def _source(attributes: xr.Dataset, name: str) -> xr.DataArray | None:
    if name in attributes and attributes[name].dims == (v.SITE,):
        return attributes[name]
    if name == POLEWARD_ASPECT and ASPECT in attributes and v.LAT in attributes.coords:
        poleward = poleward_aspect(attributes[ASPECT].values, attributes[v.LAT].values)
        return xr.DataArray(poleward, dims=v.SITE)
    if name.startswith(MEAN):
        record = name.removeprefix(MEAN)
        series = attributes[record] if record in attributes else products(attributes).get(record)
        if series is not None and v.TIME in series.dims:
            return series.mean(v.TIME, skipna=True)
    return None
