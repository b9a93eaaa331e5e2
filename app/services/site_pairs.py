"""The paired days of one product at one site: what its scores are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.services.evaluation import ALL_YEAR
from app.services.site_series import SiteSeries
from gsm3core import vocabulary as v
from gsm3core.evaluation.test_days import season_days

_RECORD = {v.SM_INSITU: v.IN_SITU, v.SM_SMAP: v.SMAP}


@dataclass(frozen=True, eq=False)
class Pairs:
    """Days that both have, and on which the product is scored.

    Parameters
    ----------
    time
        Days.
    observed, predicted
        What the product is held against, and the product; m3 m-3.
    """

    time: NDArray[np.datetime64]
    observed: NDArray[np.floating]
    predicted: NDArray[np.floating]

    def months(self) -> pd.DataFrame:
        """Return the mean seasonal cycle: a row a month (1 to 12) with ``observed``, ``predicted`` and ``days``."""
        frame = pd.DataFrame({"observed": self.observed, "predicted": self.predicted}, dtype=float)
        by_month = frame.groupby(pd.DatetimeIndex(self.time).month)
        return by_month.mean().assign(days=by_month.size()).reindex(range(1, 13))


def pairs(series: SiteSeries, product: str, reference: str, season: str = ALL_YEAR) -> Pairs:
    """Return the days that make a product's scores at a site: the test days of a run, else all.

    Parameters
    ----------
    series
        Of the site.
    product
        Name of a product or of the run's prediction.
    reference
        ``sm_insitu`` or ``sm_smap``.
    season
        ``all``, or the days of one season.
    """
    observed = series.records.get(_RECORD[reference])
    predicted = series.of(product)
    if observed is None or predicted is None:
        return Pairs(series.time[:0], np.empty(0), np.empty(0))
    both = np.isfinite(observed) & np.isfinite(predicted)
    if series.in_test is not None:
        both &= series.in_test
    if season != ALL_YEAR:
        both &= season_days(series.time, series.lat, season)[0]
    return Pairs(series.time[both], observed[both], predicted[both])
