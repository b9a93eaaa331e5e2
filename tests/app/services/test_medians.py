"""The Overview page's numbers: medians, the paper's table, what needs attention."""

from __future__ import annotations

import numpy as np
import pytest

from app.services.medians import medians
from app.services.published_comparison import paper_comparison
from app.services.run_monitor import Experiment
from app.services.run_progress import Progress
from app.services.score_warnings import find_warnings, stopped_experiments
from app.services.site_filters import shown_sites
from gsm3core import vocabulary as v
from gsm3core.config import HoldoutConfig
from gsm3core.evaluation.site_selection import SiteFilter
from gsm3core.evaluation.stratified import stratified_scores
from gsm3core.run import Run

DATASET = "bucket.zarr"


@pytest.fixture
def evaluation(store):
    return store.evaluation(DATASET, "", v.SM_INSITU)


def test_medians_have_the_intervals_of_the_library(store, evaluation):
    filters = SiteFilter(region=("Europe", "CONUS"))
    shown = shown_sites(evaluation, filters)
    found = medians(evaluation, shown)
    # The library's own summary of the same sites, all in one stratum.
    scores = evaluation.scores.isel({v.SITE: np.flatnonzero(shown.mask)})
    one = (
        store.dataset(DATASET)[v.REGION]
        .isel({v.SITE: np.flatnonzero(shown.mask)})
        .copy(data=np.full(int(shown.mask.sum()), "all"))
    )
    networks = evaluation.sites[v.NETWORK].to_numpy()[shown.mask]
    expected = stratified_scores(scores, one, networks=networks).isel(stratum=0)
    for product in evaluation.products:
        for metric in ("R", "RMSE", "ubRMSE", "bias"):
            row, here = found.loc[(product, metric)], expected.sel({v.PRODUCT: product})
            names = {"median": metric, "lower": f"{metric}_lower", "upper": f"{metric}_upper"}
            for name, there in names.items():
                assert row[name] == pytest.approx(float(here[there]), nan_ok=True)
            assert row["sites"] == int(here[f"{metric}_sites"])


def test_the_papers_numbers_stand_beside_a_run_of_the_same_experiment(store, make_run):
    run = make_run("20260101-000000-a")
    found = paper_comparison(store, DATASET)
    scores = run.scores().sel({v.PRODUCT: v.MULTITASK_LSTM})
    europe = scores["R"].values[store.dataset(DATASET)[v.REGION].values == "Europe"]
    row = found.loc[("temporal", "R", "Europe")]
    assert row["ours"] == pytest.approx(np.nanmedian(europe))
    assert row["paper"] == 0.808
    assert row["run"] == run.id
    assert found.loc[("cross_continental", "R", "Global"), "paper"] == 0.624
    assert np.isnan(found.loc[("cross_continental", "R", "Global"), "ours"])


@pytest.mark.parametrize("regions", ["gsm3-paper", "continents"])
def test_other_regions_are_not_the_papers_experiment(store, make_run, regions):
    temporal = make_run("20260101-000000-a")
    holdout = HoldoutConfig(name="cross_continental", regions=regions)
    config = temporal.config.model_copy(update={"holdout": holdout})
    run = Run.create(store.runs_folder, config, temporal.provenance, run_id="20260102-000000-b")
    run.write_predictions(temporal.predictions())
    run.write_scores(v.SM_INSITU, temporal.scores())
    run.append_event("run_finished", seconds=2.0)
    found = paper_comparison(store, DATASET).loc[("cross_continental", "R", "Global")]
    assert found["run"] == (run.id if regions == "gsm3-paper" else "")
    assert np.isfinite(found["ours"]) == (regions == "gsm3-paper")


def test_sites_without_a_score_are_counted_with_their_reasons(evaluation):
    shown = shown_sites(evaluation, SiteFilter())
    (missing,) = [a for a in find_warnings(evaluation, shown, v.SMAP, "R") if "without a score" in a.text]
    for product in evaluation.products:
        number = int(np.isnan(evaluation.values(product, "R")).sum())
        assert f"{product} {number}" in missing.text
    assert "no in-situ record" in missing.text
    assert "no values of the product" in missing.text


def test_the_worst_region_is_the_one_with_the_worst_median(tmp_path, runs_folder):
    from app.services.store import Store
    from gsm3core.schema import save_dataset
    from support.small_world import make_dataset

    ds = make_dataset(n_sites=18)
    rng = np.random.default_rng(5)
    worse = (ds[v.REGION] == "Europe").values
    ds[v.SM_SMAP][worse] = (ds[v.SM_SMAP][worse] + rng.normal(0, 0.1, ds[v.SM_SMAP][worse].shape)).clip(0, 1)
    save_dataset(ds, tmp_path / "d" / "w.nc")
    evaluation = Store(tmp_path / "d", runs_folder).evaluation("w.nc", "", v.SM_INSITU)
    shown = shown_sites(evaluation, SiteFilter())
    for metric in ("R", "RMSE"):
        found = find_warnings(evaluation, shown, v.SMAP, metric)[0]
        assert "SMAP is worst in Europe" in found.text
        assert found.change == {"page": "sites", "region": ["Europe"]}


def test_experiments_that_stopped_are_named():
    def one(state):
        return Experiment(
            run=state, title=f"The {state} one", holdout="temporal", dataset=DATASET, state=state,
            message="Out of memory.", created="", progress=Progress(run=state),
        )  # fmt: skip

    found = stopped_experiments([one("finished"), one("failed"), one("lost"), one("running")])
    assert [a.change["experiment"] for a in found] == ["failed", "lost"]
    assert "Out of memory." in found[0].text
