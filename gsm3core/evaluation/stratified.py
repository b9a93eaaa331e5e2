"""Medians of scores by stratum of sites, and scores by local season."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from gsm3core import vocabulary as v
from gsm3core.errors import DatasetError
from gsm3core.evaluation.pairing import check_confidence, pair
from gsm3core.files import texts
from gsm3core.metrics import METRICS, metrics_named
from gsm3core.metrics.windowed import SEASONS, WINDOW, windowed_scores
from gsm3core.statistics.cluster_bootstrap import REPLICATES, SITES, median_interval

STRATUM = "stratum"
SEASON = "season"
LOCAL_SEASONS = ("winter", "spring", "summer", "autumn")


def stratified_scores(
    scores: xr.Dataset,
    strata: xr.DataArray,
    *,
    metrics: Sequence[str] = tuple(METRICS),
    networks: ArrayLike | None = None,
    confidence: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> xr.Dataset:
    """Return the medians of per-site scores by stratum.

    Parameters
    ----------
    scores
        From :func:`gsm3core.site_scores` or :func:`season_scores`: dimension ``site`` and any others.
    strata
        From :func:`gsm3core.evaluation.strata.site_strata`, or other labels ``(site)``; sites with an empty label are left out.
    metrics
        Names of the scores.
    networks
        ``(site)`` network of each site of ``scores``; by default the coordinate ``network``, and without it every site is a
        cluster of its own.
    confidence, replicates, seed
        Of the bootstrap over networks within a stratum.

    Returns
    -------
    xarray.Dataset
        For every metric ``(stratum, ...)``: the median over sites, ``_lower`` and ``_upper`` of its interval, quartiles
        ``_q25`` and ``_q75`` of the sites, number of ``_sites`` with a score. ``resampled`` ``(stratum, ...)``:
        ``networks``, or ``sites`` where there are too few networks to resample.
    """
    check_confidence(confidence)
    requested = metrics_named(metrics)
    if missing := [m.name for m in requested if m.name not in scores]:
        raise DatasetError(
            f"the scores lack {missing[0]!r}; they have {', '.join(map(str, scores.data_vars))}."
        )
    scores, strata = xr.align(scores, strata, join="left") if v.SITE in strata.coords else (scores, strata)
    labels = texts(strata.values)
    order = strata.attrs.get("order") or sorted(set(labels) - {""})
    order = [o for o in order if (labels == o).any()]
    if networks is None:
        networks = (
            scores[v.NETWORK].values if v.NETWORK in scores.coords else np.full(scores.sizes[v.SITE], "")
        )
    clusters = np.asarray(networks)

    masks = [labels == o for o in order]
    result = xr.Dataset(coords={STRATUM: order})
    few: xr.DataArray | None = None
    for metric in requested:
        name = metric.name
        values = scores[name].transpose(..., v.SITE)
        others = values.dims[:-1]
        shape = (len(order), *values.shape[:-1])
        parts = {end: np.full(shape, np.nan) for end in ("", "_lower", "_upper", "_q25", "_q75", "_sites")}
        by_site = np.zeros(shape, bool)
        for k, in_stratum in enumerate(masks):
            for at in np.ndindex(*values.shape[:-1]):
                found = values.values[at][in_stratum]
                middle = median_interval(
                    found,
                    clusters[in_stratum],
                    metric=name,
                    confidence=confidence,
                    replicates=replicates,
                    seed=seed,
                )
                numbers = (*middle[:3], *_quartiles(found), middle.sites)
                by_site[(k, *at)] = middle.sites > 0 and middle.resampled == SITES
                for part, number in zip(parts.values(), numbers, strict=True):
                    part[(k, *at)] = number
        for end, part in parts.items():
            units = "1" if end == "_sites" else scores[name].attrs.get("units", "1")
            result[name + end] = (STRATUM, *others), part, {"units": units}
        this = xr.DataArray(by_site, dims=(STRATUM, *others))
        few = this if few is None else few | this
    if few is not None:
        result["resampled"] = few.dims, np.where(few, "sites", "networks")
    return result.assign_coords(
        {n: c for n, c in scores.coords.items() if v.SITE not in c.dims}
    ).assign_attrs(stratified_by=str(strata.name or ""), confidence=confidence)


def season_scores(
    predicted: xr.DataArray,
    observed: xr.DataArray,
    *,
    metrics: Sequence[str] = tuple(METRICS),
    min_days: int = 30,
) -> xr.Dataset:
    """Return scores by local season: July is winter south of the equator.

    Parameters
    ----------
    predicted, observed
        As for :func:`gsm3core.site_scores`; with the coordinate ``lat``, without which all sites are northern.
    metrics, min_days
        As for :func:`gsm3core.site_scores`, per season.

    Returns
    -------
    xarray.Dataset
        With the dimension ``season`` (winter, spring, summer, autumn) and those of the scores.
    """
    both = pair(predicted, observed)
    found = windowed_scores(both.predicted, both.observed, by=SEASON, metrics=metrics, min_days=min_days)
    found = (
        found.sel({WINDOW: list(SEASONS)})
        .rename({WINDOW: SEASON})
        .assign_coords({SEASON: list(LOCAL_SEASONS)})
    )
    lat = next((a[v.LAT] for a in (both.observed, both.predicted) if v.LAT in a.coords), None)
    if lat is not None:
        shifted = found.roll({SEASON: 2}, roll_coords=False)
        south = xr.DataArray(lat.values < 0, dims=v.SITE)
        found = xr.where(south, shifted, found, keep_attrs=True)
        found = found.assign_coords({v.SITE: both.observed[v.SITE]})
    coords = {n: c for n, c in both.observed.coords.items() if v.TIME not in c.dims}
    return found.assign_coords(coords).transpose(SEASON, *both.dims)


def _quartiles(values: NDArray[np.float64]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    low, high = np.quantile(finite, [0.25, 0.75]) if len(finite) else (np.nan, np.nan)
    return float(low), float(high)
