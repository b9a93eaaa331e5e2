"""The Compare page in a browser shows the numbers of gsm3core."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from playwright.sync_api import expect

from gsm3core import vocabulary as v
from gsm3core.evaluation.comparison import compare_products
from gsm3core.run import Run
from gsm3core.schema import products

SLOW = 120_000  # milliseconds; the first comparison compiles its kernel


@pytest.fixture(scope="module")
def url(serve, finished_run, two_runs):
    return serve(finished_run.folder.parent)[0]


@pytest.fixture(scope="module")
def two_runs(finished_run):
    """The finished run and a second one with larger errors."""
    made = finished_run.predictions()
    noise = np.random.default_rng(2).normal(0, 0.05, made[v.SM_PREDICTED].shape).astype(np.float32)
    made[v.SM_PREDICTED] = made[v.SM_PREDICTED] + noise
    config = finished_run.config.model_copy(update={"title": "A worse one"})
    provenance = {"dataset_path": str(finished_run.dataset_path)}
    second = Run.create(finished_run.folder.parent, config, provenance, run_id="20000101-000000-second")
    second.write_predictions(made)
    second.write_scores(v.SM_INSITU, finished_run.scores(v.SM_INSITU))
    second.append_event("run_finished", seconds=1.0)
    return finished_run, second


@pytest.fixture(scope="module")
def expected(finished_run, demo):
    """The comparison of the run and the products on the run's test days, computed by gsm3core."""
    made = finished_run.predictions()
    every = {v.MULTITASK_LSTM: made[v.SM_PREDICTED]} | products(demo)
    stacked = xr.concat([a.reset_coords(drop=True) for a in every.values()], dim=v.PRODUCT).assign_coords(
        {v.PRODUCT: list(every)}
    )
    return compare_products(stacked.where(made[v.IN_TEST]).assign_attrs(units=v.SM_UNITS), demo[v.SM_INSITU])


def open_compare(page, url, query=""):
    page.goto(f"{url}?page=compare{query}")
    expect(page.locator("#loader")).to_be_hidden()
    expect(page.locator(".rank-table tr").nth(1)).to_be_visible(timeout=SLOW)


def test_ranks_pairs_and_maps_are_those_of_gsm3core(clean_page, url, finished_run, expected, drawn):
    page = clean_page
    open_compare(page, url, f"&run={finished_run.id}&sample=same_sample")
    part = expected.sel(sample="same_sample", metric="R")
    order = part[v.PRODUCT].values[np.argsort(-part["median"].values, kind="stable")]
    rows = page.locator(".rank-table tbody tr")
    expect(rows).to_have_count(len(order))
    for k, name in enumerate(order):
        one = part.sel({v.PRODUCT: name})
        expect(rows.nth(k)).to_contain_text(str(name))
        expected_text = f"{float(one['median']):.2f}"
        if np.isfinite(one["lower"]):  # too few sites have no interval
            expected_text += f" [{float(one['lower']):.2f}, {float(one['upper']):.2f}]"
        expect(rows.nth(k)).to_contain_text(expected_text.replace("-", "−"))

    expect(page.get_by_text("Paired days uses more", exact=False)).to_be_visible()

    page.get_by_role("button", name="Paired days", exact=True).click()
    expect(page).to_have_url(re.compile("sample=pairwise"))
    own = expected.sel(sample="pairwise", metric="R")["score"]
    a, b = own.sel({v.PRODUCT: v.MULTITASK_LSTM}), own.sel({v.PRODUCT: v.SMAP})
    both = {
        str(s): (float(y), float(x)) for s, x, y in zip(own[v.SITE].values, b.values, a.values, strict=True)
    }

    def is_drawn():
        pairs = drawn(page, "pairs")
        shown = dict(zip(pairs["site"], zip(pairs["y"], pairs["x"], strict=True), strict=True))
        wanted = {s: p for s, p in both.items() if np.isfinite(p).all()}
        return shown.keys() == wanted.keys() and all(np.allclose(shown[s], wanted[s]) for s in wanted)

    eventually(page, is_drawn)
    wins = dict(zip(drawn(page, "wins")["other"], drawn(page, "wins")["percent"], strict=True))
    share = expected["win_share"].sel(sample="pairwise", metric="R", product=v.MULTITASK_LSTM)
    for name in wins:
        assert wins[name] == pytest.approx(100 * float(share.sel(other=name)))
    assert len(drawn(page, "difference")["site"]) == sum(np.isfinite(p).all() for p in both.values())
    assert len(drawn(page, "best")["site"]) == int(
        (expected["best"].sel(sample="pairwise", metric="R") != "").sum()
    )


