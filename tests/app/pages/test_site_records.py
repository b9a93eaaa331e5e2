"""Triple collocation, suspect records and scores by period on the pages: the library's numbers, and one selection."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pytest

from app.export.scripts import median_script, site_script
from app.pages.sites.median_cards import MedianCards
from app.pages.sites.site_scores import SiteScores
from app.pages.sites.table import SUSPECT, SiteTable
from app.server import serve as main
from app.services.medians import medians
from app.services.score_warnings import find_warnings
from app.services.site_periods import scores_by_period
from app.services.store import Store
from app.session.controller import SessionController
from app.session.selection import LEAVE_OUT, PRODUCTS_ONLY, Selection
from app.ui.sidebar import Sidebar
from gsm3core import period_scores, score_products
from gsm3core import vocabulary as v
from gsm3core.schema import open_dataset, save_dataset
from support.planted_triplets import planted_dataset

NAME, INVERTED = "planted.nc", "s04"


class IdleMonitor:
    def newest_active(self) -> None:
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    main.configure_panel()
    ds = planted_dataset(12, 900)
    ds[v.SM_INSITU].loc[{v.SITE: INVERTED}] = 1 - ds[v.SM_INSITU].sel(site=INVERTED)
    path = tmp_path_factory.mktemp("data")
    save_dataset(ds, path / NAME)
    return path


def load(folder: Path, **chosen: object) -> tuple[Selection, Store]:
    store = Store(folder, folder / "runs")
    selection = Selection(dataset=NAME, run=PRODUCTS_ONLY, product=v.SMAP, **chosen)
    SessionController(selection, store, IdleMonitor()).load()
    assert selection.problem == ""
    return selection, store


def text_of(markup: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", " ", markup)))


def test_site_panel_has_the_numbers_of_the_library(folder: Path) -> None:
    s, store = load(folder, metric="TC_R", site="s07")
    one = score_products(open_dataset(folder / NAME), metrics=("TC_R", "TC_error")).sel(
        product=v.SMAP, site="s07"
    )
    panel = SiteScores(s)
    panel.show(store.series(NAME, "", "s07"))
    shown = text_of(panel.pane.object)
    third, days = str(one["TC_third"].values), int(one["TC_days"])
    error = f"{float(one['TC_error']):.3f} {float(one['TC_error_lower']):.3f} to {float(one['TC_error_upper']):.3f}"
    truth = f"{float(one['TC_R']):.2f} {float(one['TC_R_lower']):.2f} to {float(one['TC_R_upper']):.2f}"
    assert f"SMAP {error} {truth} {third} {days}" in shown
    assert f"In situ {float(one['TC_reference_error']):.3f}" in shown
    assert "no estimate: errors of SoMo.ml and In situ are not independent" in shown
    assert "Suspect" not in shown


def test_third_product_is_chosen_and_shown(folder: Path) -> None:
    s, _ = load(folder, metric="TC_R", third=v.AMSR2)
    assert s.evaluation.triplet(v.SMAP) == "Triplet: in situ, SMAP and AMSR2"
    expected = score_products(open_dataset(folder / NAME), metrics=("TC_R",), third=v.AMSR2)["TC_R"]
    np.testing.assert_array_equal(s.evaluation.values(v.SMAP, "TC_R"), expected.sel(product=v.SMAP))
    cards = text_of(" ".join(card.object for card in MedianCards(s)._cards.values()))
    assert "with AMSR2" in cards and "no triplet" in cards
    missing = s.evaluation.table(v.SOMO_ML, "TC_R")
    assert missing["reason"].str.contains("not independent").all()


def test_script_gives_the_median_of_the_page(folder: Path) -> None:
    s, store = load(folder, metric="TC_error", third=v.AMSR2, suspect=LEAVE_OUT)
    made: dict = {}
    exec(median_script(store, s.evaluation, s.filters, v.SMAP, "TC_error", 0), made)
    values = s.evaluation.values(v.SMAP, "TC_error")[s.shown.mask]
    assert made["median"].median == pytest.approx(np.nanmedian(values), rel=1e-12)
    assert made["sites"].sizes[v.SITE] == 11 and INVERTED not in made["sites"][v.SITE].values
    assert "third='AMSR2'" in site_script(store, s.evaluation, s.filters, v.SMAP, "TC_error")


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of panel's Tabulator
def test_suspect_sites_are_flagged_everywhere_and_can_be_left_out(folder: Path) -> None:
    s, store = load(folder, site=INVERTED)
    table = SiteTable(s).table.value.set_index(v.SITE)
    assert table.index[table[SUSPECT] != ""].tolist() == [INVERTED]
    panel = SiteScores(s)
    panel.show(store.series(NAME, "", INVERTED))
    assert "Suspect in-situ record : R is negative with all 3 products" in text_of(panel.pane.object)
    warning = next(w for w in find_warnings(s.evaluation, s.shown, v.SMAP, "R") if "suspect" in w.text)
    assert warning.text.startswith("1 site has a suspect in-situ record: s04.")
    before = medians(s.evaluation, s.shown).loc[(v.SMAP, "R"), "sites"]
    s.change(**warning.change)
    assert s.shown.mask.sum() == 11 and s.shown.words == "without suspect in-situ records"
    assert medians(s.evaluation, s.shown).loc[(v.SMAP, "R"), "sites"] == before - 1
    assert not any("suspect" in w.text for w in find_warnings(s.evaluation, s.shown, v.SMAP, "R"))


@pytest.mark.parametrize("by", ["year", "season"])
def test_scores_by_period_are_those_of_the_library(folder: Path, by: str) -> None:
    s, store = load(folder)
    shown = scores_by_period(store.series(NAME, "", "s07"), s.evaluation, v.SMAP, by)
    ds = open_dataset(folder / NAME).sel(site=["s07"]).load()
    expected = period_scores(ds[v.SM_SMAP], ds[v.SM_INSITU], by=by).isel(site=0)
    for name in ("R", "R_lower", "R_upper", "bias", "ubRMSE", "n_valid"):
        there = expected["n_valid"].values > 0
        np.testing.assert_allclose(shown[name], expected[name].values[there], rtol=1e-6)


@pytest.mark.parametrize("metric", ["TC_R", "KGE"])
def test_page_opened_with_a_further_score_keeps_it(folder: Path, metric: str) -> None:
    """The buttons of the four scores have no selected button then, and must not take their first one when rendered."""
    s, store = load(folder, metric=metric)
    sidebar = Sidebar(s, store)
    sidebar.column.get_root()
    assert s.metric == metric and sidebar.metric.value is None and sidebar.further_metric.value == metric
