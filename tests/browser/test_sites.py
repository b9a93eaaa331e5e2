"""The Sites page in a browser: scores, map, boxplots, time series, URL, export."""

from __future__ import annotations

import re
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from playwright.sync_api import expect

from gsm3core import vocabulary as v
from gsm3core.evaluation.site_scores import site_scores
from gsm3core.evaluation.stratified import season_scores


@pytest.fixture(scope="module")
def url(serve, finished_run):
    return serve(finished_run.folder.parent)[0]


def open_page(page, url, timeout_ms=None):
    page.goto(f"{url}&page=sites" if "?" in url else f"{url}?page=sites")
    expect(page.locator("#loader")).to_be_hidden(timeout=timeout_ms)
    expect(page.get_by_text("Reading the", exact=False)).to_have_count(0)


def eventually(page, condition, seconds=20):
    for _ in range(10 * seconds):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"condition not met within {seconds} s: {condition.__name__}")


def test_click_on_the_map_shows_the_time_series(clean_page, url, demo, map_data, drawn, click_map):
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
    isolated = int(np.argmax([np.sort(np.hypot(x - x[k], y - y[k]))[1] for k in range(len(x))]))
    click_map(page, float(x[isolated]), float(y[isolated]))
    expect(page).to_have_url(
        re.compile("site=" + re.escape(quote(before["site"][isolated], safe="")) + "(&|$)")
    )
    station, region = before["station"][isolated], before["region"][isolated].replace("_", " ")
    expect(page.get_by_text(f"{station}, {region}", exact=True)).to_be_visible()
    record = demo[v.SM_INSITU].sel({v.SITE: before["site"][isolated]}).values

    def is_drawn():
        shown = np.array(drawn(page, v.IN_SITU)["value"], dtype=float)
        return np.allclose(shown, record, rtol=1e-6, equal_nan=True)

    eventually(page, is_drawn)


def test_legend_shows_and_hides_lines(clean_page, url):
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


def test_table_sorts_and_selects_sites(clean_page, url, finished_run):
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


def test_url_restores_the_selection(clean_page, url, finished_run, map_data):
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


def test_invalid_url_values_are_reported(clean_page, url):
    page = clean_page
    open_page(page, f"{url}?metric=RSME&run=gone&product=SMAP")
    expect(page.get_by_text("R of SMAP", exact=True)).to_be_visible()
    expect(page.get_by_text("metric=RSME")).to_be_visible()


def test_two_sessions_are_independent(url, new_clean_page):
    first, second = new_clean_page(), new_clean_page()
    for page in (first, second):
        open_page(page, f"{url}?run=none")
        expect(page.get_by_text("R of SMAP", exact=True)).to_be_visible()
    first.get_by_role("button", name="bias", exact=True).click()
    expect(first.get_by_text("Bias (m³ m⁻³) of SMAP", exact=True)).to_be_visible()
    assert second.get_by_text("R of SMAP", exact=True).is_visible()
    assert "bias" not in second.url


def test_dark_theme_restyles_the_plots(clean_page, url):
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


def test_narrow_page_is_not_cut(clean_page, url):
    page = clean_page
    page.set_viewport_size({"width": 900, "height": 1200})
    open_page(page, url)
    expect(page.get_by_text("R of GSM3 LSTM", exact=True)).to_be_visible()
    wide = page.evaluate("() => document.querySelector('*').scrollWidth")
    assert wide <= 900


def choose_tool(page, title):
    page.get_by_title(title).first.click()


def drag_around(page, pixel, x, y, margin):
    left, top = pixel(page, "site_map", min(x) - margin, max(y) + margin)
    right, bottom = pixel(page, "site_map", max(x) + margin, min(y) - margin)
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move((left + right) / 2, (top + bottom) / 2, steps=4)
    page.mouse.move(right, bottom, steps=4)
    page.mouse.up()