def test_change_of_metric_updates_the_page(clean_page, url, finished_run, expected):
    page = clean_page
    open_compare(page, url, f"&run={finished_run.id}&sample=pairwise")
    page.get_by_role("button", name="RMSE", exact=True).click()
    expect(page.get_by_text("Median RMSE (m³ m⁻³) by product", exact=True)).to_be_visible()
    part = expected.sel(sample="pairwise", metric="RMSE")
    best = str(part[v.PRODUCT].values[np.nanargmin(part["median"].values)])
    expect(page.locator(".rank-table tbody tr").first).to_contain_text(best)
    expect(page.locator(".pair-table")).to_contain_text("SMOS")


def test_second_run_is_ranked_by_its_title(clean_page, url, two_runs):
    page = clean_page
    first, second = two_runs
    open_compare(page, url, f"&run={first.id}&other_run={second.id}&other={second.title.replace(' ', '+')}")
    rows = page.locator(".rank-table tbody tr")
    expect(page.locator(".rank-table")).to_contain_text(first.title, timeout=SLOW)
    expect(page.locator(".rank-table")).to_contain_text("A worse one")
    texts = rows.all_inner_texts()
    better = next(k for k, t in enumerate(texts) if first.title in t)
    worse = next(k for k, t in enumerate(texts) if "A worse one" in t)
    assert better < worse
    assert not [t for t in texts if v.MULTITASK_LSTM in t]


def test_filters_reduce_the_sites(clean_page, url, finished_run, demo, drawn):
    page = clean_page
    open_compare(page, url, f"&run={finished_run.id}&region=CONUS")
    expect(page.get_by_text("Median over CONUS", exact=False)).to_be_visible()
    conus = {str(s) for s in demo[v.SITE].values[demo[v.REGION].values == "CONUS"]}
    assert set(drawn(page, "best")["site"]) <= conus


def test_narrow_dark_page_is_not_cut(clean_page, url, finished_run):
    page = clean_page
    page.set_viewport_size({"width": 900, "height": 1200})
    open_compare(page, url, f"&run={finished_run.id}&theme=dark")
    assert page.evaluate("() => document.querySelector('*').scrollWidth") <= 900


def eventually(page, condition, seconds=30):
    for _ in range(5 * seconds):
        if condition():
            return
        page.wait_for_timeout(200)
    raise AssertionError(f"condition not met within {seconds} s: {condition.__name__}")


def test_exports_contain_what_the_card_shows(clean_page, url, finished_run, expected, tmp_path):
    page = clean_page
    open_compare(page, url, f"&run={finished_run.id}&sample=pairwise&other=SMAP")
    page.get_by_role("button", name="Export: best product").click()
    expect(page.get_by_role("heading", name="Export: best product")).to_be_visible()
    saved = {}
    for name in ("SVG", "Numbers (CSV)", "All results (netCDF)"):
        with page.expect_download() as download:
            page.get_by_role("button", name=name).first.click()
        saved[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[name])
    part = expected.sel(sample="pairwise", metric="R")
    table = pd.read_csv(saved["Numbers (CSV)"], comment="#", index_col=0, keep_default_na=False)
    assert list(table["best"]) == list(part["best"].values.astype(str))
    scores = pd.to_numeric(table[f"R of {v.SMAP}"])
    np.testing.assert_allclose(scores, part["score"].sel({v.PRODUCT: v.SMAP}).values)
    with xr.open_dataset(saved["All results (netCDF)"]) as back:
        np.testing.assert_allclose(back["median"].sel(sample="pairwise", metric="R"), part["median"].values)
    drawing = saved["SVG"].read_text()
    assert "SIMULATED" in drawing  # the exported picture states it
    assert "fewer than two have a score" in drawing
    page.keyboard.press("Escape")
    # the title is removed from the page again
    title = page.evaluate(
        "() => [...Bokeh.documents[0]._all_models.values()].find(m => m.type === 'Figure' && m.name === 'best_map').title.text"
    )
    assert title == ""


def test_colour_limits_are_fixed_until_changed(clean_page, url, finished_run):
    page = clean_page
    open_compare(page, url, f"&run={finished_run.id}")
    ends = """() => {
      const f = [...Bokeh.documents[0]._all_models.values()].find(m => m.type === 'Figure' && m.name === 'difference_map')
      const mapper = f.right.find(m => m.type === 'ColorBar').color_mapper
      return [mapper.low, mapper.high]
    }"""
    eventually(page, lambda: page.evaluate(ends) == [-0.2, 0.2])
    page.get_by_label("Colour limits").click()
    page.get_by_role("menuitem", name="± 0.4").or_(page.get_by_role("option", name="± 0.4")).click()
    eventually(page, lambda: page.evaluate(ends) == [-0.4, 0.4])
    expect(page).to_have_url(re.compile("difference_limit=0.4"))
    page.get_by_role("button", name="RMSE", exact=True).click()
    eventually(page, lambda: page.evaluate(ends) == [-0.04, 0.04])
