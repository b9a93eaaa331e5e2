"""A run and every product beside each other on the days that test the run."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.schema import products


def tested_series(predictions: xr.Dataset, dataset: xr.Dataset, reference: str, own: str) -> xr.DataArray:
    """Return a run and every product on the run's test days.

    Parameters
    ----------
    predictions
        Of a run: ``sm_predicted`` and ``in_test`` ``(site, time)``.
    dataset
        The SiteDataset that the run read; its products are taken.
    reference
        ``sm_insitu`` or ``sm_smap``: what they are held against, which is no product beside itself.
    own
        The run's name among the products; a product of that name gives way.

    Returns
    -------
    xarray.DataArray
        ``(product, site, time)`` m3 m-3, the run first; NaN on days that do not test it.
    """
    series = {own: predictions[v.SM_PREDICTED]}
    series |= {name: array for name, array in products(dataset).items() if name != own}
    if reference == v.SM_SMAP:
        series.pop(v.SMAP, None)
    stacked = xr.concat(
        [a.reset_coords(drop=True).load() for a in series.values()],
        dim=pd.Index(list(series), name=v.PRODUCT),
        join="exact",
    )
    return stacked.where(predictions[v.IN_TEST]).assign_attrs(units=v.SM_UNITS)
