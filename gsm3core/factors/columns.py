"""What a site can be described by: attributes, long-term means, mean soil moisture, poleward aspect, by name."""

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
    """Return the name of the mean soil moisture factor, such as ``mean_sm_smap``; None where there is nothing to take.

    Parameters
    ----------
    attributes
        A SiteDataset, or any dataset with variables ``(site)``.
    moisture
        A soil-moisture record (``sm_smap``, ``sm_insitu``) or product by name, an array ``(site[, time])`` of one's
        own, or None: SMAP's as in the paper, else the in-situ record's.

    Raises
    ------
    DatasetError
        If the record is not there.
    """
    if isinstance(moisture, xr.DataArray):
        return str(moisture.name or "moisture")
    if moisture is not None:
        if _source(attributes, MEAN + moisture) is None:
            known = [n for n in v.TARGETS if n in attributes] + list(products(attributes))
            raise DatasetError(
                f"mean soil moisture {moisture!r} is not a record of the dataset. {did_you_mean(moisture, known)}"
            )
        return MEAN + moisture
    usual = [MEAN + name for name in (v.SM_SMAP, v.SM_INSITU)]
    return next((name for name in usual if _source(attributes, name) is not None), None)


def available_factors(attributes: xr.Dataset) -> list[str]:
    """Return the names of all factors that a dataset offers, soil-moisture means left out.

    Aspect in degrees gives way to :data:`POLEWARD_ASPECT`: 1 and 359 degrees are neighbours, and north is not the
    same in both hemispheres.
    """
    names = [n for n in attribute_names(attributes) if n != ASPECT]
    if ASPECT in attributes and POLEWARD_ASPECT not in names:
        names.append(POLEWARD_ASPECT)
    means = [MEAN + n for n in forcing_names(attributes) if MEAN + n not in names]
    return sorted(n for n in {*names, *means} if n not in {MEAN + t for t in v.TARGETS})


def factor_values(attributes: xr.Dataset, names: Sequence[str]) -> Array:
    """Return ``(site, factor)`` values, classes as their numbers; NaN where one is missing or infinite.

    Parameters
    ----------
    attributes
        With a variable ``(site)`` of each name, or what it is made of: ``mean_x`` from ``x (site, time)`` or from the
        product ``x``, ``poleward_aspect`` from ``aspect`` and ``lat``.
    names
        Of factors.

    Raises
    ------
    DatasetError
        If one can neither be read nor made; the message names it and what there is.
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
    """Return what a factor's class numbers mean; None for a factor that is a quantity."""
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
        turned = poleward_aspect(attributes[ASPECT].values, attributes[v.LAT].values)
        return xr.DataArray(turned, dims=v.SITE)
    if name.startswith(MEAN):
        record = name.removeprefix(MEAN)
        series = attributes[record] if record in attributes else products(attributes).get(record)
        if series is not None and v.TIME in series.dims:
            return series.mean(v.TIME, skipna=True)
    return None
