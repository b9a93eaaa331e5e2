"""CF attributes of a dataset's coordinates, and the regions of its sites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.geography.regions import region_of, region_schemes


def describe_coordinates(ds: xr.Dataset, *, known_regions: bool = False) -> xr.Dataset:
    """Return the dataset with CF attributes on its coordinates and, unless ``known_regions``, its sites' regions."""
    if not known_regions:
        ds = ds.assign_coords({v.REGION: (v.SITE, region_of(ds[v.LAT].values, ds[v.LON].values))})
    ds[v.SITE].attrs = {"cf_role": "timeseries_id", "long_name": "site"}
    ds[v.TIME].attrs = {"standard_name": "time", "long_name": "UTC day"}
    ds[v.LAT].attrs = {"units": "degrees_north", "standard_name": "latitude"}
    ds[v.LON].attrs = {"units": "degrees_east", "standard_name": "longitude"}
    return ds


def site_regions(ds: xr.Dataset, scheme: str | Path = v.PAPER_REGIONS) -> NDArray[np.str_]:
    """Return the region of each site of a dataset under a scheme, ``"Other"`` for sites in no region.

    Parameters
    ----------
    scheme
        A name of :func:`gsm3core.geography.regions.region_schemes` or the path of a GeoJSON file. The paper's regions are
        the dataset's coordinate ``region``, so that a dataset built with earlier polygons keeps the folds of its runs.
    """
    if str(scheme) == v.PAPER_REGIONS:
        return np.asarray(ds[v.REGION].values.astype(str))
    return region_of(ds[v.LAT].values, ds[v.LON].values, scheme)


def sites_by_region(ds: xr.Dataset) -> dict[str, dict[str, int]]:
    """Return the number of sites in each region that a dataset has, under every scheme of the catalogue; ``Other`` last."""
    found = {}
    for scheme in region_schemes():
        names, counts = np.unique(site_regions(ds, scheme), return_counts=True)
        order = sorted(
            zip(names.tolist(), counts.tolist(), strict=True), key=lambda x: (x[0] == v.NO_REGION, -x[1])
        )
        found[scheme] = dict(order)
    return found


def changed_regions(ds: xr.Dataset) -> dict[str, str]:
    """Return the sites whose stored region is not that of the catalogue's polygons: site -> "stored, now other"."""
    stored, now = site_regions(ds), region_of(ds[v.LAT].values, ds[v.LON].values)
    return {str(ds[v.SITE].values[k]): f"{stored[k]}, now {now[k]}" for k in np.flatnonzero(stored != now)}
