"""A visitor launches, follows, cancels and looks at experiments."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from gsm3core import vocabulary as v
from gsm3core.run import list_runs

TRAINING = 300_000  # milliseconds; training shares the machine with everything else


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


def test_launch_follow_and_show_on_map(clean_page, serve, runs_folder, map_data):
    page = clean_page
    url = serve(runs_folder)[0]
    page.goto(url)
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


def test_first_run_appears_by_itself(clean_page, serve, runs_folder):
    page = clean_page
    url = serve(runs_folder)[0]
    page.goto(url)
    expect(page.get_by_text("R of SMAP", exact=True)).to_be_visible()
    other = page.context.new_page()
    open_experiments(other, url)
    fill_epochs(other, 1)
    other.get_by_role("button", name="Launch").click()
    expect(page.get_by_text("The first LSTM run")).to_be_visible(timeout=TRAINING)
    expect(page.get_by_text("R of GSM3 LSTM", exact=True)).to_be_visible(timeout=TRAINING)
    expect(page.get_by_text("The first LSTM run")).to_be_hidden()


def test_cancel(clean_page, serve, runs_folder):
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
def test_a_value_that_makes_no_sense_is_explained(clean_page, serve, runs_folder, epochs):
    page = clean_page
    open_experiments(page, serve(runs_folder)[0])
    fill_epochs(page, epochs)
    page.get_by_role("button", name="Launch").click()
    expect(
        page.get_by_text(f"Epochs: Input should be greater than or equal to 1 (given: {epochs})")
    ).to_be_visible()
    assert not list_runs(runs_folder)
    expect(page.get_by_role("button", name="Launch")).to_be_enabled()
