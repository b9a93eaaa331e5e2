"""Scores by triple collocation of the reference, a product and a third product whose errors are independent of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.evaluation.error_sources import (
    LEARNED,
    MODEL,
    SATELLITE,
    ErrorSources,
    shared_sources,
    sources_of,
)
from gsm3core.evaluation.triple_collocation import triple_collocation

TRIPLE_DAYS = 100
"""Minimum number of days with all three series."""
AUTOMATIC = ""
_REFERENCE = "reference"
# Kinds of the third product, the preferred first: the classical triplet is in situ, satellite and model.
_PREFERRED = {SATELLITE: (MODEL, LEARNED, SATELLITE), MODEL: (SATELLITE,), LEARNED: (SATELLITE, MODEL)}
_ENDS = ("", "_lower", "_upper")


class Third(NamedTuple):
    """Third product of a triplet, or why there is none.

    Parameters
    ----------
    name, reason
        One of the two is empty.
    """

    name: str = ""
    reason: str = ""


def reference_name(reference: str) -> str:
    """Return the name of a reference record among the products: ``In situ`` or ``SMAP``."""
    return v.SMAP if reference == v.SM_SMAP else v.IN_SITU


def third_products(
    series: xr.DataArray,
    observed: xr.DataArray,
    *,
    reference: str = v.SM_INSITU,
    third: str = AUTOMATIC,
    sources: Mapping[str, ErrorSources] | None = None,
    min_days: int = TRIPLE_DAYS,
) -> dict[str, Third]:
    """Return the third product of every product's triplet with the reference.

    Parameters
    ----------
    series, observed
        Products ``(product, site, time)`` and reference ``(site, time)``.
    reference
        ``sm_insitu`` or ``sm_smap``.
    third
        Name of the third product of all triplets; empty for an automatic choice for each product: errors independent of both
        the product and the reference (:mod:`gsm3core.evaluation.error_sources`), of another kind if possible (a model for a
        satellite, a satellite for a model), then the one with the most sites with enough days, then the most days. A product
        of unknown origin is third only if it is named.
    sources
        Error sources by product, where they are not those of the product's name.
    min_days
        Minimum number of days with all three.

    Raises
    ------
    DatasetError
        If ``third`` is not one of the products.
    """
    names = [str(p) for p in series[v.PRODUCT].values]
    if third and third not in names:
        raise DatasetError(f"third product {third!r} is not among the products. {did_you_mean(third, names)}")
    known = {name: (sources or {}).get(name) or sources_of(name) for name in names}
    of_reference = sources_of(reference_name(reference))
    assert of_reference is not None
    valid = np.isfinite(series.transpose(v.PRODUCT, v.SITE, v.TIME).values)
    valid &= np.isfinite(observed.transpose(v.SITE, v.TIME).values)
    found = {}
    for k, name in enumerate(names):
        mine = known[name]
        if mine is not None and (shared := shared_sources(mine, of_reference)):
            found[name] = Third(reason=_dependent(name, reference_name(reference), shared))
        elif third and name != third:
            theirs = known[third]
            shared = shared_sources(mine, theirs) if mine is not None and theirs is not None else []
            if not shared and theirs is not None and (shared := shared_sources(theirs, of_reference)):
                found[name] = Third(reason=_dependent(third, reference_name(reference), shared))
            else:
                found[name] = Third(reason=_dependent(name, third, shared)) if shared else Third(third)
        elif mine is None:
            found[name] = Third(reason=f"the error sources of {name} are not known; name a third product")
        else:
            candidates = [
                j for j, other in enumerate(names)
                if j != k and (theirs := known[other]) is not None
                and not shared_sources(mine, theirs) and not shared_sources(theirs, of_reference)
            ]  # fmt: skip
            found[name] = _best_third(names, known, candidates, k, valid, min_days)
    return found


def triple_scores(
    series: xr.DataArray,
    observed: xr.DataArray,
    *,
    reference: str = v.SM_INSITU,
    third: str = AUTOMATIC,
    sources: Mapping[str, ErrorSources] | None = None,
    min_days: int = TRIPLE_DAYS,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Return the random error of every product and its correlation with the unknown truth at each site.

    Parameters
    ----------
    series, observed, reference, third, sources
        As for :func:`third_products`.
    min_days
        Minimum number of days with all three; at least :data:`TRIPLE_DAYS`.
    confidence
        Level of the intervals.

    Returns
    -------
    xarray.Dataset
        ``(product, site)``: ``TC_R`` (correlation with the truth), ``TC_error`` (standard deviation of the random error,
        m3 m-3, in the product's own dynamic range), the same of the reference in this triplet as ``TC_reference_R`` and
        ``TC_reference_error``, each with ``_lower`` and ``_upper``; ``TC_days`` (days with all three), ``TC_third`` (third
        product), ``TC_reason`` and ``TC_reference_reason`` (why there is no estimate or no interval; empty otherwise).

    Notes
    -----
    Extended triple collocation, :func:`gsm3core.triple_collocation` (McColl et al. 2014, doi:10.1002/2014GL061322; Gruber et
    al. 2016, doi:10.1016/j.jag.2015.09.002). Errors that are correlated in spite of different sources make the estimated
    errors too small (Yilmaz and Crow 2014, doi:10.1175/JHM-D-13-0158.1).
    """
    days = max(min_days, TRIPLE_DAYS)
    series, observed = series.transpose(v.PRODUCT, v.SITE, v.TIME), observed.transpose(v.SITE, v.TIME)
    observed = observed.reset_coords(drop=True).assign_coords({v.SITE: observed[v.SITE].values.astype(str)})
    thirds = third_products(
        series, observed, reference=reference, third=third, sources=sources, min_days=days
    )
    names = list(thirds)
    shape = (len(names), series.sizes[v.SITE])
    numbers = {
        f"TC_{part}{end}": np.full(shape, np.nan)
        for part in ("R", "error", f"{_REFERENCE}_R", f"{_REFERENCE}_error")
        for end in _ENDS
    } | {"TC_days": np.zeros(shape)}
    reasons = np.array([[t.reason] * shape[1] for t in thirds.values()], dtype=object).reshape(shape)
    of_reference = reasons.copy()
    for k, (name, chosen) in enumerate(thirds.items()):
        if not chosen.name:
            continue
        first, other = reference_name(reference), chosen.name
        one = triple_collocation(
            observed, _record(series, name), _record(series, other),
            names=(first, name, other), min_days=days, confidence=confidence,
        )  # fmt: skip
        for product, prefix in ((name, "TC_"), (first, f"TC_{_REFERENCE}_")):
            for end in _ENDS:
                numbers[f"{prefix}R{end}"][k] = one[f"R{end}"].sel({v.PRODUCT: product}).values
                numbers[f"{prefix}error{end}"][k] = one[f"error_std{end}"].sel({v.PRODUCT: product}).values
        numbers["TC_days"][k] = one["n_valid"].values
        reasons[k] = one["reason"].sel({v.PRODUCT: name}).values.astype(str)
        of_reference[k] = one["reason"].sel({v.PRODUCT: first}).values.astype(str)
    why = {"TC_reason": reasons, f"TC_{_REFERENCE}_reason": of_reference}
    return _dataset(series, names, numbers, why, thirds, confidence)