def test_box_select_on_the_map_filters_the_page(clean_page, url, demo, drawn, pixel):
    page = clean_page
    open_page(page, f"{url}?run=none")
    expect(page.get_by_text("R of SMAP", exact=True)).to_be_visible()
    columns = drawn(page, "sites")
    far = [k for k, region in enumerate(columns["region"]) if region == "Australia"]
    x, y = (np.array(columns[axis])[far] for axis in ("x", "y"))
    choose_tool(page, "Box Select")
    drag_around(page, pixel, x, y, 4e5)
    expect(page).to_have_url(re.compile("area="))
    inside = demo[v.REGION].values.astype(str) == "Australia"
    expected = site_scores(demo[v.SM_SMAP][inside], demo[v.SM_INSITU][inside])["R"]
    expect(page.get_by_text(f"{int(inside.sum())} of 60 sites").first).to_be_visible()
    expect(page.locator(".card.chosen .value").first).to_have_text(f"{float(expected.median()):.2f}")

    def others_are_faint():
        columns = drawn(page, "sites")
        strong = {s for s, a in zip(columns["site"], columns["alpha"], strict=True) if a == 1}
        return strong == set(demo["site"].values[inside].astype(str)[np.isfinite(expected)])

    eventually(page, others_are_faint)
    page.get_by_role("button", name="Clear the area on the map").click()
    expect(page.get_by_text("60 of 60 sites").first).to_be_visible()
    expect(page).not_to_have_url(re.compile("area="))


def test_click_on_a_boxplot_row_highlights_its_sites(clean_page, url, drawn, pixel):
    page = clean_page
    open_page(page, f"{url}?run=none&product=SMAP")
    expect(page.get_by_text("R of SMAP by region", exact=True)).to_be_visible()
    rows = drawn(page, "sites")
    regions = ["CONUS", "Europe", "Africa_North", "Alaska", "Asia", "Africa_South", "Australia"]
    row = len(regions) - 1 - regions.index("Europe")  # the first region is at the top
    page.mouse.click(*pixel(page, "boxes_by_group", 0.3, row + 0.5))
    expect(page).to_have_url(re.compile("group=Europe"))

    def europe_stands_out():
        columns = drawn(page, "sites")
        strong = {r for r, a in zip(columns["region"], columns["alpha"], strict=True) if a == 1}
        return strong == {"Europe"}

    assert {"Europe", "CONUS"} < set(rows["region"])
    eventually(page, europe_stands_out)


def test_season_filter_changes_the_medians(clean_page, url, demo, map_data):
    page = clean_page
    open_page(page, f"{url}?run=none&metric=RMSE")
    page.get_by_role("button", name="Season and days").click()
    page.get_by_role("combobox", name=re.compile("^Season")).click()
    page.get_by_role("menuitem", name="Summer").or_(page.get_by_role("option", name="Summer")).click()
    expect(page).to_have_url(re.compile("season=summer"))
    expected = season_scores(demo[v.SM_SMAP].load(), demo[v.SM_INSITU].load()).sel(season="summer")["RMSE"]
    median = f"{float(expected.median()):.3f}"
    expect(page.locator(".card.chosen .value").first).to_have_text(median)
    page.get_by_role("button", name="Reset", exact=True).click()
    expect(page).not_to_have_url(re.compile("season="))
    whole = site_scores(demo[v.SM_SMAP], demo[v.SM_INSITU])["RMSE"]
    expect(page.locator(".card.chosen .value").first).to_have_text(f"{float(whole.median()):.3f}")


def test_map_values_are_those_of_the_run(clean_page, url, finished_run, drawn, map_data):
    page = clean_page
    open_page(page, f"{url}?run={finished_run.id}&metric=ubRMSE")
    expect(page.get_by_text("ubRMSE (m³ m⁻³) of GSM3 LSTM", exact=True)).to_be_visible()
    columns = map_data(page)
    scores = finished_run.scores()["ubRMSE"].sel({v.PRODUCT: v.MULTITASK_LSTM})
    assert len(columns["site"]) == int(scores.notnull().sum())
    for site, value in list(zip(columns["site"], columns["value"], strict=True))[:10]:
        assert value == float(scores.sel({v.SITE: site}))


def test_site_shows_paired_days_and_data_gaps(clean_page, url, demo, finished_run, drawn):
    page = clean_page
    site = str(finished_run.scores()[v.SITE].values[7])
    open_page(page, f"{url}?run={finished_run.id}&product=SMOS&site={quote(site, safe='')}")
    expect(page.get_by_text("Error over time", exact=True)).to_be_visible()
    at = demo.sel({v.SITE: site})
    observed = at[v.SM_INSITU].values[:365]
    smos = at[v.SM_PRODUCT].sel({v.PRODUCT: "SMOS"}).values[:365]
    both = np.isfinite(observed) & np.isfinite(smos)

    def pairs_are_drawn():
        error = np.array(drawn(page, "errors").get("error", []), float)
        return error.size == both.sum() and np.allclose(error, (smos - observed)[both], atol=1e-6)

    eventually(page, pairs_are_drawn)
    bars = drawn(page, "days_with_values")
    missing = np.isnan(at[v.SM_INSITU].values)
    valid_periods = int((np.diff(np.concatenate([[1], missing.astype(int), [1]])) == -1).sum())
    assert bars["row"].count(v.IN_SITU) == valid_periods
    page.get_by_text("Site attributes").click()
    expect(page.get_by_text("elevation", exact=True)).to_be_visible()


