"""Days left out of the scores: frozen soil, snow, and values that a product's own quality flag does not recommend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.files import texts

FROZEN, SNOW, FLAGGED = "frozen", "snow", "flagged"
COLDEST = 277.15
"""K (4 °C). Below it part of a footprint may be frozen; the limit of the code published with Gruber et al. 2020
(doi:10.1016/j.rse.2020.111806), which leaves out any snow too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayMask:
    """A condition under which soil moisture is not comparable.

    Parameters
    ----------
    title, meaning
        Label, and definition in one sentence.
    words
        What the remaining days are without.
    variables
        Variables that give the condition. All that a dataset has are used, so that a selection of its sites has the same days.
    standard_names
        CF standard names of other variables that give it.
    """

    title: str
    words: str
    meaning: str
    variables: tuple[str, ...]
    standard_names: tuple[str, ...] = ()


MASKS: dict[str, DayMask] = {
    FROZEN: DayMask(
        title="Frozen soil", words="soil colder than 4 °C", variables=("soil_temperature",), standard_names=("soil_temperature",),
        meaning="Days with a mean soil temperature below 4 °C: sensors and radiometers measure liquid water only, and part of "
        "the soil may be frozen.",
    ),
    SNOW: DayMask(
        title="Snow", words="snow", variables=tuple(v.SNOW_LIMITS),
        standard_names=tuple(s for n in v.SNOW_LIMITS if (s := v.FORCINGS[n].standard_name)),
        meaning="Days with snow: more than 0.1 mm of water in it, 1 mm of depth or 1 % of cover.",
    ),
    FLAGGED: DayMask(
        title="Not recommended", words="values that are not recommended",
        variables=tuple(v.QUALITY_FLAGS.values()),
        meaning="Values that the quality flag of the product itself, or of the in-situ record, does not recommend.",
    ),
}  # fmt: skip


def available_masks(ds: xr.Dataset) -> dict[str, str]:
    """Return why each mask cannot be applied to a dataset; empty where it can.

    Parameters
    ----------
    ds
        A SiteDataset. A variable without any value counts as missing.

    Returns
    -------
    dict
        By name in :data:`MASKS`.
    """
    sources = mask_sources(ds)
    return dict.fromkeys(sources, "") | missing_variables(sources)


def missing_variables(sources: Mapping[str, str]) -> dict[str, str]:
    """Return why masks cannot be applied, for those without a variable in :func:`mask_sources`."""
    return {name: _missing(name) for name, source in sources.items() if not source}


def mask_sources(ds: xr.Dataset, masks: Sequence[str] = tuple(MASKS)) -> dict[str, str]:
    """Return the first variable of a dataset that gives each mask and has values; empty if there is none.

    A variable counts by its name, or by its CF standard name.
    """
    return {name: next((n for n in _sources(ds, name) if bool(ds[n].notnull().any())), "") for name in masks}


def check_masks(ds: xr.Dataset, masks: Sequence[str]) -> None:
    """Raise unless masks are known and the dataset has their variables.

    Raises
    ------
    DatasetError
        With the variables that are missing.
    """
    for name in masks:
        if name not in MASKS:
            raise DatasetError(f"unknown mask {name!r}. {did_you_mean(name, MASKS)}")
        if not _sources(ds, name):
            raise DatasetError(
                f"mask {name!r}: {_missing(name)}. Leave the mask out, or add the variable to the dataset."
            )


def apply_masks(series: xr.DataArray, ds: xr.Dataset, reference: str, masks: Sequence[str]) -> xr.DataArray:
    """Return products without the masked days, which are NaN.

    Parameters
    ----------
    series
        ``(product, site, time)`` at the sites and days of the dataset, NaN outside the test days.
    ds, reference
        The dataset, and its record that the products are compared with.
    masks
        Names in :data:`MASKS`. A day without a value of the mask's variable stays.

    Raises
    ------
    DatasetError
        As :func:`check_masks`.
    """
    if not masks:
        return series
    masked = masked_days(ds, reference, [str(p) for p in series[v.PRODUCT].values], masks)
    return series.copy(data=np.where(masked, np.nan, series.values))


