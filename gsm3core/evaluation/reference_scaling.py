"""Scaling of products to the reference before scoring."""

from __future__ import annotations

from typing import get_args

import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.metrics.rescaling import Scaling, rescaled

NO_SCALING: Scaling = "none"
SCALINGS: tuple[Scaling, ...] = get_args(Scaling)
SCALING_NAMES: dict[Scaling, str] = {
    "none": "none",
    "mean_std": "mean and standard deviation",
    "cdf": "CDF matching",
}


def scale_to_reference(
    predicted: xr.DataArray, observed: xr.DataArray, scaling: Scaling = "mean_std"
) -> xr.DataArray:
    """Return products scaled to the reference at each site, with the parameters of their paired days.

    Parameters
    ----------
    predicted
        ``(site, time)`` or ``(product, site, time)``, m3 m-3; NaN outside the days that are to be scored.
    observed
        ``(site, time)``, m3 m-3, at the same sites and days.
    scaling
        ``none``, ``mean_std`` or ``cdf``, see :func:`gsm3core.metrics.rescaling.rescaled`.

    Raises
    ------
    DatasetError
        If the scaling is unknown, or the series have different sites or days.

    Notes
    -----
    After ``mean_std`` and, but for interpolation, after ``cdf``, bias is 0 and the variances are equal by construction: the
    scores say how well the product follows the reference, not how near it is. Both the systematic and the random
    differences of standard deviation are removed; a scaling that removes only the systematic one needs a third record
    (Gruber et al. 2020, doi:10.1016/j.rse.2020.111806).
    """
    check_scaling(scaling)
    if scaling == NO_SCALING:
        return predicted
    predicted, observed = _same_days(predicted, observed)
    dims = [d for d in (v.PRODUCT, v.SITE, v.TIME) if d in predicted.dims]
    x = predicted.transpose(*dims)
    return x.copy(data=rescaled(x.values, observed.transpose(v.SITE, v.TIME).values, scaling))


def check_scaling(scaling: str) -> Scaling:
    """Return a scaling by its name; raise unless it is known."""
    if scaling not in SCALINGS:
        raise DatasetError(f"unknown scaling {scaling!r}. {did_you_mean(scaling, SCALINGS)}")
    return scaling


def scaling_text(scaling: str, reference: str = "the reference", *, one_season: bool = False) -> str:
    """Return the scaling as part of a sentence; empty without one.

    Parameters
    ----------
    scaling, reference
        One of :data:`SCALINGS`, and the name of the reference.
    one_season
        Whether the scores are of one season, whose bias is not 0: the parameters are those of all seasons.
    """
    if scaling == NO_SCALING:
        return ""
    effect = "with the parameters of all seasons" if one_season else "bias is 0 by construction"
    return f"scaled to {reference} by {SCALING_NAMES[check_scaling(scaling)]} ({effect})"


def _same_days(predicted: xr.DataArray, observed: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    try:
        return xr.align(predicted, observed, join="exact", exclude={v.PRODUCT})
    except ValueError as error:
        raise DatasetError(
            f"predicted and observed have different sites or days: {error}. Select the same ones in both."
        ) from error
