"""Matching of predictions and observations by site and day, and masking to common site-days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.files import texts
from gsm3core.readers.utc_days import to_utc_days

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
    notes
        What was assumed to match them.
    """

    predicted: xr.DataArray
    observed: xr.DataArray
    notes: tuple[str, ...] = ()

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
    """Return predictions and observations matched by site and UTC day, after checking dimensions and units.

    Values within the day are averaged (:func:`gsm3core.readers.utc_days.to_utc_days`). Sites are matched by their ids as text,
    without blanks at either end, and without regard to case where that is unambiguous.

    Raises
    ------
    DatasetError
        If units are not m3 m-3, dimensions are wrong, a time has two values or a value is for several days, or there is no
        common site or day.
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
    predicted, first = to_utc_days(predicted, "predicted")
    observed, second = to_utc_days(observed, "observed")
    predicted, observed, third = _match_sites(predicted, observed)
    notes = [*(f"predicted: {n}" for n in first), *(f"observed: {n}" for n in second), *third]
    given = predicted, observed
    predicted, observed = xr.align(predicted, observed, join="inner", exclude={v.PRODUCT})
    if not observed.size:
        sites, days = (" against ".join(_ends(a, dim) for a in given) for dim in (v.SITE, v.TIME))
        raise DatasetError(
            "predicted and observed have no site or no day in common; expected the same site ids and dates in both. Sites: "
            f"{sites}; days: {days}."
        )
    dims = [d for d in (v.PRODUCT, v.SITE, v.TIME) if d in predicted.dims]
    return Paired(predicted.transpose(*dims), observed.transpose(v.SITE, v.TIME), tuple(notes))


def _match_sites(
    predicted: xr.DataArray, observed: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray, list[str]]:
    """Return both with site ids as text in the spelling of the observations, and notes on what does not match."""
    if v.SITE not in predicted.coords or v.SITE not in observed.coords:
        return predicted, observed, []
    if predicted.indexes[v.SITE].equals(observed.indexes[v.SITE]):
        return predicted, observed, []
    theirs, ours = (np.char.strip(texts(a[v.SITE].values), " \t\0") for a in (predicted, observed))
    for name, ids in (("predicted", theirs), ("observed", ours)):
        if len(set(ids)) < len(ids):
            twice = next(i for i in ids if (ids == i).sum() > 1)
            raise DatasetError(f"{name} has the site {str(twice)!r} twice; site ids must be unique.")
    notes, exact = [], set(theirs) & set(ours)
    by_case = {s.casefold(): s for s in ours if s not in exact}
    unique = len(by_case) == len(ours) - len(exact) and len({s.casefold() for s in theirs}) == len(theirs)
    renamed = {
        s: by_case[s.casefold()] for s in theirs if unique and s not in exact and s.casefold() in by_case
    }
    if renamed:
        one = next(iter(renamed))
        notes.append(
            f"{len(renamed)} sites matched without regard to case, such as {str(one)!r} and {str(renamed[one])!r}"
        )
    theirs = np.array([renamed.get(s, s) for s in theirs], dtype=str)
    for name, ids, others in (("predicted", theirs, ours), ("observed", ours, theirs)):
        if absent := sorted(set(ids) - set(others)):
            notes.append(
                f"{len(absent)} of {len(ids)} sites of {name} are not in the other, such as {str(absent[0])!r}"
            )
    return predicted.assign_coords({v.SITE: theirs}), observed.assign_coords({v.SITE: ours}), notes


def _ends(array: xr.DataArray, dim: str) -> str:
    """Return the first and the last label of a dimension."""
    if dim not in array.coords or not array.sizes[dim]:
        return "none"
    first, last = (str(array[dim].values[k])[: 10 if dim == v.TIME else 40] for k in (0, -1))
    return f"{first} to {last}" if dim == v.TIME else f"{first!r} to {last!r}"


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
