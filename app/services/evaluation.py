"""Scores of every product at every site, as the tables that views draw."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from app.services.site_table import CLIMATE, KINDS, LAND_COVER
from gsm3core import vocabulary as v
from gsm3core.evaluation.conditions import conditions_text
from gsm3core.evaluation.reference_scaling import NO_SCALING
from gsm3core.evaluation.scoring import require_days
from gsm3core.evaluation.strata import binned
from gsm3core.evaluation.triplets import AUTOMATIC
from gsm3core.metrics import METRICS, TRIPLE_METRICS
from gsm3core.metrics.rescaling import Scaling
from gsm3core.statistics.bins import ASPECT_EDGES, MOISTURE_EDGES

ALL_YEAR = "all"
MOISTURE, ASPECT_BINS = "mean_soil_moisture", "aspect"
GROUPINGS = (*KINDS, MOISTURE, ASPECT_BINS)
NOT_SCORED = "not part of this run"
NO_PRODUCT = "there is no product to compare yet"
REFERENCES = {v.SM_INSITU: "in situ", v.SM_SMAP: "SMAP"}
_ORDER = {
    v.REGION: (*v.REGIONS, v.NO_REGION),
    LAND_COVER: tuple(v.IGBP_CLASSES.values()),
    CLIMATE: tuple(v.KOPPEN_CLASSES.values()),
}
_COUNTS = ("n_valid", "n_effective", "n_masked")


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """Scores against one reference, of one run and the products of its dataset or of the products alone.

    Parameters
    ----------
    dataset, run, reference
        Names of the dataset and the reference, id of the run; ``run`` is empty for the products alone.
    own
        Name of the run's prediction among the products; empty without a run.
    season
        ``all``, or the season at the site.
    scaling, masks
        Scaling to the reference, and days that are left out, as in :func:`gsm3core.score_run`.
    third
        Third product of triple collocation; empty for one chosen for each product.
    mask_sources
        Variable of the dataset that gives each mask; empty if it has none.
    simulated
        Whether the data are the demonstration world.
    sites
        As :func:`app.services.site_table.site_table_of`, with the column ``suspect``: why the in-situ record is suspect,
        or an empty text.
    moisture
        As :func:`gsm3core.evaluation.site_selection.mean_soil_moisture`.
    scores
        As :func:`gsm3core.site_scores` returns them, ``(product, site)``; no product where nothing can be
        compared.
    """

    dataset: str
    run: str
    reference: str
    own: str = ""
    season: str = ALL_YEAR
    scaling: Scaling = NO_SCALING
    masks: tuple[str, ...] = ()
    third: str = AUTOMATIC
    mask_sources: dict[str, str] = field(default_factory=dict)
    simulated: bool
    sites: pd.DataFrame
    moisture: pd.DataFrame
    scores: xr.Dataset

    @property
    def confidence(self) -> float:
        """Level of the intervals."""
        return float(self.scores.attrs.get("confidence", 0.95))

    @property
    def conditions(self) -> str:
        """Season, masks and scaling as the end of a phrase, with its comma; empty for all days without scaling."""
        text = conditions_text(**self.condition_options, reference=self.against)
        return f", {text}" if text else ""

    @property
    def condition_options(self) -> dict[str, Any]:
        """Season, scaling and masks that are chosen, as keyword arguments of :func:`gsm3core.score_run`."""
        chosen = {"season": self.season, "scaling": self.scaling, "masks": list(self.masks)}
        return {name: value for name, value in chosen.items() if value not in (ALL_YEAR, NO_SCALING, [])}

    def masked_days(self, product: str, among: NDArray[np.bool_]) -> tuple[int, int]:
        """Return how many paired days of a product the masks remove, and of how many.

        Parameters
        ----------
        product, among
            The product, and a mask over the sites.
        """
        removed, left = (np.nansum(self.values(product, n)[among]) for n in ("n_masked", "n_valid"))
        return int(removed), int(removed + left)

    @cached_property
    def products(self) -> list[str]:
        """The products in the order of the scores, the run first."""
        names = [str(p) for p in self.scores[v.PRODUCT].values] if v.PRODUCT in self.scores.dims else []
        return sorted(names, key=lambda name: name != self.own)

    @cached_property
    def _cache(self) -> dict[Any, Any]:
        """Cached names and groups."""
        return {}

    @cached_property
    def _columns(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Product -> score -> values at every site; plain arrays, because a selection by label is slow at every click."""
        if not self.products:
            return {}
        arrays = {str(n): a.transpose(v.PRODUCT, v.SITE).values for n, a in self.scores.data_vars.items()}
        rows = {str(p): k for k, p in enumerate(self.scores[v.PRODUCT].values)}
        return {p: {n: a[rows[p]] for n, a in arrays.items()} for p in self.products}

    @property
    def against(self) -> str:
        """Name of the reference in a sentence."""
        return REFERENCES.get(self.reference, self.reference)

    @property
    def regions(self) -> dict[str, int]:
        """Number of sites by region, in the paper's order, without empty ones."""
        counts = self.sites[v.REGION].value_counts()
        return {name: int(counts[name]) for name in self.names(v.REGION)}

    def names(self, kind: str) -> list[str]:
        """Return the names of a category (region, network, land cover, climate) that occur, in order."""
        if kind not in self._cache:
            there = set(self.sites[kind]) - {""}
            known = [name for name in _ORDER.get(kind, ()) if name in there]
            self._cache[kind] = [*known, *sorted(there - set(known))]
        return list(self._cache[kind])

    @property
    def groupings(self) -> list[str]:
        """Attributes of the dataset that the sites can be grouped by."""
        known = {kind for kind in KINDS if (self.sites[kind] != "").any()}
        known |= {MOISTURE} if self.moisture.notna().any(axis=None) else set()
        known |= {ASPECT_BINS} if self.sites["poleward_aspect"].notna().any() else set()
        return [name for name in GROUPINGS if name in known]

    def groups(self, by: str, moisture_of: str = v.SMAP) -> tuple[NDArray[np.str_], list[str]]:
        """Return the group of every site, empty where it is not known, and the groups in their order.

        Parameters
        ----------
        by
            One of :data:`GROUPINGS`.
        moisture_of
            Record whose mean soil moisture is binned.
        """
        key = (by, moisture_of if by == MOISTURE else "")
        if key not in self._cache:
            self._cache[key] = self._groups(by, moisture_of)
        labels, order = self._cache[key]
        return labels, order

    def _groups(self, by: str, moisture_of: str) -> tuple[NDArray[np.str_], list[str]]:
        if by == MOISTURE:
            of = self.moisture.get(moisture_of, pd.Series(np.nan, self.sites.index))
            labels, order = binned(of.to_numpy(), MOISTURE_EDGES, "m³ m⁻³")
        elif by == ASPECT_BINS:
            labels, order = binned(self.sites["poleward_aspect"].to_numpy(), ASPECT_EDGES)
        else:
            labels, order = self.sites[by].to_numpy().astype(str), self.names(by)
        return labels, [name for name in order if (labels == name).any()]

    def table(self, product: str, metric: str = "R") -> pd.DataFrame:
        """Return every site with one product's scores, and the ``reason`` where a metric is missing."""
        table = self.sites.copy()
        if product in self.products:
            columns = self._columns[product]
            table = table.assign(**{n: a for n, a in columns.items() if a.dtype.kind in "fi"})
            reason = columns["reason"].astype(str)
        else:
            table[[*METRICS, *_COUNTS]] = np.nan
            reason = np.full(len(table), NO_PRODUCT)
        no_score = np.isnan(table["bias"].to_numpy()) & (reason == "")
        reason = np.where(no_score, NOT_SCORED, reason)
        if metric in TRIPLE_METRICS and product in self.products and self.has(metric):
            reason = np.where(reason == "", self._columns[product]["TC_reason"].astype(str), reason)
        table["reason"] = reason
        return table

    def triplet(self, product: str) -> str:
        """Return the triplet that triple collocation uses for a product, in words, or why there is none."""
        if product not in self.products or not self.has("TC_third"):
            return ""
        columns = self._columns[product]
        names = columns["TC_third"].astype(str)
        if names.size and names[0]:
            return f"Triplet: {self.against}, {product} and {names[0]}"
        return f"No triplet: {columns['TC_reason'][0]}" if names.size else ""

    def has(self, metric: str) -> bool:
        """Return whether a score was computed."""
        return metric in self.scores

    def values(self, product: str, metric: str) -> NDArray[np.float64]:
        """Return the scores of one product by one metric at every site; NaN where there is none."""
        found = self._columns.get(product, {}).get(metric)
        return np.full(len(self.sites), np.nan) if found is None else np.asarray(found, np.float64)

    def ends(self, product: str, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and upper ends of the scores' intervals; NaN where there are none."""
        return self.values(product, f"{metric}_lower"), self.values(product, f"{metric}_upper")

    def at_site(self, site: str) -> pd.DataFrame:
        """Return every score of every product at one site, indexed by product."""
        at = self.sites.index.get_loc(site)
        rows = {p: {n: a[at] for n, a in columns.items()} for p, columns in self._columns.items()}
        return pd.DataFrame.from_dict(rows, orient="index", dtype=object)

    def with_at_least(self, days: int) -> Evaluation:
        """Return the evaluation without scores from fewer paired days; the ``reason`` then says so.

        Parameters
        ----------
        days
            Fewest paired days; the scores already require ``min_days`` of the run.
        """
        scores = require_days(self.scores, days) if self.products else self.scores
        return self if scores is self.scores else replace(self, scores=scores)

    def typical_site(self, product: str, metric: str, among: NDArray[np.bool_]) -> str:
        """Return the site whose score is the median; empty if no site has a score.

        Parameters
        ----------
        product, metric
            The score.
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
            Mask of the sites on the map.
        """
        sites = self.sites[among]
        if sites.empty:
            return ""
        distance = np.hypot(sites["x"].to_numpy() - x, sites["y"].to_numpy() - y)
        k = int(distance.argmin())
        return str(sites.index[k]) if distance[k] <= within else ""
