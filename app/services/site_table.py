"""The sites of a dataset as one table: where they are, what kind of place each is, and how wet."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from app.services.mercator import mercator
from gsm3core import vocabulary as v
from gsm3core.evaluation.strata import site_strata
from gsm3core.geography.aspect import poleward_aspect
from gsm3core.schema import attribute_names, products

LAND_COVER, CLIMATE, ASPECT = "land_cover", "climate", "poleward_aspect"
KINDS = (v.REGION, v.NETWORK, LAND_COVER, CLIMATE)
"""Columns that divide the sites into kinds."""


def site_table_of(ds: xr.Dataset) -> pd.DataFrame:
    """Return the sites of a dataset.

    Parameters
    ----------
    ds
        A SiteDataset.

    Returns
    -------
    pandas.DataFrame
        Indexed by site id: ``station``, ``network``, ``region``, ``land_cover`` and ``climate`` (texts, empty
        where they are not known), ``lat``, ``lon`` (degrees), Mercator ``x``, ``y`` (m) and ``poleward_aspect``
        (-1 to 1, NaN where it is not known).
    """
    ids = pd.Index(ds[v.SITE].values.astype(str), name=v.SITE)

    def text(name: str) -> NDArray[np.str_]:
        return ds[name].values.astype(str) if name in ds.coords else np.full(len(ids), "")

    frame = pd.DataFrame(
        {
            v.STATION: text(v.STATION),
            v.NETWORK: text(v.NETWORK),
            v.REGION: text(v.REGION),
            v.LAT: ds[v.LAT].values.astype(float),
            v.LON: ds[v.LON].values.astype(float),
        },
        index=ids,
    )
    frame[v.STATION] = np.where(frame[v.STATION] == "", ids, frame[v.STATION])
    for kind in (LAND_COVER, CLIMATE):
        frame[kind] = site_strata(ds, kind).values.astype(str) if kind in ds.data_vars else ""
    frame[ASPECT] = _aspect(ds)
    frame["x"], frame["y"] = mercator(frame[v.LON], frame[v.LAT])
    return frame


def mean_soil_moisture(ds: xr.Dataset) -> pd.DataFrame:
    """Return the mean soil moisture of every record at every site, over the days that each has.

    Parameters
    ----------
    ds
        A SiteDataset.

    Returns
    -------
    pandas.DataFrame
        Indexed by site id, a column a record (in situ, SMAP, other products), m3 m-3; NaN where there is none.
    """
    in_situ = {v.IN_SITU: ds[v.SM_INSITU]} if v.SM_INSITU in ds.data_vars else {}
    means = {
        name: record.mean(v.TIME, skipna=True, dtype=float).values
        for name, record in (in_situ | products(ds)).items()
    }
    return pd.DataFrame(means, index=pd.Index(ds[v.SITE].values.astype(str), name=v.SITE), dtype=float)


def attributes_at(ds: xr.Dataset, position: int) -> dict[str, str]:
    """Return what a dataset knows of one place: the name of each attribute, and its value with units."""
    found = {}
    for name in attribute_names(ds):
        variable = ds[name]
        known = v.VARIABLES.get(name)
        label = known.long_name if known else str(variable.attrs.get("long_name", name.replace("_", " ")))
        value = float(variable.values[position])
        units = "" if variable.attrs.get("units", "1") == "1" else f" {variable.attrs['units']}"
        if name in v.CLASSES:
            text = str(site_strata(ds, name).values[position]) or "not known"
        else:
            text = f"{value:.4g}{units}".replace("-", "−") if np.isfinite(value) else "not known"
        found[label] = text
    return found


def _aspect(ds: xr.Dataset) -> NDArray[np.float64]:
    if ASPECT in ds.data_vars:
        return np.asarray(ds[ASPECT].values, float)
    if "aspect" in ds.data_vars:
        return poleward_aspect(ds["aspect"].values, ds[v.LAT].values)
    return np.full(ds.sizes[v.SITE], np.nan)
