"""The sites of a dataset as a table with map coordinates, and the attributes of one site."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.evaluation.day_masks import mask_sources
from gsm3core.evaluation.site_selection import (
    ASPECT,
    CATEGORIES,
    CLIMATE,
    LAND_COVER,
    mean_soil_moisture,
    site_table,
)
from gsm3core.evaluation.strata import site_strata
from gsm3core.geography.mercator import mercator
from gsm3core.schema import attribute_names

__all__ = [
    "ASPECT",
    "CLIMATE",
    "KINDS",
    "LAND_COVER",
    "SiteData",
    "attributes_at",
    "read_sites",
    "site_table_of",
]

KINDS = CATEGORIES
"""Columns that divide the sites into categories."""


def site_table_of(ds: xr.Dataset) -> pd.DataFrame:
    """Return :func:`gsm3core.evaluation.site_selection.site_table` with web-Mercator ``x`` and ``y`` (m)."""
    table = site_table(ds)
    table["x"], table["y"] = mercator(table[v.LON], table[v.LAT])
    return table


class SiteData(NamedTuple):
    """Table of the sites, mean soil moisture of every record at them, and the variable behind each mask of days."""

    sites: pd.DataFrame
    moisture: pd.DataFrame
    mask_sources: dict[str, str]


def read_sites(ds: xr.Dataset) -> SiteData:
    """Return the sites of a dataset with web-Mercator coordinates, and their mean soil moisture."""
    return SiteData(site_table_of(ds), mean_soil_moisture(ds), mask_sources(ds))


def attributes_at(ds: xr.Dataset, position: int) -> dict[str, str]:
    """Return the attributes of one site: label -> value with units."""
    found = {}
    for name in attribute_names(ds):
        variable = ds[name]
        known = v.VARIABLES.get(name)
        label = known.long_name if known else str(variable.attrs.get("long_name", name.replace("_", " ")))
        value = float(variable.values[position])
        units = "" if variable.attrs.get("units", "1") == "1" else f" {variable.attrs['units']}"
        if name in v.CLASSES:
            text = str(site_strata(ds, name).values[position]) or "unknown"
        else:
            text = f"{value:.4g}{units}".replace("-", "−") if np.isfinite(value) else "unknown"
        found[label] = text
    return found
