"""Accessibility of every page: axe-core in both themes (skipped without axe-core), and keyboard navigation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

AXE = Path(os.environ.get("AXE", Path(__file__).parent / ".axe" / "axe.min.js"))
PAGES = {
    "overview": "Product skill",
    "sites": "R by product",
    "compare": "Best product by R",
    "factors": "Factor importance",
    "experiments": "All experiments",
    "data": "Data sources",
}
# Tabulator puts its placeholder and pages into an element with the role grid.
_GRID = "aria-required-children"
_RUN_AXE = """async () => {
  const found = await axe.run(document, {resultTypes: ['violations']})
  return found.violations.map(v => ({rule: v.id, nodes: v.nodes.map(n => n.html.slice(0, 200)), help: v.help}))
}"""


@pytest.fixture(scope="module")
def url(serve, finished_run):
    return serve(finished_run.folder.parent)[0]


def violations(page: Any) -> list[dict[str, Any]]:
    page.evaluate(AXE.read_text())
    found = page.evaluate(_RUN_AXE)
    return [
        one
        for one in found
        if not (one["rule"] == _GRID and all("tabulator" in html for html in one["nodes"]))
    ]


def wait_until_named(page: Any) -> None:
    """Wait until accessible names were set after the last render (app.ui.workarounds.accessible_names)."""
    page.wait_for_timeout(1000)
    page.wait_for_function(
        "since => Number(document.documentElement.dataset.named ?? 0) > since",
        arg=page.evaluate("Date.now()"),
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", list(PAGES))
def test_axe_finds_no_violations(clean_page, url, name, theme):
    if not AXE.exists():
        pytest.skip(f"no axe-core at {AXE}: `make axe` fetches it where there is npm, or set AXE")
    page = clean_page
    page.goto(f"{url}?page={name}&theme={theme}")
    expect(page.locator("#loader")).to_be_hidden()
    expect(page.get_by_role("heading", name=PAGES[name], exact=False).first).to_be_visible()
    wait_until_named(page)
    found = violations(page)
    assert not found, found


def test_pages_are_usable_by_keyboard(clean_page, url):
    """Every focus stop has a name, and a page can be selected without a mouse."""
    page = clean_page
    page.goto(f"{url}?page=overview")
    expect(page.locator("#loader")).to_be_hidden()
    expect(page.get_by_role("heading", name="Product skill")).to_be_visible()
    wait_until_named(page)
    stops = []
    for _ in range(40):
        page.keyboard.press("Tab")
        stop = page.evaluate("""() => {
          let e = document.activeElement
          while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement
          if (e == null || e === document.body) return null
          const labels = [...(e.labels ?? [])].map(l => l.textContent).join(' ')
          const root = e.getRootNode()
          const alt = e.querySelector('img')?.alt ?? ''
          const ids = (e.getAttribute("aria-labelledby") ?? "").split(" ")
          const by = ids.map(i => root.getElementById?.(i)?.textContent ?? "").join(" ")
          const own = e.getAttribute('aria-label') ?? e.title
          return {html: e.outerHTML.slice(0, 200), name: own || labels || by || alt || e.textContent.trim()}
        }""")
        if stop is not None:
            stops.append(stop)
    assert len(stops) > 15
    nameless = [s for s in stops if not s["name"].strip()]
    assert not nameless, nameless
    page.get_by_role("button", name="Sites", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="R by product")).to_be_visible()
