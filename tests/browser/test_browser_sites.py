"""A visitor looks at the Sites page: scores, map, series, links."""

from __future__ import annotations

import re
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import expect

from gsm3core import vocabulary as v


@pytest.fixture(scope="module")
def url(serve, finished_run):
    return serve(finished_run.folder.parent)[0]


def open_page(page, url):
    page.goto(url)
    expect(page.locator("#loader")).to_be_hidden()
    expect(page.get_by_text("Reading the", exact=False)).to_have_count(0)


def eventually(page, condition, seconds=20):
    for _ in range(10 * seconds):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"not so within {seconds} s: {condition.__name__}")


def test_map_metric_and_click(clean_page, url, demo, map_data, drawn, click_map):
    page = clean_page
    open_page(page, f"{url}?run=none")
    expect(page.get_by_text("R of SMAP", exact=True)).to_be_visible()
    expect(page.get_by_text("Simulated", exact=True).first).to_be_visible()
    before = map_data(page)
    assert 0 < len(before["site"]) <= 60

    page.get_by_role("button", name="RMSE", exact=True).click()
    expect(page.get_by_text("RMSE (m³ m⁻³) of SMAP", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile("metric=RMSE"))
    after = map_data(page)
    assert after["value"] != before["value"]

    x, y = np.array(before["x"]), np.array(before["y"])
    lonely = int(np.argmax([np.sort(np.hypot(x - x[k], y - y[k]))[1] for k in range(len(x))]))
    click_map(page, float(x[lonely]), float(y[lonely]))
    expect(page).to_have_url(
        re.compile("site=" + re.escape(quote(before["site"][lonely], safe="")) + "(&|$)")
    )
    station, region = before["station"][lonely], before["region"][lonely].replace("_", " ")
    expect(page.get_by_text(f"{station}, {region}", exact=True)).to_be_visible()
    record = demo[v.SM_INSITU].sel({v.SITE: before["site"][lonely]}).values

    def is_drawn():
        shown = np.array(drawn(page, v.IN_SITU)["value"], dtype=float)
        return np.allclose(shown, record, rtol=1e-6, equal_nan=True)

    eventually(page, is_drawn)


def test_legend_shows_and_hides(clean_page, url):
    page = clean_page
    open_page(page, f"{url}?run=none")
    visible = """name => { for (const d of Bokeh.documents) for (const m of d._all_models.values())
        if (m.type === 'GlyphRenderer' && m.name === name) return m.visible }"""
    button = page.get_by_role("button", name="SMOS", exact=True)
    expect(button).to_be_visible()
    assert page.evaluate(visible, "SMOS") is False
    button.click()
    page.wait_for_function(f"() => ({visible})('SMOS')")
    button.click()
    page.wait_for_function(f"() => !({visible})('SMOS')")


def test_the_table_sorts_and_selects(clean_page, url, finished_run):
    page = clean_page
    open_page(page, url)
    header = page.locator(".tabulator-col", has_text=re.compile("^RMSE$"))
    for order in ("ascending", "descending"):
        header.click()
        expect(header).to_have_attribute("aria-sort", order)
    scores = finished_run.scores()["RMSE"].sel({v.PRODUCT: v.MULTITASK_LSTM})
    worst = scores.where(scores == scores.max(), drop=True)
    row = page.locator(".tabulator-row").first
    expect(row).to_contain_text(f"{float(worst[0]):.3f}")
    row.locator("[tabulator-field=network]").click()
    expect(page).to_have_url(re.compile("site=" + re.escape(quote(str(worst[v.SITE].values[0]), safe=""))))


def test_address_restores_the_view(clean_page, url, finished_run, map_data):
    page = clean_page
    site = str(finished_run.scores()[v.SITE].values[7])
    query = (
        f"run={finished_run.id}&product=SMOS&metric=bias&region=CONUS&theme=dark&site={quote(site, safe='')}"
    )
    open_page(page, f"{url}?{query}")
    expect(page.get_by_text("Bias (m³ m⁻³) of SMOS", exact=True)).to_be_visible()
    columns = map_data(page)
    assert set(columns["region"]) == {"CONUS"}
    scores = finished_run.scores()["bias"].sel({v.PRODUCT: "SMOS"})
    on_disk = {str(s): float(x) for s, x in zip(scores[v.SITE].values, scores.values, strict=True)}
    for name, value in zip(columns["site"], columns["value"], strict=True):
        assert value == on_disk[name]
    expect(page.get_by_role("button", name="GSM3 LSTM, test days")).to_be_visible()
    dark = page.evaluate(
        "() => [...Bokeh.documents[0]._all_models.values()].find(m => m.name === 'coast').glyph.line_color"
    )
    assert str(dark.get("value", dark) if isinstance(dark, dict) else dark) == "#6d7f85"
    for part in ("metric=bias", "region=CONUS", "product=SMOS", "theme=dark"):
        assert part in page.url


def test_an_address_that_is_not_understood_says_so(clean_page, url):
    page = clean_page
    open_page(page, f"{url}?metric=RSME&run=gone&product=SMAP")
    expect(page.get_by_text("R of SMAP", exact=True)).to_be_visible()
    expect(page.get_by_text("metric=RSME")).to_be_visible()


def test_two_visitors_are_independent(url, new_clean_page):
    first, second = new_clean_page(), new_clean_page()
    for page in (first, second):
        open_page(page, f"{url}?run=none")
        expect(page.get_by_text("R of SMAP", exact=True)).to_be_visible()
    first.get_by_role("button", name="bias", exact=True).click()
    expect(first.get_by_text("Bias (m³ m⁻³) of SMAP", exact=True)).to_be_visible()
    assert second.get_by_text("R of SMAP", exact=True).is_visible()
    assert "bias" not in second.url


def test_dark_page_restyles_the_plots(clean_page, url):
    page = clean_page
    open_page(page, f"{url}?run=none")
    page.get_by_role("button", name="Toggle theme").click()
    expect(page).to_have_url(re.compile("theme=dark"))
    page.wait_for_function(
        """() => { const all = [...Bokeh.documents[0]._all_models.values()]
        const map = all.find(m => m.type === 'Figure' && m.name === 'site_map')
        return all.find(m => m.name === 'coast').glyph.line_color.value === '#6d7f85'
            && map.background_fill_color === '#172024' }"""
    )


def test_narrow_page_has_nothing_cut(clean_page, url):
    page = clean_page
    page.set_viewport_size({"width": 900, "height": 1200})
    open_page(page, url)
    expect(page.get_by_text("R of GSM3 LSTM", exact=True)).to_be_visible()
    wide = page.evaluate("() => document.querySelector('*').scrollWidth")
    assert wide <= 900
