"""Exports of the Factors page: figures, tables and Python code of each result."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import panel as pn
import xarray as xr
from bokeh.plotting import figure

from app.export.dialog import ExportDialog, ExportItem, Tables
from app.export.scripts import factor_script, importance_call
from app.pages.factors.views import FactorViews
from app.services.factor_analysis import FactorQuery
from app.services.store import Store
from app.services.strata_bins import Bins
from app.session.selection import Selection
from gsm3core import vocabulary as v
from gsm3core.factors.columns import MEAN

_STRATA_COLUMNS = ("median", "lower", "upper", "q25", "q75", "sites", "clusters")
_IMPORTANCE_COLUMNS = ("importance", "lower", "upper", "above_noise")
_CV_COLUMNS = (
    "cv_correlation",
    "cv_correlation_lower",
    "cv_correlation_upper",
    "cv_r2",
    "moran_i",
    "moran_p",
)
STRATA, MAP, EFFECT, IMPORTANCE, SURFACE, EXPECTED = (
    "strata",
    "map",
    "effect",
    "importance",
    "surface",
    "expected",
)

_TITLES = {
    STRATA: "strata of mean soil moisture and aspect",
    MAP: "sites by factor",
    EFFECT: "effect of a factor",
    IMPORTANCE: "factor importance",
    SURFACE: "joint effect of two factors",
    EXPECTED: "expected skill",
}


class FactorExports:
    """Headings of the results, each with an export button.

    Parameters
    ----------
    bins, effort, factor
        Return the current bins of the strata, effort of the importance and factor on the map.
    """

    def __init__(
        self, selection: Selection, store: Store, views: FactorViews, bins: Callable[[], Bins], effort: Callable[[], str],
        factor: Callable[[], str],
    ) -> None:  # fmt: skip
        self._selection, self._store = selection, store
        self._bins, self._effort, self._factor = bins, effort, factor
        self._export = ExportDialog(selection, store)
        self.dialog = self._export.dialog
        self.query: FactorQuery | None = None
        self.results: dict[str, xr.Dataset] = {}
        self.strata = self._heading(
            views.strata.title,
            STRATA,
            lambda: views.strata.figures,
            {"Numbers": self._table(STRATA, strata_table)},
        )
        self.map = self._heading(
            views.map.title, MAP, lambda: {"Map": views.map.figure}, {"Numbers": self._map_table}
        )
        self.effect = self._heading(
            views.effect.title,
            EFFECT,
            lambda: views.effect.figures,
            {"Numbers": self._table(EFFECT, effect_table)},
        )
        self.importance = self._heading(
            views.importance_title, IMPORTANCE,
            lambda: {"Factor importance": views.importance.figure} if IMPORTANCE in self.results else {},
            {"Importance": self._table(IMPORTANCE, importance_table),
             "Cross-validation": self._table(IMPORTANCE, cross_validation_table)},
        )  # fmt: skip
        self.surface = self._heading(
            views.surface.title, SURFACE, lambda: views.surface.figures, {"Numbers": self._table(SURFACE, surface_table)}
        )  # fmt: skip
        self.expected = self._heading(
            views.skill.title, EXPECTED, lambda: {"Map": views.skill.figure}, {"Numbers": self._table(EXPECTED, expected_table)}
        )  # fmt: skip

    def _heading(
        self,
        title: pn.viewable.Viewable,
        result: str,
        figures: Callable[[], Mapping[str, figure]],
        tables: Tables,
    ) -> pn.Row:
        item = ExportItem(
            title=_TITLES[result],
            figures=figures,
            tables=tables,
            code=lambda: self._code(result),
            results=lambda: self.results.get(result),
            code_title="Python code for this result. Association, not cause:",
        )
        return self._export.heading_row(title, item)

    def _table(
        self, result: str, make: Callable[[xr.Dataset], pd.DataFrame]
    ) -> Callable[[], pd.DataFrame | None]:
        return lambda: make(self.results[result]) if result in self.results else None

    def _map_table(self) -> pd.DataFrame | None:
        if self.query is None:
            return None
        table = self.query.table
        return pd.DataFrame(
            {v.LAT: table.lat, v.LON: table.lon, v.NETWORK: table.network, table.metric: table.score}
            | {name: table.column(name) for name in table.factors},
            index=pd.Index(table.site, name=v.SITE),
        )

    def _code(self, result: str) -> str:
        s = self._selection
        # The record in use, which may have been chosen by default; SMAP is the default of the script too.
        record = self.query.table.moisture.removeprefix(MEAN) if self.query is not None else ""
        moisture = record if record != v.SM_SMAP else ""
        return factor_script(
            self._store, s.evaluation, s.filters, s.product, s.metric, min_days=s.min_days, moisture=moisture,
            call=self._call(result),
        )  # fmt: skip

    def _call(self, result: str) -> list[str]:
        """Return the function of gsm3core.factors that makes a result, and its arguments after the table."""
        if result == STRATA:
            bins = self._bins()
            edges = [f"first_edges={bins.moisture!r}", f"second_edges={bins.aspect!r}"]
            return ["skill_strata", *edges, f"limit={bins.limit!r}"]
        if result == IMPORTANCE:
            return importance_call(self._effort())
        if result == EXPECTED:
            return ["fit_skill"]
        if result == SURFACE and result in self.results:
            return ["effect_surface", *(repr(self.results[result].attrs[n]) for n in ("first", "second"))]
        return ["factor_effect", repr(self._factor()), "replicates=12"]


def strata_table(found: xr.Dataset) -> pd.DataFrame:
    """Return a row per bin of the strata."""
    parts = [_bin_rows(found, "first_", "first_bin", str(found.attrs["first"]), "all")]
    if found.attrs["second"]:
        parts += [
            _bin_rows(found.sel(stratum=name), "second_", "second_bin", str(found.attrs["second"]), str(name))
            for name in found["stratum"].values
        ]
    return pd.concat(parts, ignore_index=True).set_index(["factor", "stratum", "bin"])


def _bin_rows(found: xr.Dataset, prefix: str, dim: str, factor: str, stratum: str) -> pd.DataFrame:
    names = {"factor": factor, "stratum": stratum, "bin": found[dim].values.astype(str)}
    return pd.DataFrame(names | {n: found[prefix + n].values for n in _STRATA_COLUMNS})


def effect_table(found: xr.Dataset) -> pd.DataFrame:
    """Return the expected score at each edge of a factor, with the number of sites up to the next edge."""
    average = float(found["average"])
    lines = {n: found[n].values + average for n in ("effect", "lower", "upper")}
    dim = "class" if "class" in found.dims else "edge"
    sites = found["sites"].values.astype(float)
    padded = np.append(sites, np.full(len(lines["effect"]) - len(sites), np.nan))
    index = pd.Index(found[dim].values, name=str(found.attrs["factor"]))
    return pd.DataFrame(lines | {"sites": padded}, index=index)


def surface_table(found: xr.Dataset) -> pd.DataFrame:
    """Return the expected score at each pair of edges of two factors."""
    expected = (found["effect"] + found["average"]).values
    index = pd.MultiIndex.from_product(
        [found["first_edge"].values, found["second_edge"].values],
        names=[str(found.attrs["first"]), str(found.attrs["second"])],
    )
    return pd.DataFrame({"expected": expected.ravel()}, index=index)


def importance_table(found: xr.Dataset) -> pd.DataFrame:
    """Return the importance of every factor, by measure and model."""
    table = found[list(_IMPORTANCE_COLUMNS)].to_dataframe()[list(_IMPORTANCE_COLUMNS)]
    return table[table["importance"].notna()]


def cross_validation_table(found: xr.Dataset) -> pd.DataFrame:
    """Return the cross-validated skill by model and hold-out scheme."""
    return found[list(_CV_COLUMNS)].to_dataframe()[list(_CV_COLUMNS)]


def expected_table(found: xr.Dataset) -> pd.DataFrame:
    """Return the expected score of every site, and whether the site is in the area of applicability."""
    names = ["expected", "lower", "upper", "applicable", "reason"]
    return pd.DataFrame(
        {n: found[n].values for n in names}, index=pd.Index(found[v.SITE].values.astype(str), name=v.SITE)
    )