def _record(series: xr.DataArray, name: str) -> xr.DataArray:
    record = series.sel({v.PRODUCT: name}, drop=True).reset_coords(drop=True)
    return record.assign_coords({v.SITE: record[v.SITE].values.astype(str)})


def _dependent(first: str, second: str, shared: list[str]) -> str:
    return f"errors of {first} and {second} are not independent: both {' and '.join(shared)}"


def _best_third(
    names: list[str],
    known: Mapping[str, ErrorSources | None],
    candidates: list[int],
    k: int,
    valid: NDArray[np.bool_],
    min_days: int,
) -> Third:
    mine = known[names[k]]
    assert mine is not None
    order = _PREFERRED.get(mine.kind, (SATELLITE, MODEL, LEARNED))
    for kind in order:
        of_kind = [j for j in candidates if (theirs := known[names[j]]) is not None and theirs.kind == kind]
        days = {j: (valid[k] & valid[j]).sum(-1) for j in of_kind}
        ranked = sorted(of_kind, key=lambda j: (-(days[j] >= min_days).sum(), -days[j].sum()))
        if ranked and (days[ranked[0]] >= min_days).any():
            return Third(names[ranked[0]])
    if candidates:
        return Third(
            reason=f"fewer than {min_days} days with any third product of independent errors, at every site"
        )
    return Third(reason=f"no third product with errors independent of {names[k]} and the reference")


def _dataset(
    series: xr.DataArray,
    names: list[str],
    numbers: dict[str, NDArray[np.float64]],
    reasons: dict[str, NDArray[np.object_]],
    thirds: Mapping[str, Third],
    confidence: float,
) -> xr.Dataset:
    meanings = {"R": "correlation with the truth", "error": "standard deviation of the random error"}
    result = xr.Dataset(coords={v.PRODUCT: names, v.SITE: series[v.SITE].values.astype(str)})
    dims = (v.PRODUCT, v.SITE)
    for name, values in numbers.items():
        part = name.removeprefix("TC_").removeprefix(f"{_REFERENCE}_").partition("_")[0]
        units = v.SM_UNITS if part == "error" else "1"
        whose = "the reference" if _REFERENCE in name else "the product"
        text = f"{meanings[part]} of {whose}" if part in meanings else "days with all three series"
        end = next((e for e in _ENDS[1:] if name.endswith(e)), "")
        text = f"{end[1:]} end of the {confidence:.0%} interval of the {text}" if end else text
        result[name] = dims, values, {"units": units, "long_name": f"{text}, by triple collocation"}
    third = np.array([[t.name] * series.sizes[v.SITE] for t in thirds.values()], dtype=str)
    shape = (len(names), series.sizes[v.SITE])
    result["TC_third"] = dims, third.reshape(shape), {"long_name": "third product of the triplet"}
    for name, why in reasons.items():
        text = "why triple collocation gives no estimate or no interval"
        result[name] = dims, why.astype(str), {"long_name": text}
    return result
