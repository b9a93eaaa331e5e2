"""The Factors page shows the results of gsm3core.factors."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from gsm3core import vocabulary as v
from gsm3core.factors import factor_table, skill_strata

SLOW = 300_000  # milliseconds; the machines that test are shared


@pytest.fixture(scope="module")
def url(serve, finished_run):
    return serve(finished_run.folder.parent)[0]


@pytest.fixture(scope="module")
def table(finished_run, demo):
    return factor_table(finished_run.scores(v.SM_INSITU), demo, metric="R")


def open_factors(page, url, query=""):
    page.goto(f"{url}?page=factors{query}")
    expect(page.locator("#loader")).to_be_hidden()
    expect(page.locator(".strata-tests")).to_contain_text("Dry vs moist", timeout=SLOW)


def eventually(page, condition, seconds=60):
    for _ in range(5 * seconds):
        if condition():
            return
        page.wait_for_timeout(200)
    raise AssertionError(f"condition not met within {seconds} s: {condition.__name__}")


def test_strata_are_those_of_gsm3core(clean_page, url, finished_run, table, drawn):
    page = clean_page
    open_factors(page, url, f"&run={finished_run.id}")
    expect(page.get_by_text("Association, not cause.").first).to_be_visible()
    strata = skill_strata(table)
    occupied = strata["first_sites"].values > 0
    boxes = drawn(page, "strata_first_boxes")
    for name in ("median", "lower", "upper", "q25", "q75", "sites"):
        np.testing.assert_allclose(
            boxes[name], strata[f"first_{name}"].values[occupied], rtol=1e-4, atol=1e-5
        )
    expect(page.get_by_text("R of GSM3 LSTM by mean soil moisture and aspect")).to_be_visible()

    page.get_by_label("Mean soil moisture bins").fill("0.1, 0.2, 0.3")
    page.get_by_label("Mean soil moisture bins").press("Enter")
    changed = skill_strata(table, first_edges=(0.1, 0.2, 0.3))
    expected = changed["first_sites"].values[changed["first_sites"].values > 0]
    eventually(page, lambda: list(drawn(page, "strata_first_boxes")["sites"]) == list(expected))

    page.get_by_label("Mean soil moisture bins").fill("0.3, 0.2")
    page.get_by_label("Mean soil moisture bins").press("Enter")
    expect(page.get_by_text("the edges must increase", exact=False)).to_be_visible()


def test_moisture_of_the_reference_is_flagged_as_circular(clean_page, url, finished_run):
    page = clean_page
    open_factors(page, url, f"&run={finished_run.id}&factor_moisture=sm_insitu")
    expect(page.get_by_text("is circular", exact=False)).to_be_visible()


def test_factor_map_and_effect(clean_page, url, finished_run, table, drawn):
    page = clean_page
    open_factors(page, url, f"&run={finished_run.id}&factor=elevation")
    expect(page.get_by_text("Sites by elevation", exact=False)).to_be_visible()
    points = drawn(page, "factor_sites")
    assert set(points["site"]) == set(table.site)
    expect(page.get_by_text("Effect of elevation on R", exact=True)).to_be_visible(timeout=SLOW)


def test_importance_and_expected_skill(clean_page, url, finished_run, demo, drawn):
    page = clean_page
    open_factors(page, url, f"&run={finished_run.id}")
    page.get_by_role("button", name="Compute importance").click()
    expect(page.get_by_text("this takes a minute or more", exact=False)).to_be_visible()
    expect(page.locator(".cross-validation tbody tr")).to_have_count(3, timeout=SLOW)
    bars = drawn(page, "factors")
    assert "random noise" in bars["label"]
    assert bars["importance"] == sorted(bars["importance"], reverse=True)
    expect(page).to_have_url(re.compile("factor="))

    page.get_by_role("button", name="Compute expected skill").click()
    expect(page.get_by_text("Predicted from the factors alone", exact=False)).to_be_visible(timeout=SLOW)
    expected = drawn(page, "expected")
    assert 0 < len(expected["site"]) <= demo.sizes[v.SITE]


def test_page_switched_during_computation(clean_page, url, finished_run):
    page = clean_page
    page.goto(f"{url}?page=factors&run={finished_run.id}&metric=RMSE")
    expect(page.get_by_text("Association, not cause.").first).to_be_visible()
    page.get_by_role("button", name="Data", exact=True).click()
    expect(page.get_by_text("Available datasets")).to_be_visible()
    page.wait_for_timeout(6000)  # the result arrives while the page is hidden
    page.get_by_role("button", name="Factors", exact=True).click()
    expect(page.locator(".strata-tests")).to_contain_text("Dry vs moist", timeout=SLOW)
    page.wait_for_timeout(1000)


def test_too_few_sites_are_reported(clean_page, url, finished_run):
    page = clean_page
    page.goto(f"{url}?page=factors&run={finished_run.id}&region=Alaska")
    expect(page.get_by_text("at least 20 are needed", exact=False)).to_be_visible(timeout=SLOW)


def test_strata_export(clean_page, url, finished_run, table, tmp_path):
    """Strata are exported as three pictures and a table; the exported script reproduces them."""
    page = clean_page
    open_factors(page, url, f"&run={finished_run.id}")
    page.get_by_role("button", name="Export: strata of mean soil moisture and aspect").click()
    expect(
        page.get_by_role("heading", name="Export: strata of mean soil moisture and aspect")
    ).to_be_visible()
    expect(page.get_by_role("button", name="SVG")).to_have_count(3)
    with page.expect_download() as download:
        page.get_by_role("button", name="Numbers (CSV)").click()
    download.value.save_as(tmp_path / "strata.csv")
    rows = pd.read_csv(tmp_path / "strata.csv", comment="#")
    strata = skill_strata(table)
    first = rows[rows["stratum"] == "all"]
    np.testing.assert_allclose(first["median"], strata["first_median"].values, rtol=1e-6)
    assert list(first["sites"]) == list(strata["first_sites"].values)
    made: dict = {}
    exec(compile(page.locator("pre").first.inner_text(), "lines", "exec"), made)
    np.testing.assert_allclose(made["found"]["first_median"].values, strata["first_median"].values, rtol=1e-6)
