"""The report page: self-contained, escaped, and explicit about missing parts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from gsm3core.cli.main import app
from gsm3core.errors import RunError
from gsm3core.report import figures, write_report
from gsm3core.report.sources import citations
from gsm3core.schema import save_dataset
from support.report_runs import make_run, score, world


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the figures, which take half of the time of a report."""
    for name in ("site_map", "boxes_by_region", "boxes_by_product"):
        monkeypatch.setattr(figures, name, lambda *_: "<svg></svg>")


class Links(HTMLParser):
    """Collects every address that a page links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data", "action", "poster"):
                self.found.append((tag, name, value or ""))
            if name == "id":
                self.ids.append(value or "")


def parsed(page: Path) -> Links:
    links = Links()
    links.feed(page.read_text(encoding="utf-8"))
    return links


def test_page_loads_nothing_from_the_network(tmp_path: Path) -> None:
    page = write_report([make_run(tmp_path, world())], tmp_path / "out")
    links, text = parsed(page), page.read_text()
    for tag, name, address in links.found:
        if tag == "a" and address.startswith("http"):
            assert address.startswith("https://doi.org/10.")
        elif tag == "a" and not address.startswith("#"):
            assert (page.parent / address).is_file(), address
        else:
            assert address.startswith(("#", "data:")), (tag, name, address)
    assert not {"script", "link", "iframe", "object", "img", "form"} & set(links.tags)
    assert "default-src 'none'" in text and not re.search(r"@import|url\(\s*['\"]?http", text)
    named = [i for i in links.ids if i in {a[1:] for _, _, a in links.found if a.startswith("#")}]
    assert {a[1:] for t, _, a in links.found if t == "a" and a.startswith("#")} <= set(named)
    assert "prefers-color-scheme: dark" in text and "@media print" in text


def test_user_text_is_escaped(tmp_path: Path) -> None:
    evil = '<script>alert(1)</script> & "x" $\\frac{1$'
    ds = world(other="<b>$mine$</b>").assign_attrs(title=evil, references=f'{evil} doi:10.1000/x"><i>')
    ds["network"] = "site", np.array([f"<i>net{k % 6}</i>" for k in range(36)])
    ds = ds.set_coords("network").assign_attrs(simulated="false")
    page = write_report([make_run(tmp_path, ds, title=evil)], tmp_path / "out")
    text = page.read_text()
    assert "<script" not in text and "<b>" not in text and "<i>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in text and "&lt;i&gt;net1&lt;/i&gt;" in text
    assert "&lt;b&gt;$mine$&lt;/b&gt;" in text


@pytest.mark.usefixtures("without_figures")
def test_only_simulated_data_are_labelled_simulated(tmp_path: Path) -> None:
    for simulated, folder in (("true", tmp_path / "a"), ("false", tmp_path / "b")):
        folder.mkdir()
        run = make_run(folder, world().assign_attrs(simulated=simulated))
        text = write_report([run], folder / "out").read_text()
        assert ("Simulated data." in text) is (simulated == "true")
        assert ("The published numbers are of real sites" in text) is (simulated == "true")


def test_report_of_one_product_and_one_region(tmp_path: Path) -> None:
    ds = world().drop_dims("product").drop_vars("sm_smap").isel(site=slice(0, 36, 3))
    page = write_report([make_run(tmp_path, ds)], tmp_path / "out")
    text = page.read_text()
    assert "The dataset has no other product to compare the run with." in text
    assert not (page.parent / "tables" / "pairs-pairwise.csv").exists()
    assert "Fewer than five networks" in text and "not run" in text


def test_reasons_are_given_when_all_sites_are_excluded(tmp_path: Path) -> None:
    ds = world()
    ds["sm_insitu"][:, 12:] = np.nan
    page = write_report([make_run(tmp_path, ds)], tmp_path / "out")
    text = page.read_text()
    assert "too few paired days, fewer than 30" in text and "0 of 36" in text
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL).lower().replace("finan", "")


@pytest.mark.usefixtures("without_figures")
def test_missing_or_changed_dataset_is_reported(tmp_path: Path) -> None:
    ds = world()
    run = make_run(tmp_path, ds)
    (tmp_path / "world.nc").unlink()
    text = write_report([run], tmp_path / "gone").read_text()
    assert "was not found at its recorded path" in text and "Scores over all sites" in text
    assert 'id="products"' not in text
    save_dataset(ds.assign_attrs(title="another"), tmp_path / "world.nc")
    assert "has changed since the run" in write_report([run], tmp_path / "changed").read_text()


@pytest.mark.usefixtures("without_figures")
def test_scores_of_another_version_are_reported(tmp_path: Path) -> None:
    run = make_run(tmp_path, world())
    stored = run.scores()
    run.write_scores("sm_insitu", stored.assign(bias=stored["bias"] + 0.01))
    assert "differ from those computed now by up to 0.01" in write_report([run], tmp_path / "out").read_text()


def test_runs_of_different_datasets_are_refused(tmp_path: Path) -> None:
    ds = world()
    first = make_run(tmp_path, ds)
    other = tmp_path / "other"
    other.mkdir()
    elsewhere = make_run(other, ds.assign_attrs(title="another"), "random_spatial")
    with pytest.raises(RunError, match="another dataset"):
        write_report([first, elsewhere], tmp_path / "out")
    with pytest.raises(RunError, match="have the same holdout 'temporal'"):
        write_report([first, first], tmp_path / "out")
    with pytest.raises(RunError, match="at least one"):
        write_report([], tmp_path / "out")
    with pytest.raises(RunError, match="no scores against sm_smap"):
        write_report([first], tmp_path / "out", reference="sm_smap")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("without_figures")
def test_differing_configurations_are_reported(tmp_path: Path) -> None:
    ds = world()
    first, second = make_run(tmp_path, ds), make_run(tmp_path, ds, "random_spatial")
    config = second.folder / "config.toml"
    config.write_text(config.read_text().replace("epochs = ", "epochs = 1"))
    text = write_report([first, type(second).open(second.folder)], tmp_path / "out").read_text()
    assert "differs from run run-temporal not only in its holdout, but also in: training.epochs." in text


@pytest.mark.usefixtures("without_figures")
def test_report_is_written_atomically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, out = make_run(tmp_path, world()), tmp_path / "out"
    from gsm3core.report import write

    def fail(ds: xr.Dataset, path: Path) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="disk full"):
        patched.setattr(write, "atomic_write", fail)
        write_report([run], out)
    assert not out.exists() and not list(tmp_path.glob(".out*"))
    write_report([run], out)
    with pytest.raises(RunError, match="exists"):
        write_report([run], out)
    (out / "report.html").write_text("old")
    assert write_report([run], out, overwrite=True).read_text() != "old"
    (out / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"not a report \(it contains 'notes.txt'\)"):
        write_report([run], out, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine" and not list(tmp_path.glob(".out*"))


@pytest.mark.usefixtures("without_figures")
def test_report_command(tmp_path: Path) -> None:
    run = make_run(tmp_path, world(), scored=False)
    words = ["report", str(run.folder), "--out", str(tmp_path / "out")]
    failed = CliRunner().invoke(app, words)
    assert isinstance(failed.exception, RunError) and "has no scores against sm_insitu" in str(
        failed.exception
    )
    score(run, world())
    done = CliRunner().invoke(
        app, ["report", run.id, "--runs", str(run.folder.parent), "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 0, done.output
    text = (tmp_path / "out" / "report.html").read_text()
    assert f"gsm3 report {run.folder} --out out</code>" in text


def test_citations_follow_history_not_product_names() -> None:
    ds = world().assign_attrs(
        simulated="false",
        references="",
        history='[{"step": "build", "sources": [{"entry": "uscrn"}]}, {"step": "join"}]',
    )
    found = citations(ds, "abc", "0.1.0")
    texts = [c.text for c in found]
    assert any("Reference Network" in t for t in texts) and found[0].doi == "10.5194/gmd-16-1553-2023"
    # A product called SMAP may have any grid and version: the 9-km catalogue entry is not cited for it.
    assert not any("SMAP Enhanced L3" in t for t in texts)
    assert any(c.what.startswith("Networks") and "net0" in c.text for c in found)
    assert len(citations(None, "", "0.1.0")) == 2
