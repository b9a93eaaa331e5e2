"""The Overview page in a browser: product skill, the published Table 1, and warnings."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from gsm3core import vocabulary as v
from gsm3core.report.published import paper_table
from gsm3core.statistics.cluster_bootstrap import median_interval


@pytest.fixture(scope="module")
def url(serve, finished_run):
    return serve(finished_run.folder.parent)[0]


def minus(text):
    return text.replace("-", "−")


def test_medians_and_intervals_are_those_of_gsm3core(clean_page, url, finished_run, demo):
    page = clean_page
    page.goto(url)
    expect(page.locator("#loader")).to_be_hidden()
    expect(page.get_by_text("Product skill", exact=True)).to_be_visible()
    scores = finished_run.scores()
    networks = demo[v.NETWORK].values.astype(str)
    for product in (v.MULTITASK_LSTM, "SMOS"):
        row = page.locator("tr", has=page.get_by_role("cell", name=product, exact=True)).first
        for metric, digits in (("R", 2), ("RMSE", 3), ("bias", 3)):
            values = scores[metric].sel({v.PRODUCT: product}).values
            median, low, high, *_ = median_interval(values, networks, metric=metric)
            sign = "+" if metric == "bias" else ""
            expected = f"{median:{sign}.{digits}f} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"
            # A number that rounds to zero has no minus sign.
            expect(row).to_contain_text(minus(re.sub(r"-(0\.0+)(?!\d)", r"\1", expected)))


def test_published_values_are_below_those_of_the_run(clean_page, url, finished_run, demo):
    page = clean_page
    page.goto(url)
    expect(page.locator("#loader")).to_be_hidden()
    table = page.locator("table").nth(1)  # after the medians: the temporal experiment
    expect(table).to_contain_text("CONUS")
    ours = finished_run.scores()["R"].sel({v.PRODUCT: v.MULTITASK_LSTM})
    europe = float(np.nanmedian(ours.values[demo[v.REGION].values.astype(str) == "Europe"]))
    published = float(paper_table()["Europe"]["temporal", "R"])
    row = table.locator("tr", has_text=re.compile("^R(?!M)")).first
    cell = row.locator("td").nth(2)
    expect(cell).to_have_text(re.compile(f"{europe:.3f}\\s*{published:.3f}"))
    expect(page.get_by_text("they cannot be compared", exact=False)).to_be_visible()


def test_button_of_a_warning_shows_the_worst_region(clean_page, url, finished_run, demo):
    page = clean_page
    page.goto(url)
    expect(page.locator("#loader")).to_be_hidden()
    expect(page.get_by_text("is worst in", exact=False)).to_be_visible()
    ours = finished_run.scores()["R"].sel({v.PRODUCT: v.MULTITASK_LSTM})
    regions = demo[v.REGION].values.astype(str)
    medians = {r: np.nanmedian(ours.values[regions == r]) for r in set(regions)
               if np.isfinite(ours.values[regions == r]).sum() >= 5}  # fmt: skip
    worst = min(medians, key=medians.get)
    page.get_by_role("button", name="Show region", exact=True).click()
    expect(page).to_have_url(re.compile(f"page=sites.*region={worst}"))
    expect(page.get_by_text("R of GSM3 LSTM", exact=True)).to_be_visible()


def test_narrow_page_is_not_cut(clean_page, url):
    page = clean_page
    page.set_viewport_size({"width": 900, "height": 1200})
    page.goto(url)
    expect(page.locator("#loader")).to_be_hidden()
    expect(page.get_by_text("Comparison with the published Table 1", exact=True)).to_be_visible()
    assert page.evaluate("() => document.querySelector('*').scrollWidth") <= 900
