"""The Data page: datasets, data sources, export and upload."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from gsm3core import vocabulary as v
from gsm3core.catalog import source_entries
from gsm3core.demo import demo_dataset
from gsm3core.files import fingerprint
from gsm3core.schema import open_dataset, save_dataset


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    """A separate folder: these tests write to it."""
    folder = tmp_path_factory.mktemp("own-data")
    save_dataset(demo_dataset(n_sites=20, end="2016-03-31"), folder / "small.zarr")
    return folder


@pytest.fixture(scope="module")
def url(serve, data_folder, tmp_path_factory):
    return serve(tmp_path_factory.mktemp("runs"))[0]


@pytest.fixture(scope="module")
def sites(data_folder):
    return open_dataset(data_folder / "small.zarr")[v.SITE].values.astype(str)


def open_data(page, url):
    page.goto(f"{url}?page=data")
    expect(page.locator("#loader")).to_be_hidden()
    expect(page.locator(".datasets")).to_contain_text("small.zarr")


def fill(page, label, text):
    page.get_by_label(label).fill(text)
    page.get_by_label(label).press("Enter")


def table(tmp_path, text, name="mine.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_datasets_and_sources_are_listed(clean_page, url):
    page = clean_page
    open_data(page, url)
    row = page.locator(".datasets tbody tr").first
    expect(row).to_contain_text("20")
    expect(row).to_contain_text("2015-04-01 to 2016-03-31")
    expect(page.locator(".dataset-detail")).to_contain_text("variables with source and license")
    sources = page.locator(".catalogue details")
    expect(sources).to_have_count(len(source_entries()))
    sources.filter(has_text="smap-l3e").locator("summary").click()
    expect(sources.filter(has_text="smap-l3e")).to_contain_text("licence")
    page.get_by_role("button", name="Show on the Sites page").click()
    expect(page.get_by_text("R of SMAP", exact=True)).to_be_visible()


def test_tables_are_exported(clean_page, url, data_folder, tmp_path):
    page = clean_page
    open_data(page, url)

    def exported(card, name):
        page.get_by_role("button", name=f"Export: {card}").click()
        expect(page.get_by_role("heading", name=f"Export: {card}")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("button", name=f"{name} (CSV)").click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        page.keyboard.press("Escape")
        return pd.read_csv(path, comment="#", index_col=0)

    ds = open_dataset(data_folder / "small.zarr")
    datasets = exported("available datasets", "Datasets")
    one = datasets.loc["small.zarr"]
    assert (one["sites"], one["networks"]) == (20, len(np.unique(ds[v.NETWORK].values)))
    assert (one["first_day"], one["last_day"]) == ("2015-04-01", "2016-03-31")
    variables = exported("available datasets", "Variables")
    assert variables.loc[v.SM_INSITU, "units"] == "m3 m-3"
    assert set(variables.index) <= set(ds.data_vars)
    sources = exported("data sources", "Sources")
    assert list(sources.index.sort_values()) == sorted(source_entries())
    page.get_by_role("button", name="Export: available datasets").click()
    expect(page.get_by_text("gsm3 data describe")).to_contain_text(str(data_folder / "small.zarr"))


def test_table_is_checked_added_and_shown(clean_page, url, data_folder, sites, tmp_path):
    page = clean_page
    before = fingerprint(data_folder / "small.zarr")
    rows = [f"{s},2015-04-{d:02d},{0.1 + 0.001 * d:.3f},m3 m-3" for s in sites[:3] for d in range(1, 31)]
    text = "\n".join(["site,time,value,units", *rows, "elsewhere,2015-04-01,0.2,m3 m-3"])
    open_data(page, url)
    page.locator("input[type=file]").set_input_files(table(tmp_path, text))
    summary = page.locator(".upload-summary")
    expect(summary).to_contain_text("91 of 91 can be used")
    fill(page, "Name of the product or network", "Mine")
    fill(page, "Name of the new dataset", "small with mine")
    page.get_by_role("button", name="Add to a new dataset").click()
    expect(summary).to_contain_text("3 of 4 sites used, 90 values")
    expect(summary).to_contain_text("not a site of the dataset")
    expect(page.locator(".datasets")).to_contain_text("small with mine.zarr")
    ds = open_dataset(data_folder / "small with mine.zarr").load()
    added = ds[v.SM_PRODUCT].sel({v.PRODUCT: "Mine", v.SITE: sites[1], v.TIME: "2015-04-07"})
    assert np.isclose(added.item(), 0.107)
    assert fingerprint(data_folder / "small.zarr") == before
    page.get_by_role("button", name="Show the new dataset").click()
    expect(page.get_by_text("Mine", exact=True).first).to_be_visible()


def test_large_table_is_uploaded_in_chunks(clean_page, url, sites, tmp_path):
    page = clean_page
    open_data(page, url)
    times = (
        f"2015-04-{1 + k % 30:02d}T{k // 30 % 24:02d}:{k // 720 % 60:02d}:{k // 43200:02d}"
        for k in range(600_000)
    )
    rows = "".join(f"{sites[0]},{t},0.2,m3 m-3\n" for t in times)
    path = table(tmp_path, f"site,time,value,units\n{rows}", "large.csv")
    assert path.stat().st_size > 20_000_000  # more than one message can hold
    page.locator("input[type=file]").set_input_files(path)
    expect(page.locator(".upload-summary")).to_contain_text("600,000 of 600,000 can be used", timeout=180_000)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("site,time\na,2015-04-01\n", "mine.csv", "no column 'value'"),
        ("site,time,value,units\na,01/02/2015,0.2,m3 m-3\n", "mine.csv", "ambiguous time"),
        ("site,time,value,units\na,2015-04-01,20,m3 m-3\n", "mine.csv", "It looks like percent"),
    ],
)
def test_invalid_table_is_reported(clean_page, url, tmp_path, text, name, message):
    page = clean_page
    open_data(page, url)
    page.locator("input[type=file]").set_input_files(table(tmp_path, text, name))
    expect(page.get_by_text(message, exact=False).first).to_be_visible()
    expect(page.get_by_role("button", name="Add to a new dataset")).to_be_disabled()


def test_path_as_dataset_name_is_rejected(clean_page, url, data_folder, sites, tmp_path):
    page = clean_page
    open_data(page, url)
    page.locator("input[type=file]").set_input_files(
        table(tmp_path, f"site,time,value,units\n{sites[0]},2015-04-01,0.2,m3 m-3\n")
    )
    expect(page.locator(".upload-summary")).to_contain_text("1 of 1 can be used")
    before = sorted(data_folder.parent.rglob("*outside*"))
    fill(page, "Name of the new dataset", "../outside")
    page.get_by_role("button", name="Add to a new dataset").click()
    expect(page.get_by_text("Invalid dataset name", exact=False)).to_be_visible()
    assert sorted(data_folder.parent.rglob("*outside*")) == before
