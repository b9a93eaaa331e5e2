"""User actions on the Sites page, with the seconds until the page has responded."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import cycle
from typing import Any

# Waits in the browser, frame by frame, until the page's models change; polling from here would add a round trip.
_UNTIL = """([condition, before]) => new Promise(resolve => {
  const all = () => [...Bokeh.documents[0]._all_models.values()]
  const data = name => all().find(m => m.type === 'GlyphRenderer' && m.name === name)?.data_source.data
  const text = s => { const walk = r => { for (const e of r.querySelectorAll('*')) {
      if (e.matches(s)) return e.textContent
      if (e.shadowRoot) { const f = walk(e.shadowRoot); if (f != null) return f } } return null }
    return walk(document) }
  const read = new Function('data', 'text', 'return ' + condition)
  const poll = () => { const now = JSON.stringify(read(data, text)); now !== before ? resolve(now) : requestAnimationFrame(poll) }
  poll()
})"""
_READ = _UNTIL.replace("now !== before ? resolve(now) : requestAnimationFrame(poll)", "resolve(now)")


def actions_of(page: Any) -> dict[str, Callable[[], float]]:
    """Return functions that perform one user action and return the seconds until the page has responded."""

    def timed(act: Callable[[], None], condition: str) -> float:
        before = page.evaluate(_READ, [condition, ""])
        begin = time.perf_counter()
        act()
        page.evaluate(_UNTIL, [condition, before])
        return time.perf_counter() - begin

    metrics = cycle(["RMSE", "ubRMSE", "bias", "R"])
    values = "data('sites').value.slice(0, 40).map(Number)"

    def metric() -> float:
        button = page.get_by_role("button", name=next(metrics), exact=True)
        return timed(button.click, values)

    cards = cycle([1, 2, 3, 0])

    def product() -> float:
        card = page.locator(".card").nth(next(cards))
        return timed(card.click, values)

    page.get_by_title("Lasso Select").first.click()
    ends = cycle([0.30, 0.42])
    figure = page.locator(".bk-Figure").first

    def lasso() -> float:
        box, end = figure.bounding_box(), next(ends)
        at = lambda fx, fy: (box["x"] + fx * box["width"], box["y"] + fy * box["height"])  # noqa: E731
        page.mouse.move(*at(0.12, 0.3))
        page.mouse.down()
        for corner in ((end, 0.3), (end, 0.55), (0.12, 0.55)):
            page.mouse.move(*at(*corner), steps=3)
        return timed(page.mouse.up, "text('.card .sites')")

    rows = cycle(range(1, 9))

    def click() -> float:
        # The order of the table changes with the other actions; a click on the selected site would change nothing.
        row = page.locator(".tabulator-row:not(.tabulator-selected)").nth(next(rows))
        return timed(
            row.locator("[tabulator-field=network]").click, "data('In situ').value.slice(0, 2000).map(Number)"
        )

    groups = cycle(["Climate", "Land cover", "Region"])

    def stratum() -> float:
        page.get_by_role("combobox", name=re.compile("^Group sites by")).click()
        option = page.get_by_role("menuitem", name=re.compile(next(groups))).first
        option.hover()  # waits for the opening animation of the menu
        rows = "[...Bokeh.documents[0]._all_models.values()].find(m => m.name === 'boxes_by_group').y_range.factors"

        def choose() -> None:
            page.mouse.down()
            page.mouse.up()

        return timed(choose, rows)

    return {
        "switch metric": metric,
        "switch product": product,
        "lasso": lasso,
        "click a site": click,
        "change stratum": stratum,
    }