def test_exports_of_the_map_contain_the_sites_shown(clean_page, url, finished_run, demo, tmp_path):
    page = clean_page
    open_page(page, f"{url}?run={finished_run.id}&region=CONUS&product=SMOS")
    page.get_by_role("button", name="Export: map of sites").click()
    expect(page.get_by_role("heading", name="Export: map of sites")).to_be_visible()
    saved = {}
    for name in ("SVG", "PNG", "Numbers (CSV)", "Sites shown (netCDF)"):
        with page.expect_download() as download:
            page.get_by_role("button", name=name).first.click()
        saved[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[name])
    scores = finished_run.scores().sel({v.PRODUCT: "SMOS"})
    conus = demo[v.REGION].values.astype(str) == "CONUS"
    table = pd.read_csv(saved["Numbers (CSV)"], comment="#", index_col=0)
    np.testing.assert_allclose(table["R"], scores["R"].values[conus])
    drawing = saved["SVG"].read_text()
    assert drawing.count("<image") <= 1  # the colour bar; everything else is vector graphics
    assert drawing.count("<path") > conus.sum()
    assert saved["PNG"].read_bytes()[:4] == b"\x89PNG"
    with xr.open_dataset(saved["Sites shown (netCDF)"]) as back:
        assert list(back[v.SITE].values) == list(scores[v.SITE].values[conus].astype(str))


@pytest.mark.slow
def test_first_load_on_a_slow_processor_draws_all_plots(url, new_clean_page, drawn):
    # A plot that is changed before it is rendered fails in the browser, which happens where rendering is slow.
    for _ in range(5):
        page = new_clean_page()
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 6})
        open_page(page, f"{url}?run=none", timeout_ms=6 * 60_000)
        expect(page.get_by_text("R of SMAP", exact=True)).to_be_visible()

        def is_drawn(page=page):
            return drawn(page, "sites").get("site") and drawn(page, v.IN_SITU).get("value")

        eventually(page, is_drawn, seconds=90)
        page.wait_for_function("() => Bokeh.documents.every(d => d.is_idle)")
        page.close()


def test_idle_page_stops_polling_style_sheets(clean_page, url):
    # Without the workaround the table polls forever for style sheets that the theme has replaced.
    page = clean_page
    open_page(page, f"{url}?run=none")
    expect(page.locator(".tabulator-row").first).to_be_visible()
    is_idle = """() => {
      const tables = [], look = v => {
        if (v._initialized_stylesheets != null && '_resize_pending' in v) tables.push(v)
        for (const c of v.child_views ?? []) look(c)
      }
      for (const root of Bokeh.index.roots) look(root)
      return tables.length > 0 && tables.every(t => !t._resize_pending && [...t._initialized_stylesheets.values()].every(x => x))
    }"""
    page.wait_for_function(is_idle)


def test_hover_text_is_the_score_with_its_interval(clean_page, url, demo, drawn):
    page = clean_page
    open_page(page, f"{url}?run=none&metric=RMSE")
    expect(page.get_by_text("RMSE (m³ m⁻³) of SMAP", exact=True)).to_be_visible()
    scores = site_scores(demo[v.SM_SMAP], demo[v.SM_INSITU])
    columns = drawn(page, "sites")
    texts = page.evaluate(
        """() => { const all = [...Bokeh.documents[0]._all_models.values()]
        const sites = all.find(m => m.type === 'GlyphRenderer' && m.name === 'sites')
        const tool = all.find(m => m.type === 'HoverTool' && m.renderers.includes?.(sites))
        const write = tool.formatters instanceof Map ? tool.formatters.get('@value') : tool.formatters['@value']
        return [3, 17].map(index => write.format(sites.data_source.data.value[index], 'custom', {index})) }"""
    )
    for text, k in zip(texts, (3, 17), strict=True):
        at = scores.sel({v.SITE: columns["site"][k]})
        low, high = float(at["RMSE_lower"]), float(at["RMSE_upper"])
        assert text == f"RMSE {float(at['RMSE']):.3f} [{low:.3f}, {high:.3f}] m³ m⁻³"
