"""How fast the dashboard answers, for 1,317 sites x 8 products x 6 years: in Chromium, against the real server.

Needs Chromium (CHROMIUM, default /usr/bin/chromium) and about 3 GB of memory. ``run.py dashboard [REPETITIONS]``.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from playwright.sync_api import sync_playwright

from gsm3core import vocabulary as v
from gsm3core.demo import demo_dataset
from gsm3core.schema import save_dataset

SITES, DAYS = 1317, ("2015-04-01", "2020-12-31")
MORE = ("Product F", "Product G", "Product H")
GOALS = {
    "switch metric": 300,
    "switch product": 300,
    "lasso": 300,
    "change stratum": 300,
    "click a site": 500,
}
INTERACTIONS = 200
ROOT = Path(__file__).resolve().parents[2]

# Waits, in the browser and frame by frame, until the page's models answer; a round trip more would be in the time.
_UNTIL = """([condition, before]) => new Promise(resolve => {
  const all = () => [...Bokeh.documents[0]._all_models.values()]
  const data = name => all().find(m => m.type === 'GlyphRenderer' && m.name === name)?.data_source.data
  const text = s => { const walk = r => { for (const e of r.querySelectorAll('*')) {
      if (e.matches(s)) return e.textContent
      if (e.shadowRoot) { const f = walk(e.shadowRoot); if (f != null) return f } } return null }
    return walk(document) }
  const read = new Function('data', 'text', 'return ' + condition)
  const look = () => { const now = JSON.stringify(read(data, text)); now !== before ? resolve(now) : requestAnimationFrame(look) }
  look()
})"""
_READ = _UNTIL.replace("now !== before ? resolve(now) : requestAnimationFrame(look)", "resolve(now)")


def main(arguments: list[str]) -> None:
    """Measure, and print a table."""
    repetitions = int(arguments[0]) if arguments else 50
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        save_dataset(_world(), data / "demo.zarr")
        begin = time.perf_counter()
        with _serve(data, Path(folder) / "runs") as (url, server), _browser() as browser:
            _say(f"server start             {time.perf_counter() - begin:8.1f} s")
            _measure(browser, url, server, repetitions)


def _world() -> xr.Dataset:
    """The demonstration world at full size, with three further products to make eight."""
    ds = demo_dataset(n_sites=SITES, start=DAYS[0], end=DAYS[1])
    products = ds[v.SM_PRODUCT]
    rng = np.random.default_rng(0)
    further = [
        (products[k] + rng.normal(0, 0.02, products[k].shape).astype(np.float32))
        .clip(0, 1)
        .expand_dims({v.PRODUCT: [name]})
        for k, name in enumerate(MORE)
    ]
    stacked = xr.concat([products, *further], dim=v.PRODUCT).transpose(*products.dims)
    return ds.drop_vars([v.SM_PRODUCT, v.PRODUCT]).assign(
        {v.SM_PRODUCT: stacked.assign_attrs(products.attrs)}
    )


@contextmanager
def _serve(data: Path, runs: Path) -> Iterator[tuple[str, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app.main", "--no-show", "--no-first-run", "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--data", str(data), "--runs", str(runs)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://localhost:{port}/liveness", timeout=2):
                    break
            except OSError:
                if server.poll() is not None:
                    sys.exit("The server ended.")
                time.sleep(0.05)
        yield f"http://localhost:{port}/?page=sites&run=none", server.pid
    finally:
        server.terminate()
        server.wait(20)


@contextmanager
def _browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


def _measure(browser: Any, url: str, server: int, repetitions: int) -> None:
    for name in ("first paint, cold", "first paint, warm"):
        page, received = browser.new_page(viewport={"width": 1440, "height": 2400}), [0]
        cdp = page.context.new_cdp_session(page)
        cdp.send("Network.enable")
        cdp.on(
            "Network.loadingFinished",
            lambda e, n=received: n.__setitem__(0, n[0] + int(e["encodedDataLength"])),
        )
        cdp.on(
            "Network.webSocketFrameReceived",
            lambda e, n=received: n.__setitem__(0, n[0] + len(e["response"]["payloadData"])),
        )
        begin = time.perf_counter()
        page.goto(url)
        page.wait_for_function(
            "() => [...(window.Bokeh?.documents?.[0]?._all_models.values() ?? [])].some("
            "m => m.type === 'GlyphRenderer' && m.name === 'sites' && m.data_source.data.site?.length > 0)"
        )
        page.locator(".card.chosen .value").first.wait_for()
        _say(f"{name:24s} {time.perf_counter() - begin:8.1f} s   {received[0] / 1e6:.1f} MB")
        if name.endswith("cold"):
            page.close()
    page.locator("#loader").wait_for(state="hidden")
    page.wait_for_timeout(4000)
    actions = _actions(page)
    _say(f"memory of the server     {_megabytes(server):8.0f} MB")
    _say(f"{'':24s} {'p50':>8s} {'p95':>8s} {'goal':>8s}   ms")
    for name, act in actions.items():
        act()
        times = [1000 * act() for _ in range(repetitions)]
        p50, p95 = np.percentile(times, [50, 95])
        _say(f"{name:24s} {p50:8.0f} {p95:8.0f} {GOALS[name]:8d}")
    before = _megabytes(server)
    turn = cycle(actions.values())
    for _ in range(INTERACTIONS):
        next(turn)()
    _say(f"memory over {INTERACTIONS} more    {before:8.0f} MB -> {_megabytes(server):.0f} MB")


def _actions(page: Any) -> dict[str, Callable[[], float]]:
    """Return what a person does; each call does it once, and returns the seconds until the page has answered."""

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
        row = page.locator(".tabulator-row").nth(next(rows))
        return timed(
            row.locator("[tabulator-field=network]").click, "data('In situ').value.slice(0, 2000).map(Number)"
        )

    groups = cycle(["Climate", "Land cover", "Region"])

    def stratum() -> float:
        page.get_by_role("combobox", name=re.compile("^Group the sites by")).click()
        option = page.get_by_role("menuitem", name=re.compile(next(groups))).first
        rows = "[...Bokeh.documents[0]._all_models.values()].find(m => m.name === 'boxes_by_group').y_range.factors"
        return timed(option.click, rows)

    return {
        "switch metric": metric,
        "switch product": product,
        "lasso": lasso,
        "click a site": click,
        "change stratum": stratum,
    }


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


if __name__ == "__main__":
    main(sys.argv[1:])
