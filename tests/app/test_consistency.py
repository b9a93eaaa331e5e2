"""One selection has one median and one interval: on every page, in the report, in the script and on the command line."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np
import pandas as pd
import panel as pn
import pytest
import xarray as xr
from typer.testing import CliRunner

from app.export.dialog import ExportDialog
from app.export.scripts import comparison_script, median_script
from app.export.tables import header_lines
from app.pages.compare.tables import RankTable
from app.pages.factors.strata import StrataPlot
from app.pages.overview.product_skill import ProductSkillCard
from app.pages.sites.median_cards import MedianCards
from app.services.comparison import ComparisonRequest, compare
from app.services.factor_analysis import factor_query, strata
from app.services.medians import median_scores, medians
from app.services.site_pairs import paired_days
from app.services.store import Store
from app.services.strata_bins import Bins
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.formatting import interval
from gsm3core import Run, compare_products, median_interval, score_run, write_report
from gsm3core import vocabulary as v
from gsm3core.cli.main import app as command
from gsm3core.evaluation.pairing import PAIRWISE
from gsm3core.evaluation.stratified import stratified_scores
from gsm3core.statistics.cluster_bootstrap import NETWORKS, SITES
from support.report_runs import make_run, world

PRODUCT = v.MULTITASK_LSTM
ONE_BIN = Bins(moisture=(1.0,), aspect=(0.0,), limit=1.0)


class IdleMonitor:
    def newest_active(self) -> None:
        return None


@pytest.fixture(scope="module", params=[(6, NETWORKS), (3, SITES)], ids=["networks", "few networks"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    networks = request.param[0]
    ds = world(n_sites=48)
    names = np.array([f"net{k % networks}" for k in range(48)])
    ds = ds.assign_coords(network=("site", names))
    frozen = np.random.default_rng(3).random((48, ds.sizes["time"])) < 0.1
    ds["soil_temperature"] = (
        ("site", "time"), np.where(frozen, 270, 285).astype(np.float32), {"units": "K", "source": "simulated for tests"},
    )  # fmt: skip
    return make_run(tmp_path_factory.mktemp("runs"), ds, title="the run")


@pytest.fixture
def selection(run: Run) -> tuple[Selection, Store]:
    store = Store(run.folder.parent.parent, run.folder.parent)
    chosen = Selection(run=run.id, product=PRODUCT, metric="R", sample=PAIRWISE)
    SessionController(chosen, store, IdleMonitor()).load()
    assert chosen.problem == ""
    return chosen, store


def expected(
    run: Run, metric: str, sites: list[str] | None = None
) -> tuple[float, float, float, int, int, str]:
    scores = run.scores().sel({v.PRODUCT: PRODUCT})
    scores = scores if sites is None else scores.sel(site=sites)
    return median_interval(scores[metric], scores[v.NETWORK], metric=metric)


def words(page: pn.viewable.Viewable) -> str:
    """Visible text of everything in a layout that is HTML."""
    text = " ".join(str(pane.object) for pane in page.select(pn.pane.HTML))
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", " ", text))).replace("\u00a0", " ")


@pytest.mark.parametrize("region", [[], ["Europe", "CONUS"]], ids=["all sites", "two regions"])
def test_pages_show_the_same_figures(run: Run, selection: tuple[Selection, Store], region: list[str]) -> None:
    s, store = selection
    s.change(region=region)
    sites = list(s.evaluation.sites.index[s.shown.mask])
    found = expected(run, "R", sites)
    text = interval(*found[:3], 2)

    overview = ProductSkillCard(s, store, ExportDialog(s, store))
    overview._show(medians(s.evaluation, s.shown))
    assert f"{PRODUCT} {text}" in words(overview.card)
    assert ("bootstrap over networks" in words(overview.card)) == (found.resampled == NETWORKS)

    cards = words(MedianCards(s).column)
    assert f"{PRODUCT} {found.median:.2f}" in cards and f"{found.sites} of {len(sites)} sites" in cards

    request = ComparisonRequest(evaluation=s.evaluation, shown=s.shown)
    ranks = RankTable(s)
    ranks.show(compare(store, request), simulated=False)
    row = f"{PRODUCT} {text} {found.sites} {found.clusters} {found.resampled}"
    assert row in words(pn.Column(ranks.title, ranks.table))

    query = factor_query(store, s.evaluation, s.shown, PRODUCT, "R")
    boxes = strata(query, ONE_BIN)
    one = [float(boxes[f"first_{n}"][0]) for n in ("median", "lower", "upper", "sites", "clusters")]
    np.testing.assert_allclose(one, found[:5])
    plot = StrataPlot(s)
    plot.show(boxes, PRODUCT, s.shown.words, simulated=False)
    assert f"{found.resampled} resampled" in words(pn.Column(plot.title))

    made: dict = {}
    exec(median_script(store, s.evaluation, s.filters, PRODUCT, "R", 0), made)
    assert made["median"] == found


def test_report_and_command_show_the_figures_of_the_pages(
    run: Run, selection: tuple[Selection, Store], tmp_path: Path
) -> None:
    s, store = selection
    page = write_report([run], tmp_path / "report")
    table = pd.read_csv(page.parent / "tables" / "medians.csv", comment="#").set_index(
        ["region", "product", "metric"]
    )
    on_pages = medians(s.evaluation, s.shown)
    own = median_scores(store, run).loc[v.SM_INSITU]
    runner = CliRunner()
    shown = runner.invoke(
        command, ["runs", "show", run.id, "--out", str(run.folder.parent)], env={"COLUMNS": "120"}
    )
    assert shown.exit_code == 0, shown.output
    line = next(row for row in shown.output.splitlines() if PRODUCT in row)
    for metric in ("R", "RMSE", "ubRMSE", "bias"):
        found = expected(run, metric)
        for row in (table.loc[("Global", PRODUCT, metric)], on_pages.loc[(PRODUCT, metric)], own.loc[metric]):
            np.testing.assert_allclose(row[["median", "lower", "upper", "sites"]].to_numpy(float), found[:4])
            assert row["resampled"] == found.resampled
        assert f"{found.median:.4f}".replace("-", "−") in line.replace("-", "−")


@pytest.mark.parametrize(
    "conditions", [{"scaling": "mean_std"}, {"scaling": "cdf", "masks": ["frozen"]}, {"masks": ["frozen"]}]
)
@pytest.mark.parametrize("season", ["all", "summer"])
def test_scaled_and_masked_scores_are_the_same_everywhere(
    run: Run, conditions: dict, season: str, tmp_path: Path
) -> None:
    store = Store(run.folder.parent.parent, run.folder.parent)
    s = Selection(run=run.id, product=PRODUCT, metric="RMSE", sample=PAIRWISE, season=season, **conditions)
    SessionController(s, store, IdleMonitor()).load()
    assert s.problem == ""
    options = conditions | ({"season": season} if season != "all" else {})
    scores = score_run(run, **options).sel({v.PRODUCT: PRODUCT})
    found = median_interval(scores["RMSE"], scores[v.NETWORK], metric="RMSE")
    words_of = s.evaluation.conditions
    assert words_of.startswith(", ") and ("colder than 4 °C" in words_of) == ("masks" in conditions)
    text = interval(*found[:3], 3)

    overview = ProductSkillCard(s, store, ExportDialog(s, store))
    overview.update(s.evaluation, s.shown)
    overview._show(medians(s.evaluation, s.shown))
    assert f"{text}" in words(overview.card) and words_of in words(overview.card)
    cards = words(MedianCards(s).column)
    assert f"{PRODUCT} {found.median:.3f}" in cards and words_of in cards

    ranks = RankTable(s)
    request = ComparisonRequest(evaluation=s.evaluation, shown=s.shown)
    ranks.show(compare(store, request), simulated=False)
    page = words(pn.Column(ranks.title, ranks.table))
    assert f"{PRODUCT} {text} {found.sites} {found.clusters}" in page and words_of in page

    query = factor_query(store, s.evaluation, s.shown, PRODUCT, "RMSE")
    boxes = strata(query, ONE_BIN)
    np.testing.assert_allclose(
        [float(boxes[f"first_{n}"][0]) for n in ("median", "lower", "upper")], found[:3]
    )
    assert query.words.endswith(words_of)

    header = header_lines(s.evaluation, s.shown, "scores")
    assert any(words_of in line for line in header)
    made: dict = {}
    exec(median_script(store, s.evaluation, s.filters, PRODUCT, "RMSE", 0), made)
    assert made["median"] == found
    exec(
        comparison_script(store, s.evaluation, s.filters, {PRODUCT: run.id}, sample=PAIRWISE, metric="RMSE"),
        made,
    )
    np.testing.assert_allclose(
        float(made["found"]["median"].sel(sample=PAIRWISE, metric="RMSE", product=PRODUCT)), found.median
    )
    site = scores["RMSE"].dropna("site")["site"].values[0]
    series = store.series(s.evaluation.dataset, run.id, str(site))
    days = paired_days(
        series, PRODUCT, v.SM_INSITU, s.evaluation.season, s.evaluation.scaling, s.evaluation.masks
    )
    at_site = np.sqrt(np.mean((days.predicted - days.observed) ** 2))
    np.testing.assert_allclose(at_site, float(scores["RMSE"].sel(site=site)), rtol=1e-6)
    assert len(days.time) == int(scores["n_valid"].sel(site=site))
    if "masks" in conditions:
        removed, total = s.evaluation.masked_days(PRODUCT, s.shown.mask)
        assert removed == int(scores["n_masked"].sum()) > 0
        assert total == removed + int(scores["n_valid"].sum())


def test_library_paths_give_one_interval(run: Run) -> None:
    """The three summaries of the library on the same scores: strata, comparison and the median itself."""
    scores = run.scores()
    everywhere = xr.DataArray(np.full(scores.sizes[v.SITE], "all"), dims=v.SITE)
    strata_medians = stratified_scores(scores, everywhere).isel(stratum=0).sel({v.PRODUCT: PRODUCT})
    compared = compare_products(scores).sel({v.PRODUCT: PRODUCT}).isel(sample=0)
    for metric in ("R", "RMSE", "ubRMSE", "bias"):
        found = expected(run, metric)
        parts = [float(strata_medians[metric + end]) for end in ("", "_lower", "_upper")]
        np.testing.assert_allclose(parts, found[:3])
        np.testing.assert_allclose(
            [float(compared[n].sel(metric=metric)) for n in ("median", "lower", "upper")], found[:3]
        )
