"""Paired days of one product and the reference at one site: the sample behind its scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.services.evaluation import ALL_YEAR
from app.services.site_series import SiteSeries
from gsm3core import vocabulary as v
from gsm3core.evaluation.reference_scaling import NO_SCALING
from gsm3core.evaluation.test_days import season_days
from gsm3core.metrics.rescaling import Scaling, rescaled

_RECORD = {v.SM_INSITU: v.IN_SITU, v.SM_SMAP: v.SMAP}


@dataclass(frozen=True, eq=False)
class PairedDays:
    """Days with both a reference and a product value.

    Parameters
    ----------
    observed, predicted
        Reference and product, scaled where the scores are, on these days; m3 m-3.
    """

    time: NDArray[np.datetime64]
    observed: NDArray[np.floating]
    predicted: NDArray[np.floating]

    def seasonal_cycle(self) -> pd.DataFrame:
        """Return the mean seasonal cycle: one row per month (1 to 12) with ``observed``, ``predicted`` and ``days``."""
        frame = pd.DataFrame({"observed": self.observed, "predicted": self.predicted}, dtype=float)
        by_month = frame.groupby(pd.DatetimeIndex(self.time).month)
        return by_month.mean().assign(days=by_month.size()).reindex(range(1, 13))


def paired_days(
    series: SiteSeries,
    product: str,
    reference: str,
    season: str = ALL_YEAR,
    scaling: Scaling = NO_SCALING,
    masks: Sequence[str] = (),
) -> PairedDays:
    """Return the days on which a product is scored at a site: the run's test days, or all days without a run.

    The product is scaled as in the scores.

    Parameters
    ----------
    series
        Series of the site.
    product
        Name of a product or of the run's prediction.
    reference
        ``sm_insitu`` or ``sm_smap``.
    season, scaling, masks
        ``all`` or a season, and the scaling and masks of the scores.
    """
    observed = series.records.get(_RECORD[reference])
    predicted = series.of(product)
    if observed is None or predicted is None:
        return PairedDays(series.time[:0], np.empty(0), np.empty(0))
    both = np.isfinite(observed) & np.isfinite(predicted)
    if series.in_test is not None:
        both &= series.in_test
    for mask in masks:
        both &= ~series.masked[reference, mask, product]
    predicted = rescaled(np.where(both, predicted, np.nan), observed, scaling)
    both &= np.isfinite(predicted)
    if season != ALL_YEAR:
        both &= season_days(series.time, series.lat, season)[0]
    return PairedDays(series.time[both], observed[both], predicted[both])
