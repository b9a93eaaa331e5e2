"""CF attributes of a dataset's coordinates, and the region of each site."""

from __future__ import annotations

import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.geography.regions import region_of


def describe_coordinates(ds: xr.Dataset, *, known_regions: bool = False) -> xr.Dataset:
    """Return the dataset with CF attributes on its coordinates and, unless ``known_regions``, its sites' regions."""
    if not known_regions:
        ds = ds.assign_coords({v.REGION: (v.SITE, region_of(ds[v.LAT].values, ds[v.LON].values))})
    ds[v.SITE].attrs = {"cf_role": "timeseries_id", "long_name": "site"}
    ds[v.TIME].attrs = {"standard_name": "time", "long_name": "UTC day"}
    ds[v.LAT].attrs = {"units": "degrees_north", "standard_name": "latitude"}
    ds[v.LON].attrs = {"units": "degrees_east", "standard_name": "longitude"}
    return ds
