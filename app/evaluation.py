"""What the Sites page shows: the scores of every product at every site, as tables a view can draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from app.basemap import mercator
from gsm3core import vocabulary as v
from gsm3core.metrics import METRICS

ALL_REGIONS = "All regions"
NOT_SCORED = "not part of this run"
NO_PRODUCT = "there is no product to compare yet"
REFERENCES = {v.SM_INSITU: "in situ", v.SM_SMAP: "SMAP"}
_NUMBERS = (*METRICS, "R_lower", "R_upper", "n_valid", "n_effective")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores against one reference, of one run and the products of its dataset or of the products alone.

    Parameters
    ----------
    dataset, run, reference
        What was asked for; ``run`` is empty for the products alone.
    simulated
        Whether the data are the demonstration world.
    sites
        Indexed by site id: ``station``, ``network``, ``region``, ``lat``, ``lon`` and Mercator ``x``, ``y``.
    scores
        As :func:`gsm3core.site_scores` returns them, ``(product, site)``; no product where nothing can be
        compared.
    """

    dataset: str
    run: str
    reference: str
    simulated: bool
    sites: pd.DataFrame
    scores: xr.Dataset

    @property
    def products(self) -> list[str]:
        """The products in the order of the scores, the run first."""
        names = [str(p) for p in self.scores[v.PRODUCT].values] if v.PRODUCT in self.scores.dims else []
        return sorted(names, key=lambda name: name != v.MULTITASK_LSTM)

    @property
    def against(self) -> str:
        """What the products are compared with, as a sentence says it."""
        return REFERENCES.get(self.reference, self.reference)

    @property
    def regions(self) -> dict[str, int]:
        """Number of sites by region, in the paper's order, without empty ones."""
        counts = self.sites[v.REGION].value_counts()
        return {name: int(counts[name]) for name in (*v.REGIONS, v.NO_REGION) if name in counts}

    def table(self, product: str) -> pd.DataFrame:
        """Return every site with one product's scores, and the ``reason`` where there is none."""
        table = self.sites.copy()
        if product in self.products:
            of_product = self.scores.sel({v.PRODUCT: product})
            for name in _NUMBERS:
                table[name] = of_product[name].values
            reason = of_product["reason"].values.astype(str)
        else:
            table[list(_NUMBERS)] = np.nan
            reason = np.full(len(table), NO_PRODUCT)
        no_score = np.isnan(table["bias"].to_numpy()) & (reason == "")
        table["reason"] = np.where(no_score, NOT_SCORED, reason)
        return table

    def values(self, product: str, metric: str) -> NDArray[np.float64]:
        """Return the scores of one product by one metric at every site; NaN where there is none."""
        return np.asarray(self.scores[metric].sel({v.PRODUCT: product}).values, np.float64)

    def at_site(self, site: str) -> pd.DataFrame:
        """Return every score of every product at one site, indexed by product."""
        rows = {
            p: self.scores[[*_NUMBERS, "reason"]].sel({v.PRODUCT: p, v.SITE: site}) for p in self.products
        }
        return pd.DataFrame(
            {p: {n: row[n].item() for n in (*_NUMBERS, "reason")} for p, row in rows.items()}
        ).T

    def typical_site(self, product: str, metric: str, among: NDArray[np.bool_]) -> str:
        """Return the site whose score is the median, a fair one to look at first; empty if none has any.

        Parameters
        ----------
        product, metric
            Whose scores.
        among
            Mask over the sites.
        """
        values = self.values(product, metric) if product in self.products else np.zeros(len(self.sites))
        valid = np.flatnonzero(np.isfinite(values) & among)
        if not valid.size:
            return ""
        ranked = valid[np.argsort(values[valid], kind="stable")]
        return str(self.sites.index[ranked[(ranked.size - 1) // 2]])

    def nearest_site(self, x: float, y: float, within: float, among: NDArray[np.bool_]) -> str:
        """Return the site nearest to a point of the map, or an empty string if none is near.

        Parameters
        ----------
        x, y, within
            Mercator metres.
        among
            Mask over the sites: those that are on the map.
        """
        sites = self.sites[among]
        if sites.empty:
            return ""
        distance = np.hypot(sites["x"].to_numpy() - x, sites["y"].to_numpy() - y)
        k = int(distance.argmin())
        return str(sites.index[k]) if distance[k] <= within else ""


def site_frame(ds: xr.Dataset) -> pd.DataFrame:
    """Return the sites of a dataset as :class:`Evaluation` wants them."""
    ids = pd.Index(ds[v.SITE].values.astype(str), name=v.SITE)

    def column(name: str, otherwise: str) -> NDArray[np.str_]:
        if name not in ds.coords:
            return np.full(len(ids), otherwise)
        return ds[name].values.astype(str)

    frame = pd.DataFrame(
        {
            v.STATION: column(v.STATION, ""),
            v.NETWORK: column(v.NETWORK, ""),
            v.REGION: ds[v.REGION].values.astype(str),
            v.LAT: ds[v.LAT].values.astype(float),
            v.LON: ds[v.LON].values.astype(float),
        },
        index=ids,
    )
    frame[v.STATION] = np.where(frame[v.STATION] == "", ids, frame[v.STATION])
    frame["x"], frame["y"] = mercator(frame[v.LON], frame[v.LAT])
    return frame
