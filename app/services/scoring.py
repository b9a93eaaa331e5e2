"""Scores of a run and the products, or of the products alone, for the pages."""

from __future__ import annotations

from typing import Any

import xarray as xr

from app.services.evaluation import ALL_YEAR, Evaluation
from app.services.site_table import SiteData
from gsm3core import vocabulary as v
from gsm3core.evaluation.reference_scaling import NO_SCALING
from gsm3core.evaluation.scoring import has_products, own_product, score_products, score_run
from gsm3core.evaluation.suspect_records import suspect_sites
from gsm3core.evaluation.triplets import AUTOMATIC
from gsm3core.files import texts
from gsm3core.metrics import ALL_METRICS, METRICS
from gsm3core.metrics.rescaling import Scaling
from gsm3core.run import Run
from gsm3core.schema import is_simulated

__all__ = ["evaluate_products", "own_product", "score"]


def evaluate_products(
    name: str,
    ds: xr.Dataset,
    sites: SiteData,
    run: Run | None,
    reference: str,
    season: str,
    more: bool,
    scaling: Scaling = NO_SCALING,
    masks: tuple[str, ...] = (),
    third: str = AUTOMATIC,
) -> Evaluation:
    """Return the scores of a run and the products, or of the products alone.

    Parameters
    ----------
    name, ds, sites
        The dataset, its name in the store, and its sites.
    run, reference, season, more, scaling, masks, third
        As for :func:`score`.
    """
    scores = score(ds, reference, run, season, more, scaling, masks, third)
    return Evaluation(
        dataset=name,
        run=run.id if run else "",
        reference=reference,
        own=own_product(run) if run else "",
        season=season,
        scaling=scaling,
        masks=masks,
        third=third,
        mask_sources=sites.mask_sources,
        simulated=is_simulated(ds),
        sites=sites.sites.assign(suspect=suspect_sites(scores, ds).values),
        moisture=sites.moisture,
        scores=scores,
    )


def score(
    ds: xr.Dataset,
    reference: str,
    run: Run | None,
    season: str,
    more: bool,
    scaling: Scaling = NO_SCALING,
    masks: tuple[str, ...] = (),
    third: str = AUTOMATIC,
) -> xr.Dataset:
    """Return the scores at every site of a dataset.

    Parameters
    ----------
    ds, reference
        The dataset, and its record that the products are compared with.
    run
        A run, scored on its test days; ``None`` for the products alone, on all days.
    season
        ``all``, or one of :data:`gsm3core.evaluation.stratified.LOCAL_SEASONS`: July is winter in the south.
    more
        With anomaly R, Spearman, KGE, NSE and triple collocation, which take some seconds.
    scaling, masks, third
        As for :func:`gsm3core.score_run`.

    Returns
    -------
    xarray.Dataset
        ``(product, site)``, the sites of ``ds``; no product where there is none to compare.
    """
    metrics = tuple(ALL_METRICS if more else METRICS)
    options: dict[str, Any] = {
        "season": None if season == ALL_YEAR else season, "metrics": metrics, "scaling": scaling, "masks": masks, "third": third,
    }  # fmt: skip
    if run is not None:
        return score_run(run, dataset=ds, reference=reference, **options)
    if not has_products(ds, reference):
        return xr.Dataset(coords={v.SITE: texts(ds[v.SITE].values)})
    return score_products(ds, reference=reference, **options)
