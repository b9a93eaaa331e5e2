"""In-situ records that contradict every product, or are unrelated to products that agree with each other."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.evaluation.conditions import recorded_masks
from gsm3core.evaluation.day_masks import masked_days
from gsm3core.evaluation.error_sources import SENSORS, shared_sources, sources_of
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.evaluation.test_days import in_season
from gsm3core.files import texts
from gsm3core.schema import products

SUSPECT_R = 0.3
"""Upper limit of the in-situ record's R to the truth below which a record is suspect."""
_FEWEST_PRODUCTS = 2
Array = NDArray[np.float64]


def suspect_sites(
    scores: xr.Dataset, dataset: xr.Dataset | None = None, *, limit: float = SUSPECT_R
) -> xr.DataArray:
    """Return the sites whose in-situ record is suspect, with the reason.

    A record is suspect if it contradicts at least two products, and all that have a score (R below 0, and the upper end of
    its interval too); or if it is unrelated to them: the R to the truth that triple collocation can give it is at most
    ``limit``, while two products with independent errors agree. Products trained on in-situ records do not count, except a
    run, which is scored on days that it was not trained on.

    Parameters
    ----------
    scores
        From :func:`gsm3core.score_run` or :func:`gsm3core.score_products`, ``(product, site)``, against in situ, with the
        intervals of R.
    dataset
        The SiteDataset of the scores; without it only contradictions are found. Products agree or not on the days of the
        season and without the masked days of the scores.
    limit
        See above.

    Returns
    -------
    xarray.DataArray
        ``(site)`` text: why the record is suspect; empty where it is not, and everywhere for scores against SMAP.

    Notes
    -----
    By triple collocation the R to the truth of in situ is ``sqrt(R_iy R_iz / R_yz)`` for two products y and z (McColl et al.
    2014, doi:10.1002/2014GL061322). Its upper limit here is that of the upper ends of ``R_iy`` and ``R_iz``, not below 0, and
    the lower end of ``R_yz``, of the two products with independent errors that agree best. A record can be right and
    contradict coarse products: irrigation, a flooded or a shaded sensor, ground that freezes. A flag is a reason to look at it,
    not a proof.
    """
    sites = texts(scores[v.SITE].values)
    reason = np.full(len(sites), "", dtype="<U200")
    against_insitu = scores.attrs.get("reference", v.SM_INSITU) == v.SM_INSITU
    if against_insitu and v.PRODUCT in scores.dims and "R_upper" in scores:
        counted = [str(p) for p in scores[v.PRODUCT].values if _counts(str(p))]
        some = scores[["R", "R_upper"]].sel({v.PRODUCT: counted}).transpose(v.PRODUCT, v.SITE)
        r, upper = some["R"].values, some["R_upper"].values
        has = np.isfinite(r) & np.isfinite(upper)
        n = has.sum(0)
        negative = (n >= _FEWEST_PRODUCTS) & (~has | ((r < 0) & (upper < 0))).all(0)
        for at in np.flatnonzero(negative):
            reason[at] = f"R is negative with all {n[at]} products ({_range(r[has[:, at], at])})"
        if dataset is not None:
            days = scores.attrs.get("season"), recorded_masks(scores)
            _find_unrelated(reason, sites, dataset, counted, upper, negative, limit, days)
    return xr.DataArray(
        reason.astype(str), dims=v.SITE, coords={v.SITE: sites}, name="suspect",
        attrs={"long_name": "why the in-situ record is suspect; empty where it is not", "limit": limit},
    )  # fmt: skip


def _counts(product: str) -> bool:
    known = sources_of(product)
    return known is None or SENSORS not in known.sources


def _find_unrelated(
    reason: NDArray[np.str_],
    sites: NDArray[np.str_],
    dataset: xr.Dataset,
    counted: list[str],
    upper: Array,
    known: NDArray[np.bool_],
    limit: float,
    days: tuple[str | None, tuple[str, ...]],
) -> None:
    """Add the reasons of the sites whose record is unrelated to products that agree."""
    records = {name: record for name, record in products(dataset).items() if name in counted}
    pairs = [(a, b) for a, b in combinations(records, 2) if _independent(a, b)]
    if not pairs:
        return
    top = np.maximum(upper, 0.0)
    row = {name: k for k, name in enumerate(counted)}
    # No pair gives less than this: only sites where it is low need the R of two products.
    smallest = np.stack([np.sqrt(top[row[a]] * top[row[b]]) for a, b in pairs])
    candidates = np.flatnonzero(~known & (np.nan_to_num(smallest, nan=np.inf) <= limit).any(0))
    if not candidates.size:
        return
    at = dataset.isel({v.SITE: _positions(sites[candidates], texts(dataset[v.SITE].values))})
    season, masks = days
    observed, records = at[v.SM_INSITU].transpose(v.SITE, v.TIME).load().notnull(), products(at)
    if season:
        observed = observed & in_season(at, season).values
    agreement = np.full((len(pairs), candidates.size), np.nan)
    lower = np.full((len(pairs), candidates.size), -np.inf)
    for k, (a, b) in enumerate(pairs):
        masked = masked_days(at, v.SM_INSITU, (a, b), masks).any(0)
        first, second = (records[n].load().where(observed & ~masked) for n in (a, b))
        found = site_scores(first, second, metrics=["R"], intervals="R")
        agreement[k] = found["R"].values
        lower[k] = np.where(
            np.isfinite(smallest[k, candidates]), found["R_lower"].fillna(-np.inf).values, -np.inf
        )
    for j, site in enumerate(candidates):
        best = int(lower[:, j].argmax())
        if lower[best, j] <= 0:
            continue
        bound = smallest[best, site] / np.sqrt(lower[best, j])
        if bound <= limit:
            a, b = pairs[best]
            reason[site] = (
                f"unrelated to the products: R to the truth at most {bound:.2f}, while {a} and {b} agree "
                f"(R {agreement[best, j]:.2f})"
            )


def _independent(first: str, second: str) -> bool:
    a, b = sources_of(first), sources_of(second)
    return a is not None and b is not None and not shared_sources(a, b)


def _positions(wanted: NDArray[np.str_], present: NDArray[np.str_]) -> list[int]:
    index = {site: k for k, site in enumerate(present)}
    return [index[site] for site in wanted]


def _range(values: Array) -> str:
    low, high = (f"{x:.2f}".replace("-", "−") for x in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"
