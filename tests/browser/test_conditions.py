"""Scaling, masks and sensor depth in a browser: the numbers, the message above every page, the URL."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from gsm3core import score_run
from gsm3core import vocabulary as v

SLOW = 120_000
BY_CDF = "scaled to in situ by CDF matching (bias is 0 by construction)"


FINISHED = {"overview": "Bold: best product", "compare": "Best at", "factors": "Dry vs moist"}


@pytest.fixture(scope="module")
def url(serve, finished_run):
    return serve(finished_run.folder.parent)[0]


def open_page(page, url):
    page.goto(url)
    expect(page.locator("#loader")).to_be_hidden()
    expect(page.get_by_text("Reading the", exact=False)).to_have_count(0, timeout=SLOW)


def test_scaling_and_mask_change_the_medians(clean_page, url, finished_run):
    page = clean_page
    open_page(page, f"{url}?page=sites&metric=RMSE")
    expect(page.get_by_text("Scores on this page:")).to_have_count(0)
    page.get_by_role("combobox", name=re.compile("^Scaling to the reference")).click()
    page.get_by_role("menuitem", name="CDF matching").or_(
        page.get_by_role("option", name="CDF matching")
    ).click()
    expect(page).to_have_url(re.compile("scaling=cdf"))
    expect(page.get_by_text(BY_CDF, exact=False).first).to_be_visible()
    page.get_by_role("button", name="Season and days").click()
    page.get_by_role("checkbox", name=re.compile("colder than")).check()
    expect(page).to_have_url(re.compile("masks=frozen"))
    expect(page.get_by_role("checkbox", name=re.compile("Without snow"))).to_be_disabled()
    expect(page.get_by_text(re.compile("the dataset has no snow_water_equivalent"))).to_be_visible()
    scores = score_run(finished_run, scaling="cdf", masks=["frozen"]).sel({v.PRODUCT: v.MULTITASK_LSTM})
    expect(page.locator(".card.chosen .value").first).to_have_text(f"{float(scores['RMSE'].median()):.3f}")
    removed = int(scores["n_masked"].sum())
    total = removed + int(scores["n_valid"].sum())
    expect(
        page.get_by_text(f"Left out: {removed:,} of {total:,} paired days of {v.MULTITASK_LSTM}.")
    ).to_be_visible()


@pytest.mark.parametrize("name", ["overview", "compare", "factors"])
@pytest.mark.parametrize("width", [1366, 390])
def test_every_page_of_scores_states_the_conditions(clean_page, url, name, width):
    page = clean_page
    page.set_viewport_size({"width": width, "height": 768})
    open_page(page, f"{url}?page={name}&scaling=cdf&masks=frozen")
    message = page.get_by_role("status").filter(has_text="Scores on this page:")
    expect(message).to_contain_text(f"without days of soil colder than 4 °C, {BY_CDF}.")
    expect(
        page.get_by_text(FINISHED[name]).first
    ).to_be_attached()  # closing a page during a computation is an error
    box = message.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width
