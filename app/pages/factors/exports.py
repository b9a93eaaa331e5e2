"""What each answer on the Factors page has to take away: its plots, its numbers, and the lines that make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import panel as pn
import xarray as xr
from bokeh.plotting import figure

from app.export.analysis_scripts import factor_lines, importance_arguments
from app.export.dialog import ExportDialog, Item, Tables
from app.pages.factors.views import FactorViews
from app.services.factor_analysis import FactorQuery
from app.services.store import Store
from app.services.strata_bins import Bins
from app.session.selection import Selection
from gsm3core import vocabulary as v
from gsm3core.factors.columns import MEAN

_STRATA = ("median", "lower", "upper", "q25", "q75", "sites", "clusters")
_RANKED = ("importance", "lower", "upper", "above_noise")
_FITS = ("cv_correlation", "cv_correlation_lower", "cv_correlation_upper", "cv_r2", "moran_i", "moran_p")
STRATA, MAP, EFFECT, RANKING, SURFACE, EXPECTED = "strata", "map", "effect", "ranking", "surface", "expected"

_TITLES = {
    STRATA: "strata of mean soil moisture and aspect",
    MAP: "sites by factor",
    EFFECT: "effect of a factor",
    RANKING: "ranking of factors",
    SURFACE: "effect of two factors",
    EXPECTED: "expected score",
}


class FactorExports:
    """Headings with a button each, for the answers as they come.

    Parameters
    ----------
    selection, store
        Of the visitor.
    views
        Whose plots are taken away.
    bins, effort, factor
        Tell how the strata are cut, how thorough the ranking is, and which factor is on the map.
    """

    def __init__(
        self, selection: Selection, store: Store, views: FactorViews, bins: Callable[[], Bins], effort: Callable[[], str],
        factor: Callable[[], str],
    ) -> None:  # fmt: skip
        self._selection, self._store = selection, store
        self._bins, self._effort, self._factor = bins, effort, factor
        self._take = ExportDialog(selection, store)
        self.dialog = self._take.dialog
        self.question: FactorQuery | None = None
        self.found: dict[str, xr.Dataset] = {}
        self.strata = self._head(
            views.strata.title, STRATA, lambda: views.strata.figures, {"Numbers": self._of(STRATA, of_strata)}
        )
        self.map = self._head(
            views.map.title, MAP, lambda: {"Map": views.map.figure}, {"Numbers": self._of_map}
        )
        self.effect = self._head(
            views.effect.title, EFFECT, lambda: views.effect.figures, {"Numbers": self._of(EFFECT, of_effect)}
        )
        self.ranking = self._head(
            views.ranking_title, RANKING, lambda: {"Ranking": views.ranking.figure} if RANKING in self.found else {},
            {"Ranking": self._of(RANKING, of_ranking), "How well they tell": self._of(RANKING, of_fits)},
        )  # fmt: skip
        self.surface = self._head(
            views.surface.title, SURFACE, lambda: views.surface.figures, {"Numbers": self._of(SURFACE, of_surface)}
        )  # fmt: skip
        self.expected = self._head(
            views.skill.title, EXPECTED, lambda: {"Map": views.skill.figure}, {"Numbers": self._of(EXPECTED, of_expected)}
        )  # fmt: skip

    def _head(
        self,
        title: pn.viewable.Viewable,
        what: str,
        figures: Callable[[], Mapping[str, figure]],
        tables: Tables,
    ) -> pn.Row:
        item = Item(
            title=_TITLES[what],
            figures=figures,
            tables=tables,
            code=lambda: self._code(what),
            answer=lambda: self.found.get(what),
            code_title="The same in Python, without this page. Association, not cause:",
        )
        return self._take.beside(title, item)

    def _of(
        self, what: str, table: Callable[[xr.Dataset], pd.DataFrame]
    ) -> Callable[[], pd.DataFrame | None]:
        return lambda: table(self.found[what]) if what in self.found else None

    def _of_map(self) -> pd.DataFrame | None:
        if self.question is None:
            return None
        table = self.question.table
        return pd.DataFrame(
            {v.LAT: table.lat, v.LON: table.lon, v.NETWORK: table.network, table.metric: table.score}
            | {name: table.column(name) for name in table.factors},
            index=pd.Index(table.site, name=v.SITE),
        )

    def _code(self, what: str) -> str:
        s = self._selection
        # Where the choice was left open, the record that the sites have.
        taken = self.question.table.moisture.removeprefix(MEAN) if self.question is not None else ""
        moisture = taken if taken != v.SM_SMAP else ""
        return factor_lines(
            self._store, s.evaluation, s.filters, s.product, s.metric, min_days=s.min_days, moisture=moisture,
            answer=self._asked(what),
        )  # fmt: skip

    def _asked(self, what: str) -> list[str]:
        """Which function of gsm3core.factors is asked, and with what beside the table."""
        if what == STRATA:
            bins = self._bins()
            edges = [f"first_edges={bins.moisture!r}", f"second_edges={bins.aspect!r}"]
            return ["skill_strata", *edges, f"limit={bins.limit!r}"]
        if what == RANKING:
            return importance_arguments(self._effort())
        if what == EXPECTED:
            return ["fit_skill"]
        if what == SURFACE and what in self.found:
            return ["effect_surface", *(repr(self.found[what].attrs[n]) for n in ("first", "second"))]
        return ["factor_effect", repr(self._factor()), "replicates=12"]


def of_strata(found: xr.Dataset) -> pd.DataFrame:
    """Return every bin of the strata, a row each."""
    parts = [_bins(found, "first_", "first_bin", str(found.attrs["first"]), "all")]
    if found.attrs["second"]:
        parts += [
            _bins(found.sel(stratum=name), "second_", "second_bin", str(found.attrs["second"]), str(name))
            for name in found["stratum"].values
        ]
    return pd.concat(parts, ignore_index=True).set_index(["factor", "sites of", "bin"])


def _bins(found: xr.Dataset, prefix: str, dim: str, factor: str, stratum: str) -> pd.DataFrame:
    names = {"factor": factor, "sites of": stratum, "bin": found[dim].values.astype(str)}
    return pd.DataFrame(names | {n: found[prefix + n].values for n in _STRATA})


def of_effect(found: xr.Dataset) -> pd.DataFrame:
    """Return the expected score along a factor; beside each edge, the number of sites up to the next one."""
    average = float(found["average"])
    lines = {n: found[n].values + average for n in ("effect", "lower", "upper")}
    dim = "class" if "class" in found.dims else "edge"
    sites = found["sites"].values.astype(float)
    padded = np.append(sites, np.full(len(lines["effect"]) - len(sites), np.nan))
    index = pd.Index(found[dim].values, name=str(found.attrs["factor"]))
    return pd.DataFrame(lines | {"sites": padded}, index=index)


def of_surface(found: xr.Dataset) -> pd.DataFrame:
    """Return the expected score at every crossing of the edges of two factors."""
    expected = (found["effect"] + found["average"]).values
    index = pd.MultiIndex.from_product(
        [found["first_edge"].values, found["second_edge"].values],
        names=[str(found.attrs["first"]), str(found.attrs["second"])],
    )
    return pd.DataFrame({"expected": expected.ravel()}, index=index)


def of_ranking(found: xr.Dataset) -> pd.DataFrame:
    """Return the importance of every factor, by measure and model."""
    table = found[list(_RANKED)].to_dataframe()[list(_RANKED)]
    return table[table["importance"].notna()]


def of_fits(found: xr.Dataset) -> pd.DataFrame:
    """Return how well every model tells the score at sites held out in each way."""
    return found[list(_FITS)].to_dataframe()[list(_FITS)]


def of_expected(found: xr.Dataset) -> pd.DataFrame:
    """Return the score that is expected at every site, and where it is not to be trusted."""
    names = ["expected", "lower", "upper", "applicable", "reason"]
    return pd.DataFrame(
        {n: found[n].values for n in names}, index=pd.Index(found[v.SITE].values.astype(str), name=v.SITE)
    )