def masked_days(
    ds: xr.Dataset,
    reference: str,
    products: Sequence[str],
    masks: Sequence[str],
) -> NDArray[np.bool_]:
    """Return the days that masks leave out, ``(product, site, time)``.

    Parameters
    ----------
    ds, reference, masks
        As for :func:`apply_masks`.
    products
        Names of the products; one that the dataset does not have, such as a run's prediction, has no flag of its own.
    """
    check_masks(ds, masks)
    found = np.zeros((len(products), ds.sizes[v.SITE], ds.sizes[v.TIME]), bool)
    for name in masks:
        if name == FLAGGED:
            found |= _flagged(ds, reference, products)
            continue
        for source in _sources(ds, name):
            values = ds[source].transpose(v.SITE, v.TIME).values
            with np.errstate(invalid="ignore"):
                found |= values < COLDEST if name == FROZEN else values > _snow_limit(ds[source])
    return found


def masks_text(masks: Sequence[str]) -> str:
    """Return what the remaining days are without, as part of a sentence; empty without masks."""
    words = [MASKS[name].words for name in masks]
    return "without days of " + " or ".join(words) if words else ""


def _flagged(ds: xr.Dataset, reference: str, products: Sequence[str]) -> NDArray[np.bool_]:
    """Return where the flag of the reference, or of a product itself, is not 0."""
    flags = {key: ds[name] for key, name in v.QUALITY_FLAGS.items() if name in ds}
    found = np.zeros((len(products), ds.sizes[v.SITE], ds.sizes[v.TIME]), bool)
    if reference in flags:
        found |= _raised(flags[reference])
    others = texts(ds[v.PRODUCT].values) if v.PRODUCT in ds.dims else np.empty(0, "U1")
    for k, product in enumerate(products):
        if product == v.SMAP and v.SM_SMAP in flags:
            found[k] |= _raised(flags[v.SM_SMAP])
        elif product in others and v.SM_PRODUCT in flags:
            at = int(np.flatnonzero(others == product)[0])
            found[k] |= _raised(flags[v.SM_PRODUCT].isel({v.PRODUCT: at}))
    return found


def _raised(flag: xr.DataArray) -> NDArray[np.bool_]:
    values = flag.transpose(v.SITE, v.TIME).values
    return np.asarray(np.nan_to_num(values) != 0)


def _sources(ds: xr.Dataset, name: str) -> list[str]:
    """Return the variables of a dataset that give a mask, in known units."""
    mask = MASKS[name]
    named = [n for n in mask.variables if n in ds.data_vars]
    alike = [
        str(n)
        for n, a in ds.data_vars.items()
        if set(a.dims) == {v.SITE, v.TIME} and a.attrs.get("standard_name") in mask.standard_names
    ]
    found = [n for n in dict.fromkeys([*named, *alike]) if v.TIME in ds[n].dims]
    if name == SNOW:
        return [n for n in found if _snow_limit(ds[n]) < np.inf]
    if name == FROZEN:
        return [n for n in found if ds[n].attrs.get("units", "K") == "K"]
    return found


def _snow_limit(variable: xr.DataArray) -> float:
    """Return the value above which there is snow; infinite for units that are not known."""
    known = {
        n: (v.FORCINGS[n].units, v.FORCINGS[n].standard_name, limit) for n, limit in v.SNOW_LIMITS.items()
    }
    units, standard_name = variable.attrs.get("units"), variable.attrs.get("standard_name")
    for name, (expected, standard, limit) in known.items():
        if (variable.name == name or standard_name == standard) and units in (None, expected):
            return limit
    return np.inf


def _missing(name: str) -> str:
    variables = MASKS[name].variables
    return f"the dataset has no {' or '.join(variables)}"
