"""Strata of sites by region, continent, network, land cover, climate, texture, elevation, mean soil moisture and aspect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.evaluation.soil_texture import TEXTURES, texture_class
from gsm3core.files import texts
from gsm3core.geography.aspect import poleward_aspect_of
from gsm3core.geography.regions import region_scheme
from gsm3core.geography.site_coordinates import site_regions
from gsm3core.statistics.bins import (
    ASPECT_EDGES,
    DRY_LIMIT,
    ELEVATION_EDGES,
    MOISTURE_EDGES,
    bin_names,
    bin_numbers,
)

Labels = tuple[NDArray[np.str_], list[str]]


@dataclass(frozen=True, slots=True)
class Stratification:
    """One stratification of sites.

    Parameters
    ----------
    needs
        Required variables or coordinates of the dataset; of names joined by ``|`` one is sufficient.
    label
        Returns the stratum of every site (empty where unknown) and the strata in their order.
    """

    needs: tuple[str, ...]
    label: Callable[[xr.Dataset], Labels]


def site_strata(dataset: xr.Dataset, by: str) -> xr.DataArray:
    """Return the stratum of every site.

    Parameters
    ----------
    dataset
        A SiteDataset.
    by
        A name in :data:`STRATIFICATIONS`.

    Returns
    -------
    xarray.DataArray
        ``(site)``, empty where a site's attribute is missing; the attribute ``order`` lists the strata.

    Raises
    ------
    DatasetError
        If the name is unknown, or the dataset lacks a required variable.
    """
    if by not in STRATIFICATIONS:
        raise DatasetError(f"unknown stratification {by!r}. {did_you_mean(by, STRATIFICATIONS)}")
    chosen = STRATIFICATIONS[by]
    if missing := [need for need in chosen.needs if not _has(dataset, need)]:
        needed = " or ".join(map(repr, missing[0].split("|")))
        raise DatasetError(f"stratification {by!r} needs {needed}, which is not in the dataset.")
    labels, order = chosen.label(dataset)
    present = [name for name in order if (labels == name).any()]
    return xr.DataArray(
        labels, dims=v.SITE, coords={v.SITE: dataset[v.SITE]}, name=by, attrs={"order": present}
    )


def available_strata(dataset: xr.Dataset) -> list[str]:
    """Return the stratifications whose required variables are in a dataset."""
    return [n for n, s in STRATIFICATIONS.items() if all(_has(dataset, need) for need in s.needs)]


def _has(dataset: xr.Dataset, need: str) -> bool:
    return any(name in dataset.variables for name in need.split("|"))


def _by_name(coord: str, order: Sequence[str] = ()) -> Callable[[xr.Dataset], Labels]:
    def label(ds: xr.Dataset) -> Labels:
        labels = texts(ds[coord].values)
        return labels, [*order, *sorted(set(labels) - set(order) - {""})]

    return label


def _by_class(name: str) -> Callable[[xr.Dataset], Labels]:
    def label(ds: xr.Dataset) -> Labels:
        attribute = ds[name]
        classes = dict(v.CLASSES[name])
        if "flag_values" in attribute.attrs and "flag_meanings" in attribute.attrs:
            meanings = [m.replace("_", " ") for m in str(attribute.attrs["flag_meanings"]).split()]
            numbers = np.atleast_1d(attribute.attrs["flag_values"])
            classes = {int(k): m for k, m in zip(numbers, meanings, strict=True)}
        values = attribute.values.astype(float)
        labels = np.array([classes.get(int(x), f"class {int(x)}") if np.isfinite(x) else "" for x in values])
        return labels.astype(str), [*classes.values(), *sorted(set(labels) - set(classes.values()) - {""})]

    return label


def binned(values: ArrayLike, edges: Sequence[float], units: str = "") -> Labels:
    """Return the name of every value's bin, empty where missing, and the names of all bins in their order."""
    names = bin_names(edges, units)
    number = bin_numbers(values, edges)
    return np.where(number >= 0, np.array(names)[number], ""), names


def _moisture(ds: xr.Dataset) -> NDArray[np.float64]:
    return np.asarray(ds[v.SM_SMAP].mean(v.TIME, skipna=True).values, float)


def _aspect(ds: xr.Dataset) -> Labels:
    labels, names = binned(poleward_aspect_of(ds), ASPECT_EDGES)
    if v.SM_SMAP not in ds:
        return labels, names
    moisture = _moisture(ds)
    groups = np.where(np.isnan(moisture), "", np.where(moisture <= DRY_LIMIT, "dry", "moist"))
    joined = np.char.add(np.char.add(groups, ", aspect "), labels)
    order = [f"{group}, aspect {name}" for group in ("dry", "moist") for name in names]
    return np.where((groups == "") | (labels == ""), "", joined), order


def _continent(ds: xr.Dataset) -> Labels:
    return site_regions(ds, "continents").astype(str), list(region_scheme("continents").regions)


def _texture(ds: xr.Dataset) -> Labels:
    return texture_class(ds["sand"].values, ds["clay"].values), list(TEXTURES)


STRATIFICATIONS: dict[str, Stratification] = {
    "region": Stratification((v.REGION,), _by_name(v.REGION, (*v.REGIONS, v.NO_REGION))),
    "continent": Stratification((v.LAT, v.LON), _continent),
    "network": Stratification((v.NETWORK,), _by_name(v.NETWORK)),
    "land_cover": Stratification(("land_cover",), _by_class("land_cover")),
    "climate": Stratification(("climate",), _by_class("climate")),
    "soil_texture": Stratification(("sand", "clay"), _texture),
    "elevation": Stratification(
        ("elevation",), lambda ds: binned(ds["elevation"].values, ELEVATION_EDGES, "m")
    ),
    "mean_soil_moisture": Stratification(
        (v.SM_SMAP,), lambda ds: binned(_moisture(ds), MOISTURE_EDGES, v.SM_UNITS)
    ),
    "aspect": Stratification(("poleward_aspect|aspect",), _aspect),
}
"""Stratifications by name. Season is not a property of a site; see :func:`gsm3core.evaluation.stratified.season_scores`."""
