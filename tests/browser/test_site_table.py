"""Table of sites and site search in a browser."""

from __future__ import annotations

import re
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import expect

from gsm3core import vocabulary as v
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.schema import products

PRODUCT = "SoMo.ml"


@pytest.fixture(scope="module")
def url(serve, finished_run):
    return serve(finished_run.folder.parent)[0]


@pytest.fixture
def page(clean_page, url):
    clean_page.goto(f"{url}?page=sites&run=none&product={PRODUCT}")
    expect(clean_page.locator("#loader")).to_be_hidden()
    expect(clean_page.locator(".tabulator-row").first).to_be_visible()
    return clean_page


def column(page, field):
    return page.locator(f".tabulator-row [tabulator-field={field}]").all_inner_texts()


def worst(demo, metric, loss):
    """The ten worst values of a score, worst first, computed by gsm3core."""
    both = products(demo)[PRODUCT], demo[v.SM_INSITU]
    values = site_scores(*both, metrics=(metric,), intervals="none")[metric].values
    order = np.argsort(-loss(values[np.isfinite(values)]), kind="stable")[:10]
    return values[np.isfinite(values)][order]


@pytest.mark.parametrize(
    ("metric", "loss"), [("R", np.negative), ("RMSE", np.positive), ("bias", np.abs)], ids=lambda x: str(x)
)
def test_worst_sites_by_the_selected_score_come_first(page, demo, metric, loss):
    page.get_by_role("button", name=metric, exact=True).click()

    expect(page.get_by_text(re.compile(f"^Worst {metric} first"))).to_be_visible()
    digits = 2 if metric == "R" else 3
    expected = [f"{value:.{digits}f}" for value in worst(demo, metric, loss)]
    cells = page.locator(f".tabulator-row [tabulator-field={metric}]")
    expect(cells).to_have_text(expected)


def test_further_score_has_its_own_column(page, demo):
    heads = page.locator(".tabulator-col:visible .tabulator-col-title")
    expect(heads).to_have_text(
        [
            "Station",
            "Network",
            "Region",
            "R",
            "RMSE",
            "ubRMSE",
            "Bias",
            "Days",
            "Depth (m)",
            "Reason for no score",
            "Suspect in-situ record",
        ]
    )
    page.get_by_role("combobox", name=re.compile("^Further scores")).click()
    page.get_by_role("menuitem", name="KGE", exact=True).click()
    expect(heads.nth(3)).to_have_text("KGE")
    expected = [f"{value:.3f}".replace("-0.000", "0.000") for value in worst(demo, "KGE", np.negative)]
    expect(page.locator(".tabulator-row [tabulator-field=chosen]")).to_have_text(expected)
    page.get_by_role("button", name="RMSE", exact=True).click()
    expect(heads.nth(3)).to_have_text("R")


def test_site_is_found_by_name_with_the_keyboard(page, demo):
    last = demo.isel({v.SITE: -1})
    station, network = str(last[v.STATION].item()), str(last[v.NETWORK].item())
    field = page.get_by_role("combobox", name="Find a site")
    field.focus()
    page.keyboard.type(f"{station}, {network}".lower())
    expect(page.get_by_role("option", name=f"{station}, {network}", exact=True)).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("site=" + re.escape(quote(str(last[v.SITE].item()), safe=""))))
    expect(page.get_by_text(re.compile(f"^{re.escape(station)}, "))).not_to_have_count(0)
    expect(field).to_have_value("")
