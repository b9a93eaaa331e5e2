"""The Experiments page: launch, progress, cancel, resume, comparison and export of runs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from gsm3core import vocabulary as v
from gsm3core.baselines import GRADIENT_BOOSTING
from gsm3core.config import ExperimentConfig
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.experiment import create_run
from gsm3core.experiment.folds import folds_of
from gsm3core.geography.mercator import mercator
from gsm3core.jobs import JobQueue
from gsm3core.run import Run, list_runs

TRAINING = 300_000  # milliseconds; training shares the machine with other jobs
# Writes the server's process id to a file.
WITH_PID = """
import os, sys
from pathlib import Path
Path("pid.txt").write_text(str(os.getpid()))
import app.server.serve
sys.exit(app.server.serve.main(sys.argv[1:]))
"""


@pytest.fixture
def runs_folder(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


def fill_epochs(page, number):
    field = page.get_by_label("Epochs")
    field.fill(str(number))
    field.press("Enter")


def open_experiments(page, url):
    page.goto(f"{url}?page=experiments")
    expect(page.locator("#loader")).to_be_hidden()
    expect(page.get_by_text("New experiment", exact=True)).to_be_visible()


def test_launched_run_is_shown_on_the_map(clean_page, serve, runs_folder, map_data):
    page = clean_page
    url = serve(runs_folder)[0]
    page.goto(f"{url}?page=sites")
    expect(page.get_by_text("R of SMAP", exact=True)).to_be_visible()
    page.get_by_role("button", name="Experiments", exact=True).click()
    expect(page.get_by_text("No experiment yet").first).to_be_visible()
    fill_epochs(page, 2)
    page.get_by_label("Title (optional)").fill("Story")
    page.get_by_role("button", name="Launch").click()

    status = page.locator(".experiment-status")
    expect(status).to_contain_text(re.compile(r"epoch \d of 2"), timeout=TRAINING)
    assert "experiment=" in page.url
    expect(status).to_contain_text("Finished", timeout=TRAINING)
    losses = page.evaluate(
        "() => [...Bokeh.documents[0]._all_models.values()].find(m => m.type === 'Figure' && m.name === 'loss')"
        ".renderers[0].data_source.data.epoch.length"
    )
    assert losses == 2

    page.get_by_role("button", name="Show on map").click()
    expect(page.get_by_text("R of GSM3 LSTM", exact=True)).to_be_visible()
    run = list_runs(runs_folder)[0]
    assert run.title == "Story"
    scores = run.scores()["R"].sel({v.PRODUCT: v.MULTITASK_LSTM})
    on_disk = {str(s): float(x) for s, x in zip(scores[v.SITE].values, scores.values, strict=True) if x == x}
    columns = map_data(page)
    assert dict(zip(columns["site"], columns["value"], strict=True)) == pytest.approx(on_disk)
    assert run.id in page.url


def test_first_run_appears_without_reload(clean_page, serve, runs_folder):
    page = clean_page
    url = serve(runs_folder)[0]
    page.goto(f"{url}?page=sites")
    expect(page.get_by_text("R of SMAP", exact=True)).to_be_visible()
    other = page.context.new_page()
    open_experiments(other, url)
    fill_epochs(other, 1)
    other.get_by_role("button", name="Launch").click()
    expect(page.get_by_text("The first LSTM run")).to_be_visible(timeout=TRAINING)
    expect(page.get_by_text("R of GSM3 LSTM", exact=True)).to_be_visible(timeout=TRAINING)
    expect(page.get_by_text("The first LSTM run")).to_be_hidden()


def test_cancelled_run_can_be_resumed(clean_page, serve, runs_folder):
    page = clean_page
    open_experiments(page, serve(runs_folder)[0])
    fill_epochs(page, 500)
    page.get_by_role("button", name="Launch").click()
    page.get_by_role("button", name="Cancel").click(timeout=TRAINING)
    expect(page.locator(".experiment-status")).to_contain_text("Cancelled", timeout=TRAINING)
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    (run,) = list_runs(runs_folder)
    assert run.state == "cancelled"
    assert run.config.training.epochs == 500  # typed just before the click


@pytest.mark.parametrize("epochs", [0, -3])
def test_invalid_epochs_are_reported(clean_page, serve, runs_folder, epochs):
    page = clean_page
    open_experiments(page, serve(runs_folder)[0])
    fill_epochs(page, epochs)
    page.get_by_role("button", name="Launch").click()
    expect(
        page.get_by_text(f"Epochs: Input should be greater than or equal to 1 (given: {epochs})")
    ).to_be_visible()
    assert not list_runs(runs_folder)
    expect(page.get_by_role("button", name="Launch")).to_be_enabled()


def choose(page, label, name):
    page.get_by_label(label, exact=True).click()
    page.get_by_role("menuitem", name=name, exact=True).or_(
        page.get_by_role("option", name=name, exact=True)
    ).click()


def eventually(page, condition, seconds=30):
    for _ in range(5 * seconds):
        if condition():
            return
        page.wait_for_timeout(200)
    raise AssertionError(f"condition not met within {seconds} s: {condition.__name__}")


def test_folds_are_previewed_on_the_map(clean_page, serve, runs_folder, demo, drawn):
    page = clean_page
    open_experiments(page, serve(runs_folder)[0])
    expect(page.locator(".fold-table tbody tr")).to_have_count(1)
    choose(page, "Holdout", "Random spatial")
    expect(page.locator(".fold-table tbody tr")).to_have_count(5)
    config = ExperimentConfig.load("quick").replace("holdout", name="random_spatial")
    expected = {}
    for fold in folds_of(demo, config):
        expected |= dict.fromkeys(
            demo[v.SITE].values[fold.test_sites].astype(str), fold.name.replace("_", " ")
        )

    def is_drawn():
        points = drawn(page, "folds")
        return dict(zip(points["site"], points["label"], strict=True)) == expected

    eventually(page, is_drawn)
    field = page.get_by_label("Folds", exact=True)
    field.fill("1")
    field.press("Enter")
    expect(page.get_by_text("Folds: Input should be greater than or equal to 2", exact=False)).to_be_visible()
    assert not list_runs(runs_folder)


def test_sites_in_a_drawn_area_are_tested(clean_page, serve, runs_folder, demo, pixel):
    page = clean_page
    open_experiments(page, serve(runs_folder)[0])
    choose(page, "Holdout", "Custom")
    expect(page.get_by_text("A custom holdout needs", exact=False)).to_be_visible()
    page.get_by_role("button", name="Draw an area").click()
    page.wait_for_timeout(800)
    corners = [(-130.0, 20.0), (-60.0, 20.0), (-60.0, 55.0), (-130.0, 55.0)]
    for lon, lat in corners:
        x, y = mercator(lon, lat)
        page.mouse.click(*pixel(page, "folds_map", float(x), float(y)))
        page.wait_for_timeout(600)  # faster clicks would be a double click
    page.get_by_role("button", name="Close the area").click()
    lon, lat = demo[v.LON].values, demo[v.LAT].values
    inside = int(((lon > -130) & (lon < -60) & (lat > 20) & (lat < 55)).sum())
    assert 0 < inside < demo.sizes[v.SITE]
    expect(page.get_by_text(f"{inside} test sites", exact=False)).to_be_visible()


def test_ticked_runs_are_compared(clean_page, serve, tmp_path, finished_run):
    page = clean_page
    folder = tmp_path / "runs"
    for number, hidden in enumerate((32, 128)):
        config = finished_run.config.replace("model", hidden=hidden).model_copy(
            update={"title": f"Size {hidden}"}
        )
        run = Run.create(folder, config, finished_run.provenance, run_id=f"2020010{number + 1}-000000-x")
        run.write_predictions(finished_run.predictions())
        run.write_scores(v.SM_INSITU, finished_run.scores(v.SM_INSITU))
        run.append_event("run_started", folds=["temporal"], device="cpu")
        for epoch in (1, 2, 3):
            run.append_event(
                "progress", fold="temporal", index=0, of=1, epoch=epoch, epochs=3, fraction=epoch / 3, loss=0.1 / epoch,
                loss_insitu=0.1 / epoch,
            )  # fmt: skip
        run.append_event("run_finished", seconds=1.0)
    open_experiments(page, serve(folder)[0])
    boxes = page.locator(".tabulator-row input[type=checkbox]")
    expect(boxes).to_have_count(2)
    boxes.nth(0).check()
    boxes.nth(1).check()
    settings = page.locator(".run-settings")
    expect(settings.locator("tbody").first.locator("tr")).to_have_count(1)
    expect(settings.locator("tbody").first).to_contain_text(re.compile("model.hidden.*128.*32"))
    scores = finished_run.scores(v.SM_INSITU)["R"].sel({v.PRODUCT: v.MULTITASK_LSTM})
    expect(page.locator(".run-scores tbody tr").first).to_contain_text(f"{float(scores.median()):.2f} [")
    page.get_by_role("button", name="Compare on the same days").click()
    expect(page.locator(".rank-table")).to_contain_text("Size 32", timeout=TRAINING)
    expect(page.locator(".rank-table")).to_contain_text("Size 128")


@pytest.mark.slow
def test_training_survives_the_server_and_resumes_exactly(serve, runs_folder, new_clean_page):
    first = new_clean_page()
    url, home = serve(runs_folder, ["-c", WITH_PID])
    open_experiments(first, url)
    fill_epochs(first, 80)  # long enough to be running when the new server and page are ready
    first.get_by_role("button", name="Launch").click()
    expect(first.locator(".experiment-status")).to_contain_text(
        re.compile(r"epoch \d+ of 80"), timeout=TRAINING
    )
    first.close()
    os.kill(int((home / "pid.txt").read_text()), signal.SIGKILL)
    (run,) = list_runs(runs_folder)
    n_events = len(list(run.events()))
    deadline = time.monotonic() + TRAINING / 1000
    while len(list(run.events())) <= n_events + 1:
        assert time.monotonic() < deadline, "training stopped with its server"
        time.sleep(0.2)

    second = new_clean_page()
    open_experiments(second, serve(runs_folder)[0])
    status = second.locator(".experiment-status")
    expect(status).to_contain_text(re.compile(r"epoch \d+ of 80"), timeout=TRAINING)
    os.killpg(JobQueue(runs_folder).get(run.id).pid, signal.SIGKILL)
    expect(status).to_contain_text("Worker exited unexpectedly")
    second.get_by_role("button", name="Resume").click()
    expect(status).to_contain_text("Finished", timeout=TRAINING)

    uninterrupted = create_run(run.config, runs_folder.with_name("uninterrupted"))
    subprocess.run([sys.executable, "-m", "gsm3core.jobs.worker", str(uninterrupted.folder)], check=True)
    for name in (v.SM_PREDICTED, v.IN_TEST):
        np.testing.assert_array_equal(
            run.predictions()[name].values, uninterrupted.predictions()[name].values
        )


def test_baseline_run_shows_the_scores_of_gsm3core(clean_page, serve, runs_folder, demo, map_data):
    """Gradient boosting from form to map: the map shows site_scores of its predictions."""
    page = clean_page
    open_experiments(page, serve(runs_folder)[0])
    choose(page, "Model", "Gradient boosting (baseline)")
    expect(page.get_by_label("Epochs")).to_be_hidden()
    page.get_by_label("Title (optional)").fill("Baseline")
    page.get_by_role("button", name="Launch").click()
    expect(page.locator(".experiment-status")).to_contain_text("Finished", timeout=TRAINING)
    page.get_by_role("button", name="Show on map").click()
    own = v.MODEL_PRODUCTS[GRADIENT_BOOSTING]
    expect(page.get_by_text(f"R of {own}", exact=True)).to_be_visible()
    run = list_runs(runs_folder)[0]
    assert run.title == "Baseline"
    assert run.config.model.name == GRADIENT_BOOSTING
    made = run.predictions()
    tested = made[v.SM_PREDICTED].where(made[v.IN_TEST]).assign_attrs(units=v.SM_UNITS)
    assert made[v.IN_TEST].any() and not made[v.IN_TEST].all()
    expected = site_scores(
        tested.reset_coords(drop=True), demo[v.SM_INSITU], min_days=run.config.scores.min_days
    )["R"]
    site_r = {
        str(s): float(x) for s, x in zip(expected[v.SITE].values, expected.values, strict=True) if x == x
    }
    columns = map_data(page)
    assert dict(zip(columns["site"], columns["value"], strict=True)) == pytest.approx(site_r)
    # Skill well above that of a shuffled record.
    assert np.median(list(site_r.values())) > 0.3


def test_holdout_folds_export(clean_page, serve, finished_run, tmp_path):
    page = clean_page
    open_experiments(page, serve(finished_run.folder.parent)[0])
    page.get_by_role("button", name="Export: holdout folds").click()
    with page.expect_download() as download:
        page.get_by_text("Numbers (CSV)", exact=True).click()
    download.value.save_as(tmp_path / "folds.csv")
    table = pd.read_csv(tmp_path / "folds.csv", comment="#", index_col=0)
    assert len(table) == 60
    assert set(table["tested by"]) == {"temporal"}
    lines = page.locator("pre").first.inner_text()
    assert "gsm3 run experiment.toml" in lines
    config = ExperimentConfig.from_mapping(tomllib.loads(lines))
    assert config.holdout.name == "temporal"
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG").click()
    download.value.save_as(tmp_path / "folds.png")
    assert (tmp_path / "folds.png").read_bytes().startswith(b"\x89PNG")
