"""Matching of predictions and observations by site and day, and masking to common site-days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.files import texts

PAIRWISE = "pairwise"
SAME_SAMPLE = "same_sample"
SAMPLES = (PAIRWISE, SAME_SAMPLE)


@dataclass(frozen=True, slots=True)
class Paired:
    """Predictions and observations on the same sites and days.

    Parameters
    ----------
    predicted, observed
        ``([product,] site, time)`` and ``(site, time)``, matched by label.
    """

    predicted: xr.DataArray
    observed: xr.DataArray

    @property
    def dims(self) -> list[str]:
        """Dimensions of a score."""
        return [d for d in (v.PRODUCT, v.SITE) if d in self.predicted.dims]

    @property
    def x(self) -> NDArray[np.floating]:
        """Values of the predictions, time last."""
        return np.asarray(self.predicted.values)

    @property
    def y(self) -> NDArray[np.floating]:
        """Values of the observations, time last."""
        return np.asarray(self.observed.values)

    @property
    def coords(self) -> dict[str, xr.DataArray]:
        """Coordinates of a score: those of the predictions, then those of the observed sites, except time."""
        of_sites = {n: c for n, c in self.observed.coords.items() if c.dims == (v.SITE,) and n != v.SITE}
        return {
            str(n): _as_text(c)
            for n, c in (of_sites | dict(self.predicted.coords)).items()
            if v.TIME not in c.dims
        }


def _as_text(coord: xr.DataArray) -> xr.DataArray:
    """Return text as fixed-width strings, which every file format supports; other types unchanged."""
    return coord.copy(data=texts(coord.values).reshape(coord.shape)) if coord.dtype.kind in "OST" else coord


def pair(predicted: xr.DataArray, observed: xr.DataArray) -> Paired:
    """Return predictions and observations matched by site and day, after checking dimensions and units.

    Raises
    ------
    DatasetError
        If units are not m3 m-3, dimensions are wrong, or there is no common site or day.
    """
    for name, array, allowed in (
        ("predicted", predicted, ({v.SITE, v.TIME}, {v.PRODUCT, v.SITE, v.TIME})),
        ("observed", observed, ({v.SITE, v.TIME},)),
    ):
        if set(array.dims) not in allowed:
            raise DatasetError(
                f"{name} has dimensions {array.dims}; expected {' or '.join(str(tuple(sorted(a))) for a in allowed)}."
            )
        units = array.attrs.get("units", v.SM_UNITS)
        if units != v.SM_UNITS:
            raise DatasetError(f"{name} has units {units!r}; expected {v.SM_UNITS!r}. Convert it first.")
    predicted, observed = xr.align(predicted, observed, join="inner", exclude={v.PRODUCT})
    if not observed.size:
        raise DatasetError(
            "predicted and observed have no site or no day in common; expected the same site ids and dates in both."
        )
    dims = [d for d in (v.PRODUCT, v.SITE, v.TIME) if d in predicted.dims]
    return Paired(predicted.transpose(*dims), observed.transpose(v.SITE, v.TIME))


def same_sample(predicted: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the products on the site-days common to all of them, NaN elsewhere.

    Parameters
    ----------
    predicted
        ``(product, site, time)``. A product without any value is ignored; it would leave no common day.
    """
    finite = np.isfinite(predicted)
    has_values = finite.any((1, 2))
    common = finite[has_values].all(0) if has_values.any() else np.zeros(predicted.shape[1:], bool)
    return np.where(common, predicted, np.nan)


def check_confidence(confidence: float) -> None:
    """Check that a confidence level is a probability.

    Raises
    ------
    DatasetError
        If it is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise DatasetError(
            f"confidence is {confidence}; expected a number between 0 and 1, for instance 0.95."
        )
