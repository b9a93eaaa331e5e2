"""Products and runs against each other over the sites that are shown: ranks, pairs, scores, colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from gsm3core import vocabulary as v
from gsm3core.metrics import ALL_METRICS

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two or more products over some sites.

    Parameters
    ----------
    found
        As :func:`gsm3core.evaluation.comparison.compare_products` returns it.
    sites
        Station, network, region, position of each site, as in an evaluation.
    runs
        Name of a run's prediction among the products -> its id, the shown one first.
    words
        What the sites have in common.
    """

    found: xr.Dataset
    sites: pd.DataFrame
    runs: dict[str, str]
    words: str

    @property
    def products(self) -> list[str]:
        """Names of the products, runs first."""
        return [str(p) for p in self.found[v.PRODUCT].values]

    @property
    def metrics(self) -> list[str]:
        """Names of the scores that were compared."""
        return [str(m) for m in self.found["metric"].values]

    def sample(self, wanted: str) -> str:
        """Return the sample to show: the wanted one, or the only one there is."""
        there = [str(x) for x in self.found["sample"].values]
        return wanted if wanted in there else there[0]

    def at(self, sample: str, metric: str) -> xr.Dataset:
        """Return the part of one sample and metric."""
        return self.found.sel(sample=self.sample(sample), metric=metric)

    def scores(self, sample: str, metric: str, product: str) -> Array:
        """Return a product's score at every site; NaN where it has none."""
        return np.asarray(self.at(sample, metric)["score"].sel({v.PRODUCT: product}).values, float)

    def ranks(self, sample: str, metric: str) -> pd.DataFrame:
        """Return a row per product, the best median first.

        Returns
        -------
        pandas.DataFrame
            Indexed by product: ``median``, ``lower``, ``upper``, ``sites``, ``clusters``, ``median_loss`` (what the
            order is of: of the bias, its absolute value) and ``best_at`` (number of sites where no other is better).
        """
        part = self.at(sample, metric)
        scores = part["score"].transpose(v.PRODUCT, v.SITE).values
        loss = ALL_METRICS[metric].loss(scores)
        best = part["best"].values
        table = pd.DataFrame(
            {
                "median": part["median"].values,
                "lower": part["lower"].values,
                "upper": part["upper"].values,
                "sites": part["n_sites"].values.astype(int),
                "clusters": part["clusters"].values.astype(int),
                "median_loss": [
                    np.median(x[np.isfinite(x)]) if np.isfinite(x).any() else np.nan for x in loss
                ],
                "best_at": [(best == name).sum() for name in self.products],
            },
            index=pd.Index(self.products, name=v.PRODUCT),
        )
        return table.sort_values("median_loss", kind="stable", na_position="last")

    def against_others(self, sample: str, metric: str, product: str) -> pd.DataFrame:
        """Return a row per other product: ``difference`` (product minus other) with its interval, tests and wins."""
        part = self.at(sample, metric).sel({v.PRODUCT: product})
        names = (
            "difference",
            "difference_lower",
            "difference_upper",
            "p",
            "p_holm",
            "win_share",
            "n_common",
        )
        table = pd.DataFrame({n: part[n].values for n in names}, index=pd.Index(self.products, name="other"))
        return table.drop(index=product)
