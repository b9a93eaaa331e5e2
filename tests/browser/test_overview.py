"""A visitor arrives at the Overview page: what is loaded, the medians, the paper's table, what needs attention."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from gsm3core import vocabulary as v
from gsm3core.report.published import paper_table
from gsm3core.statistics.cluster_bootstrap import ClusterDraws, median_interval


@pytest.fixture(scope="module")
def url(serve, finished_run):
    return serve(finished_run.folder.parent)[0]


def minus(text):
    return text.replace("-", "−")


def test_the_first_page_tells_how_good_the_products_are(clean_page, url, finished_run, demo):
    page = clean_page
    page.goto(url)
    expect(page.locator("#loader")).to_be_hidden()
    expect(page.get_by_text("How good the products are", exact=True)).to_be_visible()
    scores = finished_run.scores()
    networks = demo[v.NETWORK].values.astype(str)
    for product in (v.MULTITASK_LSTM, "SMOS"):
        row = page.locator("tr", has=page.get_by_role("cell", name=product, exact=True)).first
        for metric, digits in (("R", 2), ("RMSE", 3), ("bias", 3)):
            values = scores[metric].sel({v.PRODUCT: product}).values
            median, low, high = median_interval(values, ClusterDraws.make(networks), 0.95)
            sign = "+" if metric == "bias" else ""
            told = f"{median:{sign}.{digits}f} [{low:{sign}.{digits}f}, {min(high, 1):{sign}.{digits}f}]"
            # A number that rounds to nothing has no minus.
            expect(row).to_contain_text(minus(re.sub(r"-(0\.0+)(?!\d)", r"\1", told)))


def test_the_papers_table_stands_beside_ours(clean_page, url, finished_run, demo):
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


def test_what_needs_attention_leads_to_the_sites(clean_page, url, finished_run, demo):
    page = clean_page
    page.goto(url)
    expect(page.locator("#loader")).to_be_hidden()
    expect(page.get_by_text("is worst in", exact=False)).to_be_visible()
    ours = finished_run.scores()["R"].sel({v.PRODUCT: v.MULTITASK_LSTM})
    regions = demo[v.REGION].values.astype(str)
    medians = {r: np.nanmedian(ours.values[regions == r]) for r in set(regions)
               if np.isfinite(ours.values[regions == r]).sum() >= 5}  # fmt: skip
    worst = min(medians, key=medians.get)
    page.get_by_role("button", name="Show it", exact=True).click()
    expect(page).to_have_url(re.compile(f"page=sites.*region={worst}"))
    expect(page.get_by_text("R of GSM3 LSTM", exact=True)).to_be_visible()


def test_narrow_page_has_nothing_cut(clean_page, url):
    page = clean_page
    page.set_viewport_size({"width": 900, "height": 1200})
    page.goto(url)
    expect(page.locator("#loader")).to_be_hidden()
    expect(page.get_by_text("Beside the paper", exact=True)).to_be_visible()
    assert page.evaluate("() => document.querySelector('*').scrollWidth") <= 900
